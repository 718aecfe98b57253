"""Weights of a choice: how often its options are drawn; a choice without weights is unchanged."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.spaces import space_of
from tunecli.config.domains import Categorical, unit_of_value, value_of_unit
from tunecli.config.enumeration import grid_point, space_size
from tunecli.config.space import default_point
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, State

WEIGHTED = space_of("{x: {choice: [a, b, c], weights: [3, 1, 1]}, lr: {uniform: [0, 1]}}")
PLAIN = space_of("{x: {choice: [a, b, c]}, lr: {uniform: [0, 1]}}")


def drawn(space, sampler, n):
    return Counter(suggest(sampler, space, [], number, 7)["x"] for number in range(n))


def test_options_are_drawn_as_often_as_their_weights_say():
    counts = drawn(WEIGHTED, "random", 2000)
    assert [counts[option] / 2000 for option in "abc"] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)
    counts = drawn(WEIGHTED, "quasirandom", 256)
    assert [counts[option] / 256 for option in "abc"] == pytest.approx([0.6, 0.2, 0.2], abs=0.01)


def test_equal_weights_are_the_same_as_none():
    equal = space_of("{x: {choice: [a, b, c], weights: [2, 2, 2]}, lr: {uniform: [0, 1]}}")
    for number in range(50):
        assert suggest("random", equal, [], number, 3) == suggest("random", PLAIN, [], number, 3)


@pytest.mark.parametrize("sampler", ["random", "quasirandom", "bayes", "tpe", "cmaes"])
def test_every_sampler_suggests_options_of_a_weighted_choice(sampler):
    pytest.importorskip("optuna" if sampler == "tpe" else "cmaes" if sampler == "cmaes" else "numpy")
    space = space_of("{x: {choice: [a, b], weights: [9, 1]}, n: {int: [1, 5]}, z: {uniform: [0, 1]}}")
    history = []
    for number in range(14):
        point = suggest(sampler, space, history, number, 7)
        loss = (point["n"] - 2) ** 2 + (point["x"] == "a") + point["z"]
        history.append(Observation(number, point, State.COMPLETE, loss))
    assert {observation.parameters["x"] for observation in history} <= {"a", "b"}
    assert min(observation.loss for observation in history) < 2


def test_bayes_finds_a_rare_option():
    space = space_of("{x: {choice: [a, b, c], weights: [50, 1, 1]}, z: {uniform: [0, 1]}}")
    history = []
    for number in range(20):
        point = suggest("bayes", space, history, number, 1)
        loss = (point["z"] - 0.3) ** 2 + (0.0 if point["x"] == "c" else 1.0)
        history.append(Observation(number, point, State.COMPLETE, loss))
    assert min(history, key=lambda trial: trial.loss).parameters["x"] == "c"


def test_weights_change_neither_the_grid_nor_the_default():
    text = "{{x: {{choice: [a, b, c], default: b{}}}}}"
    plain, weighted = space_of(text.format("")), space_of(text.format(", weights: [9, 1, 5]"))
    assert [grid_point(plain, place) for place in range(3)] == [
        grid_point(weighted, place) for place in range(3)
    ]
    assert space_size(weighted) == 3
    assert default_point(weighted) == {"x": "b"}


def test_a_weight_far_smaller_than_another_still_has_its_own_units():
    domain = Categorical(("a", "b", "c"), (1e9, 1.0, 1e9))
    for option in domain.options:
        assert value_of_unit(domain, unit_of_value(domain, option)) == option


@pytest.mark.parametrize(
    "weights, message",
    [
        ("[1, 2]", "`weights` must be 3 numbers above 0, one for each option"),
        ("[1, 2, 0]", "`weights` must be 3 numbers above 0"),
        ("[1, 2, -1]", "`weights` must be 3 numbers above 0"),
        ("[1, 2, .inf]", "`weights` must be 3 numbers above 0"),
        ("[1, 2, true]", "`weights` must be 3 numbers above 0"),
        ("[1, 2, [3]]", "`weights` must be 3 numbers above 0"),
        ("3", "`weights` must be 3 numbers above 0"),
        ("[1, 1, 1e-10]", "the smallest weight must be at least 1e-09 of the largest"),
    ],
)
def test_other_weights_are_refused(weights, message):
    with pytest.raises(pytest.fail.Exception) as caught:
        space_of(f"{{x: {{choice: [a, b, c], weights: {weights}}}}}")
    assert message in str(caught.value)
