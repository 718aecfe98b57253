"""Importance: high for a parameter that decides the score, about 0 for another, and 0 for all with few trials."""

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
    trials = []
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
        trials.append(
            Trial(number, point, 0, state, Outcome(state, loss, {"loss": loss, "other": point["width"]}))
        )
    return trials


def test_the_deciding_parameter_ranks_first_even_if_its_best_value_is_in_the_middle():
    importance_of = importances(trials_of(200), LOSS, NAMES)
    assert by_importance(importance_of)[:2] == ["rate", "kind"]
    assert importance_of["rate"] > 0.3
    assert max(importance_of["noise"], importance_of["width"]) < 0.1


def test_importance_includes_every_objective():
    goals = Objective("loss", False, further_objectives=(Objective("other", True),))
    assert importances(trials_of(100), goals, NAMES)["width"] > 0.9


def test_importance_is_zero_for_few_trials_or_without_scores_and_the_order_of_the_file_stays():
    for trials in (trials_of(MIN_TRIALS - 1), trials_of(50, state=State.PRUNED), []):
        importance_of = importances(trials, LOSS, NAMES)
        assert set(importance_of.values()) == {0.0}
        assert by_importance(importance_of) == list(NAMES)


def test_importance_is_zero_if_all_scores_or_all_values_are_equal():
    alike = [Trial(n, {"a": n, "b": 1}, 0, State.COMPLETE, Outcome(State.COMPLETE, 1.0)) for n in range(20)]
    assert set(importances(alike, LOSS, ("a", "b")).values()) == {0.0}
    nan = [Trial(n, {"a": n}, 0, State.COMPLETE, Outcome(State.COMPLETE, float("nan"))) for n in range(20)]
    assert importances(nan, LOSS, ("a",)) == {"a": 0.0}


@pytest.mark.parametrize("seed", range(5))
def test_the_fractions_agree_with_scipy(seed):
    draw = random.Random(seed)
    values = [draw.choice([1.0, 2.0, 3.0, 4.5]) + draw.random() * seed for _ in range(40)]
    groups = [draw.randrange(4) for _ in values]
    n, k = len(values), len(set(groups))
    h = kruskal(
        *([v for v, g in zip(values, groups, strict=True) if g == group] for group in set(groups))
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
