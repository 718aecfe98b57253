"""What distinguishes a running trial: where it comes from, and the values in which it differs from the others."""

import pytest

from tunecli.messages import Origins
from tunecli.results.notable import Notable, notable_values, origin_of, why_of
from tunecli.trial import Trial

SCALES = {"lr": (1e-4, 1.0, True), "dropout": (0.0, 0.5, False)}
EVEN = {"lr": 0.0, "dropout": 0.0, "activation": 0.0, "epochs": 0.0}


def trial(number=0, **parameters):
    return Trial(number, parameters, 0)


def found(one, best=(), others=(), importance_of=EVEN):
    return notable_values(one, best, others, SCALES, importance_of)


def test_a_number_is_notable_if_it_is_far_from_that_of_each_of_the_best_trials():
    best = [trial(lr=0.01), trial(lr=0.02)]
    assert found(trial(lr=0.9), best) == [Notable("lr", 0.9, "best", (0.01, 0.02))]
    assert found(trial(lr=0.03), best) == []
    assert found(trial(lr=0.1), [trial(lr=0.001), trial(lr=0.1)]) == []


def test_distance_is_measured_on_the_scale_of_the_range():
    best = [trial(lr=0.0002, dropout=0.1)]
    assert [one.name for one in found(trial(lr=0.01, dropout=0.11), best)] == ["lr"]


def test_an_option_is_notable_if_none_of_the_best_trials_or_no_other_running_trial_has_it():
    best, others = [trial(activation="relu")], [trial(activation="relu")]
    assert found(trial(activation="tanh"), best) == [Notable("activation", "tanh", "best")]
    assert found(trial(activation="tanh"), best, others)[0].is_alone
    assert found(trial(activation="tanh"), (), others) == [
        Notable("activation", "tanh", "others", is_alone=True)
    ]
    assert found(trial(activation="relu"), best, others) == []
    assert found(trial(activation="relu"), best, [trial(activation="tanh")]) == []
    assert found(trial(activation="relu"), best, [trial(activation="tanh")] * 2)[0].is_alone


def test_one_and_true_are_different_options():
    assert found(trial(activation=True), [trial(activation=1)]) == [Notable("activation", True, "best")]


def test_the_parameter_of_the_highest_importance_comes_first_and_three_are_shown():
    best = [trial(lr=0.0001, dropout=0.0, activation="relu", epochs=1)]
    one = trial(lr=1.0, dropout=0.5, activation="tanh", epochs=2)
    important = {**EVEN, "epochs": 0.9, "dropout": 0.3}
    assert [value.name for value in found(one, best, importance_of=important)] == ["epochs", "dropout", "lr"]


def test_without_a_best_trial_numbers_are_compared_with_the_other_running_trials():
    assert found(trial(dropout=0.5), (), [trial(dropout=0.1)]) == [
        Notable("dropout", 0.5, "others", (0.1, 0.1))
    ]
    assert found(trial(dropout=0.5)) == []


def test_a_parameter_that_no_other_trial_has_is_not_notable_as_a_number():
    assert found(trial(lr=0.5), [trial(dropout=0.1)], [trial(activation="relu")]) == []


FIRST = frozenset(range(4))
ORIGINS = Origins(({"lr": 0.5},), {"lr": 0.1}, "quasi-random", FIRST)


@pytest.mark.parametrize(
    ("one", "origins", "origin"),
    [
        (trial(0, lr=0.5), ORIGINS, "start point"),
        (trial(1, lr=0.1), ORIGINS, "default"),
        (trial(2, lr=0.3), ORIGINS, "quasi-random"),
        (trial(4, lr=0.3), ORIGINS, "model"),
        (trial(0, lr=0.3), Origins((), None, "quasi-random", FIRST), "first trial"),
        (trial(0, lr=0.3), Origins((), None, "quasi-random", FIRST, ({"lr": 0.3},)), "earlier study"),
        (trial(0, lr=0.3), Origins((), None, "random"), "random"),
        (trial(9, lr=0.3), Origins((), None, "grid"), "grid"),
    ],
)
def test_a_trial_says_where_it_comes_from(one, origins, origin):
    assert origin_of(one, origins, [(0, 0.5), (1, 0.25)]) == origin


def test_without_two_different_scores_before_it_no_trial_comes_from_a_model():
    scores = [(0, 0.5), (1, 0.5), (5, 0.1)]
    assert origin_of(trial(4, lr=0.3), ORIGINS, scores) == "quasi-random"
    assert origin_of(trial(6, lr=0.3), ORIGINS, scores) == "model"


@pytest.mark.parametrize(
    ("failed", "from_epoch", "is_continued", "why"),
    [
        ("", 0, False, "model"),
        ("oom", 0, False, "retry (oom)"),
        ("lost", 3, False, "retry (lost) from epoch 3"),
        ("", 6, True, "continues from epoch 6"),
        ("", 0, True, "begins again"),
    ],
)
def test_an_attempt_says_why_it_runs(failed, from_epoch, is_continued, why):
    assert why_of("model", failed, from_epoch, is_continued=is_continued) == why
