"""The order of trials: ranks, feasibility, and Pareto fronts.

Owns the one order that every table, report and export uses. Only a complete trial with finite values of all goals and
constraints has a rank: NaN and the infinities never rank above a number, and a failure is never best (failure-is-data).
Infeasible trials rank after all feasible trials.
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
# Distance of the reference point beyond the front's worst values, as a fraction of the front's range.
_REFERENCE_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A trial with its rank.

    Attributes:
        rank: 1 is best; None: the trial is not complete, or a goal or constraint has no finite value.
        trial: the trial.
        front: the number of its front, 1 being the Pareto front; None: there is one goal, or the trial has no rank or
            is infeasible.
        is_feasible: whether it satisfies every constraint; None: there is no constraint, or the trial has no rank.
    """

    rank: int | None
    trial: Trial
    front: int | None = None
    is_feasible: bool | None = None


def rank(trials: Iterable[Trial], objective: Objective, *, include_unfinished: bool = False) -> list[Ranked]:
    """Trials in the order of the table: complete ones, then pruned ones, then failed ones.

    Complete and pruned trials are ordered from the best score to the worst; trials without a score follow. Infeasible
    complete trials follow the feasible ones, by `violation` and then by score. With several goals, trials are ordered
    by front, and within a front by their contribution to its hypervolume, the largest first. Ties, and trials
    without a finite score, are ordered by number, so the order is a function of the trials alone.

    Args:
        trials: in any order.
        objective: the goals and constraints.
        include_unfinished: append running trials and then waiting trials; otherwise they are left out.
    """
    shown = [trial for trial in trials if include_unfinished or trial.state not in _UNFINISHED]
    places = _places(shown, objective) if objective.further_objectives else {}
    shown.sort(key=lambda trial: _key(trial, objective, places))
    return [
        Ranked(
            position,
            trial,
            places[trial.number][0] if trial.number in places else None,
            is_feasible(trial, objective) if objective.constraints else None,
        )
        if _is_rankable(trial, objective)
        else Ranked(None, trial)
        for position, trial in enumerate(shown, start=1)
    ]


def best(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The trial of rank 1; None: no trial has a rank."""
    first = leading(trials, objective)
    places = _places(first, objective) if objective.further_objectives else {}
    return min(first, key=lambda trial: _key(trial, objective, places), default=None)


def leading(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """The best trial, or with several goals all trials of the Pareto front, by number; empty: no trial has a rank.

    If no trial is feasible, it is the trial with the smallest violation. New trials need only be compared with the
    leaders so far: ``leading(old_leaders + new) == leading(all)``.
    """
    rankable = [trial for trial in trials if _is_rankable(trial, objective)]
    feasible = (
        [trial for trial in rankable if is_feasible(trial, objective)] if objective.further_objectives else []
    )
    if not feasible:  # or there is one goal; `_key` puts infeasible trials last
        first = min(rankable, key=lambda trial: _key(trial, objective, {}), default=None)
        return [] if first is None else [first]
    numbers = front_numbers([_losses(trial, objective) for trial in feasible])
    leaders = [trial for trial, number in zip(feasible, numbers, strict=True) if number == 1]
    return sorted(leaders, key=lambda trial: trial.number)


def is_feasible(trial: Trial, objective: Objective) -> bool:
    """Whether a trial satisfies all constraints; true if there are none."""
    return violation(trial, objective) == 0.0


def violation(trial: Trial, objective: Objective) -> float:
    """The total constraint violation of a trial, at least 0; infinite if a metric has no value.

    The sum of the constraints' violations, each as a fraction of its bound (of 1 if the bound is 0), so that it
    depends neither on the metrics' units nor on other trials. Deb (2000), "An Efficient Constraint Handling Method for
    Genetic Algorithms", compares infeasible points by such a sum.
    """
    return total_violation(objective.violations(_metrics(trial, objective)), objective)


def total_violation(violations: Sequence[float], objective: Objective) -> float:
    """The `violation` of a trial whose constraints are violated by ``violations``, in the metrics' units."""
    total = 0.0
    for constraint, amount in zip(objective.constraints, violations, strict=False):
        if math.isnan(amount):
            return math.inf
        total += max(0.0, amount) / (abs(constraint.bound) or 1.0)
    return total


def _is_rankable(trial: Trial, objective: Objective) -> bool:
    if trial.state is not State.COMPLETE or not math.isfinite(_score(trial)):
        return False
    if not (objective.further_objectives or objective.constraints):  # saves half a second for 100,000 trials
        return True
    metrics = _metrics(trial, objective)
    return all(map(math.isfinite, (*objective.losses(metrics), *objective.violations(metrics))))


def _score(trial: Trial) -> float:
    score = trial.outcome.score if trial.outcome is not None else None
    return math.nan if score is None else score


def _metrics(trial: Trial, objective: Objective) -> Mapping[str, float]:
    """A trial's metrics, with its score under the name of the first goal."""
    return {**(trial.outcome.metrics if trial.outcome else {}), objective.metric: _score(trial)}


def _losses(trial: Trial, objective: Objective) -> tuple[float, ...]:
    return objective.losses(_metrics(trial, objective))


def _places(trials: Sequence[Trial], objective: Objective) -> dict[int, tuple[int, float]]:
    """By trial number, the front of each feasible trial and its contribution to that front."""
    feasible = [trial for trial in trials if _is_rankable(trial, objective) and is_feasible(trial, objective)]
    losses = [_losses(trial, objective) for trial in feasible]
    fronts: dict[int, list[int]] = {}  # by number of the front, indices into `feasible`
    for index, front in enumerate(front_numbers(losses)):
        fronts.setdefault(front, []).append(index)
    return {
        feasible[index].number: (front, contribution)
        for front, indices in fronts.items()
        for index, contribution in zip(
            indices, contributions([losses[index] for index in indices]), strict=True
        )
    }


def _key(trial: Trial, objective: Objective, places: Mapping[int, tuple[int, float]]) -> _Key:
    is_rankable = _is_rankable(trial, objective)
    score = _score(trial)
    is_number = is_rankable or (math.isfinite(score) and trial.state.shown is State.PRUNED)
    total = violation(trial, objective) if is_rankable and objective.constraints else 0.0
    front, contribution = places.get(trial.number, (0, 0.0))
    loss = objective.sign * score if is_number else 0.0
    further = _losses(trial, objective)[1:] if is_rankable and objective.further_objectives else ()
    goals = (float(front), -contribution, loss, *further)
    return (_ORDER.index(trial.state.shown), not is_number, total > 0.0, total, goals, trial.number)


@dataclass(frozen=True, slots=True)
class FrontSummary:
    """The Pareto front and the number of feasible trials.

    Attributes:
        n_ranked: the number of trials with a rank.
        n_feasible: the number of ranked trials that satisfy every constraint; None: there is no constraint.
        front: the numbers of the trials on the Pareto front, by rank; empty: there is one goal.
    """

    n_ranked: int
    n_feasible: int | None
    front: tuple[int, ...]


def front_summary(trials: Iterable[Trial], objective: Objective) -> FrontSummary | None:
    """The Pareto front and the feasible trials; None: there is one goal and no constraint."""
    if not objective.further_objectives and not objective.constraints:
        return None
    ranked = [row for row in rank(trials, objective) if row.rank is not None]
    n_feasible = sum(row.is_feasible is True for row in ranked) if objective.constraints else None
    front = tuple(row.trial.number for row in ranked if row.front == 1)
    return FrontSummary(len(ranked), n_feasible, front)


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other``, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_numbers(points: Sequence[Point]) -> list[int]:
    """The number of each point's front, from 1.

    The non-dominated points form the first front. Without them, the non-dominated points form the second front, and so
    on.

    Deb, Pratap, Agarwal, Meyarivan (2002), "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", section
    III-A. The algorithm is that of Zhang, Tian, Cheng, Jin (2015), "An Efficient Approach to Nondominated Sorting for
    Evolutionary Multiobjective Optimization": in lexicographic order no point is dominated by a later one, and each
    front is searched from its last member, by bisection over the fronts.
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
    """The hypervolume contribution of each point of a front; equal points have the same contribution.

    Losses are scaled to the front's range, and the reference point lies a tenth of that range beyond the worst
    (Ishibuchi, Imada, Setoguchi, Nojima (2018), "How to Specify a Reference Point in Hypervolume Calculation for Fair
    Performance Comparison"). So the ends of the front count, but less than points that are good in all goals. A single
    point contributes 1.
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
    reference = (1.0 + _REFERENCE_MARGIN,) * len(ranges)
    if len(ranges) == 2:  # each point alone covers a rectangle between its neighbours
        ends = [
            (-_REFERENCE_MARGIN, 1.0 + _REFERENCE_MARGIN),
            *scaled,
            (1.0 + _REFERENCE_MARGIN, -_REFERENCE_MARGIN),
        ]
        volumes = [
            (after[0] - own[0]) * (before[1] - own[1])
            for before, own, after in zip(ends, scaled, ends[2:], strict=False)
        ]
        volume_of = dict(zip(distinct, volumes, strict=True))
        return [volume_of[point] for point in front]
    share = {
        point: _exclusive_volume(scaled[place], [*scaled[:place], *scaled[place + 1 :]], reference)
        for place, point in enumerate(distinct)
    }
    return [share[point] for point in front]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume that the points dominate, up to ``reference``.

    While, Bradstreet, Barone (2012), "A Fast Way of Calculating Exact Hypervolumes": the sum of each point's exclusive
    volume relative to the later points. Two goals are a sum of rectangles.
    """
    inside = sorted({point for point in points if all(a < b for a, b in zip(point, reference, strict=True))})
    if len(reference) == 2:
        total, lowest = 0.0, reference[1]
        for first, second in inside:
            if second < lowest:
                total += (reference[0] - first) * (lowest - second)
                lowest = second
        return total
    return sum(_exclusive_volume(point, inside[place + 1 :], reference) for place, point in enumerate(inside))


def _exclusive_volume(point: Point, others: Sequence[Point], reference: Point) -> float:
    """The volume that ``point`` dominates and no other point does."""
    volume = 1.0
    for value, most in zip(point, reference, strict=True):
        volume *= most - value
    within: list[Point] = []
    # The other points count only in the region that ``point`` dominates.
    for clipped in sorted({tuple(map(max, point, other)) for other in others}):
        if not any(dominates(other, clipped) for other in reversed(within)):
            within.append(clipped)
    return volume - hypervolume(within, reference)
