"""Objectives and constraints of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LAST, BEST, MEAN_OF_LAST = "last", "best", "mean_of_last"
"""The values of `Objective.score_rule`."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """An upper bound of a metric, or a lower bound where ``is_least``.

    Attributes:
        metric: the metric's name.
        bound: the largest (or least) value that is allowed, in the metric's unit.
        is_least: whether ``bound`` is a lower bound.
    """

    metric: str
    bound: float
    is_least: bool = False

    def violation(self, value: float) -> float:
        """How far ``value`` is beyond the bound, in the metric's unit; 0 or less where the constraint is satisfied."""
        return self.bound - value if self.is_least else value - self.bound

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.is_least else '<='} {self.bound:.12g}"


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to optimise, and its direction.

    Attributes:
        metric: the metric's name; its value is a trial's score. With several objectives, the first one's: early
            stopping follows it too.
        maximize: whether a higher value is better.
        python: ``module:name`` where the metric is the user's own function; else empty.
        args: keyword arguments of that function.
        further_objectives: the other objectives of a Pareto study. They have no further objectives and no constraints.
        constraints: constraints that a feasible trial satisfies.
        score_rule: how the score of the user's own trial follows from the reported values: ``last``, ``best`` or
            ``mean_of_last``.
        n_averaged: the number of values that ``mean_of_last`` averages; 0 with another rule.
        also: further metrics to record, which decide nothing. So objectives that differ only in them are equal.
        tunes_threshold: whether each epoch chooses the threshold of the decided classes that is best for ``metric``.
        threshold: the fixed threshold of the decided classes; None: one half, or tuned.
    """

    metric: str
    maximize: bool
    python: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    further_objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    score_rule: str = LAST
    n_averaged: int = 0
    also: tuple[str, ...] = field(default=(), compare=False)
    tunes_threshold: bool = False
    threshold: float | None = None

    @property
    def sign(self) -> float:
        """Factor that turns a score into a loss: ``sign * score`` is lower for a better trial."""
        return -1.0 if self.maximize else 1.0

    @property
    def goals(self) -> tuple[Objective, ...]:
        """All objectives, this one first."""
        return (self, *self.further_objectives)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that a trial must report: the objectives', then the constraints', without duplicates."""
        names = [*(goal.metric for goal in self.goals), *(bound.metric for bound in self.constraints)]
        return tuple(dict.fromkeys(names))

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the metrics that the file names: those that a trial must report, and further ones to record."""
        return tuple(dict.fromkeys((*self.metrics, *self.also)))

    def losses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The loss of each objective (lower is better); NaN where the metric is missing."""
        return tuple(goal.sign * metrics.get(goal.metric, float("nan")) for goal in self.goals)

    def violations(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The violation of each constraint, 0 or less where it is satisfied; NaN where the metric is missing."""
        return tuple(bound.violation(metrics.get(bound.metric, float("nan"))) for bound in self.constraints)
