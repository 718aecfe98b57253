from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.objective import Constraint, Objective
from tunecli.results.ranking import FrontSummary, best, contributions, front_summary, leading, rank, violation
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

ACCURACY = Objective("val_accuracy", maximize=True)
LOSS = Objective("val_loss", maximize=False)


def trial(number: int, state: State, score: float | None = None) -> Trial:
    if state in (State.WAITING, State.RUNNING):
        return Trial(number, {}, 0, state)
    failure = Failure(FailureKind.ERROR, "") if state is State.FAILED else None
    return Trial(number, {}, 0, state, Outcome(state, score, failure=failure))


def numbers(trials: list[Trial], objective: Objective) -> list[tuple[int | None, int]]:
    return [(row.rank, row.trial.number) for row in rank(trials, objective, include_unfinished=True)]


MIXED = [
    trial(0, State.WAITING),
    trial(1, State.FAILED),
    trial(2, State.PRUNED, 0.9),
    trial(3, State.COMPLETE, 0.5),
    trial(4, State.RUNNING),
    trial(5, State.COMPLETE, math.nan),
    trial(6, State.COMPLETE, 0.7),
    trial(7, State.PRUNED, 0.2),
    trial(8, State.COMPLETE, 0.5),
    trial(9, State.PRUNED),
    trial(10, State.FAILED, 1.0),
    trial(11, State.WAITING),
]


def test_complete_trials_rank_before_pruned_failed_and_unfinished_trials() -> None:
    assert numbers(MIXED, ACCURACY) == [
        (1, 6),
        (2, 3),
        (3, 8),
        (None, 5),
        (None, 2),
        (None, 7),
        (None, 9),
        (None, 1),
        (None, 10),
        (None, 4),
        (None, 0),
        (None, 11),
    ]


def test_minimizing_reverses_the_scores_only() -> None:
    assert [number for _, number in numbers(MIXED, LOSS)] == [3, 8, 6, 5, 7, 2, 9, 1, 10, 4, 0, 11]


def test_unfinished_trials_are_left_out_by_default() -> None:
    assert {row.trial.number for row in rank(MIXED, LOSS)} == {1, 2, 3, 5, 6, 7, 8, 9, 10}


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_nan_and_infinities_never_rank_above_a_number(objective: Objective, score: float | None) -> None:
    trials = [
        trial(0, State.COMPLETE, score),
        trial(1, State.COMPLETE, 1e300),
        trial(2, State.COMPLETE, -1e300),
    ]
    assert numbers(trials, objective)[2] == (None, 0)
    assert best(trials[:1], objective) is None


def test_best_returns_none_without_complete_trials() -> None:
    assert best([], LOSS) is None
    assert (
        best([trial(0, State.FAILED, 0.1), trial(1, State.PRUNED, 0.1), trial(2, State.RUNNING)], LOSS)
        is None
    )


TRIALS = st.lists(
    st.tuples(st.sampled_from(State), st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1.0])),
    max_size=12,
).map(lambda rows: [trial(number, state, score) for number, (state, score) in enumerate(rows)])


@given(TRIALS, st.booleans(), st.randoms())
def test_the_order_is_a_function_of_the_trials_and_best_is_its_first(
    trials: list[Trial], maximize: bool, random: object
) -> None:
    objective = Objective("m", maximize)
    ranked = rank(trials, objective, include_unfinished=True)
    shuffled = list(trials)
    random.shuffle(shuffled)
    assert rank(shuffled, objective, include_unfinished=True) == ranked
    assert best(shuffled, objective) == next((row.trial for row in ranked if row.rank == 1), None)
    ranks = [row.rank for row in ranked if row.rank is not None]
    assert ranks == list(range(1, len(ranks) + 1))
    assert len(ranked) == len(trials)


def bounded(*constraints: Constraint) -> Objective:
    return Objective("a", maximize=False, constraints=constraints)


def measured(number: int, state: State = State.COMPLETE, **metrics: float) -> Trial:
    return Trial(number, {}, 0, state, Outcome(state, metrics.get("a"), metrics))


def test_infeasible_trials_follow_feasible_ones_by_violation() -> None:
    objective = bounded(Constraint("b", 10.0), Constraint("c", 0.5, is_least=True))
    trials = [
        measured(0, a=1.0, b=20.0, c=0.5),  # violation 1: b is twice its bound
        measured(1, a=9.0, b=10.0, c=0.5),  # on both bounds
        measured(2, a=0.1, b=12.5, c=0.375),  # violation 0.25 + 0.25
        measured(3, a=0.0, b=10.0, c=0.25),  # violation 0.5, and the better score
        measured(4, a=8.0, b=0.0, c=1.0),
        measured(5, a=0.0, b=1.0),  # c was not measured
        measured(6, State.PRUNED, a=0.0, b=1.0, c=1.0),
    ]
    ranked = rank(trials, objective)
    assert [(row.rank, row.trial.number, row.is_feasible) for row in ranked] == [
        (1, 4, True),
        (2, 1, True),
        (3, 3, False),
        (4, 2, False),
        (5, 0, False),
        (None, 5, None),
        (None, 6, None),
    ]
    assert best(trials, objective) is trials[4]
    assert best([trials[0], trials[2]], objective) is trials[2], (
        "the smallest violation if no trial is feasible"
    )
    assert front_summary(trials, objective) == FrontSummary(5, 2, ())


def test_the_violation_of_a_zero_bound_is_in_the_metrics_unit() -> None:
    assert violation(measured(0, a=0.0, b=3.0), bounded(Constraint("b", 0.0))) == 3.0


VALUES = st.integers(0, 4).map(float)
GOALS = Objective(
    "a",
    False,
    further_objectives=(Objective("b", True),),
    constraints=(Constraint("c", 2.0), Constraint("b", 1.0, True)),
)
MEASURED = st.lists(
    st.tuples(st.sampled_from([State.COMPLETE, State.PRUNED]), VALUES, VALUES, VALUES), max_size=12
).map(lambda rows: [measured(i, state, a=a, b=b, c=c) for i, (state, a, b, c) in enumerate(rows)])


def ranked_by_hand(trials: list[Trial]) -> list[int]:
    """The numbers of feasible trials front by front, then of the others by violation; ties as documented."""
    complete = {t.number: t.outcome.metrics for t in trials if t.state is State.COMPLETE and t.outcome}
    broken = {n: max(0.0, m["c"] - 2.0) / 2.0 + max(0.0, 1.0 - m["b"]) / 1.0 for n, m in complete.items()}
    points = {n: (m["a"], -m["b"]) for n, m in complete.items()}
    left = [n for n in complete if not broken[n]]
    order: list[int] = []
    while left:
        front = [
            n
            for n in left
            if not any(
                points[o] != points[n] and all(x <= y for x, y in zip(points[o], points[n], strict=True))
                for o in left
            )
        ]
        added = dict(zip(front, contributions([points[n] for n in front]), strict=True))
        order += sorted(front, key=lambda n: (-added[n], points[n], n))
        left = [n for n in left if n not in front]
    return order + sorted((n for n in complete if broken[n]), key=lambda n: (broken[n], points[n], n))


@given(MEASURED, st.randoms())
def test_several_objectives_under_constraints_rank_as_computed_by_hand_in_any_order(
    trials: list[Trial], random: object
) -> None:
    expected = ranked_by_hand(trials)
    shuffled = list(trials)
    random.shuffle(shuffled)
    ranked = rank(shuffled, GOALS)
    assert [row.trial.number for row in ranked if row.rank is not None] == expected
    first = best(shuffled, GOALS)
    assert (first and first.number) == (expected[0] if expected else None)
    front = {row.trial.number for row in ranked if row.front == 1}
    assert {t.number for t in leading(trials, GOALS)} == (front or {*expected[:1]})
    summary = front_summary(trials, GOALS)
    assert summary is not None and {*summary.front} == front


@given(MEASURED)
def test_leaders_can_be_updated_trial_by_trial(trials: list[Trial]) -> None:
    leaders: list[Trial] = []
    for new in trials:
        leaders = leading([*leaders, new], GOALS)
    assert leaders == leading(trials, GOALS)
