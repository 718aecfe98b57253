"""Which trial is best, and in what order they stand.

Owns the one order every table, report and export uses. Only a complete trial with a finite score has a rank: NaN and
the infinities never stand above a number, and a failure is never best (law 6). Knows neither files nor wording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tunecli.trial import Objective, State, Trial

_ORDER = (State.COMPLETE, State.PRUNED, State.FAILED, State.RUNNING, State.WAITING)
_UNFINISHED = (State.RUNNING, State.WAITING)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A trial and its rank: 1 is best; None where it is not complete or has no finite score."""

    rank: int | None
    trial: Trial


def rank(trials: Iterable[Trial], objective: Objective, *, include_unfinished: bool = False) -> list[Ranked]:
    """Trials in the order of the table: complete, then pruned, each from the best score to none; then failed.

    Ties, and trials without a finite score, stand by number, so the order is a function of the trials alone.

    Args:
        trials: in any order.
        objective: says which way is better.
        include_unfinished: append the running ones and then the waiting ones, else they are left out.
    """
    shown = [trial for trial in trials if include_unfinished or trial.state not in _UNFINISHED]
    shown.sort(key=lambda trial: _key(trial, objective))
    return [
        Ranked(place if _is_rankable(trial) else None, trial) for place, trial in enumerate(shown, start=1)
    ]


def best(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The trial of rank 1; None where no trial has a rank."""
    return min(filter(_is_rankable, trials), key=lambda trial: _key(trial, objective), default=None)


def _is_rankable(trial: Trial) -> bool:
    return trial.state is State.COMPLETE and math.isfinite(_score(trial))


def _score(trial: Trial) -> float:
    score = trial.outcome.score if trial.outcome is not None else None
    return math.nan if score is None else score


def _key(trial: Trial, objective: Objective) -> tuple[int, bool, float, int]:
    score = _score(trial)
    is_number = math.isfinite(score) and trial.state in (State.COMPLETE, State.PRUNED)
    return (
        _ORDER.index(trial.state),
        not is_number,
        objective.sign * score if is_number else 0.0,
        trial.number,
    )
