"""The engine of local processes: workers forked from a server that has loaded what trials import.

Most workers live for the whole sweep. A trial that runs the user's own code gets a single-use worker, so no other trial
sees the changes that the code made to its process or the programs that it started. A worker that dies costs only its
own trial, which fails as `crash` with the signal's name; the worker is replaced. A worker that lost its device is
replaced too, and a device that is lost three times in a row is set aside. All workers end with the coordinator, even if
it is killed.
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

from tunecli.engine.device_assignment import (
    bind_job,
    least_used_accelerator,
    n_slots,
    with_recorded_device,
    with_slot,
)
from tunecli.engine.failures import Deadline, crash
from tunecli.engine.fork_client import WorkerProcess, changed_environment, fork_worker, start_server
from tunecli.engine.memory import MemoryLimit, exceeded
from tunecli.engine.protocol import EngineOptions
from tunecli.engine.wire import pack_jobs, unpack_event
from tunecli.engine.worker import STOP, WorkerSetup
from tunecli.messages import Ended, Event, Job, Paused, Started, Stopped
from tunecli.train import machine
from tunecli.train.machine import Accelerator, n_killed_for_memory
from tunecli.train.trials import uses_user_code
from tunecli.trial import FailureKind, Outcome

_KILL_WAIT_S = 10.0  # for the end of a process after SIGKILL
_EXIT_WAIT_S = 5.0  # for a single-use worker to run its exit handlers and threads to their end
_STOP_WAIT_S = 2.0  # for a trial past its time limit to stop by itself, before its worker is killed
_MAX_DEVICE_LOSSES = 3  # how often in a row a device can be lost before it is set aside


@dataclass
class _Worker:
    """A worker process and its jobs.

    Attributes:
        process: the process.
        pipe: jobs and orders go in, events come out.
        slot: the worker's index; free slots are used again.
        accelerator: the accelerator to which the process is bound; None on the CPU.
        is_single_use: whether the process ends with its first job, because the job runs the user's own code and the
            study keeps its trials apart.
        jobs: the running jobs, by trial number; more than one if they are fused.
        is_group: whether the jobs are fused.
        device: the device that the worker reported.
        began_at: when it got its jobs, monotonic clock.
        deadline: the time limits of a single job; None before it starts, and for a group.
        memory: the limit of what the worker and the programs of its jobs may use.
        timeout: the end of a job that is past its time limit; reported when the job stops, or at ``kill_at``.
        last: the last event of a single-use worker; reported when its process has ended, or at ``kill_at``.
        kill_at: when the worker is killed if ``timeout`` or ``last`` is set, monotonic clock.
    """

    process: WorkerProcess
    pipe: connection.Connection
    slot: int
    accelerator: Accelerator | None
    is_single_use: bool = False
    jobs: dict[int, Job] = field(default_factory=dict)
    is_group: bool = False
    device: str = ""
    began_at: float = field(default_factory=time.monotonic)
    deadline: Deadline | None = None
    memory: MemoryLimit | None = None
    timeout: Ended | None = None
    last: Event | None = None
    kill_at: float = 0.0

    def assign(self, jobs: list[Job]) -> None:
        """Send jobs to the worker, which has none."""
        self.jobs, self.is_group = {job.number: job for job in jobs}, len(jobs) > 1
        self.began_at, self.deadline, self.timeout, self.last = time.monotonic(), None, None, None
        self.memory = MemoryLimit(jobs)
        self.send(pack_jobs(jobs))

    def send(self, message: bytes) -> None:
        # The worker may have died between two jobs. Its process then reports the end, and the trial fails as a crash.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(message)

    def kill(self) -> None:
        self.process.kill()
        self.process.join(_KILL_WAIT_S)

    def dispose(self) -> None:
        """Kill the process and close the connections to it."""
        self.kill()
        self.process.close()
        self.pipe.close()


class LocalEngine:
    """Runs jobs in worker processes on this machine, each with one job or one fused group at a time."""

    def __init__(
        self,
        options: EngineOptions,
        accelerators: Callable[[str], tuple[Accelerator, ...]] = machine.accelerators,
        n_killed: Callable[[], int] = n_killed_for_memory,
    ) -> None:
        """Start the fork server; workers are forked when jobs need them.

        Args:
            options: the settings of the engine.
            accelerators: returns the accelerators that a job's ``device`` selects.
            n_killed: returns how many processes the system has killed because memory ran out.
        """
        self._options = options
        self._n_killed, self._n_known_killed = n_killed, n_killed()
        self._accelerators_of = accelerators
        self._accelerators: tuple[Accelerator, ...] = ()
        self._device_losses: Counter[str] = Counter()  # how often in a row each device was lost
        start_server(options.threads, needs_torch=options.needs_torch)
        self._workers: list[_Worker] = []
        self._spares: list[tuple[connection.Connection, WorkerProcess]] = []  # single-use, not set up yet

    @property
    def n_workers(self) -> int:
        """Number of workers; fewer than asked for where the accelerators in use have fewer slots."""
        if not self._accelerators:
            return self._options.n_workers
        return max(
            1, min(self._options.n_workers, n_slots(self._usable_accelerators, self._options.per_device))
        )

    @property
    def n_idle(self) -> int:
        """Number of workers without a job, counting workers that are not forked yet."""
        return max(0, self.n_workers - sum(bool(worker.jobs) for worker in self._workers))

    def submit(self, *jobs: Job) -> None:
        """Give the jobs to an idle worker; fork one if no worker is ready, or if the jobs need a process of their own.

        Raises:
            RuntimeError: every worker has a job.
        """
        self._accelerators = self._accelerators_of(jobs[0].execution.device)
        set_aside = sorted(device for device, n in self._device_losses.items() if n >= _MAX_DEVICE_LOSSES)
        is_single_use = any(job.execution.is_isolated and uses_user_code(job) for job in jobs)
        ready = [] if is_single_use else [worker for worker in self._workers if self._is_ready(worker)]
        if not self.n_idle and not ready:
            raise RuntimeError(f"all {self.n_workers} workers have a job")
        worker = ready[0] if ready else self._new_worker(is_single_use)
        if worker.accelerator is None:
            worker.assign([with_slot(job, worker.slot, set_aside) for job in jobs])
        else:
            worker.assign([bind_job(job, worker.accelerator, set_aside) for job in jobs])

    def events(self, wait_s: float) -> Iterator[Event]:
        """Yield the events that workers sent, and the ends of jobs whose workers died or are past their time limit."""
        busy = [worker for worker in self._workers if worker.jobs]
        if not busy:
            return
        waited_for: dict[Any, _Worker] = {worker.process: worker for worker in busy}
        waited_for |= {worker.pipe: worker for worker in busy if worker.last is None}
        ready = connection.wait(list(waited_for), timeout=wait_s)
        # Each worker once, even if both its process and its pipe are ready.
        for worker in {id(waited_for[source]): waited_for[source] for source in ready}.values():
            yield from self._read_events(worker)
        for worker in busy:
            yield from self._end_if_overdue(worker)
            yield from self._end_if_too_large(worker)

    def stop(self) -> None:
        """Ask the running jobs to stop at the end of their epochs."""
        for worker in self._workers:
            if worker.jobs:
                worker.send(STOP)

    def close(self) -> None:
        """Kill the workers. They hold nothing that is not recorded, so they get no time to end."""
        ending = [(worker.pipe, worker.process) for worker in self._workers] + self._spares
        self._workers, self._spares = [], []
        for _, process in ending:  # all are killed before the first is waited for
            process.kill()
        for pipe, process in ending:
            process.join(_KILL_WAIT_S)
            process.close()
            pipe.close()

    @property
    def _usable_accelerators(self) -> list[Accelerator]:
        return [
            accelerator
            for accelerator in self._accelerators
            if self._device_losses[accelerator.name] < _MAX_DEVICE_LOSSES
        ]

    def _is_ready(self, worker: _Worker) -> bool:
        allowed = self._usable_accelerators or self._accelerators
        is_well_bound = worker.accelerator in allowed if self._accelerators else worker.accelerator is None
        return not worker.jobs and not worker.is_single_use and is_well_bound and worker.process.is_alive()

    def _dispose_useless(self) -> None:
        """End idle workers that are dead, bound to a device set aside, or too many once the next one is added."""
        idle = [worker for worker in self._workers if not worker.jobs]
        useless = [worker for worker in idle if not self._is_ready(worker)]
        n_too_many = len(self._workers) - len(useless) + 1 - self.n_workers
        useless += [worker for worker in idle if worker not in useless][: max(0, n_too_many)]
        for worker in useless:
            worker.dispose()
        self._workers = [worker for worker in self._workers if worker not in useless]

    def _new_worker(self, is_single_use: bool) -> _Worker:
        self._dispose_useless()
        accelerator = None
        if self._accelerators:
            bound = [worker.accelerator for worker in self._workers if worker.accelerator is not None]
            n_used = Counter(used.name for used in bound)
            accelerator = least_used_accelerator(self._usable_accelerators or self._accelerators, n_used)
        if is_single_use:
            self._spares = [spare for spare in self._spares if spare[1].is_alive()]
        if is_single_use and self._spares:
            pipe, process = self._spares.pop()
        else:
            pipe, process = fork_worker(is_single_use=is_single_use)
        # If the worker has died, that is noticed when its events are read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            pipe.send_bytes(self._setup(accelerator, is_single_use).packed())
        used_slots = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(len(used_slots) + 1) if slot not in used_slots)
        worker = _Worker(process, pipe, slot, accelerator, is_single_use)
        self._workers.append(worker)
        return worker

    def _setup(self, accelerator: Accelerator | None, is_single_use: bool) -> WorkerSetup:
        try:
            folder = str(Path.cwd())
        except OSError:
            folder = ""
        lock = self._options.workers_lock
        return WorkerSetup(
            is_single_use,
            workers_lock="" if lock is None else str(lock.absolute()),
            visible="" if accelerator is None else accelerator.visible,
            folder=folder,
            environment=changed_environment(),
        )

    def _read_events(self, worker: _Worker) -> Iterator[Event]:
        # Asked before the pipe is read, so that the last event of a dead worker is not missed.
        is_dead = not worker.process.is_alive()
        try:
            while worker.jobs and worker.pipe.poll():
                event = unpack_event(worker.pipe.recv_bytes())
                if worker.accelerator is not None:
                    event = with_recorded_device(event, worker.accelerator)
                if isinstance(event, Started):  # the time limit excludes the imports before the start
                    worker.device = event.device
                    worker.deadline = None if worker.is_group else Deadline(worker.jobs[event.number])
                if worker.deadline is not None:
                    worker.deadline.restart_idle()
                if isinstance(event, Stopped) and worker.timeout is not None:
                    event = worker.timeout
                if isinstance(event, Ended | Paused):
                    self._count_device_loss(worker, event.outcome)
                if isinstance(event, Ended | Paused | Stopped):
                    if worker.is_single_use and len(worker.jobs) == 1:
                        self._await_exit(worker, event)
                        break
                    worker.jobs.pop(event.number, None)
                yield event
        except (EOFError, OSError):  # the pipe is closed, or a message was cut off
            worker.process.join(_KILL_WAIT_S if worker.last is None else 0.0)
            if worker.last is None:
                worker.kill()
                is_dead = True
        if worker.jobs and is_dead:
            yield from self._ends(worker)

    def _await_exit(self, worker: _Worker, event: Event) -> None:
        """Keep the last event until the process ends: it may still write, compute, and hold memory."""
        worker.last, worker.deadline, worker.timeout = event, None, None
        worker.kill_at = time.monotonic() + _EXIT_WAIT_S
        if not self._spares:  # fork the next worker while this one ends
            with contextlib.suppress(OSError):
                self._spares.append(fork_worker(is_single_use=True))

    def _ends(self, worker: _Worker) -> Iterator[Event]:
        """Yield the ends of a dead worker's jobs."""
        jobs, worker.jobs = list(worker.jobs.values()), {}
        if worker.last is not None:
            yield worker.last
            return
        outcome = self._crash(worker)
        for job in jobs:
            # Any job of a group can have killed the worker. Each is tried again alone, which shows the one that did.
            cause = f"it was trained together with others: {outcome.failure and outcome.failure.cause}"
            yield (
                Stopped(job.number, job.attempt, cause)
                if worker.is_group
                else Ended(job.number, job.attempt, outcome)
            )

    def _end_if_overdue(self, worker: _Worker) -> Iterator[Event]:
        """Ask a job past its time limit to stop, and kill its worker if it does not stop soon."""
        if worker.jobs and worker.last is not None and time.monotonic() >= worker.kill_at:
            worker.kill()
            yield from self._ends(worker)
        if not worker.jobs or worker.deadline is None:
            return
        if worker.timeout is None:
            worker.timeout = worker.deadline.timeout(worker.device)
            if worker.timeout is not None:
                worker.kill_at = time.monotonic() + _STOP_WAIT_S
                worker.send(STOP)
        elif time.monotonic() >= worker.kill_at:
            worker.kill()
            worker.jobs = {}
            yield worker.timeout

    def _end_if_too_large(self, worker: _Worker) -> Iterator[Event]:
        """Kill a worker whose jobs use more memory than they may."""
        if not worker.jobs or worker.memory is None:
            return
        used_bytes = worker.memory.excess(worker.process.process_id)
        if used_bytes:
            worker.kill()
            jobs, worker.jobs = list(worker.jobs.values()), {}
            for job in jobs:
                end = exceeded(job, used_bytes, time.monotonic() - worker.began_at, worker.device)
                cause = f"it was trained together with others: {end.outcome.failure and end.outcome.failure.cause}"
                yield Stopped(job.number, job.attempt, cause) if worker.is_group else end

    def _count_device_loss(self, worker: _Worker, outcome: Outcome) -> None:
        """Count how often in a row a device was lost. The worker of a lost one is killed: it can never use it again."""
        is_lost = outcome.failure is not None and outcome.failure.kind is FailureKind.LOST
        if is_lost:
            self._device_losses[outcome.device] += 1
            worker.kill()
        elif outcome.device:
            self._device_losses[outcome.device] = 0

    def _crash(self, worker: _Worker) -> Outcome:
        code = worker.process.exit_code
        is_out_of_memory = code == -signal.SIGKILL and self._n_killed() > self._n_known_killed
        self._n_known_killed += is_out_of_memory
        seconds = time.monotonic() - worker.began_at
        return crash(code, seconds, worker.device, is_out_of_memory=is_out_of_memory)
