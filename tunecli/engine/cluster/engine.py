"""The engine of a cluster: jobs wait here until an agent has a free slot; an agent that is gone gives its jobs back.

A trial's table does not depend on the cluster: a job that is given back is `Stopped`, and its next attempt goes on from
its last checkpoint on any agent with room. The time of a call does not grow with the number of agents.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from tunecli.engine.cluster.agent import THREAD_VARIABLES
from tunecli.engine.cluster.crew import Crew
from tunecli.engine.cluster.protocol import AgentSetup, Patience, Resources, Transport
from tunecli.engine.cluster.quarantine import MOST_LOSSES, Quarantine
from tunecli.engine.cluster.seat import Came, Group, Joined, Lost, Seat
from tunecli.engine.cluster.shipping import is_intact, outgoing, received
from tunecli.engine.cluster.study_storage import StudyStorage
from tunecli.engine.cluster.user_files import user_files
from tunecli.engine.cluster.wire import Item, Kind, SentAlong
from tunecli.engine.failures import ended_by_hand
from tunecli.engine.protocol import EngineOptions, Host
from tunecli.engine.versions import software_versions
from tunecli.errors import ClusterGone, DiskFull, StoreFailed, TunecliError, from_os_error
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Paused, Stopped
from tunecli.trial import Failure, FailureKind, Outcome, State

_MOST_DAMAGED = 3  # arrivals of one batch, before its intact files are used alone
_MOST_NOTES = 20
_QUIET_S = 5.0  # without a new agent, before the engine says that it waits
_ENDS = Ended | Paused | Stopped


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The settings of a cluster engine.

    Attributes:
        patterns: the further files that travel, as ``run.ray.files``.
        storage: as in `AgentSetup`.
        environment: environment variables of the workers.
        wait_s: how long jobs wait while there is no agent at all.
        patience: how long agents are waited for.
        notes: facts of the cluster for the user, a sentence each.
    """

    patterns: Sequence[str] = ()
    storage: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 600.0
    patience: Patience = field(default_factory=Patience)
    notes: Sequence[str] = ()


class ClusterEngine:
    """Runs jobs on the agents of a cluster."""

    def __init__(
        self,
        options: EngineOptions,
        transport: Transport,
        slot: Resources,
        settings: ClusterSettings = ClusterSettings(),
    ) -> None:
        """End the agents of former sessions of the study, and hire agents for all slots.

        Args:
            options: the settings of every engine.
            transport: starts agents on the cluster, and carries messages.
            slot: the share of a node that each job needs.
            settings: the settings of this kind of engine.

        Raises:
            UsageError: a file of the user has changed, a pattern matches no file, or the storage cannot be used.
            DiskFull, StoreFailed: the run folder refuses a file.
            ClusterGone: the cluster cannot be reached.
        """
        self._wait_s = settings.wait_s
        files = user_files(options, settings.patterns)
        self._probe = Path(
            options.folder or tempfile.gettempdir(), f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
        )
        lock, session, probe_text = options.workers_lock, secrets.token_hex(6), secrets.token_hex(16)
        self._storage = StudyStorage(settings.storage, options.folder, session, probe_text)
        self._channel = self._storage.channel
        setup = AgentSetup(
            study=_study_of(options),
            session=session,
            n_slots=0,
            threads=options.threads,
            needs_torch=options.needs_torch,
            per_device=options.per_device,
            probe_path=str(self._probe.absolute()),
            probe_text=probe_text,
            storage=self._storage.location,
            storage_prefix=self._storage.prefix,
            versions={**software_versions(), **_of_software(options.versions)},
            files=files.files,
            why_not_sent=files.why_not_sent,
            base_name=files.base_name,
            base_path=files.base_path,
            expected=files.expected or {},
            folder=str(Path.cwd()),
            workers_lock="" if lock is None else str(lock.absolute()),
            orphan_s=settings.patience.orphan_s,
            environment={
                **{name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
                **settings.environment,
            },
        )
        self._crew = Crew(transport, setup, slot, settings.patience)
        self._waiting: deque[Group] = deque()
        self._n_busy = 0  # groups, with those that wait
        self._free: dict[str, Seat] = {}
        self._seat_of: dict[int, Seat] = {}
        self._ready: deque[Event | TunecliError | RuntimeError] = deque()
        self._quarantine = Quarantine()
        self._ending: set[int] = set()  # trials that an order ends
        self._said = tuple(settings.notes)
        self._notes: deque[str] = deque(maxlen=_MOST_NOTES)
        self._alone_since_s = time.monotonic()
        try:
            self._probe.write_text(setup.probe_text)
        except OSError as error:
            raise from_os_error(error, self._probe, is_users_path=False) from error
        try:
            self._crew.begin(options.n_workers, files.contents)
            self._storage.clear_former()
        except BaseException:
            self.close()
            raise

    @property
    def n_workers(self) -> int:
        """Number of slots, with those whose agents have not come yet."""
        return max(1, self._crew.n_slots)

    @property
    def n_idle(self) -> int:
        """Number of slots without a job, with those whose agents have not come yet."""
        return max(0, self.n_workers - self._n_busy)

    def submit(self, *jobs: Job) -> None:
        """Queue a job, or jobs to train together, for the next free slot.

        Raises:
            RuntimeError: every slot has a job.
        """
        if not self.n_idle:
            raise RuntimeError(f"all {self.n_workers} workers have a job")
        self._n_busy += 1
        group = Group({job.number: job for job in jobs})
        (self._quarantine.waiting if self._quarantine.is_suspect(group) else self._waiting).append(group)
        self._hand_out()

    def events(self, wait_s: float) -> Iterator[Event]:
        """Yield the events that agents sent, and the ends of jobs whose agents are gone.

        Raises:
            DiskFull, StoreFailed: as of `Engine.events`.
            ClusterGone: the cluster cannot be reached any more, or has had no node for too long.
            UsageError: no node can run the trials.
        """
        if not self._n_busy and not self._ready:
            return
        self._storage.remove_superseded()
        if not self._ready:
            try:
                for news in self._crew.news(wait_s, is_needed=self._has_waiting):
                    self._handle(news)
                self._hand_out()
                self._require_agent()
            except (TunecliError, RuntimeError) as error:  # the events before it remain valid
                self._ready.append(error)
        while self._ready:
            event = self._ready.popleft()
            if isinstance(event, Exception):
                raise event
            yield event

    def stop(self) -> None:
        """Ask the running jobs to stop at the end of their epochs; those that wait stop at once."""
        waiting = [*self._waiting, *self._quarantine.waiting]
        self._waiting.clear()
        self._quarantine.waiting.clear()
        self._n_busy -= len(waiting)
        self._ready.extend(
            Stopped(job.number, job.attempt) for group in waiting for job in group.jobs.values()
        )
        for seat in dict.fromkeys(self._seat_of.values()):
            self._crew.order(seat, seat.order(Kind.STOP))

    def end(self, number: int) -> None:
        """End the job of trial ``number`` as pruned, if it waits or runs."""
        if (seat := self._seat_of.get(number)) is not None:
            if number not in self._ending:  # the order is repeated until it is answered
                self._ending.add(number)
                self._crew.order(seat, seat.order(Kind.END, target=number))
            return
        for waiting in (self._waiting, self._quarantine.waiting):
            for group in waiting:
                if number in group.jobs:
                    self._ready.append(ended_by_hand(group.jobs.pop(number), 0.0, ""))
                    if not group.jobs:
                        waiting.remove(group)
                        self._n_busy -= 1
                    return

    def notices(self) -> Sequence[str]:
        """Say which agents are missing and which nodes are left out, and what happened to files on their way."""
        is_quiet = time.monotonic() - self._crew.joined_s >= _QUIET_S
        return [*self._said, *self._notes, *self._crew.notices(is_needed=self._has_waiting and is_quiet)]

    def hosts(self) -> Sequence[Host]:
        """Return the machines of the agents that can take jobs, with their versions."""
        return self._crew.hosts()

    def close(self) -> None:
        """End all agents with their workers."""
        with suppress(ClusterGone):
            self._crew.close()
        self._waiting.clear()
        self._quarantine = Quarantine()
        self._free.clear()
        self._seat_of.clear()
        self._ready.clear()
        self._n_busy = 0
        with suppress(OSError):
            self._probe.unlink()
        self._storage.close()

    @property
    def _has_waiting(self) -> bool:
        return bool(self._waiting or self._quarantine.waiting)

    def _hand_out(self) -> None:
        """Give jobs that wait to free slots, to one agent after the other."""
        while (
            alone := self._quarantine.seat_for_next(chain(self._free.values(), self._seat_of.values()))
        ) is not None:
            self._give(alone, self._quarantine.waiting.popleft())
        if (released := self._quarantine.released()) is not None and released.n_free:
            self._free[released.name] = released
        while self._waiting and self._free:
            name, seat = next(iter(self._free.items()))
            del self._free[name]
            if not seat.n_free:
                continue
            self._give(seat, self._waiting.popleft())
            if seat.n_free:
                self._free[name] = seat

    def _give(self, seat: Seat, group: Group) -> None:
        jobs = list(group.jobs.values())
        files: list[SentAlong] = []
        blobs: list[bytes] = []
        if not seat.is_shared:
            files, blobs = outgoing(jobs, self._channel)
        seat.give(group)
        self._seat_of |= dict.fromkeys(group.jobs, seat)
        group.order = seat.order(Kind.SUBMIT, jobs=jobs, files=files, blobs=blobs)
        self._crew.order(seat, group.order, is_apart=self._quarantine.has_lost(group))

    def _handle(self, news: Joined | Came | Lost) -> None:
        match news:
            case Joined(seat):
                self._free[seat.name] = seat
            case Came(seat, batch):
                self._take(seat, news)
                if batch.problem:
                    self._crew.leave_out(seat, batch.problem)
            case Lost(seat, cause, is_suspicious):
                self._free.pop(seat.name, None)
                self._quarantine.forget(seat)
                for group in seat.take_all():
                    self._n_busy -= 1
                    has_come = group.order <= seat.accepted
                    for job in group.jobs.values():
                        self._give_back(job, cause, is_suspicious=is_suspicious and has_come)

    def _take(self, seat: Seat, came: Came) -> None:
        """Write the files of a batch and queue its events, then acknowledge it; a damaged one is requested again."""
        batch, at = came.batch, 0
        if not batch.number or batch.number <= seat.last_batch:
            return
        try:
            contents = [self._channel.get(blob) for blob in came.blobs]
        except StoreFailed as error:
            self._ready.append(error)
            return
        files = [file for item in batch.items for file in item.files]
        if not is_intact(files, contents) and seat.n_damaged + 1 < _MOST_DAMAGED:
            seat.n_damaged += 1
            self._crew.acknowledge(seat, seat.last_batch)
            return
        seat.n_damaged = 0
        for item in batch.items:
            self._take_item(seat, item, contents[at : at + len(item.files)])
            at += len(item.files)
        for blob in came.blobs:
            self._channel.drop(blob)
        if trouble := self._channel.trouble():
            self._notes.append(trouble)
        self._crew.acknowledge(seat, batch.number)

    def _take_item(self, seat: Seat, item: Item, contents: Sequence[bytes]) -> None:
        if isinstance(item.event, DiskFull | StoreFailed):
            self._ready.append(item.event)
            return
        job = (
            seat.running_job(item.files[0].number)
            if item.event is None
            else seat.job(item.event.number, item.event.attempt)
        )
        if job is None:  # it was given back
            return
        try:
            event, note = (item.event, item.note) if seat.is_shared else received(job, item, contents)
        except (DiskFull, StoreFailed) as error:
            self._ready.append(error)
            return
        if note:
            self._notes.append(note)
        if event is None:
            return
        if isinstance(event, Checkpointed):
            self._storage.watch(Path(job.files.checkpoints_path, event.checkpoint.name))
        if isinstance(event, EpochEnded | _ENDS):
            self._quarantine.acquit(event.number, seat)
        if isinstance(event, _ENDS):
            self._ending.discard(event.number)
            del self._seat_of[event.number]
            if seat.end(event.number):
                self._n_busy -= 1
        if isinstance(event, EpochEnded | _ENDS) and seat.n_free:
            self._free[seat.name] = seat
        self._ready.append(event)

    def _give_back(self, job: Job, cause: str, *, is_suspicious: bool) -> None:
        self._seat_of.pop(job.number, None)
        self._ending.discard(job.number)
        if not self._quarantine.count(job.number, is_suspicious=is_suspicious):
            self._ready.append(Stopped(job.number, job.attempt, cause))
            return
        failure = Failure(FailureKind.LOST, f"its machine was lost {MOST_LOSSES} times in a row; {cause}")
        self._ready.append(Ended(job.number, job.attempt, Outcome(State.FAILED, failure=failure)))

    def _require_agent(self) -> None:
        """Raise if jobs have waited too long without any agent."""
        now_s = time.monotonic()
        if self._crew.n_there or not self._has_waiting or self._crew.is_gone:
            self._alone_since_s = now_s
        elif now_s - self._alone_since_s >= self._wait_s and not self._ready:
            raise ClusterGone(f"no node of the cluster has had room for a worker for {self._wait_s:.0f} s")


def _study_of(options: EngineOptions) -> str:
    """A name that all sessions of a study share, and no other study on the cluster."""
    if options.folder is None:
        return secrets.token_hex(6)
    return hashlib.sha256(str(options.folder.resolve()).encode()).hexdigest()[:12]


def _of_software(versions: Mapping[str, str]) -> dict[str, str]:
    """The recorded versions that agents must have; tunecli's own is that of the coordinator, which speaks to them."""
    return {name: versions[name] for name in ("torch", "python") if name in versions}
