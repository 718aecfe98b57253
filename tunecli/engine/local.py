"""The engine of local processes: workers that live for the whole sweep, forked from a server that has torch loaded.

A worker that dies costs the one trial it was training, which ends as `crash` with the signal's name, and is
replaced. Workers end with the coordinator, however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from typing import Any

from tunecli.engine.deadline import Deadline
from tunecli.engine.wire import pack_job, unpack_event
from tunecli.engine.worker import serve
from tunecli.trial import Ended, Event, Failure, FailureKind, Job, Outcome, Started, State

# Everything that training loads late: once in the server instead of once in every worker.
_PRELOAD = ["tunecli.engine.worker"]
_PRELOAD_TORCH = ["tunecli.train.loop", "torch._dynamo", "sklearn.datasets"]
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_END_S = 2.0


@dataclass
class _Worker:
    process: ForkServerProcess
    pipe: connection.Connection
    job: Job | None = None
    device: str = ""
    began_at: float = field(default_factory=time.monotonic)
    deadline: Deadline | None = None


class LocalEngine:
    """``n_workers`` processes, each with one job at a time and ``threads`` threads."""

    def __init__(self, n_workers: int, threads: int, needs_torch: bool = True) -> None:
        self.n_workers = n_workers
        for variable in _THREAD_VARIABLES:  # read once, when the server loads its libraries
            os.environ.setdefault(variable, str(threads))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD + (_PRELOAD_TORCH if needs_torch else []))
        _start_server()
        self._workers: list[_Worker] = []

    def submit(self, job: Job) -> None:
        """Give the job to a worker that has none; a new one where there is room.

        Raises:
            RuntimeError: every worker has a job already.
        """
        idle = next(
            (worker for worker in self._workers if worker.job is None and worker.process.is_alive()), None
        )
        if idle is None:
            self._workers = [worker for worker in self._workers if worker.job is not None]
            if len(self._workers) >= self.n_workers:
                raise RuntimeError(f"all {self.n_workers} workers have a job")
            idle = self._hire()
        idle.job, idle.began_at, idle.deadline = job, time.monotonic(), None
        # one that died between two jobs: its sentinel will say so, and the trial is told as a crash
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            idle.pipe.send_bytes(pack_job(job))

    def events(self, wait_s: float) -> Iterator[Event]:
        """What the workers sent, and the end of those that died."""
        busy = [worker for worker in self._workers if worker.job is not None]
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

    def close(self) -> None:
        """End the workers. They hold nothing that is not on record, so they are not asked."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _hire(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _drain(self, worker: _Worker) -> Iterator[Event]:
        is_dead = (
            not worker.process.is_alive()
        )  # asked first, so that all it sent is read before it is told dead
        try:
            while worker.job is not None and worker.pipe.poll():
                event = unpack_event(worker.pipe.recv_bytes())
                if isinstance(event, Started):  # what a worker loads before it counts for no trial
                    worker.device, worker.deadline = event.device, Deadline(worker.job)
                if worker.deadline is not None:
                    worker.deadline.heard()
                if isinstance(event, Ended):
                    worker.job = None
                yield event
        except (EOFError, OSError):  # the end of the pipe, or of a message that was cut short
            worker.process.join(_END_S)
            is_dead = not worker.process.is_alive()
        if worker.job is not None and is_dead:
            job, worker.job = worker.job, None
            yield Ended(job.number, job.attempt, _crash(worker))

    def _end_if_overdue(self, worker: _Worker) -> Iterator[Event]:
        """A trial that takes too long ends with its worker, which may answer to nothing any more."""
        if worker.job is None or worker.deadline is None:
            return
        if ending := worker.deadline.ending(worker.device):
            worker.process.kill()
            worker.process.join()
            worker.job = None
            yield ending


def _start_server() -> None:
    """Start the fork server deaf to the signals that the coordinator answers; its workers inherit that.

    A terminal's Ctrl-C or hang-up, and a batch system's TERM, reach the whole process group; what to do about
    them is the coordinator's to decide. Blocked and not ignored, so that none is lost to the coordinator.
    """
    resource_tracker.ensure_running()  # first, since starting it within would unblock the signals
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
