"""The engine of local processes: workers that live for the whole sweep, forked from a server that holds what they load.

A worker that dies costs the one trial it was training, which ends as `crash` with the signal's name, and is
replaced. One whose trial lost its device is replaced too, and a device that is lost again and again is set aside.
Workers end with the coordinator, however it ends.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tunecli.engine.deadline import Deadline
from tunecli.engine.placing import as_recorded, bound, n_slots, next_place
from tunecli.engine.server import start_server
from tunecli.engine.wire import pack_jobs, unpack_event
from tunecli.engine.worker import STOP, serve
from tunecli.train import accelerators
from tunecli.train.accelerators import Place
from tunecli.trial import Ended, Event, Failure, FailureKind, Job, Outcome, Paused, Started, State, Stopped

_END_S = 2.0
_GRACE_S = 2.0  # for a trial whose time is up to stop by itself, before its worker is killed
_MOST_LOSSES = 3  # in a row; a device that is lost so often is set aside


@dataclass
class _Worker:
    """A process and the jobs it has, by trial. One that is alone has a ``deadline``, and ``ending`` is how it ends once
    it has stopped, or ``killed_at`` has come. ``place`` is the accelerator that it is bound to.
    """

    process: ForkServerProcess
    pipe: connection.Connection
    slot: int
    place: Place | None
    jobs: dict[int, Job] = field(default_factory=dict)
    is_group: bool = False
    device: str = ""
    began_at: float = field(default_factory=time.monotonic)
    deadline: Deadline | None = None
    ending: Ended | None = None
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
        places: Callable[[str], tuple[Place, ...]] = accelerators.places,
    ) -> None:
        self._n_workers = n_workers
        self._per_device, self._places_of = per_device, places
        self._here: tuple[Place, ...] = ()
        self._workers_lock = workers_lock
        self._losses: Counter[str] = Counter()
        self._context = start_server(threads, needs_torch=needs_torch)
        self._workers: list[_Worker] = []

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
        """Give the jobs to a worker that has none; a new one where there is room.

        Raises:
            RuntimeError: every worker has a job already.
        """
        self._here = self._places_of(jobs[0].device)
        set_aside = sorted(device for device, n in self._losses.items() if n >= _MOST_LOSSES)
        idle = next((worker for worker in self._workers if self._is_ready(worker)), None)
        if idle is None:
            self._let_go()
            if not self.n_idle:
                raise RuntimeError(f"all {self.n_workers} workers have a job")
            idle = self._hire()
        place = idle.place
        placed = [
            replace(job, slot=idle.slot, avoid_devices=(*job.avoid_devices, *set_aside))
            if place is None
            else bound(job, place, set_aside)
            for job in jobs
        ]
        idle.jobs, idle.is_group = {job.number: job for job in placed}, len(placed) > 1
        idle.began_at, idle.deadline, idle.ending = time.monotonic(), None, None
        _send(idle, pack_jobs(placed))

    def events(self, wait_s: float) -> Iterator[Event]:
        """What the workers sent, and the end of those that died."""
        busy = [worker for worker in self._workers if worker.jobs]
        if not busy:
            return
        waited_for: dict[Any, _Worker] = {}  # by what `wait` takes: pipes and sentinels
        for worker in busy:
            waited_for[worker.pipe] = waited_for[worker.process.sentinel] = worker
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
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    @property
    def _usable(self) -> list[Place]:
        """The places whose devices are not set aside."""
        return [place for place in self._here if self._losses[place.name] < _MOST_LOSSES]

    def _is_ready(self, worker: _Worker) -> bool:
        is_well_placed = worker.place in (self._usable or self._here) if self._here else worker.place is None
        return not worker.jobs and is_well_placed and worker.process.is_alive()

    def _let_go(self) -> None:
        """End the workers that have no job: they have died, or are bound to what is not to be used."""
        for worker in self._workers:
            if not worker.jobs:
                worker.process.kill()
                worker.process.join()
                worker.pipe.close()
        self._workers = [worker for worker in self._workers if worker.jobs]

    def _hire(self) -> _Worker:
        place = None
        if self._here:
            names = Counter(worker.place.name for worker in self._workers if worker.place is not None)
            place = next_place(self._usable or self._here, names)
        ours, theirs = self._context.Pipe()
        visible = "" if place is None else place.visible
        process = self._context.Process(target=serve, args=(theirs, self._workers_lock, visible), daemon=True)
        process.start()
        theirs.close()
        taken = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        worker = _Worker(process, ours, slot, place)
        self._workers.append(worker)
        return worker

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
                if isinstance(event, Ended | Paused | Stopped):
                    worker.jobs.pop(event.number, None)
                if isinstance(event, Ended | Paused):
                    self._mind_the_device(worker, event.outcome)
                yield event
        except (EOFError, OSError):  # the end of the pipe, or of a message that was cut short
            worker.process.join(_END_S)
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            is_dead = True
        if worker.jobs and is_dead:
            jobs, worker.jobs = list(worker.jobs.values()), {}
            outcome = _crash(worker)
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
        if not worker.jobs or worker.deadline is None:
            return
        if worker.ending is None:
            worker.ending = worker.deadline.ending(worker.device)
            if worker.ending is not None:
                worker.killed_at = time.monotonic() + _GRACE_S
                _send(worker, STOP)
        elif time.monotonic() >= worker.killed_at:
            worker.process.kill()
            worker.process.join()
            worker.jobs = {}
            yield worker.ending

    def _mind_the_device(self, worker: _Worker, outcome: Outcome) -> None:
        """What a process holds of a device that is lost is lost with it: only a new one may use it again."""
        is_lost = outcome.failure is not None and outcome.failure.kind is FailureKind.LOST
        if is_lost:
            self._losses[outcome.device] += 1
            worker.process.kill()
            worker.process.join()
        elif outcome.device:
            self._losses[outcome.device] = 0


def _send(worker: _Worker, message: bytes) -> None:
    # one that died between two jobs: its sentinel will say so, and the trial is told as a crash
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        worker.pipe.send_bytes(message)


def _crash(worker: _Worker) -> Outcome:
    code = worker.process.exitcode
    if code is not None and code < 0:
        cause = f"the worker was killed by {signal.Signals(-code).name}"
    else:
        cause = f"the worker ended with exit code {code}"
    failure = Failure(FailureKind.CRASH, cause)
    return Outcome(
        State.FAILED, seconds=time.monotonic() - worker.began_at, device=worker.device, failure=failure
    )
