"""The engine that runs jobs in the calling process, one at a time: for debugging, tests and `train`."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from tunecli.config.schema import CommandTrial, trial_model
from tunecli.engine.device_assignment import bind_job, with_recorded_device
from tunecli.engine.failures import Deadline, as_ended, ended_by_hand
from tunecli.engine.protocol import EngineOptions
from tunecli.messages import Ended, EpochEnded, Event, Job, Order, Paused, Started, Stopped
from tunecli.train.machine import Accelerator, accelerators, grouped
from tunecli.train.trials import run_trials, uses_user_code
from tunecli.train.user_code.printed import PrintedOutput
from tunecli.train.user_code.trial_log import LogFile, log_file

_NOTHING_PRINTED = PrintedOutput(LogFile("", 0), is_shown=False)


class InlineEngine:
    """Runs a job while the caller iterates over its events.

    No other process can end a job that hangs, so a job past its time limit ends with its next epoch; a command ends at
    once.
    """

    n_workers = 1

    def __init__(self, options: EngineOptions | None = None) -> None:
        """Make an engine without a job; ``options`` have no effect."""
        self._running: Iterator[Event] = iter(())
        self._printed = _NOTHING_PRINTED
        self._deadline: Deadline | None = None
        self._device = ""
        self._accelerator: Accelerator | None = None
        self._visible_before: dict[str, str | None] = {}  # variables to restore
        self._is_stop_wanted = self._is_kept = False
        self._job: Job | None = None
        self._ending: Ended | None = None  # the end of a job that must end now
        self._n_jobs = 0

    @property
    def n_idle(self) -> int:
        """1 without a job, else 0."""
        return 1 - bool(self._n_jobs)

    def submit(self, *jobs: Job) -> None:
        """Take a job, or jobs to train together; they begin when the caller asks for events."""
        self._is_stop_wanted, self._ending, self._n_jobs = False, None, len(jobs)
        self._is_kept, self._job = jobs[0].limits.is_kept, jobs[0]
        # This process uses the first part of a GPU. Only a program of the user needs to be bound to a whole GPU.
        is_program = trial_model(jobs[0].task.config) is CommandTrial
        self._restore_environment()
        execution = jobs[0].execution
        self._accelerator = next(
            (
                accelerator
                for accelerator in grouped(accelerators(execution.device), execution.n_devices)
                if accelerator.needs_binding or (is_program and accelerator.visible)
            ),
            None,
        )
        if self._accelerator is not None:
            variables = self._accelerator.environment
            if not self._accelerator.needs_binding:
                self._visible_before = {name: os.environ.get(name) for name in variables}
            os.environ.update(variables)
            jobs = tuple(bind_job(job, self._accelerator, ()) for job in jobs)
        self._running = run_trials(jobs, self._order)
        self._printed = _printed(jobs[0])
        self._deadline = Deadline(jobs[0]) if len(jobs) == 1 else None

    def events(self, wait_s: float) -> Iterator[Event]:
        """Train until the running job's next event, and yield it; ``wait_s`` is not used."""
        with _stdout_to_stderr(), self._printed.logged():
            event = next(self._running, None)
        if event is None:
            return
        if self._accelerator is not None:
            event = with_recorded_device(event, self._accelerator)
        if self._ending is not None and self._ending.number == event.number:
            event = as_ended(event, self._ending)
        if isinstance(event, Ended | Paused | Stopped):
            self._n_jobs -= 1
        yield event
        if not self._n_jobs:
            self.close()
            return
        if isinstance(event, Started):
            self._device = event.device
        timeout = None if self._deadline is None else self._deadline.timeout(self._device)
        if isinstance(event, EpochEnded) and timeout is not None and not self._is_kept:
            self.close()
            yield timeout
        elif self._deadline is not None:
            self._deadline.restart_idle()

    def stop(self) -> None:
        """Ask the running job to stop at its epoch's end, which comes when the caller asks for events."""
        self._is_stop_wanted = True

    def end(self, number: int) -> None:
        """End the running job as pruned, if it is that of trial ``number``: at its epoch's end, a command at once."""
        if (
            self._n_jobs == 1
            and self._job is not None
            and self._job.number == number
            and self._ending is None
        ):
            seconds = self._deadline.seconds if self._deadline else 0.0
            self._ending, self._is_kept = ended_by_hand(self._job, seconds, self._device), False

    def _order(self) -> Order:
        if self._is_stop_wanted:
            return Order.STOP
        if self._ending is None and self._deadline is not None:
            self._ending = self._deadline.timeout(self._device)
        if self._ending is None:
            return Order.GO_ON
        return Order.FINISH if self._is_kept else Order.STOP

    def close(self) -> None:
        """End the running job."""
        if isinstance(self._running, Generator):
            self._running.close()
        self._running, self._n_jobs = iter(()), 0
        printed, self._printed = self._printed, _NOTHING_PRINTED
        printed.close()
        self._restore_environment()

    def _restore_environment(self) -> None:
        for name, before in self._visible_before.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        self._visible_before = {}


def _printed(job: Job) -> PrintedOutput:
    """Logs the output of the user's code and also shows it, for a person who debugs. A command has its own log."""
    return PrintedOutput(log_file(job), is_shown=True) if uses_user_code(job) else _NOTHING_PRINTED


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """A context in which stdout goes to stderr, also for C libraries and for programs that start in it.

    stdout is data, and the user's code may print. If a descriptor is closed, only Python's own output is redirected.
    """
    with ExitStack() as exit_stack:
        try:
            saved = os.dup(1)
            exit_stack.callback(os.close, saved)
            if sys.stdout is not None:  # closed when this process began
                sys.stdout.flush()
            os.dup2(2, 1)
            exit_stack.callback(os.dup2, saved, 1)
            exit_stack.callback(ctypes.CDLL(None).fflush, None)  # C buffers its output to a pipe
        except OSError:
            pass
        exit_stack.enter_context(redirect_stdout(sys.stderr))
        yield
