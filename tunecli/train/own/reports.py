"""What a trial of the user's own has reported so far, and the events and the outcome that follow from it.

Shared by functions and commands, so that both are scored by one rule. Loads no torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tunecli.train import stopping
from tunecli.trial import Ended, EpochEnded, Failure, FailureKind, Job, Outcome, Paused, State, Stopped


@dataclass(slots=True)
class Reports:
    """How far a trial of the user's own has come.

    Attributes:
        job: the trial.
        device: where it runs, as far as we know.
        metrics: every metric's last finite value.
        epoch: the last one, counted from 1; 0 where none was reported.
        failure: set once the objective was no finite number; nothing counts after that.
        is_pruned: set once the least loss so far was above its bound at an epoch's end; nothing counts after that.
        is_paused: set once the trial is trained as far as it was asked to be; so too.
    """

    job: Job
    device: str
    metrics: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    failure: Failure | None = None
    is_pruned: bool = False
    is_paused: bool = False
    _least_loss: float = math.inf
    _not_finite: set[str] = field(default_factory=set)
    _shift: int | None = None
    _began_s: float = field(default_factory=time.monotonic)
    _epoch_began_s: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether the trial is to end here."""
        return self.failure is not None or self.is_pruned or self.is_paused

    def epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> EpochEnded | None:
        """Take in an epoch's metrics.

        Args:
            epoch: as the user counts; where the first is 0, all are taken as one more. An epoch that is not above
                the last one only updates the metrics.
            metrics: by name; those that are not finite are left out.

        Returns:
            The event; None where no new epoch ended, or the objective is not finite (then `failure` is set). It may
            be the trial's last (then `is_pruned` or `is_paused` is set).
        """
        if self._shift is None:
            self._shift = max(0, 1 - epoch)
        number, last = epoch + self._shift, self.epoch
        self.epoch = max(last, number)
        self.update(metrics)
        if self.is_over or number <= last:
            return None
        if self.job.objective.metric in self.metrics:
            self.is_pruned = stopping.is_pruned(self.job.stop_above, last, number, self._least_loss)
            until = self.job.until_epoch
            self.is_paused = not self.is_pruned and until is not None and number >= until
        now_s = time.monotonic()
        seconds, self._epoch_began_s = now_s - self._epoch_began_s, now_s
        return EpochEnded(self.job.number, self.job.attempt, number, 0, _finite(metrics), seconds)

    def update(self, metrics: Mapping[str, float]) -> None:
        """Take in metrics that belong to no new epoch."""
        if self.is_pruned or self.is_paused:
            return
        name = self.job.objective.metric
        if not math.isfinite(metrics.get(name, 0.0)):
            after = f" after epoch {self.epoch}" if self.epoch else ""
            self.failure = Failure(FailureKind.DIVERGED, f"{name} is not a finite number{after}")
        elif name in metrics:
            self._least_loss = min(self._least_loss, self.job.objective.sign * metrics[name])
        self.metrics |= _finite(metrics)
        self._not_finite = {*metrics} - {*_finite(metrics)}

    def stopped(self) -> Stopped:
        """The end of an attempt that was asked to stop."""
        return Stopped(self.job.number, self.job.attempt)

    def ended(self, failure: Failure | None = None) -> Ended | Paused:
        """The end: paused, pruned, failed by ``failure``, or by what was reported or never was, else complete."""
        name = self.job.objective.metric
        is_cut = self.is_pruned or self.is_paused
        failure = None if is_cut else self.failure or failure
        missing = [each for each in self.job.objective.metrics if each not in self.metrics]
        if failure is None and missing and (name in missing or not is_cut):
            reported = f"only {', '.join(self.metrics)}" if self.metrics else "and neither was anything else"
            cause = f"{missing[0]} was never reported, {reported}"
            if missing[0] in self._not_finite:
                cause = f"{missing[0]} is not a finite number at the end, and never was"
            failure = Failure(FailureKind.ERROR, cause)
        outcome = Outcome(
            state=State.FAILED if failure else State.PRUNED if is_cut else State.COMPLETE,
            score=None if failure else self.metrics[name],
            metrics={} if failure else self.metrics,
            epochs=self.epoch,
            kept_epoch=0 if failure else self.epoch,
            seconds=time.monotonic() - self._began_s,
            device=self.device,
            failure=failure,
        )
        return (Paused if self.is_paused else Ended)(self.job.number, self.job.attempt, outcome)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
