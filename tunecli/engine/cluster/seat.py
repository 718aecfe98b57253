"""An agent as the engine knows it: its free slots, its jobs, its open orders, and what happens to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunecli.engine.cluster.protocol import AgentFacts
from tunecli.engine.cluster.wire import Batch, Kind, Order, SentAlong, pack_order
from tunecli.messages import Job


@dataclass(eq=False)
class Group:
    """A job, or jobs that are trained together: they occupy one slot until the last of them ends.

    Attributes:
        jobs: the jobs that have not ended, by number.
        order: the number of the order that gave them to an agent; 0: they wait.
    """

    jobs: dict[int, Job]
    order: int = 0


@dataclass(eq=False)
class Seat:
    """An agent.

    Attributes:
        name: its name, unique in the session.
        n_slots: number of groups that it runs at a time.
        facts: its answer to ``hello``; None: it has not answered yet.
        has_joined: whether it was fit to take jobs.
        groups: the group of each of its jobs, by the job's number.
        n_groups: number of its groups.
        last_batch: the number of the last batch that arrived.
        n_damaged: how often in a row the next batch arrived damaged.
        sent: orders without an answer, by number.
        accepted: the number of the last order that was answered.
        unsure_since_s: when its first call in a row failed, monotonic clock; None: the last one succeeded.
        fenced_until_s: when the agent must have ended itself, monotonic clock; None: it was not given up.
        cause: why it was given up.
        is_reserved: whether it takes no further group: a suspected one runs there, or waits for the end of the others.
    """

    name: str
    n_slots: int
    facts: AgentFacts | None = None
    has_joined: bool = False
    groups: dict[int, Group] = field(default_factory=dict)
    n_groups: int = 0
    last_batch: int = 0
    n_damaged: int = 0
    sent: dict[int, tuple[bytes, Sequence[bytes]]] = field(default_factory=dict)
    accepted: int = 0
    unsure_since_s: float | None = None
    fenced_until_s: float | None = None
    cause: str = ""
    is_reserved: bool = False
    _n_orders: int = 0

    @property
    def host(self) -> str:
        """The name of its machine, for messages."""
        return self.facts.host if self.facts is not None else "a node"

    @property
    def is_fit(self) -> bool:
        """Whether it has answered and was not given up."""
        return self.has_joined and self.fenced_until_s is None

    @property
    def n_free(self) -> int:
        """Number of slots that another group may take."""
        if not self.is_fit or self.is_reserved:
            return 0
        return max(0, self.n_slots - self.n_groups)

    @property
    def is_shared(self) -> bool:
        """Whether it sees the run folder."""
        return self.facts is not None and self.facts.is_shared

    def give(self, group: Group) -> None:
        """Occupy a slot with a group."""
        self.n_groups += 1
        self.groups |= dict.fromkeys(group.jobs, group)

    def job(self, number: int, attempt: int) -> Job | None:
        """The job of an event; None if the agent does not have that attempt (any more)."""
        group = self.groups.get(number)
        job = None if group is None else group.jobs[number]
        return job if job is not None and job.attempt == attempt else None

    def running_job(self, number: int) -> Job | None:
        """The job of a trial that the agent has; None: it has none."""
        group = self.groups.get(number)
        return None if group is None else group.jobs[number]

    def end(self, number: int) -> bool:
        """Remove a job that has ended; return whether its slot is free now."""
        group = self.groups.pop(number)
        del group.jobs[number]
        if group.jobs:
            return False
        self.n_groups -= 1
        return True

    def take_all(self) -> list[Group]:
        """Remove all groups, and return them in the order in which they were given."""
        groups = list(dict.fromkeys(self.groups.values()))
        self.groups, self.n_groups = {}, 0
        return groups

    def order(
        self,
        kind: Kind,
        *,
        jobs: Sequence[Job] = (),
        target: int = -1,
        files: Sequence[SentAlong] = (),
        blobs: Sequence[bytes] = (),
    ) -> int:
        """Number an order and keep it until it is answered; return its number."""
        self._n_orders += 1
        self.sent[self._n_orders] = pack_order(Order(self._n_orders, kind, jobs, target, files)), blobs
        return self._n_orders


@dataclass(frozen=True, slots=True)
class Joined:
    """An agent can take jobs."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Came:
    """A batch of events came, with the blobs of its files; the engine acknowledges it."""

    seat: Seat
    batch: Batch
    blobs: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Lost:
    """An agent is gone with its jobs: it runs none of them any more.

    Attributes:
        seat: the agent.
        cause: why.
        is_suspicious: whether one of its jobs may have ended the agent.
    """

    seat: Seat
    cause: str
    is_suspicious: bool


News = Joined | Came | Lost
