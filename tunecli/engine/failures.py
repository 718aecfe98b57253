"""Failures that an engine finds, because the trial cannot report them: a time limit has passed, or the worker died."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

from tunecli.messages import Ended, Event, Job, Stopped
from tunecli.results.failures import STOPPED_BY_HAND
from tunecli.trial import Failure, FailureKind, Outcome, State


class Deadline:
    """The two time limits of a job: ``limits.time_s`` since its start and ``limits.idle_s`` since its last event."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._began_at = self._idle_since = time.monotonic()

    def restart_idle(self) -> None:
        """Count the idle time from now on, because an event of the job came."""
        self._idle_since = time.monotonic()

    @property
    def is_limited(self) -> bool:
        """Whether the job has a limit at all."""
        return self._job.limits.time_s is not None or self._job.limits.idle_s is not None

    @property
    def seconds(self) -> float:
        """Seconds since the job started."""
        return time.monotonic() - self._began_at

    def timeout(self, device: str) -> Ended | None:
        """The end of the job on ``device`` if one of its limits has passed; else None."""
        total_s, idle_s = self._job.limits.time_s, self._job.limits.idle_s
        if total_s is not None and self.seconds >= total_s:
            cause = f"run.trial_limit.time, {total_s:g} s, has passed"
        elif idle_s is not None and time.monotonic() - self._idle_since >= idle_s:
            cause = f"no epoch ended within run.trial_limit.idle, {idle_s:g} s"
        else:
            return None
        failure = Failure(FailureKind.TIMEOUT, cause)
        outcome = Outcome(State.FAILED, seconds=self.seconds, device=device, failure=failure)
        return Ended(self._job.number, self._job.attempt, outcome)


def ended_by_hand(job: Job, seconds: float, device: str) -> Ended:
    """The end of a job that a person ended. The coordinator adds the score so far from the record."""
    outcome = Outcome(State.PRUNED, seconds=seconds, device=device)
    return Ended(job.number, job.attempt, outcome, ended_by=Failure(FailureKind.INTERRUPTED, STOPPED_BY_HAND))


def as_ended(event: Event, ending: Ended) -> Event:
    """An event of a job that must end, as the coordinator gets it.

    Args:
        event: the job's event.
        ending: the end of the job if it only stops. If it finishes with its result so far, the limit in it counts.
    """
    if isinstance(event, Stopped):
        return ending
    if isinstance(event, Ended) and event.ended_by is not None and event.ended_by.kind is FailureKind.TIMEOUT:
        return replace(event, ended_by=ending.outcome.failure or event.ended_by)
    return event


def crash(exit_code: int | None, seconds: float, device: str, *, is_out_of_memory: bool) -> Outcome:
    """The outcome of a trial whose worker died.

    Args:
        exit_code: of the worker; negative if a signal ended it, None if unknown.
        seconds: how long the worker had the job.
        device: the trial's device.
        is_out_of_memory: whether the system killed the worker because memory ran out.
    """
    kind = FailureKind.OOM if is_out_of_memory else FailureKind.CRASH
    if is_out_of_memory:
        cause = "memory ran out, and the system killed the worker"
    elif exit_code is None:
        cause = "the worker ended with the process that it was forked from"
    elif exit_code < 0:
        cause = f"the worker was killed by {_signal_name(-exit_code)}"
    else:
        cause = f"the worker ended with exit code {exit_code}"
    return Outcome(State.FAILED, seconds=seconds, device=device, failure=Failure(kind, cause))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
