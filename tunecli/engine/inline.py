"""The engine in this very process: one job at a time, for debugging, tests and `train`."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from tunecli.config.schema import CommandTrial, trial_model
from tunecli.engine.device_assignment import as_recorded, bound
from tunecli.engine.failures import Deadline
from tunecli.engine.protocol import EngineOptions
from tunecli.messages import Ended, EpochEnded, Event, Job, Paused, Started, Stopped
from tunecli.train.machine import VISIBLE, Place, places


class InlineEngine:
    """Runs each job while its events are asked for. Nobody else is there to end one that hangs: a job whose time is
    up ends with its next epoch."""

    n_workers = 1

    def __init__(self) -> None:
        self._under_way: Iterator[Event] = iter(())
        self._deadline: Deadline | None = None
        self._device = ""
        self._part: Place | None = None
        self._visible_before: tuple[str | None, ...] = ()
        self._is_stop_wanted = False
        self._n_jobs = 0

    @property
    def n_idle(self) -> int:
        """1 where there is no job."""
        return 1 - bool(self._n_jobs)

    def submit(self, *jobs: Job) -> None:
        """Take a job, or several to be trained together; they begin to run when events are asked for."""
        from tunecli.train.trials import run_together

        self._is_stop_wanted, self._n_jobs = False, len(jobs)
        # This process keeps to the first part of a GPU that it is given. A whole one only a program has to be bound to.
        is_program = trial_model(jobs[0].task.config) is CommandTrial
        self._put_back()
        self._part = next(
            (
                place
                for place in places(jobs[0].execution.device)
                if place.needs_binding or (is_program and place.visible)
            ),
            None,
        )
        if self._part is not None:
            if not self._part.needs_binding:
                self._visible_before = (os.environ.get(VISIBLE),)
            os.environ[VISIBLE] = self._part.visible
            jobs = tuple(bound(job, self._part, ()) for job in jobs)
        self._under_way = run_together(jobs, lambda: self._is_stop_wanted)
        self._deadline = Deadline(jobs[0]) if len(jobs) == 1 else None

    def events(self, wait_s: float) -> Iterator[Event]:
        """The next event of the job under way; ``wait_s`` plays no part, training is the wait."""
        with _stdout_to_stderr():
            event = next(self._under_way, None)
        if event is None:
            return
        if self._part is not None:
            event = as_recorded(event, self._part)
        if isinstance(event, Ended | Paused | Stopped):
            self._n_jobs -= 1
        yield event
        if not self._n_jobs:
            self.close()
            return
        if isinstance(event, Started):
            self._device = event.device
        ending = None if self._deadline is None else self._deadline.ending(self._device)
        if isinstance(event, EpochEnded) and ending is not None:
            self.close()
            yield ending
        elif self._deadline is not None:
            self._deadline.heard()

    def stop(self) -> None:
        """Ask the job under way to stop where its epoch ends; it does when events are asked for."""
        self._is_stop_wanted = True

    def close(self) -> None:
        """Forget the job under way."""
        if isinstance(self._under_way, Generator):
            self._under_way.close()
        self._under_way, self._n_jobs = iter(()), 0
        self._put_back()

    def _put_back(self) -> None:
        for before in self._visible_before:
            if before is None:
                os.environ.pop(VISIBLE, None)
            else:
                os.environ[VISIBLE] = before
        self._visible_before = ()


def from_options(options: EngineOptions) -> InlineEngine:
    """The engine that `run.engine: inline` names; it has one worker, whatever ``options`` ask for."""
    return InlineEngine()


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """A block in which whatever prints, a library in C or a program that it starts too, does so on stderr.

    stdout is data, and the user's own code may print. Where one of the two is closed, Python's own output alone moves.
    """
    with ExitStack() as ending:
        try:
            kept = os.dup(1)
            ending.callback(os.close, kept)
            if sys.stdout is not None:  # closed when this process began
                sys.stdout.flush()
            os.dup2(2, 1)
            ending.callback(os.dup2, kept, 1)
            ending.callback(ctypes.CDLL(None).fflush, None)  # C keeps what it prints into a pipe back
        except OSError:
            pass
        ending.enter_context(redirect_stdout(sys.stderr))
        yield
