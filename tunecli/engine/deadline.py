"""When a trial has taken too long: since it started, and since it was last heard of. On the monotonic clock."""

from __future__ import annotations

import time

from tunecli.messages import Ended, Job
from tunecli.trial import Failure, FailureKind, Outcome, State


class Deadline:
    """The clocks of one job. They start with it, and the second again with every event."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._began_at = self._heard_at = time.monotonic()

    def heard(self) -> None:
        """The job said something."""
        self._heard_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.monotonic() - self._began_at

    def ending(self, device: str) -> Ended | None:
        """The end of a job whose time is up; None while it is not."""
        total_s, idle_s = self._job.time_limit_s, self._job.idle_limit_s
        if total_s is not None and self.seconds >= total_s:
            cause = f"run.trial_limit.time, {total_s:g} s, has passed"
        elif idle_s is not None and time.monotonic() - self._heard_at >= idle_s:
            cause = f"no epoch ended within run.trial_limit.idle, {idle_s:g} s"
        else:
            return None
        failure = Failure(FailureKind.TIMEOUT, cause)
        outcome = Outcome(State.FAILED, seconds=self.seconds, device=device, failure=failure)
        return Ended(self._job.number, self._job.attempt, outcome)
