from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.concrete_trial import concrete, locate
from tunecli.config.domains import Categorical, contains
from tunecli.config.expressions import Numeric
from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import (
    Condition,
    Space,
    default_point,
    is_active,
    point_of_units,
    point_with,
    units_of_point,
    values_by_key,
)
from tunecli.errors import Problem
from tunecli.trial import Parameters

OPTIMIZERS = """
hidden: {list: {of: {logint: [16, 256]}, length: {int: [1, 3]}}}
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.9]}}
    - {name: adamw, lr: {loguniform: [1e-5, 1e-1], default: 1e-3}}
"""


def space_of(text: str) -> Space:
    problems: list[Problem] = []
    space = Space(parse(read(text.encode(), "test.yaml"), problems.append))
    assert not problems
    return space


leaves = st.sampled_from(
    [
        "fixed",
        {"int": [1, 3]},
        {"logint": [1, 100], "default": 10},
        {"uniform": [-1.0, 1.0]},
        {"uniform": [0.0, 1.0], "step": 0.1, "default": 0.3},
        {"loguniform": [1e-6, 1.0], "default": 1e-3},
        {"normal": [0.0, 2.0]},
        {"lognormal": [-3, 1], "step": 0.01, "default": 0.05},
        {"power": {"of": 2, "int": [3, 8]}, "default": 64},
        {"choice": ["a", "b"], "weights": [3, 1]},
        {"choice": [32, 64, "full"], "default": 64},
        {"choice": [0, {"loguniform": [1e-6, 1e-1]}]},
    ]
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lengths = st.sampled_from([2, {"int": [0, 3]}, {"choice": [3, 1], "default": 1}])
    options = st.lists(inner.filter(lambda tree: "choice" not in tree), max_size=3)
    return (
        st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3)
        | st.lists(inner, max_size=2)
        | options.map(lambda of: {"choice": [None, *({"key": tree} for tree in of)]})
        | st.builds(lambda of, length: {"list": {"of": of, "length": length}}, inner, lengths)
    )


spaces = st.recursive(leaves, _larger, max_leaves=8).map(
    lambda tree: space_of(json.dumps({"root": tree, "other": {"int": [0, 1]}}))
)


@given(spaces, st.data())
def test_a_point_is_restored_from_its_units(space: Space, data: st.DataObject) -> None:
    unit = st.floats(1e-6, 1 - 1e-6)  # further out a normal's tail has no digits left
    n_parameters = len(space.parameters)
    point = point_of_units(space, data.draw(st.lists(unit, min_size=n_parameters, max_size=n_parameters)))
    units = units_of_point(space, point)
    assert len(units) == n_parameters
    back = point_of_units(space, [0.0 if unit is None else unit for unit in units])
    assert back.keys() == point.keys()
    for name, value in point.items():
        assert back[name] == (pytest.approx(value, rel=1e-9, abs=1e-9) if type(value) is float else value)


@given(spaces, st.randoms(use_true_random=False))
def test_a_point_holds_exactly_the_active_parameters_and_is_concrete(space: Space, random: Any) -> None:
    point = point_of_units(space, [random.random() for _ in space.parameters])
    values = values_by_key(space, point)
    active = [parameter for parameter in space.parameters if is_active(parameter, values)]
    assert [parameter.name for parameter in active] == list(point)
    assert all(contains(parameter.domain, point[parameter.name]) for parameter in active)
    assert "choice" not in json.dumps(concrete(space, point))


@given(spaces)
def test_a_default_point_lies_in_the_space_and_repeats_every_active_default(space: Space) -> None:
    point = default_point(space)
    if point is None:
        return
    concrete(space, point)
    values = values_by_key(space, point)
    assert set(point) == {p.name for p in space.parameters if p.key in values}
    for parameter in space.parameters:
        if parameter.key in values:
            assert contains(parameter.domain, values[parameter.key])
            assert parameter.default in (None, values[parameter.key])


def test_keys_are_unique_and_names_are_paths() -> None:
    space = space_of(OPTIMIZERS)
    keys = [parameter.key for parameter in space.parameters]
    assert keys == [
        "hidden.length",
        "hidden.0",
        "hidden.1",
        "hidden.2",
        "optimizer",
        "optimizer{sgd}.lr",
        "optimizer{sgd}.momentum",
        "optimizer{adamw}.lr",
    ]
    assert space.names == (*keys[:5], "optimizer.lr", "optimizer.momentum")


def test_a_parameter_is_active_only_in_its_branch_and_a_list_item_only_within_its_length() -> None:
    space = space_of(OPTIMIZERS)
    by_key = {parameter.key: parameter for parameter in space.parameters}
    assert by_key["optimizer{sgd}.momentum"].conditions == (Condition("optimizer", ("sgd",)),)
    assert by_key["hidden.1"].conditions == (Condition("hidden.length", (2, 3)),)
    point: Parameters = {"hidden.length": 1, "hidden.0": 64, "optimizer": "adamw", "optimizer.lr": 1e-2}
    units = dict(zip(by_key, units_of_point(space, point), strict=True))
    assert [key for key, unit in units.items() if unit is None] == [
        "hidden.1",
        "hidden.2",
        "optimizer{sgd}.lr",
        "optimizer{sgd}.momentum",
    ]
    assert units["optimizer{adamw}.lr"] == pytest.approx(0.75)


def test_a_concrete_tree_has_the_values_in_the_place_of_the_ranges() -> None:
    point: Parameters = {
        "hidden.length": 2,
        "hidden.0": 64,
        "hidden.1": 32,
        "optimizer": "adamw",
        "optimizer.lr": 0.01,
    }
    assert concrete(space_of(OPTIMIZERS), point) == {
        "hidden": [64, 32],
        "optimizer": {"name": "adamw", "lr": 0.01},
    }


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match=r"optimizer\.lr"):
        concrete(space_of(OPTIMIZERS), {"hidden.length": 0, "optimizer": "adamw"})


def test_options_equal_only_in_python_choose_their_own_branch() -> None:
    space = space_of("{x: {choice: [1, true, 1.0]}}")
    assert [concrete(space, {"x": value})["x"] is value for value in (1, True)] == [True, True]
    assert type(concrete(space, {"x": 1.0})["x"]) is float


def test_a_ref_has_the_value_of_the_key_it_refers_to() -> None:
    space = space_of(
        "{a: {choice: [{name: p, lr: {uniform: [0, 1]}}, q]}, b: {ref: a}, c: {ref: a.lr}, d: [{ref: e.1}], e: [1, 2]}"
    )
    tree = concrete(space, {"a": "p", "a.lr": 0.5})
    assert (tree["b"], tree["c"], tree["d"]) == ({"name": "p", "lr": 0.5}, 0.5, [2])
    with pytest.raises(LookupError, match="does not exist"):
        concrete(space, {"a": "q"})


@pytest.mark.parametrize("text", ["{a: {ref: a}}", "{a: {ref: b}, b: {ref: a}}", "{a: {b: {ref: a}}}"])
def test_a_ref_that_names_itself_is_refused(text: str) -> None:
    with pytest.raises(LookupError, match="refers to itself"):
        concrete(space_of(text), {})


def test_a_space_without_defaults_has_no_default_point() -> None:
    assert default_point(space_of("{a: {int: [1, 3]}, b: 5}")) is None
    assert default_point(space_of("{b: 5}")) is None


def test_parameters_without_a_default_take_their_middle() -> None:
    assert default_point(space_of(OPTIMIZERS)) == {
        "hidden.length": 2,
        "hidden.0": 63,
        "hidden.1": 63,
        "optimizer": "adamw",
        "optimizer.lr": 1e-3,
    }


def test_a_choice_may_name_its_default_branch() -> None:
    text = "{x: {choice: [{name: a}, {name: b, p: {uniform: [0, 1]}}, null], default: b}}"
    assert default_point(space_of(text)) == {"x": "b", "x.p": 0.5}
    assert default_point(space_of("{x: {choice: [1, null], default: null}}")) == {"x": None}


def test_a_list_takes_the_default_of_the_whole_or_of_its_length() -> None:
    whole = "{x: {list: {of: {int: [1, 99]}, length: {int: [1, 4]}}, default: [7, 8]}}"
    assert default_point(space_of(whole)) == {"x.length": 2, "x.0": 7, "x.1": 8}
    length = "{x: {list: {of: {int: [1, 99]}, length: {int: [1, 4], default: 1}}}}"
    assert default_point(space_of(length)) == {"x.length": 1, "x.0": 50}


def test_a_list_of_choices_takes_its_default_with_the_branches_it_names() -> None:
    text = """
    {x: {list: {of: {choice: [{cut: {fraction: {uniform: [0, 1]}}}, {clip: {value: {uniform: [2, 4]}}}]}, length: 2},
         default: [clip, cut]}}
    """
    space = space_of(text)
    point = default_point(space)
    assert point == {
        "x.length": 2,
        "x.0": "clip",
        "x.0.clip.value": 3.0,
        "x.1": "cut",
        "x.1.cut.fraction": 0.5,
    }
    assert concrete(space, point) == {"x": [{"clip": {"value": 3.0}}, {"cut": {"fraction": 0.5}}]}


def test_a_list_of_choices_between_numbers_takes_its_default_too() -> None:
    text = "{x: {list: {of: {choice: [0, {uniform: [1, 3]}]}, length: 2}, default: [uniform, 0]}}"
    assert default_point(space_of(text)) == {
        "x.length": 2,
        "x.0.choice": "uniform",
        "x.0": 2.0,
        "x.1.choice": 0,
    }


def test_a_path_is_followed_through_the_choices_made_past_steps_that_are_no_keys() -> None:
    space = space_of(OPTIMIZERS)
    point: Parameters = {"hidden.length": 1, "hidden.0": 64, "optimizer": "adamw", "optimizer.lr": 0.01}
    taken, found = locate(space, point, ["optimizer", "AdamW", "lr", "float"])
    assert taken == ("optimizer", "lr")
    assert isinstance(found, Numeric)
    assert found.default == 1e-3
    assert locate(space, point, ["hidden", 0])[0] == ("hidden", 0)
    assert locate(space, point, ["optimizer", "momentum"])[0] == ("optimizer",)


def test_a_point_with_chosen_parents_has_their_branch_and_middle_values_elsewhere() -> None:
    space = space_of(OPTIMIZERS)
    assert point_with(space, {"optimizer": "adamw", "hidden.length": 1}) == {
        "hidden.length": 1,
        "hidden.0": 63,
        "optimizer": "adamw",
        "optimizer.lr": 1e-3,
    }
    assert point_with(space, {"optimizer": "sgd", "optimizer{sgd}.lr": 0.5})["optimizer.lr"] == 0.5


def test_many_options_of_one_name_have_labels_of_their_own() -> None:
    cuts = ", ".join("{cut: {fraction: {uniform: [0, 1]}}}" for _ in range(4))
    space = space_of(f"{{x: {{choice: [{cuts}, {{name: 'cut#2'}}]}}}}")
    assert len({parameter.key for parameter in space.parameters}) == 5
    options = space.parameters[0].domain
    assert isinstance(options, Categorical)
    assert len(set(options.options)) == 5
