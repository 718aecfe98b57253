"""Whether a node of the cluster sees study files that are too large to travel to it.

A node can see them through a shared file system, or have a copy of its own in the same folder. Only an agent on the
node knows that, so one is started on each node, without a share of its CPUs.
"""

from __future__ import annotations

import secrets
import time

from tunecli.engine.cluster.protocol import AgentSetup, CallFailed, Resources
from tunecli.engine.cluster.user_files import UserFiles
from tunecli.engine.cluster.wire import unpack_facts
from tunecli.engine.ray.placement import n_slots_in
from tunecli.engine.ray.transport import RayTransport
from tunecli.errors import UsageError

_ANSWER_S = 60.0  # of all agents; 2 s are usual


def require_visible(files: UserFiles, transport: RayTransport, slot: Resources) -> None:
    """Raise UsageError if no node with room for a trial has the files; nodes that do not answer may have them.

    Args:
        files: the study's files, which do not travel.
        transport: to the cluster. The caller closes it, which ends the agents.
        slot: the share of a node that a trial needs.

    Raises:
        UsageError: every node with room answers that it does not have them.
        ClusterGone: the cluster was lost.
    """
    nodes = [node for node in transport.nodes() if n_slots_in(node.total, slot)]
    setup = _setup_of(files)
    transport.plan(nodes)
    left = {transport.hire(f"{setup.session}-{n}", setup, Resources(0.0)) for n in range(len(nodes))}
    n_refused, until_s = 0, time.monotonic() + _ANSWER_S
    while left and time.monotonic() < until_s:
        for reply in transport.replies(until_s - time.monotonic()):
            left.discard(reply.call)
            if isinstance(reply, CallFailed) or unpack_facts(reply.message).problem != files.why_not_sent:
                return
            n_refused += 1
    if n_refused and not left:
        raise UsageError(
            f"{files.why_not_sent}, and no node of the cluster has the same files in {files.base_path}",
            hint="put the folder where all machines see it, or name large data by an absolute path on each machine",
        )


def _setup_of(files: UserFiles) -> AgentSetup:
    """The settings of an agent that trains nothing, and of a study that no other agent belongs to."""
    session = secrets.token_hex(6)
    return AgentSetup(
        study=session,
        session=session,
        n_slots=1,
        needs_torch=False,
        files=files.files,
        why_not_sent=files.why_not_sent,
        base_name=files.base_name,
        base_path=files.base_path,
    )
