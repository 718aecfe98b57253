"""Turns rows of numbered measurements into the epochs of a trial.

A row has some metrics of one epoch or step; other rows may have others of the same one, as in Lightning's CSV files and
TensorBoard's event files. The rule depends on the rows alone, and not on the time at which they are read.
Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from tunecli.messages import EpochEnded
from tunecli.train.user_code.reports import Reports
from tunecli.train.user_code.trial_files import MAX_EPOCH

_EPOCH_NAMES, _STEP_NAMES = ("epoch",), ("step", "global_step")
_MOST_PENDING = 2000
_LEAST_PENDING = 1000


@dataclass(slots=True)
class EpochRows:
    """Collects rows, and reports an epoch once it has the objective.

    An epoch with the objective ends when it has every metric that the epoch before it had (the first one: the metrics
    of ``expected``), or when the source of its objective goes on to a higher number. Metrics of earlier epochs without
    the objective are reported with it. Rows without a number are counted: each one with the objective is an epoch.

    Attributes:
        reports: gets the epochs.
        holds: whether an epoch ends only when its number changes: its rows are steps.
        is_anew: whether counted epochs begin at 1; else they go on from the recorded ones.
    """

    reports: Reports
    holds: bool = False
    is_anew: bool = False
    _pending: dict[int, dict[str, float]] = field(default_factory=dict)
    _uncounted: dict[str, float] = field(default_factory=dict)
    _source_of: dict[int, str] = field(default_factory=dict)
    _expected: set[str] = field(default_factory=set)
    _last: int = -1

    def __post_init__(self) -> None:
        """Expect the metrics of the last recorded epoch."""
        if recorded := self.reports.job.resume.recorded:
            self._expected = set(recorded[-1][1])

    def expect(self, names: Set[str]) -> None:
        """Wait for these metrics in the trial's first epoch."""
        if self._last < 0 and not self.reports.job.resume.recorded:
            self._expected = set(names)

    def add(self, number: int | None, values: Mapping[str, float], source: str = "") -> Iterator[EpochEnded]:
        """Add a row.

        Args:
            number: the epoch or step of the row; None: it has none.
            values: the metrics of the row.
            source: the file of the row; numbers rise within one source.

        Yields:
            The epochs that the row ends.

        Raises:
            DiskFull, StoreFailed: the disk refuses to keep an epoch.
        """
        if self.reports.is_over:
            return
        objective = self.reports.job.task.objective.metric
        if number is None:
            self._uncounted.update(values)
            if objective in values:
                metrics, self._uncounted = self._uncounted, {}
                count, self.is_anew = (1 if self.is_anew else self.reports.next_epoch), False
                yield from self._ended(count, metrics)
            return
        if not 0 <= number <= MAX_EPOCH:
            self.reports.epoch_ended(number, values)  # it fails the trial
            return
        if number <= self._last:
            if number == self._last:
                self._expected |= values.keys()
            self.reports.update(values)
            return
        for earlier in sorted(self._source_of):
            if earlier < number and self._source_of[earlier] == source:
                yield from self._end(earlier)
        self._pending.setdefault(number, {}).update(values)
        if objective in values:
            self._source_of[number] = source
        if number in self._source_of and not self.holds and self._expected <= self._pending[number].keys():
            yield from self._end(number)
        if len(self._pending) > _MOST_PENDING and not self._source_of:
            self._fold()

    def close(self) -> Iterator[EpochEnded]:
        """Report the rest after the last row."""
        for number in sorted(self._source_of):
            yield from self._end(number)
        rest: dict[str, float] = {}
        for number in sorted(self._pending):
            rest.update(self._pending[number])
        self._pending = {}
        self.reports.update({**rest, **self._uncounted})
        self._uncounted = {}

    def _end(self, number: int) -> Iterator[EpochEnded]:
        metrics: dict[str, float] = {}
        self._expected = set(self._pending[number])
        for earlier in sorted(pending for pending in self._pending if pending <= number):
            metrics.update(self._pending.pop(earlier))
            self._source_of.pop(earlier, None)
        self._last = number
        yield from self._ended(number, metrics)

    def _ended(self, number: int, metrics: Mapping[str, float]) -> Iterator[EpochEnded]:
        event = self.reports.epoch_ended(number, metrics)
        if event is not None:
            yield event

    def _fold(self) -> None:
        """Unite the oldest rows, which one epoch reports together anyway."""
        oldest = sorted(self._pending)[:_LEAST_PENDING]
        united: dict[str, float] = {}
        for number in oldest:
            united.update(self._pending.pop(number))
        self._pending[oldest[-1]] = united


@dataclass(frozen=True, slots=True)
class Row:
    """The number of a row, if it has one, and its metrics."""

    number: float | None
    values: Mapping[str, float]


def row_of(values: Mapping[str, float], *, by_step: bool = False) -> Row:
    """Find the number of a row: its ``epoch``, or else its ``step`` or ``global_step``, in any case of letters.

    Args:
        values: the numbers of the row by name.
        by_step: whether the trial reports by steps: then the step comes first.
    """
    by_name = {name.lower(): name for name in values}
    epoch = next((by_name[name] for name in _EPOCH_NAMES if name in by_name), None)
    step = next((by_name[name] for name in _STEP_NAMES if name in by_name), None)
    first, second = (step, epoch) if by_step else (epoch, step)
    chosen = second if first is None else first
    rest = {name: value for name, value in values.items() if name not in (epoch, step)}
    return Row(None if chosen is None else values[chosen], rest)


def whole(number: float | None) -> int | None:
    """The number of the epoch that a row belongs to: a fraction belongs to the epoch that is under way.

    None for a row without a finite number.
    """
    return None if number is None or not math.isfinite(number) else math.ceil(number)
