"""The engine of local processes: workers forked from a server that has loaded what trials import.

Most workers live for the whole sweep. A trial that runs the user's own code gets a single-use worker, so no other trial
sees the changes that the code made to its process or the programs that it started. A worker that dies costs only its
own trial, which fails as `crash` with the signal's name; the worker is replaced. A worker that lost its device is
replaced too, and a device that is lost three times in a row is set aside. All workers end with the coordinator, even if
it is killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
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
from tunecli.engine.failures import Deadline, as_ended, crash, ended_by_hand
from tunecli.engine.fork_client import start_server
from tunecli.engine.local_worker import Forks, LocalWorker
from tunecli.engine.memory import exceeded
from tunecli.engine.protocol import EngineOptions
from tunecli.engine.wire import unpack_event
from tunecli.engine.worker import FINISH, STOP
from tunecli.errors import from_os_error
from tunecli.messages import Ended, Event, Job, Paused, Started, Stopped
from tunecli.train import machine
from tunecli.train.machine import Accelerator, grouped
from tunecli.train.main_memory import n_killed_for_memory
from tunecli.train.trials import uses_user_code
from tunecli.trial import FailureKind, Outcome

_KILL_WAIT_S = 10.0  # for the end of a process after SIGKILL
_EXIT_WAIT_S = 5.0  # for a single-use worker to run its exit handlers and threads to their end
_STOP_WAIT_S = 2.0  # for a trial past its time limit to stop by itself, before its worker is killed
_LOAD_WAIT_S = 60.0  # for a template to load the user's modules, before each trial loads them by itself
_QUIET_S = 0.05  # without an event, before a worker is forked ahead of its job
_FINISH_WAIT_S = 10.0  # as `_STOP_WAIT_S`, if its result is kept: it writes weights, or has 5 s after SIGTERM
_NEIGHBOUR_ENDED = "another trial of its fused group was ended"
_MAX_DEVICE_LOSSES = 3  # how often in a row a device can be lost before it is set aside


class LocalEngine:
    """Runs jobs in worker processes on this machine, each with one job or one fused group at a time."""

    def __init__(
        self,
        options: EngineOptions,
        accelerators: Callable[[str], tuple[Accelerator, ...]] = machine.accelerators,
        n_killed: Callable[[], int] = n_killed_for_memory,
        folder: Path | None = None,
    ) -> None:
        """Start the fork server; workers are forked when jobs need them.

        Args:
            options: the settings of the engine.
            accelerators: returns the accelerators that a job's ``device`` selects.
            n_killed: returns how many processes the system has killed because memory ran out.
            folder: the working folder of the workers; None: the folder of this process.
        """
        self._options = options
        self._n_killed, self._n_known_killed = n_killed, n_killed()
        self._accelerators_of = accelerators
        self._accelerators: tuple[Accelerator, ...] = ()
        self._device_losses: Counter[str] = Counter()  # how often in a row each device was lost
        start_server(options.threads, needs_torch=options.needs_torch)
        self._workers: list[LocalWorker] = []
        self._forks = Forks(options.workers_lock, folder)

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
        execution = jobs[0].execution
        self._accelerators = grouped(self._accelerators_of(execution.device), execution.n_devices)
        set_aside = sorted(device for device, n in self._device_losses.items() if n >= _MAX_DEVICE_LOSSES)
        is_single_use = any(job.execution.is_isolated and uses_user_code(job) for job in jobs)
        ready = [] if is_single_use else [worker for worker in self._workers if self._is_ready(worker)]
        if not self.n_idle and not ready:
            raise RuntimeError(f"all {self.n_workers} workers have a job")
        worker = ready[0] if ready else self._new_worker(jobs[0] if is_single_use else None)
        if worker.accelerator is None:
            worker.assign([with_slot(job, worker.slot, set_aside) for job in jobs])
        else:
            worker.assign([bind_job(job, worker.accelerator, set_aside) for job in jobs])

    def events(self, wait_s: float) -> Iterator[Event]:
        """Yield the events that workers sent, and the ends of jobs whose workers died or are past their time limit."""
        busy = [worker for worker in self._workers if worker.jobs]
        if not busy:
            return
        waited_for: dict[Any, LocalWorker] = {worker.process: worker for worker in busy}
        waited_for |= {worker.pipe: worker for worker in busy if worker.last is None}
        is_forking = wait_s > _QUIET_S and not self._forks.has_spare and any(w.is_single_use for w in busy)
        ready = connection.wait(list(waited_for), timeout=_QUIET_S if is_forking else wait_s)
        if is_forking and not ready:  # the trials train, so a fork now delays none of them
            self._forks.fork_ahead(next(worker.template for worker in busy if worker.is_single_use))
            ready = connection.wait(list(waited_for), timeout=wait_s - _QUIET_S)
        # Each worker once, even if both its process and its pipe are ready.
        for worker in {id(waited_for[source]): waited_for[source] for source in ready}.values():
            yield from self._read_events(worker)
        for worker in busy:
            if worker.template is not None:
                worker.template.is_alive(_LOAD_WAIT_S)
            yield from self._end_if_overdue(worker)
            yield from self._end_if_too_large(worker)

    def sources(self) -> list[Any]:
        """Everything that becomes ready when a worker has news, for `multiprocessing.connection.wait`.

        A caller that also waits for something else waits for all of it together, and then calls `events` with 0.
        """
        busy = [worker for worker in self._workers if worker.jobs]
        return [
            *(worker.process for worker in busy),
            *(worker.pipe for worker in busy if worker.last is None),
        ]

    @property
    def needs_looks(self) -> bool:
        """Whether `events` must be called a few times a second, for limits that no worker reports itself."""
        return any(worker.needs_looks for worker in self._workers if worker.jobs)

    def stop(self) -> None:
        """Ask the running jobs to stop at the end of their epochs."""
        for worker in self._workers:
            if worker.jobs:
                worker.send(STOP)

    def end(self, number: int) -> None:
        """End the job of trial ``number`` as pruned, if it runs; another job of its group stops and is run again."""
        for worker in self._workers:
            if number in worker.jobs and worker.ending is None and worker.last is None:
                seconds = time.monotonic() - worker.began_at
                worker.ending = ended_by_hand(worker.jobs[number], seconds, worker.device)
                worker.kill_at = time.monotonic() + _STOP_WAIT_S
                worker.send(STOP)

    def close(self) -> None:
        """Kill the workers. They hold nothing that is not recorded, so they get no time to end."""
        ending, self._workers = self._workers, []
        for worker in ending:  # all are killed before the first is waited for
            worker.process.kill()
        self._forks.close()
        for worker in ending:
            worker.dispose()

    @property
    def _usable_accelerators(self) -> list[Accelerator]:
        return [
            accelerator
            for accelerator in self._accelerators
            if self._device_losses[accelerator.name] < _MAX_DEVICE_LOSSES
        ]

    def _is_ready(self, worker: LocalWorker) -> bool:
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

    def _new_worker(self, own_job: Job | None) -> LocalWorker:
        """Fork a worker. ``own_job`` is the job that it is forked for and ends with; None: it lives for many jobs."""
        self._dispose_useless()
        accelerator = None
        if self._accelerators:
            bound = [worker.accelerator for worker in self._workers if worker.accelerator is not None]
            n_used = Counter(used.name for used in bound)
            accelerator = least_used_accelerator(self._usable_accelerators or self._accelerators, n_used)
        used_slots = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(len(used_slots) + 1) if slot not in used_slots)
        worker = self._forks.fork(slot, accelerator, own_job)
        self._workers.append(worker)
        return worker

    def _read_events(self, worker: LocalWorker) -> Iterator[Event]:
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
                if worker.ending is not None and worker.ending.number == event.number:
                    event = as_ended(event, worker.ending)
                elif worker.ending is not None and isinstance(event, Stopped):
                    event = Stopped(event.number, event.attempt, _NEIGHBOUR_ENDED)
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
        can_fork_again = (
            worker.template is not None and worker.ending is None and not worker.process.has_begun
        )
        if worker.jobs and is_dead and can_fork_again:
            self._forks.fork_again(worker)
        elif worker.jobs and is_dead:
            yield from self._ends(worker)

    def _await_exit(self, worker: LocalWorker, event: Event) -> None:
        """Keep the last event until the process ends: it may still write, compute, and hold memory."""
        worker.last, worker.deadline, worker.ending = event, None, None
        worker.kill_at = time.monotonic() + _EXIT_WAIT_S
        self._forks.fork_ahead(worker.template)  # while this one ends

    def _ends(self, worker: LocalWorker) -> Iterator[Event]:
        """Yield the ends of a dead worker's jobs."""
        jobs, worker.jobs = list(worker.jobs.values()), {}
        if number := worker.process.log_errno:
            error = OSError(number, os.strerror(number))
            raise from_os_error(error, jobs[0].files.log_path, is_users_path=False)
        if worker.last is not None:
            yield worker.last
            return
        ending = worker.ending
        if ending is not None:  # the worker was killed because its job did not stop
            others = (job for job in jobs if job.number != ending.number)
            yield ending
            yield from (Stopped(job.number, job.attempt, _NEIGHBOUR_ENDED) for job in others)
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

    def _end_if_overdue(self, worker: LocalWorker) -> Iterator[Event]:
        """Ask a job past its time limit to stop, and kill its worker if it does not stop soon."""
        if worker.jobs and worker.last is not None and time.monotonic() >= worker.kill_at:
            worker.kill()
            yield from self._ends(worker)
        if not worker.jobs:
            return
        if worker.ending is None:
            worker.ending = worker.deadline.timeout(worker.device) if worker.deadline else None
            if worker.ending is not None:
                is_kept = worker.jobs[worker.ending.number].limits.is_kept
                # The epochs of an own function are on record, so nothing is gained by waiting longer.
                is_worth_it = is_kept and not worker.is_single_use
                worker.kill_at = time.monotonic() + (_FINISH_WAIT_S if is_worth_it else _STOP_WAIT_S)
                worker.send(FINISH if is_kept else STOP)
        elif time.monotonic() >= worker.kill_at:
            worker.kill()
            yield from self._read_events(worker)  # its earlier events, then the end

    def _end_if_too_large(self, worker: LocalWorker) -> Iterator[Event]:
        """Kill a worker whose jobs use more memory than their limits allow."""
        if not worker.jobs or worker.memory is None:
            return
        used_bytes = worker.memory.excess(worker.process.process_id)
        if not used_bytes:
            return
        worker.kill()
        seconds = time.monotonic() - worker.began_at
        ends = [exceeded(job, used_bytes, seconds, worker.device) for job in worker.jobs.values()]
        if worker.is_group:
            worker.jobs = {}
            for end in ends:
                cause = f"it was trained together with others: {end.outcome.failure and end.outcome.failure.cause}"
                yield Stopped(end.number, end.attempt, cause)
            return
        if worker.last is None:  # else the trial has ended already, and its process would end soon
            worker.ending = worker.ending or ends[0]
        yield from self._read_events(worker)  # its earlier events, then the end

    def _count_device_loss(self, worker: LocalWorker, outcome: Outcome) -> None:
        """Count how often in a row a device was lost. The worker of a lost one is killed: it can never use it again."""
        is_lost = outcome.failure is not None and outcome.failure.kind is FailureKind.LOST
        if is_lost:
            self._device_losses[outcome.device] += 1
            worker.kill()
        elif outcome.device:
            self._device_losses[outcome.device] = 0

    def _crash(self, worker: LocalWorker) -> Outcome:
        code = worker.process.exit_code
        is_out_of_memory = code == -signal.SIGKILL and self._n_killed() > self._n_known_killed
        self._n_known_killed += is_out_of_memory
        seconds = time.monotonic() - worker.began_at
        return crash(code, seconds, worker.device, is_out_of_memory=is_out_of_memory)
