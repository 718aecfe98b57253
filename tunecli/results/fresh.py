"""Raw scores of fresh trainings, as the record fills them in for `confirming.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tunecli.results.confidence import Floats

_SAME_SCORE = 1e-12  # of the larger score: the rounding of a mean, not a step of the metric

Scores = tuple[float | None, ...]
"""Scores by repeat: NaN where the training failed, None while it is missing; the last ones may be left out."""


@dataclass(frozen=True, slots=True)
class FreshCandidate:
    """A candidate's fresh trainings.

    Attributes:
        number: the trial's number.
        scores: by repeat; with splits, repeat j of each candidate has the same split.
        search_score: the score by which the search ranked it; None: it has none.
        is_first: whether it is the study's first trial.
        seconds: mean training time of one run; 0: unknown.
        metrics: of each finished run, all metrics by name; may be empty. They tell a metric that is at its limit from a
            training that ignores its seed.
    """

    number: int
    scores: Scores
    search_score: float | None = None
    is_first: bool = False
    seconds: float = 0.0
    metrics: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class FreshQuote:
    """The further trainings of the trial that is quoted.

    Attributes:
        number: the trial's number.
        scores: by repeat.
        tested: each test metric's values of the finished runs; NaN: failed.
        n_openings: how often the test part of the study's data was opened so far.
    """

    number: int
    scores: Scores
    tested: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    n_openings: int = 0


@dataclass(frozen=True, slots=True)
class FreshRuns:
    """A confirmation as the record has it.

    Attributes:
        id: counts the study's confirmations, from 1.
        n_repeats: fresh trainings of each candidate, at least 3.
        n_trials_then: the number of trials of the study when the candidates were chosen.
        is_maximized: whether a larger score is better.
        candidates: in the order in which they were chosen.
        quote: None: its trainings have not begun.
        is_split: whether each repeat has a split of its own.
        step: the least difference between two scores; None: unknown.
        is_fraction: whether a score is a fraction of the validation examples, such as accuracy.
        n_train, n_valid: the sizes of the parts of the data in examples; None: unknown.
    """

    id: int
    n_repeats: int
    n_trials_then: int
    is_maximized: bool
    candidates: tuple[FreshCandidate, ...]
    quote: FreshQuote | None = None
    is_split: bool = False
    step: float | None = None
    is_fraction: bool = False
    n_train: int | None = None
    n_valid: int | None = None


def least_gap(scores: Iterable[float | None]) -> float | None:
    """The least difference between two scores, in their unit; those that are missing or not finite have no part in it.

    Returns:
        None: there are no two scores that differ by more than the rounding of a mean.
    """
    ordered = sorted({score for score in scores if score is not None and math.isfinite(score)})
    gaps = [
        high - low
        for low, high in pairwise(ordered)
        if high - low > _SAME_SCORE * max(abs(low), abs(high)) and math.isfinite(high - low)
    ]
    return min(gaps, default=None)


def finite(scores: Scores) -> tuple[float, ...]:
    """The scores of the trainings that succeeded."""
    return tuple(score for score in scores if score is not None and math.isfinite(score))


def done(scores: Scores) -> tuple[float, ...]:
    """The scores of the trainings that are done; a score that is not finite counts as a failure."""
    return tuple(score if math.isfinite(score) else math.nan for score in scores if score is not None)


def n_missing(rows: Sequence[FreshCandidate | FreshQuote], n_repeats: int) -> int:
    """How many trainings are still to be done."""
    return sum(max(n_repeats - len(done(row.scores)), 0) for row in rows)


def table_of(runs: FreshRuns) -> Floats:
    """The scores of all candidates; NaN: failed, missing or not finite."""
    width = max([runs.n_repeats, *(len(candidate.scores) for candidate in runs.candidates)])
    table = np.full((len(runs.candidates), width), np.nan)
    for row, candidate in zip(table, runs.candidates, strict=True):
        for j, score in enumerate(candidate.scores):
            if score is not None and math.isfinite(score):
                row[j] = score
    return table
