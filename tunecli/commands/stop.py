"""`tunecli stop`: end a running sweep in order, or one of its trials.

A sweep gets a signal, as from a terminal. A trial is ended by the coordinator, the only writer of the record: this
command leaves a request in the run folder. Each command then waits until the record shows the end.
"""

from __future__ import annotations

import signal
import socket
import time
from dataclasses import dataclass
from shlex import quote

from tunecli.errors import StudyLocked, UsageError
from tunecli.results.view import View
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder, holder, send_signal
from tunecli.store.stop_requests import request_path, request_stop
from tunecli.study.record.confirmation import recorded_confirmations
from tunecli.study.record.lifecycle import open_to_read
from tunecli.trial import State, Trial

_WAIT_S = 60.0
_POLL_S = 0.1
_ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A sweep that got a signal to end.

    Attributes:
        path: the run folder.
        holder: the process that ran it.
        is_ended: whether it has ended.
        n_ended: number of trials that have ended.
        n_trials: the study's total.
    """

    path: str
    holder: Holder
    is_ended: bool
    n_ended: int
    n_trials: int
    next: str


@dataclass(frozen=True, slots=True)
class StoppedTrial:
    """A trial whose end was requested; its state shows whether it has ended."""

    path: str
    trial: Trial

    @property
    def is_ended(self) -> bool:
        return self.trial.state in _ENDED


def stop(folder: RunFolder, *, is_waiting: bool = True, wait_s: float = _WAIT_S) -> Stopped:
    """End the running sweep of a study in order, as SIGTERM does: with checkpoints, and so that it can be resumed.

    Args:
        folder: the run folder.
        is_waiting: whether to wait until it has ended.
        wait_s: how long, at most.

    Raises:
        UsageError: no process runs the study, or it runs on another machine or as another user.
        StudyLocked: the sweep has not ended in time.
    """
    running = _running(folder)
    if running.host != socket.gethostname():
        raise UsageError(
            f"{running} runs the study, and this machine is {socket.gethostname()}",
            hint=f"run there: tunecli stop {quote(str(folder.path))}",
        )
    if not send_signal(folder.path, running, signal.SIGTERM):
        raise _not_running(folder)
    until_s = time.monotonic() + wait_s
    while is_waiting and holder(folder.path) == running:
        if time.monotonic() >= until_s:
            raise StudyLocked(
                f"{running} has not ended after {wait_s:g} seconds",
                hint="wait, or repeat the command: the second signal ends the process at once",
            )
        time.sleep(_POLL_S)
    with open_to_read(folder) as study:
        counts = study.log.counts()
        interrupted = [one for one in recorded_confirmations(study) if one.missing]
    n_ended = sum(counts[state] for state in (*_ENDED, State.PAUSED))
    go_on = f"tunecli resume {quote(str(folder.path))}"
    if interrupted and n_ended == study.plan.n_trials:
        go_on = f"tunecli confirm {quote(str(folder.path))}{interrupted[-1].options}"
    is_ended = holder(folder.path) != running
    return Stopped(str(folder.path), running, is_ended, n_ended, study.plan.n_trials, go_on)


def stop_trial(
    folder: RunFolder, number: int, *, is_waiting: bool = True, wait_s: float = _WAIT_S
) -> StoppedTrial:
    """End one running trial as pruned.

    Args:
        folder: the run folder.
        number: the trial's number.
        is_waiting: whether to wait until it has ended.
        wait_s: how long, at most.

    Raises:
        UsageError: there is no such trial, it does not run, or no process runs the study.
    """
    with Log.open_to_read(folder.database_path) as log:
        trial = log.trial(number)
        if trial.state in (*_ENDED, State.PAUSED):
            word = "paused, and does not run now" if trial.state is State.PAUSED else f"{trial.state} already"
            raise UsageError(f"trial {number} is {word}", hint=f"tunecli status {quote(str(folder.path))}")
        _running(folder)
        request_stop(folder.path, number)
        until_s = time.monotonic() + wait_s
        while is_waiting and trial.state not in _ENDED and time.monotonic() < until_s:
            time.sleep(_POLL_S)
            is_held = holder(folder.path) is not None  # asked first: its last commit is read below
            trial = log.trial(number)
            if trial.state not in _ENDED and not is_held:
                request_path(folder.path, number).unlink(missing_ok=True)
                raise UsageError(f"the sweep ended before trial {number} did")
        return StoppedTrial(str(folder.path), trial)


def _running(folder: RunFolder) -> Holder:
    running = holder(folder.path)
    if running is None:
        raise _not_running(folder)
    return running


def _not_running(folder: RunFolder) -> UsageError:
    return UsageError(
        f"no process runs the study in {folder.path}", hint=f"tunecli status {quote(str(folder.path))}"
    )


def stop_view(stopped: Stopped) -> View:
    """The stopped sweep, and the command that resumes it."""
    lines = (
        ("stopped" if stopped.is_ended else "stopping", str(stopped.holder)),
        ("trials", f"{stopped.n_ended} of {stopped.n_trials} ended"),
        ("next", stopped.next),
    )
    data = {
        "path": stopped.path,
        "trial": None,
        "holder": str(stopped.holder),
        "ended": stopped.is_ended,
        "n_ended": stopped.n_ended,
        "n_trials": stopped.n_trials,
        "next": stopped.next,
    }
    return View("stop", data, lines)


def stop_trial_view(stopped: StoppedTrial) -> View:
    """The trial's state, with its score so far."""
    trial, outcome = stopped.trial, stopped.trial.outcome
    score = None if outcome is None else outcome.score
    lines = [("trial", str(trial.number)), ("status", trial.state.shown.value)]
    if score is not None:
        lines.append(("score", f"{score:.6g}"))
    if not stopped.is_ended:
        lines.append(("requested", "the sweep ends the trial as soon as it can"))
    data = {
        "path": stopped.path,
        "trial": trial.number,
        "status": trial.state.shown.value,
        "ended": stopped.is_ended,
        "score": score,
    }
    return View("stop", data, tuple(lines))
