from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.concrete_trial import concrete
from tunecli.config.enumeration import (
    grid_point,
    grid_position_of_point,
    grid_size,
    point_at,
    position_of_point,
    space_size,
)
from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space, units_of_point
from tunecli.errors import Problem

Tree = Any


def space_of(text: str) -> Space:
    problems: list[Problem] = []
    space = Space(parse(read(text.encode(), "test.yaml"), problems.append))
    assert not problems
    return space


ranges = st.sampled_from(
    [
        {"int": [1, 3]},
        {"int": [0, 9], "step": 4},
        {"logint": [1, 64], "grid": 3},
        {"uniform": [0.0, 1.0], "step": 0.5},
        {"loguniform": [1e-3, 1.0], "step": 0.25, "grid": 2},
        {"choice": [1, True, "1", None]},
        {"choice": ["a", "b"]},
    ]
)


def _larger(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    lengths = st.sampled_from([0, 2, {"int": [0, 2]}, {"choice": [3, 1]}])
    options = st.lists(inner.filter(lambda tree: "choice" not in tree), min_size=1, max_size=3)
    return (
        st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3)
        | st.lists(inner, max_size=2)
        | st.builds(lambda of: {"choice": of}, options.map(lambda of: ["none", *of]))
        | st.builds(lambda of, length: {"list": {"of": of, "length": length}}, inner, lengths)
    )


finite_spaces = (
    st.recursive(ranges | st.just({"fixed": 1}), _larger, max_leaves=6)
    .map(lambda tree: space_of(json.dumps({"root": tree})))
    .filter(lambda space: (space_size(space) or 0) <= 3000)
)


def _key(point: Any) -> str:
    return json.dumps(point, sort_keys=True)


@given(finite_spaces)
def test_points_and_positions_are_inverse_bijections(space: Space) -> None:
    size = space_size(space)
    assert size is not None
    points = [point_at(space, position) for position in range(size)]
    assert [position_of_point(space, point) for point in points] == list(range(size))
    assert len({_key(point) for point in points}) == size


@given(finite_spaces)
def test_grid_points_and_positions_are_inverse_bijections(space: Space) -> None:
    size, all_points = grid_size(space), space_size(space)
    assert size is not None
    assert all_points is not None
    assert 1 <= size <= all_points
    points = [grid_point(space, position) for position in range(size)]
    assert [grid_position_of_point(space, point) for point in points] == list(range(size))


@given(finite_spaces, st.data())
def test_every_numbered_point_belongs_to_the_space(space: Space, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, (space_size(space) or 1) - 1))
    point = point_at(space, position)
    concrete(space, point)
    units_of_point(space, point)
    assert set(point) <= set(space.names)


def test_the_last_key_varies_fastest() -> None:
    space = space_of("{a: {choice: [x, y]}, b: {int: [1, 3]}, c: 5}")
    points = [(point["a"], point["b"]) for point in (point_at(space, i) for i in range(6))]
    assert points == list(product("xy", (1, 2, 3)))


def test_the_size_of_a_choice_sums_its_branches_and_that_of_a_list_its_lengths() -> None:
    choice = space_of("{choice: [{name: a, p: {int: [1, 3]}}, {name: b, q: {int: [1, 5]}}, c]}")
    assert space_size(choice) == 3 + 5 + 1
    listing = space_of("{list: {of: {int: [1, 4]}, length: {int: [0, 3]}}}")
    assert space_size(listing) == 1 + 4 + 16 + 64


def test_a_continuous_range_has_no_size_but_its_grid_has() -> None:
    space = space_of("{lr: {loguniform: [1e-5, 1], grid: 6}, n: {int: [1, 2]}}")
    assert space_size(space) is None
    assert grid_size(space) == 12
    assert grid_size(space_of("{lr: {loguniform: [1e-5, 1]}, n: {int: [1, 2]}}")) is None


def test_a_grid_of_10_to_the_18_points_is_counted_and_numbered_at_once() -> None:
    keys = ", ".join(f"k{i}: {{uniform: [0, 1], grid: 10}}" for i in range(18))
    space = space_of("{" + keys + "}")
    assert grid_size(space) == 10**18
    position = 123_456_789_012_345_678
    point = grid_point(space, position)
    assert [round(9 * float(value)) for value in point.values()] == [int(digit) for digit in str(position)]
    assert grid_position_of_point(space, point) == position


@pytest.mark.parametrize("point", [{}, {"a": "z"}, {"a": "x"}, {"a": "x", "b": 9}, {"a": "x", "b": 1.0}])
def test_values_outside_the_space_have_no_position(point: dict[str, Any]) -> None:
    space = space_of("{a: {choice: [x, y]}, b: {int: [1, 3]}}")
    assert position_of_point(space, point) is None
    assert grid_position_of_point(space, point) is None


def test_a_tree_without_ranges_is_one_point() -> None:
    space = space_of("{model: {name: mlp, hidden: [16, 16]}}")
    assert space_size(space) == grid_size(space) == 1
    assert point_at(space, 0) == {}
    assert position_of_point(space, {}) == 0
