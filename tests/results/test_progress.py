"""The progress of a sweep: the best score so far, the rate of trials, and the failures by kind."""

import math
import random
from itertools import accumulate

import pytest

from tunecli.objective import Constraint, Objective
from tunecli.results.progress import (
    N_RECENT,
    BestSoFar,
    Pace,
    best_so_far,
    failures_by_kind,
    failures_text,
    pace,
)
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


def complete(number, score, **metrics):
    return Trial(number, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, score, metrics))


def failed(number, kind):
    return Trial(number, {}, 0, State.FAILED, Outcome(State.FAILED, failure=Failure(kind, "it broke")))


@pytest.mark.parametrize("seed", range(20))
def test_the_best_so_far_is_the_running_minimum_in_whatever_order_trials_end(seed):
    draw = random.Random(seed)
    n = draw.randint(1, 60)
    scores = [draw.choice([draw.random(), 0.5]) for _ in range(n)]
    for sign, better in ((1.0, min), (-1.0, max)):
        best = BestSoFar(sign)
        for number in draw.sample(range(n), n):
            best.add(number, scores[number])
        assert best.values(n) == list(accumulate(scores, better))


def test_the_best_so_far_of_many_trials_is_shown_at_evenly_spread_numbers():
    best = BestSoFar(1.0)
    for number in range(1000):
        best.add(number, 1000.0 - number)
    assert best.values(5) == [1000.0, 750.0, 500.0, 251.0, 1.0]
    assert best.values(1) == [1000.0]
    assert BestSoFar(1.0).values(5) == []


def test_a_trial_that_failed_or_is_not_feasible_does_not_count_as_best():
    objective = Objective("loss", False, constraints=(Constraint("size", 1.0),))
    trials = [
        complete(0, 0.5, size=1.0),
        complete(1, 0.1, size=2.0),
        failed(2, FailureKind.OOM),
        complete(3, math.nan, size=1.0),
        complete(4, 0.4, size=1.0),
    ]
    assert best_so_far(trials, objective).values(9) == [0.5, 0.5, 0.5, 0.5, 0.4]


def test_a_study_with_several_goals_has_no_best_so_far():
    objective = Objective("loss", False, further_objectives=(Objective("size", False),))
    assert best_so_far([complete(0, 0.5, size=1.0)], objective).values(9) == []


def test_the_rate_is_that_of_the_session_and_of_the_last_trials():
    ends_s = [10.0 * number for number in range(1, 13)]
    found = pace(ends_s[-N_RECENT - 1 :], 12, 0.0, 240.0)
    assert found == Pace(3.0, N_RECENT * 60 / (240.0 - ends_s[1]))
    assert str(found) == "2.73 trials/min, overall 3 trials/min"


def test_a_slow_rate_is_counted_by_the_hour():
    assert str(pace([600.0], 1, 0.0, 1200.0)) == "3 trials/h"


@pytest.mark.parametrize(("n_ended", "now_s"), [(0, 60.0), (1, 0.0), (3, -1.0)])
def test_a_session_without_ends_or_with_a_clock_that_jumped_has_no_rate(n_ended, now_s):
    assert str(pace([0.0] * n_ended, n_ended, 0.0, now_s)) == ""


def test_failures_are_counted_by_kind_and_the_most_frequent_kind_comes_first():
    trials = [
        complete(0, 1.0),
        failed(1, FailureKind.ERROR),
        failed(2, FailureKind.OOM),
        failed(3, FailureKind.OOM),
    ]
    assert failures_text(failures_by_kind(trials)) == "3 failed (2 oom, 1 error)"
    assert failures_text(failures_by_kind(trials[:1])) == ""
