"""The protocol between the cluster engine and its agents, and the transport that carries it.

An agent is a process on a node. It trains nothing itself: it holds a `LocalEngine` with some of the node's slots. The
engine calls methods of agents through a `Transport`; arguments and replies are bytes, and a transport never reads them.

The methods of an agent (`tunecli.engine.cluster.agent.Agent`), each with a JSON message and blobs:

- ``hello``: returns an `AgentFacts`. The first call; it is answered when the agent can take jobs.
- ``order``: a job to run, or a request to stop. Orders have numbers and are obeyed in their order, each once, whatever
  order they come in and however often they are repeated.
- ``poll``: waits for events, and returns them as a numbered batch. The agent keeps a batch until a later poll
  acknowledges it, so a lost reply loses no event; the engine drops a batch that it has seen.

An agent that is not polled for `ORPHAN_S` seconds ends itself with its workers: its coordinator is gone, or cannot
reach it and has given its trials to others (fencing).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

POLL_S = 20.0
"""How long a poll waits for events, in seconds."""
ORPHAN_S = 60.0
"""How long an agent lives without a poll, in seconds."""
UNSURE_S = 30.0
"""How long the engine asks an agent that does not answer, before it gives up its trials and ends it, in seconds."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The share of a node that one agent needs.

    Attributes:
        cpus: number of CPUs.
        gpus: number of GPUs; a fraction is a share of one GPU.
        memory_bytes: main memory; 0: not asked for.
        other: further resources of the cluster by name, each with its amount.
    """

    cpus: float
    gpus: float = 0.0
    memory_bytes: int = 0
    other: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of the user that travels to every agent.

    Attributes:
        name: its path relative to the folder of the study's file.
        sha256: of its content, in hexadecimal.
        size_bytes: of its content.
    """

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """The settings of an agent at its start.

    Attributes:
        study: names the run folder: all agents of one study have the same.
        session: names the coordinator: agents of an earlier session have another.
        n_slots: number of jobs that it runs at a time.
        threads: threads of each worker.
        needs_torch: whether the trials need torch.
        per_device: the largest number of jobs on one accelerator at a time.
        probe_path: a file of the run folder, as the coordinator sees it.
        probe_text: its content. An agent that reads it shares the run folder, so no file has to travel.
        storage: the URL or folder through which checkpoints and weights travel if the run folder is not shared;
            empty: they travel as bytes in replies.
        files: the user's files, in the order of the blobs that come with them.
        versions: the versions that the study was begun with, by package.
        environment: environment variables of the workers.
    """

    study: str
    session: str
    n_slots: int
    threads: int = 1
    needs_torch: bool = True
    per_device: int = 1
    probe_path: str = ""
    probe_text: str = ""
    storage: str = ""
    files: Sequence[SentFile] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """The facts that an agent reports of itself and its node.

    Attributes:
        host: the node's name.
        node: the cluster's identifier of the node; may be empty.
        process_id: the agent's process.
        n_slots: number of jobs that it runs at a time.
        devices: names of the accelerators that it sees.
        is_shared: whether it sees the run folder.
        versions: the versions of the software on its node, by package.
        problem: why no trial can run there; empty: none.
    """

    host: str
    node: str
    process_id: int
    n_slots: int
    devices: Sequence[str] = ()
    is_shared: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call.

    Attributes:
        agent: the agent's name.
        call: the number that `Transport.call` returned.
        message: JSON.
        blobs: contents of files that belong to it.
    """

    agent: str
    call: int
    message: bytes
    blobs: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call had no answer.

    Attributes:
        agent: the agent's name.
        call: the number that `Transport.call` returned.
        cause: why, in one sentence without a full stop.
        is_gone: whether the agent is certainly dead. If not, it may still run its jobs and answer later.
        is_bug: whether the agent's own code raised; ``cause`` then holds its traceback.
    """

    agent: str
    call: int
    cause: str
    is_gone: bool
    is_bug: bool = False


class Transport(Protocol):
    """Starts agents on the nodes of a cluster and carries bytes to them and back.

    Every method but `replies` returns without waiting for an agent. `ClusterGone` is raised by any of them once the
    cluster's head cannot be reached any more; the transport then tries to connect again only through `reconnect`.
    """

    def share(self, blobs: Sequence[bytes]) -> None:
        """Give the cluster the blobs that every agent started later gets with its setup."""

    def end_former(self, study: str) -> int:
        """End all agents of a study that other sessions started, wait until they are gone, and return their number."""

    def divide(self, n_slots: int, slot: Resources) -> Sequence[int]:
        """Divide slots among agents, by the room that the cluster's nodes have now.

        Slots without room become agents as well: they wait until the cluster grows.

        Args:
            n_slots: number of slots to divide, at least 1.
            slot: the share of a node that each slot needs.

        Returns:
            The number of slots of each agent; their sum is ``n_slots``.
        """

    def hire(self, agent: str, setup: AgentSetup, resources: Resources) -> int:
        """Start an agent on a node with room for it, or as soon as there is one, and call its ``hello``.

        Args:
            agent: a new name, unique in the session.
            setup: its settings.
            resources: its share of the node.

        Returns:
            The number of the call of ``hello``.
        """

    def call(self, agent: str, method: str, message: bytes, blobs: Sequence[bytes] = ()) -> int:
        """Call a method of an agent.

        Returns:
            The number of the call. Exactly one `Reply` or `CallFailed` with it follows.
        """

    def replies(self, wait_s: float) -> Iterator[Reply | CallFailed]:
        """Yield the answers that have come; wait up to ``wait_s`` seconds for the first.

        Raises:
            ClusterGone: the cluster cannot be reached any more. All agents are lost, and calls have no answers.
        """

    def dismiss(self, agent: str) -> None:
        """End an agent at once with its workers. Its open calls may have no answer."""

    def reconnect(self) -> bool:
        """Try once to reach the cluster again after `ClusterGone`; return whether it answers. No agent survives."""

    def close(self) -> None:
        """End all agents of this session, and the connection."""
