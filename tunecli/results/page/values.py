"""The values that all figures of a page share: the trials that they draw, the scale of the scores, the axes' order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tunecli.effects import ParameterEffect, Reliability
from tunecli.objective import Objective
from tunecli.results.page.axes import Scale, number, without_outliers
from tunecli.results.page.choice import spread
from tunecli.results.ranking import Ranked
from tunecli.results.report import Axis, Report
from tunecli.trial import State, Trial

MOST_DRAWN = 300
"""Trials in one figure; of more, the best half and others spread over the ranks."""
MOST_CARDS = 60
"""Parameters that have a card; the others are listed."""
_MOST_MARKS = 2400  # over all cards, so that the page stays below 1.5 MB
_LEAST_DRAWN = 40


@dataclass(frozen=True)
class PageValues:
    """A report, and values that are computed from it once for all figures."""

    report: Report

    @cached_property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return self.report.trials

    @cached_property
    def ended(self) -> list[Ranked]:
        """The trials that have ended, the best first."""
        ended = (State.COMPLETE, State.PRUNED, State.FAILED)
        return [row for row in self.report.ranked if row.trial.state.shown in ended]

    @cached_property
    def ended_numbers(self) -> list[int]:
        """The numbers of the trials that have ended, ascending."""
        return sorted(row.trial.number for row in self.ended)

    @cached_property
    def drawn(self) -> list[Ranked]:
        """The trials that the figures draw, at most `MOST_DRAWN`."""
        return spread(self.ended, MOST_DRAWN)

    @cached_property
    def drawn_on_cards(self) -> list[Ranked]:
        """The trials that each parameter's card draws: fewer if there are many cards."""
        n_cards = min(MOST_CARDS, len(self.report.axes))
        is_few = len(self.ended) <= MOST_DRAWN and n_cards <= 20  # the page is small anyway
        return spread(
            self.ended,
            MOST_DRAWN if is_few else max(_LEAST_DRAWN, min(MOST_DRAWN, _MOST_MARKS // max(1, n_cards))),
        )

    @cached_property
    def scale(self) -> Scale:
        """The scale of the scores in all figures; it holds the whole front of several goals."""
        scale = without_outliers(self.scores, maximize=self.report.objective.maximize)
        if not self.report.objective.further_objectives:
            return scale
        best = [
            score
            for row in self.ended
            if row.trial.number in self.leaders and (score := score_of(row.trial)) is not None
        ]
        return Scale(min([scale.low, *best]), max([scale.high, *best]))

    @cached_property
    def best(self) -> int | None:
        """The number of the trial of rank 1; None: no trial has a rank."""
        return None if self.report.best is None else self.report.best.number

    @property
    def is_reliable(self) -> bool:
        """Whether the effects may be ranked."""
        return self.report.effects.reliability is Reliability.RELIABLE

    @cached_property
    def order(self) -> list[int]:
        """The indices of the axes: by their share if the effects are reliable, else in the order of the file."""
        places = list(range(len(self.report.axes)))
        if not self.is_reliable:
            return places
        return sorted(places, key=lambda place: -self._share_of(place))

    def _share_of(self, place: int) -> float:
        effect = self.effect_of(place)
        return effect.share.mean if effect is not None and effect.is_known else -1.0

    def effect_of(self, place: int) -> ParameterEffect | None:
        """The model's statement on the parameter of one axis; None: there is none."""
        effects, name = self.report.effects, self.report.axes[place].name
        if effects.reliability is Reliability.UNKNOWN:
            return None
        same_place = effects.parameters[place] if place < len(effects.parameters) else None
        return same_place if same_place is not None and same_place.name == name else effects.of(name)

    @cached_property
    def has_profiles(self) -> bool:
        """Whether the cards draw profiles."""
        effects = (self.effect_of(place) for place in range(len(self.report.axes)))
        return any(effect is not None and effect.profile for effect in effects)

    @cached_property
    def scores(self) -> list[float]:
        """The finite scores of the trials that have ended without a failure."""
        return [score for row in self.ended if (score := score_of(row.trial)) is not None]

    @cached_property
    def n_outliers(self) -> int:
        """The number of scores beyond the scale."""
        low, high = self.scale.low, self.scale.high
        return sum(not low <= score <= high for score in self.scores)

    @cached_property
    def _points(self) -> list[tuple[float | None, ...]]:
        positions = self.report.positions
        return [positions[row.trial.number] for row in self.ended if row.trial.number in positions]

    def positions_at(self, place: int) -> list[float]:
        """The positions on one axis of the trials that have ended and have the parameter, the best trial first."""
        return [position for point in self._points if (position := point[place]) is not None]

    @cached_property
    def n_points(self) -> int:
        """The number of trials that have ended and have positions."""
        return len(self._points)

    @cached_property
    def leaders(self) -> frozenset[int]:
        """The numbers of the best trials: one, or with several goals those of the Pareto front."""
        if self.best is None:
            return frozenset()
        if not self.report.objective.further_objectives:
            return frozenset([self.best])
        return frozenset(row.trial.number for row in self.report.ranked if row.front == 1) or frozenset(
            [self.best]
        )

    @property
    def leaders_text(self) -> str:
        """The leaders in a legend; empty: there are none."""
        if self.best is None:
            return ""
        return (
            "on the Pareto front" if self.report.objective.further_objectives else f"best, trial {self.best}"
        )

    @cached_property
    def infeasible(self) -> frozenset[int]:
        """The numbers of the trials that violate a constraint."""
        return frozenset(row.trial.number for row in self.report.ranked if row.is_feasible is False)


def with_short_conditions(report: Report) -> Report:
    """The report with conditions that name a parameter by its label: ``optimizer = sgd``, without its path."""
    labels = {f"{axis.name} ": f"{axis.label} " for axis in report.axes}
    axes = []
    for axis in report.axes:
        known = next((name for name in labels if axis.condition.startswith(name)), None)
        short = axis.condition if known is None else labels[known] + axis.condition[len(known) :]
        axes.append(replace(axis, condition=short))
    return replace(report, axes=tuple(axes))


def score_of(trial: Trial) -> float | None:
    """The finite score of a trial that did not fail; None: it has none."""
    if trial.state.shown not in (State.COMPLETE, State.PRUNED) or trial.outcome is None:
        return None
    score = trial.outcome.score
    return score if score is not None and math.isfinite(score) else None


def metrics_of(row: Ranked, objective: Objective) -> Mapping[str, float]:
    """The metrics of a trial's outcome, its score under the name of the first goal; empty: it has none."""
    outcome = row.trial.outcome
    if outcome is None:
        return {}
    score = {} if outcome.score is None else {objective.metric: outcome.score}
    return {**outcome.metrics, **score}


def title_of(axis: Axis) -> str:
    """The short name of a parameter, with its condition if there is one."""
    is_plain = axis.condition and not axis.label.endswith(")")  # else the label names the branch
    return f"{axis.label} ({axis.condition})" if is_plain else axis.label


def describe(trial: Trial) -> str:
    """A trial and its score in a few words."""
    score = score_of(trial)
    return f"trial {trial.number}: {trial.state.shown if score is None else number(score)}"


def left_out(values: PageValues, n_drawn: int) -> str:
    """A sentence on the trials that a figure does not draw; empty: it draws all that have ended."""
    n = len(values.ended)
    if n_drawn >= n:
        return ""
    return f"The figure draws {n_drawn:,} of {n:,} trials: the best, and others spread over the ranks."
