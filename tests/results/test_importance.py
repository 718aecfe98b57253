"""How much a parameter matters: what decides the score comes first, what does not is about 0, and a few trials tell nothing."""

import random

import pytest
from scipy.stats import kruskal, spearmanr

from tunecli.objective import Objective
from tunecli.results.importance import (
    MIN_TRIALS,
    _between_groups,
    _correlation,
    _ranks,
    by_importance,
    importances,
)
from tunecli.trial import Outcome, State, Trial

LOSS = Objective("loss", maximize=False)
NAMES = ("noise", "kind", "rate", "width", "inner")


def trials_of(n, seed=0, state=State.COMPLETE):
    draw = random.Random(seed)
    found = []
    for number in range(n):
        point = {
            "noise": draw.random(),
            "kind": draw.choice(["a", "b", "c"]),
            "rate": draw.random(),
            "width": draw.randint(1, 9),
        }
        if point["kind"] == "a":
            point["inner"] = draw.random()
        loss = (point["rate"] - 0.5) ** 2 + 0.1 * (point["kind"] == "b") + 0.001 * draw.random()
        found.append(
            Trial(number, point, 0, state, Outcome(state, loss, {"loss": loss, "other": point["width"]}))
        )
    return found


def test_what_decides_the_score_comes_first_even_with_its_best_value_in_the_middle():
    found = importances(trials_of(200), LOSS, NAMES)
    assert by_importance(found)[:2] == ["rate", "kind"]
    assert found["rate"] > 0.3
    assert max(found["noise"], found["width"]) < 0.1


def test_of_several_goals_each_counts():
    goals = Objective("loss", False, further_objectives=(Objective("other", True),))
    assert importances(trials_of(100), goals, NAMES)["width"] > 0.9


def test_few_trials_and_trials_without_a_score_tell_nothing_so_the_file_s_order_stays():
    for trials in (trials_of(MIN_TRIALS - 1), trials_of(50, state=State.PRUNED), []):
        found = importances(trials, LOSS, NAMES)
        assert set(found.values()) == {0.0}
        assert by_importance(found) == list(NAMES)


def test_scores_or_values_that_are_all_alike_tell_nothing():
    alike = [Trial(n, {"a": n, "b": 1}, 0, State.COMPLETE, Outcome(State.COMPLETE, 1.0)) for n in range(20)]
    assert set(importances(alike, LOSS, ("a", "b")).values()) == {0.0}
    nan = [Trial(n, {"a": n}, 0, State.COMPLETE, Outcome(State.COMPLETE, float("nan"))) for n in range(20)]
    assert importances(nan, LOSS, ("a",)) == {"a": 0.0}


@pytest.mark.parametrize("seed", range(5))
def test_the_shares_are_those_of_scipy(seed):
    draw = random.Random(seed)
    values = [draw.choice([1.0, 2.0, 3.0, 4.5]) + draw.random() * seed for _ in range(40)]
    groups = [draw.randrange(4) for _ in values]
    n, k = len(values), len(set(groups))
    h = kruskal(
        *([v for v, g in zip(values, groups, strict=True) if g == each] for each in set(groups))
    ).statistic
    share = h / (n - 1)  # of the variance of the ranks, which are corrected for ties
    assert _between_groups(groups, _ranks(values)) == pytest.approx(
        max(0.0, 1 - (1 - share) * (n - 1) / (n - k))
    )
    others = [draw.random() + value for value in values]
    squared = spearmanr(values, others).statistic ** 2
    assert _correlation(_ranks(values), _ranks(others)) == pytest.approx(
        max(0.0, 1 - (1 - squared) * (n - 1) / (n - 2))
    )
