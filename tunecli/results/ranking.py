"""Which trial is best, and in what order they stand.

Owns the one order every table, report and export uses. Only a complete trial with finite numbers for all goals and
constraints has a rank: NaN and the infinities never stand above a number, and a failure is never best (law 6). Those
that break a constraint stand after all that hold every one. Knows neither files nor wording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunecli.objective import Objective
from tunecli.results.pareto import contributions, front_numbers
from tunecli.trial import State, Trial

_ORDER = (State.COMPLETE, State.PRUNED, State.FAILED, State.RUNNING, State.WAITING)
_UNFINISHED = (State.RUNNING, State.WAITING)
_Key = tuple[int, bool, bool, float, tuple[float, ...], int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A trial and its rank: 1 is best; None where it is not complete or has no finite score.

    Attributes:
        rank, trial: see above.
        front: of several goals, the number of its front, 1 being the Pareto front; None where there is one goal, where
            it has no rank, and where it breaks a constraint.
        is_feasible: whether it holds every constraint; None where there are none, and where it has no rank.
    """

    rank: int | None
    trial: Trial
    front: int | None = None
    is_feasible: bool | None = None


def rank(trials: Iterable[Trial], objective: Objective, *, include_unfinished: bool = False) -> list[Ranked]:
    """Trials in the order of the table: complete, then pruned, each from the best score to none; then failed.

    Complete ones that break a constraint come after those that hold all, by :func:`violation` and then by score. Of
    several goals the fronts follow one another, each from the trial that adds most to the volume it covers. Ties, and
    trials without a finite score, stand by number, so the order is a function of the trials alone.

    Args:
        trials: in any order.
        objective: says which way is better, and what is to hold.
        include_unfinished: append the running ones and then the waiting ones, else they are left out.
    """
    shown = [trial for trial in trials if include_unfinished or trial.state not in _UNFINISHED]
    places = _places(shown, objective) if objective.further_objectives else {}
    shown.sort(key=lambda trial: _key(trial, objective, places))
    return [
        Ranked(
            place,
            trial,
            places[trial.number][0] if trial.number in places else None,
            is_feasible(trial, objective) if objective.constraints else None,
        )
        if _is_rankable(trial, objective)
        else Ranked(None, trial)
        for place, trial in enumerate(shown, start=1)
    ]


def best(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The trial of rank 1; None where no trial has a rank."""
    first = leading(trials, objective)
    places = _places(first, objective) if objective.further_objectives else {}
    return min(first, key=lambda trial: _key(trial, objective, places), default=None)


def leading(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """The best trial, or of several goals all of the Pareto front, by number; empty where none has a rank.

    Where none holds every constraint it is the one that breaks them least. What leads of some trials and of what led
    before them leads of all.
    """
    rankable = [trial for trial in trials if _is_rankable(trial, objective)]
    feasible = (
        [trial for trial in rankable if is_feasible(trial, objective)] if objective.further_objectives else []
    )
    if not feasible:
        first = min(rankable, key=lambda trial: _key(trial, objective, {}), default=None)
        return [] if first is None else [first]
    numbers = front_numbers([_losses(trial, objective) for trial in feasible])
    led = [trial for trial, number in zip(feasible, numbers, strict=True) if number == 1]
    return sorted(led, key=lambda trial: trial.number)


def is_feasible(trial: Trial, objective: Objective) -> bool:
    """Whether a trial has ended with all constraints held; so it has where there are none."""
    return violation(trial, objective) == 0.0


def violation(trial: Trial, objective: Objective) -> float:
    """By how much a trial breaks its constraints, at least 0: the sum of what each is exceeded by, as a share of its
    bound (of 1 where that is 0), so that it does not depend on the metrics' units nor on other trials.

    Deb (2000), "An Efficient Constraint Handling Method for Genetic Algorithms", compares those that break any by such
    a sum. Infinite where a metric has no value.
    """
    return total_excess(objective.violations(_metrics(trial, objective)), objective)


def total_excess(excesses: Sequence[float], objective: Objective) -> float:
    """The :func:`violation` of a trial that exceeds each constraint by so much, in its metric's unit."""
    total = 0.0
    for constraint, excess in zip(objective.constraints, excesses, strict=False):
        if math.isnan(excess):
            return math.inf
        total += max(0.0, excess) / (abs(constraint.bound) or 1.0)
    return total


def _is_rankable(trial: Trial, objective: Objective) -> bool:
    if trial.state is not State.COMPLETE or not math.isfinite(_score(trial)):
        return False
    metrics = _metrics(trial, objective)
    return all(map(math.isfinite, (*objective.losses(metrics), *objective.violations(metrics))))


def _score(trial: Trial) -> float:
    score = trial.outcome.score if trial.outcome is not None else None
    return math.nan if score is None else score


def _metrics(trial: Trial, objective: Objective) -> Mapping[str, float]:
    """A trial's metrics, its score by the name of the first goal."""
    return {**(trial.outcome.metrics if trial.outcome else {}), objective.metric: _score(trial)}


def _losses(trial: Trial, objective: Objective) -> tuple[float, ...]:
    return objective.losses(_metrics(trial, objective))


def _places(trials: Sequence[Trial], objective: Objective) -> dict[int, tuple[int, float]]:
    """By number, the front of each trial that holds all constraints, and what it adds to that."""
    feasible = [trial for trial in trials if _is_rankable(trial, objective) and is_feasible(trial, objective)]
    losses = [_losses(trial, objective) for trial in feasible]
    fronts: dict[int, list[int]] = {}
    for place, number in enumerate(front_numbers(losses)):
        fronts.setdefault(number, []).append(place)
    return {
        feasible[place].number: (number, added)
        for number, places in fronts.items()
        for place, added in zip(places, contributions([losses[place] for place in places]), strict=True)
    }


def _key(trial: Trial, objective: Objective, places: Mapping[int, tuple[int, float]]) -> _Key:
    is_rankable = _is_rankable(trial, objective)
    score = _score(trial)
    is_number = is_rankable or (math.isfinite(score) and trial.state is State.PRUNED)
    broken = violation(trial, objective) if is_rankable else 0.0
    front, added = places.get(trial.number, (0, 0.0))
    loss = objective.sign * score if is_number else 0.0
    further = _losses(trial, objective)[1:] if is_rankable else ()
    goodness = (float(front), -added, loss, *further)
    return (_ORDER.index(trial.state), not is_number, broken > 0.0, broken, goodness, trial.number)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many hold their constraints, and who is on the front.

    Attributes:
        n_ranked: how many trials have a rank.
        n_feasible: how many of them hold every constraint; None where there are none.
        front: the numbers of those on the Pareto front, the first ranked one first; empty where there is one goal.
    """

    n_ranked: int
    n_feasible: int | None
    front: tuple[int, ...]


def standing(trials: Iterable[Trial], objective: Objective) -> Standing | None:
    """How trials stand; None where one metric tells all: there are neither constraints nor further goals."""
    if not objective.further_objectives and not objective.constraints:
        return None
    of_rank = [each for each in rank(trials, objective) if each.rank is not None]
    n_feasible = sum(each.is_feasible is True for each in of_rank) if objective.constraints else None
    front = tuple(each.trial.number for each in of_rank if each.front == 1)
    return Standing(len(of_rank), n_feasible, front)
