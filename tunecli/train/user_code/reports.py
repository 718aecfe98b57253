"""The reports of a user's trial so far, and the events and the outcome that follow from them.

Functions and commands share it, so that both are scored by the same rules. Everything follows from the reported epochs,
so an attempt that continues a trial starts from the recorded epochs of earlier attempts. Loads no torch.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tunecli.config.schema.metrics_from import STEP
from tunecli.config.secrets import Redactor, redactor_for
from tunecli.config.suggestions import nearest_metric
from tunecli.config.surroundings import secret_names
from tunecli.messages import Ended, EpochEnded, Job, Paused, Started, Stopped
from tunecli.text import short_repr, shorten
from tunecli.train import epoch_end
from tunecli.train.user_code.scoring import KeptSteps, Result, Scoring
from tunecli.train.user_code.trial_files import MAX_EPOCH, Journal
from tunecli.trial import Failure, FailureKind, Outcome, State

MAX_NAME_CHARACTERS = 200
"""The longest name of a metric. A longer one fails the trial."""
MAX_METRICS = 4096
"""The largest number of metrics of one trial, counted by their names. More fail the trial."""

_EPOCH_LIMIT = "run.trial_limit.epochs"
_MAX_EPOCHS = "the pruner's max_epochs"
_SHOWN_METRICS = 8
_SHOWN_NAME_CHARACTERS = 60


@dataclass(slots=True)
class Reports:
    """The progress of a user's trial. Reports after a failure, a prune or a pause are ignored.

    Attributes:
        job: the trial.
        device: the name of its device.
        metrics: the last value of every metric, without metrics whose last value was not finite.
        epoch: the last reported epoch, counted from 1; 0 before any report.
        failure: set when the objective was not finite, or when a report exceeded a limit.
        is_pruned: set when the smallest loss so far was above the pruner's bound at an epoch's end.
        is_paused: set when the trial has reached ``job``'s last requested epoch.
        ended_by: set when a limit of epochs has made the trial complete.
    """

    job: Job
    device: str
    metrics: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    failure: Failure | None = None
    is_pruned: bool = False
    is_paused: bool = False
    ended_by: Failure | None = None
    _least_loss: float = math.inf
    _not_finite: set[str] = field(default_factory=set)
    _scoring: Scoring = field(init=False)
    _kept_steps: KeptSteps = field(init=False)
    _redactor: Redactor | None = None
    _offset: int | None = None  # added to the user's epoch numbers; None before the first report
    _has_reported: bool = False
    _journal: Journal = field(init=False)
    _began_s: float = field(default_factory=time.monotonic)
    _epoch_began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Continue from the recorded epochs of earlier attempts. They may contain the trial's last epoch already."""
        if names := secret_names(self.job.task):  # read now: the user's code may change its environment
            self._redactor = redactor_for(names, os.environ)
        files = self.job.files
        self._journal = Journal(files.reports_path, files.checkpoint_dir, cwd=files.trial_dir)
        self._offset = self.job.resume.epoch_offset
        self._go_on_from(math.inf)
        epochs = [0, 0, *(epoch for epoch, _ in self.job.resume.recorded)]
        self._stop_if_due(epochs[-2], epochs[-1])
        self._complete_if_due(self.job.resume.recorded[-1][1] if self.job.resume.recorded else {})

    @property
    def is_over(self) -> bool:
        """Whether the trial ends here."""
        return self.failure is not None or self.is_pruned or self.is_paused or self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether a limit of epochs has made the trial complete."""
        return self.ended_by is not None

    @property
    def is_by_step(self) -> bool:
        """Whether the trial reports by steps: the record then keeps some of them, and not each."""
        return self.job.task.config.get("every") == STEP

    @property
    def next_epoch(self) -> int:
        """The number of the next epoch, in the user's counting."""
        return self.epoch + 1 - (self._offset or 0)

    def started(self) -> Started:
        """The event of the attempt's start; the journal has it from the first report on."""
        event = Started(self.job.number, self.job.attempt, self.device, os.getpid(), self.epoch)
        self._journal.add(event)
        return event

    def epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> EpochEnded | None:
        """Handle the report of an epoch.

        Args:
            epoch: its number, in the user's counting. If a trial's first epoch is 0, all numbers are raised by one. The
                first epoch of an attempt says where it continues: earlier attempts' epochs from there on are dropped.
                Any other number that is not above the last one only updates the metrics.
            metrics: by name. Secrets in names are removed before the report is written to any file.

        Returns:
            The event; None if no new epoch ended, or if the objective is not finite (then `failure` is set). It is the
            trial's last one if `is_over` is true now.

        Raises:
            DiskFull, StoreFailed: the disk refuses the journal.
        """
        if self.is_over:
            return None
        if not 0 <= epoch <= MAX_EPOCH:
            cause = (
                f"epoch {short_repr(epoch)} was reported; an epoch is a whole number from 0 to {MAX_EPOCH:,}"
            )
            self.failure = Failure(FailureKind.ERROR, cause)
            return None
        if self._offset is None or epoch + self._offset < 1:
            self._offset = 1 - min(epoch, 1)
        number = epoch + self._offset
        if not self._has_reported:
            self._has_reported = True
            if number <= self.epoch:
                self._go_on_from(number)
        if self._is_beyond(number):
            return None
        last, is_new = self._kept_steps.last, number > self.epoch
        self.epoch = max(self.epoch, number)
        metrics = self._without_secrets(metrics)
        self._update(metrics)
        if self.is_over:
            return None
        if not is_new or (self.is_by_step and not self._kept_steps.keeps(number)):
            self._scoring.add_values(metrics)
            self._complete_if_due(metrics)
            return None
        self._note_epoch(number, metrics)
        self._stop_if_due(last, number)
        self._complete_if_due(metrics)
        now_s = time.monotonic()
        seconds, self._epoch_began_s = now_s - self._epoch_began_s, now_s
        event = EpochEnded(self.job.number, self.job.attempt, number, 0, metrics, seconds, self._offset)
        self._journal.add(event)
        return event

    def update(self, metrics: Mapping[str, float]) -> None:
        """Handle metrics that belong to no new epoch."""
        if not self.is_over:
            metrics = self._without_secrets(metrics)
            self._update(metrics)
            self._scoring.add_values(metrics)
            self._complete_if_due(metrics)

    def stopped(self) -> Stopped:
        """The event that ends a stopped attempt."""
        return Stopped(self.job.number, self.job.attempt)

    def finished(self) -> Ended | Paused | Stopped:
        """The event that ends a trial whose results are kept at its time limit; `Stopped` if it has no score."""
        if not self.is_over:
            if self.missing:
                return self.stopped()
            self.ended_by = Failure(FailureKind.TIMEOUT, "its time limit")
        return self.ended()

    @property
    def result(self) -> Result:
        """The metrics that count so far, and their epoch, by the objective's rule."""
        return self._scoring.result(self.epoch, self.metrics)

    @property
    def missing(self) -> str:
        """The first required metric that the trial has not reported; empty if it has reported all."""
        return self._missing_in(self.result.metrics)

    def _missing_in(self, metrics: Mapping[str, float]) -> str:
        return next((name for name in self.job.task.objective.metrics if name not in metrics), "")

    @property
    def missing_cause(self) -> str:
        """A message about the missing metric."""
        if self.missing in self._not_finite:
            return f"{self.missing} is not a finite number at the end, but the objective needs it"
        reported = "nor was any other metric"
        if self.metrics:
            first, n_more = list(self.metrics)[:_SHOWN_METRICS], len(self.metrics) - _SHOWN_METRICS
            reported = f"only {', '.join(first)}{f' and {n_more} more' if n_more > 0 else ''}"
        near = nearest_metric(self.missing, self.metrics)
        return f"{self.missing} was never reported, {reported}{f'; {near}' if near else ''}"

    def ended(self, failure: Failure | None = None, note: str = "") -> Ended | Paused:
        """The event of the trial's end: paused, pruned, failed or complete.

        A trial without ``failure`` also fails if a report was invalid or a required metric is missing.

        Args:
            failure: the failure of the user's code; None: there was none.
            note: a further fact for the user.
        """
        name = self.job.task.objective.metric
        ends_early = self.is_pruned or self.is_paused
        state = State.PAUSED if self.is_paused else State.PRUNED if self.is_pruned else State.COMPLETE
        failure = None if ends_early or self.is_complete else self.failure or failure
        metrics, kept_epoch = self.result
        if failure is None and self._missing_in(metrics) and (name not in metrics or not ends_early):
            failure = Failure(FailureKind.ERROR, self.missing_cause)
        outcome = Outcome(
            state=State.FAILED if failure else state,
            score=None if failure else metrics[name],
            metrics={} if failure else metrics,
            epochs=self.epoch,
            kept_epoch=0 if failure else kept_epoch,
            seconds=time.monotonic() - self._began_s,
            device=self.device,
            failure=failure,
        )
        if self.is_paused:
            return Paused(self.job.number, self.job.attempt, outcome)
        return Ended(self.job.number, self.job.attempt, outcome, note, None if failure else self.ended_by)

    def _go_on_from(self, epoch: float) -> None:
        """Start from the recorded epochs before ``epoch``."""
        self.epoch, self.metrics, self._least_loss, self._not_finite = 0, {}, math.inf, set()
        self._scoring, self._kept_steps = Scoring(self.job.task.objective), KeptSteps()
        for number, metrics in self.job.resume.recorded:
            if number < epoch:
                self.epoch = number
                self._keep(metrics)
                self._note_epoch(number, metrics)

    def _without_secrets(self, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """The metrics, with secrets removed from their names, except the objective's names: they hold no secret."""
        if not self._redactor:
            return metrics
        known, clean = self.job.task.objective.metrics, self._redactor.redacted
        return {name if name in known else clean(name): value for name, value in metrics.items()}

    def _update(self, metrics: Mapping[str, float]) -> None:
        if cause := _name_problem(metrics, {*self.metrics, *self._not_finite}):
            self.failure = Failure(FailureKind.ERROR, cause)
            return
        name = self.job.task.objective.metric
        if not math.isfinite(metrics.get(name, 0.0)):
            after = f" after epoch {self.epoch}" if self.epoch else ""
            self.failure = Failure(FailureKind.DIVERGED, f"{name} is not a finite number{after}")
        self._keep(metrics)

    def _keep(self, metrics: Mapping[str, float]) -> None:
        """Set the last values of metrics. A value that is not finite removes the value before it."""
        for name, value in metrics.items():
            if math.isfinite(value):
                self.metrics[name] = value
                self._not_finite.discard(name)
            else:
                self.metrics.pop(name, None)
                self._not_finite.add(name)

    def _note_epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        self._kept_steps.add(number)
        self._scoring.add_epoch(number, metrics, self.metrics, self._not_finite)
        name = self.job.task.objective.metric
        if name in metrics:
            self._least_loss = min(self._least_loss, self.job.task.objective.sign * metrics[name])

    def _is_beyond(self, number: int) -> bool:
        """Whether a report comes after the last epoch that counts; then the trial is complete without it."""
        limits = self.job.limits
        for most, name in ((limits.end_epoch, _EPOCH_LIMIT), (limits.max_epoch, _MAX_EPOCHS)):
            if most is not None and self.epoch >= most and number > self.epoch:
                self.ended_by = Failure(FailureKind.INTERRUPTED, f"{name}, {most}, is reached")
                return True
        return False

    def _complete_if_due(self, metrics: Mapping[str, float]) -> None:
        """Complete a trial that has reached its limit of epochs, once that epoch's objective is reported."""
        end_epoch = self.job.limits.end_epoch
        is_due = end_epoch is not None and self.epoch >= end_epoch
        if is_due and not self.is_over and self.job.task.objective.metric in metrics:
            self.ended_by = Failure(FailureKind.INTERRUPTED, f"{_EPOCH_LIMIT}, {end_epoch}, is reached")

    def _stop_if_due(self, last: int, number: int) -> None:
        if number and self.job.task.objective.metric in self.metrics:
            self.is_pruned = epoch_end.is_pruned(self.job, last, number, self._least_loss)
            until = self.job.limits.until_epoch
            self.is_paused = not self.is_pruned and until is not None and number >= until


def short_name(name: str) -> str:
    """A metric's name on one line, at most 60 characters."""
    return shorten(" ".join(name[:1000].split()), _SHOWN_NAME_CHARACTERS)


def _name_problem(metrics: Mapping[str, float], known: Collection[str]) -> str:
    """The problem with the names or the number of metrics, added to the ``known`` ones; empty if there is none."""
    for name in metrics:
        if len(name) > MAX_NAME_CHARACTERS:
            return (
                f"a metric's name has {len(name):,} characters; the longest allowed name has {MAX_NAME_CHARACTERS}: "
                f"{short_name(name)}"
            )
    n = len(known) + sum(name not in known for name in metrics)
    return f"{n:,} metrics were reported; a trial can have {MAX_METRICS:,}" if n > MAX_METRICS else ""
