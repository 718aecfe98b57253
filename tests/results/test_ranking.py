from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.results.ranking import best, rank
from tunecli.trial import Failure, FailureKind, Objective, Outcome, State, Trial

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


def test_complete_then_pruned_then_failed_then_the_unfinished() -> None:
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


def test_minimizing_turns_the_scores_and_nothing_else() -> None:
    assert [number for _, number in numbers(MIXED, LOSS)] == [3, 8, 6, 5, 7, 2, 9, 1, 10, 4, 0, 11]


def test_the_unfinished_are_left_out_unless_asked_for() -> None:
    assert {row.trial.number for row in rank(MIXED, LOSS)} == {1, 2, 3, 5, 6, 7, 8, 9, 10}


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_never_stands_above_one(objective: Objective, score: float | None) -> None:
    trials = [
        trial(0, State.COMPLETE, score),
        trial(1, State.COMPLETE, 1e300),
        trial(2, State.COMPLETE, -1e300),
    ]
    assert numbers(trials, objective)[2] == (None, 0)
    assert best(trials[:1], objective) is None


def test_best_of_nothing_or_of_failures_is_none() -> None:
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
