"""The baseline of a study as values: the scores of simple models on the split of its trials, and the words for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunecli.text import shown_number


@dataclass(frozen=True, slots=True)
class BaselineScore:
    """The result of one simple model.

    Attributes:
        model: its name in words, such as ``gradient boosting``.
        score: the objective on the validation data, the mean over folds; None: the model has no such metric.
        metrics: every metric of a trial that the model has.
        seconds: wall time of its fits.
    """

    model: str
    score: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """The scores of simple models on the rows and folds of a study's trials.

    Attributes:
        metric: the objective.
        scores: one for each model that was fitted.
        note: why scores are missing, as a sentence without a full stop; empty: none is.
    """

    metric: str
    scores: tuple[BaselineScore, ...] = ()
    note: str = ""

    @property
    def scored(self) -> tuple[BaselineScore, ...]:
        """The models that have a score."""
        return tuple(one for one in self.scores if one.score is not None)

    def best(self, *, maximize: bool) -> BaselineScore | None:
        """The model with the best score; None: no model has one."""
        sign = -1.0 if maximize else 1.0
        return min(self.scored, key=lambda one: sign * (one.score or 0.0), default=None)


def baseline_lines(baseline: Baseline | None) -> list[tuple[str, str]]:
    """The baseline as a line for a person, or why there is none; empty: it was not fitted."""
    if baseline is None:
        return []
    if not baseline.scored:
        return [("baseline", f"none: {baseline.note}")] if baseline.note else []
    shown = ", ".join(f"{shown_number(one.score or 0.0)} ({one.model})" for one in baseline.scored)
    return [("baseline", f"{shown}, on the validation data of the trials")]


def baseline_data(baseline: Baseline | None) -> dict[str, Any] | None:
    """The baseline as JSON data; None: there is none."""
    if baseline is None:
        return None
    return {
        "metric": baseline.metric,
        "scores": [
            {"model": one.model, "score": one.score, "metrics": dict(one.metrics), "seconds": one.seconds}
            for one in baseline.scores
        ],
        "note": baseline.note or None,
    }


def baseline_of(data: Any) -> Baseline | None:
    """The inverse of `baseline_data`; None: the data are of another form."""
    try:
        scores = tuple(
            BaselineScore(
                str(one["model"]),
                None if one["score"] is None else _finite(one["score"]),
                {str(name): _finite(value) for name, value in one["metrics"].items()},
                _finite(one["seconds"]),
            )
            for one in data["scores"]
        )
        return Baseline(str(data["metric"]), scores, str(data["note"] or ""))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number
