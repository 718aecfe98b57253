"""The protocol between the cluster engine and its agents, and the transport that carries it.

An agent is a process on a node. It trains nothing itself: it holds a `LocalEngine` with some of the node's slots. The
engine calls methods of agents through a `Transport`; arguments and replies are bytes, and a transport never reads them.

The methods of an agent, each with a JSON message and blobs; `tunecli.engine.cluster.agent.Agent.call` takes them all:

- ``hello``: returns an `AgentFacts`. The first call; it is answered when the agent can take jobs.
- ``order``: a job to run, or a request to stop. Orders have numbers and are obeyed in their order, each once, even if
  they come in another order or several times.
- ``poll``: obeys an order if it brings one, waits for events, and returns them as a numbered batch. The agent keeps a
  batch until a later poll acknowledges it, so a lost reply loses no event; the engine drops a batch that it has seen.
- ``beat``: prolongs the agent's life, see `tunecli.engine.cluster.lease`. The transport calls it by itself, without the
  engine, with the answer to the last beat.
- ``close``: ends the workers and removes the agent's files. The transport calls it before it ends the agent's process.

An agent to which no beat was sent for `ORPHAN_S` seconds ends itself with its workers: its coordinator is gone, or
cannot reach it and has given its trials to others (fencing). A beat, or any other call, that arrives late changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

POLL_S = 20.0
"""How long a poll waits for events, in seconds."""
ORPHAN_S = 60.0
"""How long an agent lives after the last beat that was sent to it, in seconds."""
BEAT_S = 10.0
"""The longest time between two beats of an agent, in seconds."""
UNSURE_S = 30.0
"""How long the engine asks an agent that does not answer, before it gives up its trials and ends it, in seconds."""
RETRY_S = 1.0
"""The pause before a call that failed is repeated, in seconds."""
RECONNECT_S = 90.0
"""How long the engine tries to reach a cluster again, in seconds: longer than an agent out of reach lives, because the
transport does not connect again before its end."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the engine and its agents wait, in seconds; each is the constant of its name."""

    poll_s: float = POLL_S
    orphan_s: float = ORPHAN_S
    unsure_s: float = UNSURE_S
    retry_s: float = RETRY_S
    reconnect_s: float = RECONNECT_S


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
        name: its path relative to the root of all sent files, without ``..``.
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
        storage_prefix: what the names of all objects of this session begin with, without the slash after it.
        files: the user's files.
        why_not_sent: why the files have no blobs; empty: there is a blob for each of them, in their order.
        base_name: the folder of the study's file, relative to the root of the files.
        base_path: the folder of the study's file, as the coordinator sees it. An agent that sees the same files there
            uses it, so the sent ones are not written.
        expected: SHA-256 of the files that every node must have, by absolute path; empty: a folder.
        folder: the coordinator's working folder, for workers whose node has it.
        workers_lock: the file of which every worker holds a shared lock if the run folder is shared; empty: none.
        versions: the versions that the agent's software is compared with, by package.
        orphan_s: how long the agent lives after the last beat that was sent to it.
        environment: environment variables of the workers. Variables of threads that are not among them are removed.
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
    storage_prefix: str = ""
    files: Sequence[SentFile] = ()
    why_not_sent: str = ""
    base_name: str = "."
    base_path: str = ""
    expected: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    workers_lock: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    orphan_s: float = ORPHAN_S
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
        is_planned: whether the cluster ended the agent on purpose, for example to give its node back.
    """

    agent: str
    call: int
    cause: str
    is_gone: bool
    is_bug: bool = False
    is_planned: bool = False


class Transport(Protocol):
    """Starts agents on the nodes of a cluster and carries bytes to them and back.

    Every method but `end_former`, `replies` and `close` returns without waiting for an agent. `ClusterGone` is raised
    by any of them once the cluster's head cannot be reached any more; the transport then tries to connect again only
    through `reconnect`. The engine may compute for minutes between two of its calls, so the transport itself keeps the
    agents alive: it calls ``beat`` of each agent at least every `BEAT_S` seconds, the first time without a message and
    then with the last answer to it, but never of one that was dismissed.
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
        """End an agent at once with its workers, and send it no ``beat`` any more.

        Its open calls may have no answer. One that has a `CallFailed` with ``is_gone`` lets the engine give the agent's
        jobs to others at once; without it, the engine waits until the agent must have ended itself.
        """

    def reconnect(self) -> bool:
        """Try once to reach the cluster again after `ClusterGone`.

        Returns:
            Whether it answers, and no former agent of this session can still live. The engine then calls `share` and
            `hire` again.
        """

    def close(self) -> None:
        """Call ``close`` of all agents of this session, end them and the connection."""
