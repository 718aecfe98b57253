"""Which maps are ranges: the words `lognormal`, `power` and `expr` stay usable as the user's own names."""

from __future__ import annotations

import pytest

from tests.support.spaces import space_of
from tunecli.config.concrete_trial import concrete
from tunecli.config.range_words import FORMED_WORDS, NUMERIC_WORDS, RANGE_WORDS, range_word
from tunecli.config.reader import MapNode, read


def word_of(text: str, path: str = "params.x") -> str:
    node = read(text.encode(), "f")
    assert isinstance(node, MapNode)
    return range_word(node, path)


@pytest.mark.parametrize(
    "text",
    [
        "{power: 3}",
        "{power: [1, 2]}",
        "{power: {of: 2}}",
        "{power: {int: [3, 8]}}",
        "{power: {of: 2, int: [3, 8]}, other: 1}",
        "{lognormal: true}",
        "{lognormal: [0, 1], scale: 3}",
        "{expr: 3}",
        "{expr: 'x + 1', y: 2}",
        "{weights: [1, 2]}",
        "{weights: [1, 2], default: 3}",
        "{default: 1}",
        "{of: 2, power: 3}",
    ],
)
def test_a_map_without_the_whole_form_is_no_range(text):
    assert word_of(text) == ""


@pytest.mark.parametrize(
    "text, word",
    [
        ("{power: {of: 2, int: [3, 8]}}", "power"),
        ("{power: {of: 10, uniform: [-3, 0]}, default: 0.1}", "power"),
        ("{lognormal: [0, 1], step: 0.1}", "lognormal"),
        ("{lognormal: [0]}", "lognormal"),
        ("{expr: 'x + 1'}", "expr"),
        ("{choice: [1, 2], weights: [1, 2]}", "choice"),
        ("{other: 1, int: [1, 2]}", "int"),
    ],
)
def test_a_map_with_the_whole_form_is_a_range(text, word):
    assert word_of(text) == word


@pytest.mark.parametrize("path", ["params", "model.args"])
def test_the_map_of_all_own_parameters_is_no_formula_and_no_lognormal_range(path):
    assert word_of("{expr: 'x + 1'}", path) == ""
    assert word_of("{lognormal: [0, 1]}", path) == ""


def test_parameters_with_these_names_are_passed_on_as_they_are():
    params = {"power": 3, "weights": [1, 2], "lognormal": True, "net": {"power": 2, "expr": "x"}}
    text = "{params: {power: 3, weights: [1, 2], lognormal: true, net: {power: 2, expr: x}}}"
    assert concrete(space_of(text), {}) == {"params": params}
    assert concrete(space_of("{params: {expr: 'x + y'}}"), {}) == {"params": {"expr": "x + y"}}
    space = space_of("{params: {power: {int: [1, 3]}, weights: {choice: [1, 2]}}}")
    assert space.names == ("params.power", "params.weights")


def test_the_lists_of_words_agree():
    assert set(NUMERIC_WORDS) | set(FORMED_WORDS) <= set(RANGE_WORDS)
    assert len(set(RANGE_WORDS)) == len(RANGE_WORDS)
