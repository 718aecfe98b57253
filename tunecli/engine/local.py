"""The engine of local processes: workers that are forked from a server that holds what they load.

Most live for the whole sweep. A trial of the user's own code has a worker of its own, which ends with it: what it
leaves in its process, and what it started, no other trial sees. A worker that dies costs the one trial it was
training, which ends as `crash` with the signal's name, and is replaced. One whose trial lost its device is replaced
too, and a device that is lost again and again is set aside. Workers end with the coordinator, however it ends.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tunecli.engine.device_assignment import as_recorded, bound, n_slots, next_place, on_slot
from tunecli.engine.failures import Deadline, crash
from tunecli.engine.fork_client import WorkerProcess, changed_environment, forked, start_server
from tunecli.engine.protocol import EngineOptions
from tunecli.engine.wire import pack_jobs, unpack_event
from tunecli.engine.worker import STOP, Terms
from tunecli.messages import Ended, Event, Job, Paused, Started, Stopped
from tunecli.train import machine
from tunecli.train.machine import Place, n_killed_for_memory
from tunecli.train.trials import uses_own_code
from tunecli.trial import FailureKind, Outcome

_END_S = 10.0  # for a process that was killed to be gone
_LAST_S = 5.0  # for one that ran own code to end as a program does, once its trial has ended
_GRACE_S = 2.0  # for a trial whose time is up to stop by itself, before its worker is killed
_MOST_LOSSES = 3  # in a row; a device that is lost so often is set aside


@dataclass
class _Worker:
    """A process and the jobs it has, by trial. One that is alone has a ``deadline``, and ``ending`` is how it ends once
    it has stopped, or ``killed_at`` has come. ``place`` is the accelerator that it is bound to. Of one that
    ``has_one_job``, ``last`` is its last event, told once the process has ended, by ``killed_at`` at the latest.
    """

    process: WorkerProcess
    pipe: connection.Connection
    slot: int
    place: Place | None
    has_one_job: bool = False
    jobs: dict[int, Job] = field(default_factory=dict)
    is_group: bool = False
    device: str = ""
    began_at: float = field(default_factory=time.monotonic)
    deadline: Deadline | None = None
    ending: Ended | None = None
    last: Event | None = None
    killed_at: float = 0.0


class LocalEngine:
    """``n_workers`` processes, each with one job at a time and ``threads`` threads; no more than ``per_device`` of them
    on one accelerator.
    """

    def __init__(
        self,
        n_workers: int,
        threads: int,
        needs_torch: bool = True,
        workers_lock: Path | None = None,
        per_device: int = 1,
        places: Callable[[str], tuple[Place, ...]] = machine.places,
        n_killed: Callable[[], int] = n_killed_for_memory,
    ) -> None:
        self._n_workers = n_workers
        self._n_killed, self._n_known_killed = n_killed, n_killed()
        self._per_device, self._places_of = per_device, places
        self._here: tuple[Place, ...] = ()
        self._workers_lock = "" if workers_lock is None else str(workers_lock.absolute())
        self._losses: Counter[str] = Counter()
        start_server(threads, needs_torch=needs_torch)
        self._workers: list[_Worker] = []
        self._spares: list[tuple[connection.Connection, WorkerProcess]] = []

    @property
    def n_workers(self) -> int:
        """How many workers there are: fewer where the accelerators that are not set aside have no room for more."""
        if not self._here:
            return self._n_workers
        return max(1, min(self._n_workers, n_slots(self._usable, self._per_device)))

    @property
    def n_idle(self) -> int:
        """How many workers have no job, those included that are not hired yet."""
        return max(0, self.n_workers - sum(bool(worker.jobs) for worker in self._workers))

    def submit(self, *jobs: Job) -> None:
        """Give the jobs to a worker that has none; a new one where there is room, or where they run own code.

        Raises:
            RuntimeError: every worker has a job already.
        """
        self._here = self._places_of(jobs[0].execution.device)
        set_aside = sorted(device for device, n in self._losses.items() if n >= _MOST_LOSSES)
        has_one_job = any(uses_own_code(job) for job in jobs)
        ready = [] if has_one_job else [worker for worker in self._workers if self._is_ready(worker)]
        if not self.n_idle and not ready:
            raise RuntimeError(f"all {self.n_workers} workers have a job")
        idle = ready[0] if ready else self._hire(has_one_job)
        place = idle.place
        placed = [
            on_slot(job, idle.slot, set_aside) if place is None else bound(job, place, set_aside)
            for job in jobs
        ]
        idle.jobs, idle.is_group = {job.number: job for job in placed}, len(placed) > 1
        idle.began_at, idle.deadline, idle.ending, idle.last = time.monotonic(), None, None, None
        _send(idle, pack_jobs(placed))

    def events(self, wait_s: float) -> Iterator[Event]:
        """What the workers sent, and the end of those that died."""
        busy = [worker for worker in self._workers if worker.jobs]
        if not busy:
            return
        waited_for: dict[Any, _Worker] = {worker.process: worker for worker in busy}
        waited_for |= {worker.pipe: worker for worker in busy if worker.last is None}
        ready = connection.wait(list(waited_for), timeout=wait_s)
        for worker in {id(waited_for[source]): waited_for[source] for source in ready}.values():
            yield from self._drain(worker)
        for worker in busy:
            yield from self._end_if_overdue(worker)

    def stop(self) -> None:
        """Ask the jobs under way to stop where their epoch ends."""
        for worker in self._workers:
            if worker.jobs:
                _send(worker, STOP)

    def close(self) -> None:
        """End the workers. They hold nothing that is not on record, so they are not asked."""
        ending = [(worker.pipe, worker.process) for worker in self._workers] + self._spares
        self._workers, self._spares = [], []
        for _, process in ending:
            process.kill()
        for pipe, process in ending:
            process.join(_END_S)
            process.close()
            pipe.close()

    @property
    def _usable(self) -> list[Place]:
        """The places whose devices are not set aside."""
        return [place for place in self._here if self._losses[place.name] < _MOST_LOSSES]

    def _is_ready(self, worker: _Worker) -> bool:
        is_well_placed = worker.place in (self._usable or self._here) if self._here else worker.place is None
        return not worker.jobs and not worker.has_one_job and is_well_placed and worker.process.is_alive()

    def _let_go(self) -> None:
        """End useless workers: dead ones, those bound to a device that was set aside, and surplus ones."""
        idle = [worker for worker in self._workers if not worker.jobs]
        useless = [worker for worker in idle if not self._is_ready(worker)]
        n_too_many = len(self._workers) - len(useless) + 1 - self.n_workers
        useless += [worker for worker in idle if worker not in useless][: max(0, n_too_many)]
        for worker in useless:
            worker.process.kill()
            worker.process.join(_END_S)
            worker.process.close()
            worker.pipe.close()
        self._workers = [worker for worker in self._workers if worker not in useless]

    def _hire(self, has_one_job: bool) -> _Worker:
        self._let_go()
        place = None
        if self._here:
            names = Counter(worker.place.name for worker in self._workers if worker.place is not None)
            place = next_place(self._usable or self._here, names)
        if has_one_job:
            self._spares = [spare for spare in self._spares if spare[1].is_alive()]
        pipe, process = (
            self._spares.pop() if has_one_job and self._spares else forked(has_one_job=has_one_job)
        )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died at once: that shows later
            pipe.send_bytes(self._terms(place, has_one_job).packed())
        taken = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        worker = _Worker(process, pipe, slot, place, has_one_job)
        self._workers.append(worker)
        return worker

    def _terms(self, place: Place | None, has_one_job: bool) -> Terms:
        try:
            folder = str(Path.cwd())
        except OSError:
            folder = ""
        visible = "" if place is None else place.visible
        return Terms(has_one_job, self._workers_lock, visible, folder, changed_environment())

    def _drain(self, worker: _Worker) -> Iterator[Event]:
        is_dead = (
            not worker.process.is_alive()
        )  # asked first, so that all it sent is read before it is told dead
        try:
            while worker.jobs and worker.pipe.poll():
                event = unpack_event(worker.pipe.recv_bytes())
                if worker.place is not None:
                    event = as_recorded(event, worker.place)
                if isinstance(event, Started):  # what a worker loads before it counts for no trial
                    worker.device = event.device
                    worker.deadline = None if worker.is_group else Deadline(worker.jobs[event.number])
                if worker.deadline is not None:
                    worker.deadline.heard()
                if isinstance(event, Stopped) and worker.ending is not None:
                    event = worker.ending
                if isinstance(event, Ended | Paused):
                    self._mind_the_device(worker, event.outcome)
                if isinstance(event, Ended | Paused | Stopped):
                    if worker.has_one_job and len(worker.jobs) == 1:
                        self._await_end(worker, event)
                        break
                    worker.jobs.pop(event.number, None)
                yield event
        except (EOFError, OSError):  # the end of the pipe, or of a message that was cut short
            worker.process.join(_END_S if worker.last is None else 0.0)
            if worker.last is None:
                worker.process.kill()
                worker.process.join(_END_S)
                is_dead = True
        if worker.jobs and is_dead:
            yield from self._ended(worker)

    def _await_end(self, worker: _Worker, event: Event) -> None:
        """The trial has ended and its process has not: that may still write, compute, and hold memory."""
        worker.last, worker.deadline, worker.ending = event, None, None
        worker.killed_at = time.monotonic() + _LAST_S
        if not self._spares:  # forked while this one ends
            with contextlib.suppress(OSError):
                self._spares.append(forked(has_one_job=True))

    def _ended(self, worker: _Worker) -> Iterator[Event]:
        """How the jobs of a worker ended that is no more."""
        jobs, worker.jobs = list(worker.jobs.values()), {}
        if worker.last is not None:
            yield worker.last
            return
        outcome = self._crash(worker)
        for job in jobs:
            # which of a group is to blame shows when each is run alone
            cause = f"it was trained together with others: {outcome.failure and outcome.failure.cause}"
            yield (
                Stopped(job.number, job.attempt, cause)
                if worker.is_group
                else Ended(job.number, job.attempt, outcome)
            )

    def _end_if_overdue(self, worker: _Worker) -> Iterator[Event]:
        """A trial that takes too long is asked to stop; soon after it ends with its worker, which may hear nothing."""
        if worker.jobs and worker.last is not None and time.monotonic() >= worker.killed_at:
            worker.process.kill()
            worker.process.join(_END_S)
            yield from self._ended(worker)
        if not worker.jobs or worker.deadline is None:
            return
        if worker.ending is None:
            worker.ending = worker.deadline.ending(worker.device)
            if worker.ending is not None:
                worker.killed_at = time.monotonic() + _GRACE_S
                _send(worker, STOP)
        elif time.monotonic() >= worker.killed_at:
            worker.process.kill()
            worker.process.join(_END_S)
            worker.jobs = {}
            yield worker.ending

    def _mind_the_device(self, worker: _Worker, outcome: Outcome) -> None:
        """What a process holds of a device that is lost is lost with it: only a new one may use it again."""
        is_lost = outcome.failure is not None and outcome.failure.kind is FailureKind.LOST
        if is_lost:
            self._losses[outcome.device] += 1
            worker.process.kill()
            worker.process.join(_END_S)
        elif outcome.device:
            self._losses[outcome.device] = 0

    def _crash(self, worker: _Worker) -> Outcome:
        code = worker.process.exit_code
        is_out_of_memory = code == -signal.SIGKILL and self._n_killed() > self._n_known_killed
        self._n_known_killed += is_out_of_memory
        seconds = time.monotonic() - worker.began_at
        return crash(code, seconds, worker.device, is_out_of_memory=is_out_of_memory)


def from_options(options: EngineOptions) -> LocalEngine:
    """The engine that `run.engine: local` names."""
    return LocalEngine(
        options.n_workers, options.threads, options.needs_torch, options.workers_lock, options.per_device
    )


def _send(worker: _Worker, message: bytes) -> None:
    # one that died between two jobs: its sentinel will say so, and the trial is told as a crash
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        worker.pipe.send_bytes(message)
