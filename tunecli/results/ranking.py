"""The order of trials: ranks, feasibility, and Pareto fronts.

Owns the one order every table, report and export uses. Only a complete trial with finite numbers for all goals and
constraints has a rank: NaN and the infinities never stand above a number, and a failure is never best (law 6). Those
that break a constraint stand after all that hold every one. Knows neither files nor wording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunecli.objective import Objective
from tunecli.trial import State, Trial

Point = tuple[float, ...]
_ORDER = (State.COMPLETE, State.PRUNED, State.FAILED, State.RUNNING, State.WAITING)
_UNFINISHED = (State.RUNNING, State.WAITING)
_Key = tuple[int, bool, bool, float, tuple[float, ...], int]
_BEYOND = 0.1  # of a front's range lies the point that volumes are measured from beyond its worst


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
    is_number = is_rankable or (math.isfinite(score) and trial.state.shown is State.PRUNED)
    broken = violation(trial, objective) if is_rankable else 0.0
    front, added = places.get(trial.number, (0, 0.0))
    loss = objective.sign * score if is_number else 0.0
    further = _losses(trial, objective)[1:] if is_rankable else ()
    goodness = (float(front), -added, loss, *further)
    return (_ORDER.index(trial.state.shown), not is_number, broken > 0.0, broken, goodness, trial.number)


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


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other``, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_numbers(points: Sequence[Point]) -> list[int]:
    """The number of each point's front, from 1: those that none beats are the first; without them, the second; …

    Deb, Pratap, Agarwal, Meyarivan (2002), "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", section
    III-A; found as Zhang, Tian, Cheng, Jin (2015), "An Efficient Approach to Nondominated Sorting for Evolutionary
    Multiobjective Optimization": in lexicographic order nobody is beaten by who comes later, and each front is searched
    from its last member, by bisection over the fronts.
    """
    fronts: list[list[Point]] = []
    number_of: dict[Point, int] = {}
    for point in sorted(set(points)):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if any(dominates(member, point) for member in reversed(fronts[middle])):
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append([])
        fronts[low].append(point)
        number_of[point] = low + 1
    return [number_of[point] for point in points]


def contributions(front: Sequence[Point]) -> list[float]:
    """The volume that only a point of a front covers, for each; equal points share it.

    Losses are scaled to the front's range, and volumes measured from a tenth of it beyond the worst (Ishibuchi, Imada,
    Setoguchi, Nojima (2018), "How to Specify a Reference Point in Hypervolume Calculation for Fair Performance
    Comparison"), so that the ends of the front count, and count less than what is good in all goals. A point that is
    alone has 1.
    """
    distinct = sorted(set(front))
    if len(distinct) == 1:
        return [1.0] * len(front)
    ranges = [(min(values), max(values)) for values in zip(*distinct, strict=True)]
    scaled = [
        tuple(
            (value - low) / (high - low) if high > low else 0.0
            for value, (low, high) in zip(point, ranges, strict=True)
        )
        for point in distinct
    ]
    reference = (1.0 + _BEYOND,) * len(ranges)
    if len(ranges) == 2:  # each covers a rectangle between its neighbours
        ends = [(-_BEYOND, 1.0 + _BEYOND), *scaled, (1.0 + _BEYOND, -_BEYOND)]
        volumes = [
            (after[0] - own[0]) * (before[1] - own[1])
            for before, own, after in zip(ends, scaled, ends[2:], strict=False)
        ]
        found = dict(zip(distinct, volumes, strict=True))
        return [found[point] for point in front]
    share = {
        point: _own_volume(scaled[place], [*scaled[:place], *scaled[place + 1 :]], reference)
        for place, point in enumerate(distinct)
    }
    return [share[point] for point in front]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume of what the points beat, up to ``reference``.

    While, Bradstreet, Barone (2012), "A Fast Way of Calculating Exact Hypervolumes": each point's own volume beside
    those that follow it. Two goals are added up in their order.
    """
    inside = sorted({point for point in points if all(a < b for a, b in zip(point, reference, strict=True))})
    if len(reference) == 2:
        total, lowest = 0.0, reference[1]
        for first, second in inside:
            if second < lowest:
                total += (reference[0] - first) * (lowest - second)
                lowest = second
        return total
    return sum(_own_volume(point, inside[place + 1 :], reference) for place, point in enumerate(inside))


def _own_volume(point: Point, others: Sequence[Point], reference: Point) -> float:
    """What a point covers and none of the others does."""
    volume = 1.0
    for value, most in zip(point, reference, strict=True):
        volume *= most - value
    within: list[Point] = []
    for one in sorted({tuple(map(max, point, other)) for other in others}):
        if not any(dominates(other, one) for other in reversed(within)):
            within.append(one)
    return volume - hypervolume(within, reference)
