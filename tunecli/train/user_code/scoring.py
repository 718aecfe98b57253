"""The reports of the user's own trial: its score by ``objective.score``, and the steps that the record keeps.

Pure functions of the reports, so that a resumed trial has the score of an uninterrupted one (record-is-the-state).
Values that are reported without a new epoch count only if no further epoch follows: only epochs are on record.
Loads no torch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from tunecli.objective import BEST, LAST, Objective


class Result(NamedTuple):
    """The metrics of a trial that count.

    Attributes:
        metrics: finite metrics by name; the objective's one is the score.
        epoch: the last epoch, or the epoch of the best value if that is the score.
    """

    metrics: dict[str, float]
    epoch: int


class Scoring:
    """The reports of a trial, as far as its score depends on them."""

    def __init__(self, objective: Objective) -> None:
        """Begin without reports."""
        self._objective = objective
        self._best_loss = math.inf
        self._best: Result | None = None
        self._best_not_finite: Set[str] = frozenset()
        self._recent: dict[str, deque[float]] = {}
        self._later: dict[str, float] = {}

    def add_epoch(
        self, epoch: int, reported: Mapping[str, float], metrics: Mapping[str, float], not_finite: Set[str]
    ) -> None:
        """Take in an epoch.

        Args:
            epoch: its number.
            reported: the metrics that were reported with it.
            metrics: the last finite value of every metric, this epoch's included.
            not_finite: the metrics whose last value is not finite.
        """
        if self._objective.score_rule == LAST:
            return
        self._later = {}
        if self._objective.score_rule == BEST:
            loss = self._loss(reported)
            if loss < self._best_loss:
                self._best_loss, self._best = loss, Result(dict(metrics), epoch)
                self._best_not_finite = frozenset(not_finite)
            return
        for name in self._objective.metrics:
            if name in reported:
                recent = self._recent.setdefault(name, deque(maxlen=self._objective.n_averaged))
                recent.append(reported[name])

    def add_values(self, reported: Mapping[str, float]) -> None:
        """Take in metrics that belong to no new epoch: they replace those of the last epoch."""
        if self._objective.score_rule != LAST:
            self._later.update(reported)

    def result(self, epoch: int, metrics: Mapping[str, float]) -> Result:
        """The metrics and the epoch that the rule chooses.

        ``best`` takes all metrics from the report with the best value of the (first) objective, the earliest one of
        equals. A metric that had not been reported by then has its last value. ``mean_of_last`` averages each metric
        that the objective names over its own last values; all other metrics have their last value.

        Args:
            epoch: the last epoch.
            metrics: the last finite value of every metric.
        """
        if self._objective.score_rule == LAST:
            return Result(dict(metrics), epoch)
        if self._objective.score_rule == BEST:
            if self._best is None or self._loss(metrics) < self._best_loss:
                return Result(dict(metrics), epoch)
            of_best = self._best.metrics
            is_of_best = epoch == self._best.epoch and self._objective.metric not in self._later
            late = {name: value for name, value in metrics.items() if name not in self._best_not_finite}
            replaced = {name: late[name] for name in self._later if is_of_best and name in late}
            return Result({**late, **of_best, **replaced}, self._best.epoch)
        means = {name: value for name in self._objective.metrics if math.isfinite(value := self._mean(name))}
        others = {name: value for name, value in metrics.items() if name not in self._objective.metrics}
        return Result({**others, **means}, epoch)

    def _loss(self, reported: Mapping[str, float]) -> float:
        loss = self._objective.sign * reported.get(self._objective.metric, math.nan)
        return loss if math.isfinite(loss) else math.inf

    def _mean(self, name: str) -> float:
        values = [*self._recent.get(name, ())]
        if name in self._later:
            values[-1:] = [self._later[name]]
        if not values or not all(map(math.isfinite, values)):
            return math.nan
        try:
            return math.fsum(values) / len(values)
        except OverflowError:
            return math.fsum(value / len(values) for value in values)


ALL_KEPT = 1000
"""The number of reports that are kept before some are left out."""
SPACING = 200
"""A later report is kept if its step exceeds the last kept step by at least a 200th of that step."""


@dataclass(slots=True)
class KeptSteps:
    """The steps that were kept so far: at most 1,000 and 200 ln(last / 1,000) more, 2,400 of a million.

    Attributes:
        last: the last kept step; 0 before the first.
    """

    last: int = 0
    _n_kept: int = 0

    def keeps(self, step: int) -> bool:
        """Whether a report of ``step``, which is above `last`, is kept."""
        return self._n_kept < ALL_KEPT or (step - self.last) * SPACING >= self.last

    def add(self, step: int) -> None:
        """Keep a step."""
        self.last = step
        self._n_kept += 1
