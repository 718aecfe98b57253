"""Which points meet `search.where` and `search.forbid`, and how many."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, product

import pytest

from tests.support.spaces import space_of
from tunecli.config.concrete_trial import points_to_check
from tunecli.config.constraints import Combination, Constraints
from tunecli.config.enumeration import grid_point, grid_size, point_at, space_size
from tunecli.config.feasibility import (
    MAX_LISTED,
    Share,
    feasible_default,
    feasible_grid_positions,
    feasible_points,
    feasible_positions,
    feasible_share,
    is_feasible,
    n_feasible,
    n_feasible_grid,
    n_of_small_grid,
    nearest_feasible,
    random_points,
)

BRANCHES = "{opt: {choice: [{name: sgd, momentum: {uniform: [0, 1]}}, adam]}, lr: {uniform: [0, 1]}}"


@pytest.mark.parametrize(
    ("condition", "point", "expected"),
    [
        ("lr < 0.5", {"opt": "adam", "lr": 0.25}, True),
        ("lr < 0.5", {"opt": "adam", "lr": 0.5}, False),
        ("opt.momentum > 0.5", {"opt": "adam", "lr": 0.5}, True),
        ("opt.momentum > 0.5", {"opt": "sgd", "lr": 0.5, "opt.momentum": 0.25}, False),
        ('opt == "adam" or lr > 0.5', {"opt": "adam", "lr": 0.0}, True),
        ('opt != "sgd" or opt.momentum < lr', {"opt": "sgd", "lr": 0.5, "opt.momentum": 0.75}, False),
        ("1 / lr > 2", {"opt": "adam", "lr": 0.0}, False),
        ("opt > 1", {"opt": "adam", "lr": 0.0}, False),
    ],
)
def test_a_condition_applies_where_its_names_have_values_and_fails_where_it_cannot_be_computed(
    condition, point, expected
):
    assert is_feasible(space_of(BRANCHES, condition), point) is expected


@pytest.mark.parametrize(
    ("combination", "n_left"),
    [
        ((("a", (1,)), ("b", ("x",))), 5),
        ((("a", (1, 2)), ("b", ("x",))), 4),
        ((("a", (1.0,)),), 4),
        ((("a", (True,)),), 6),
        ((("c", (5,)), ("a", (3,))), 4),
        ((("c", (6,)), ("a", (3,))), 6),
        ((("m", ("mlp",)), ("a", (3,))), 4),
        ((("absent", (3,)),), 6),
    ],
)
def test_a_combination_forbids_the_points_that_have_all_of_its_values(combination, n_left):
    space = space_of("{a: {choice: [1, 2, 3]}, b: {choice: [x, y]}, c: 5, m: {name: mlp, width: 3}}")
    space = replace(space, constraints=Constraints(forbid=(Combination(combination),)))
    assert n_feasible(space) == n_left


def test_names_under_params_need_no_prefix():
    space = space_of("{python: 'm:f', params: {batch: {choice: [8, 16]}, tiny: 8}}", "batch / 2 >= tiny")
    assert [is_feasible(space, {"params.batch": batch}) for batch in (8, 16)] == [False, True]


def test_fixed_values_and_references_have_their_values_in_conditions():
    space = space_of("{a: {int: [1, 9]}, b: 4, c: {ref: a}}", "a > b", "c < 7")
    assert [point["a"] for p in feasible_positions(space) for point in [point_at(space, p)]] == [5, 6]


CONDITIONS = {
    "a > b": lambda a, b, c: a > b,
    "a + b == 4": lambda a, b, c: a + b == 4,
    "a * b % 3 == 1": lambda a, b, c: a * b % 3 == 1,
    "a != b or c == 2": lambda a, b, c: a != b or c == 2,
    "c > 9": lambda a, b, c: c > 9,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_finite_space_is_counted_exactly(condition):
    space = space_of("{a: {int: [1, 5]}, b: {int: [0, 4]}, c: {choice: [1, 2]}}", condition)
    expected = [
        {"a": a, "b": b, "c": c}
        for a, b, c in product(range(1, 6), range(5), (1, 2))
        if CONDITIONS[condition](a, b, c)
    ]
    assert [point_at(space, position) for position in feasible_positions(space)] == expected
    assert feasible_share(space) == Share(len(expected), 50, is_exact=True)
    assert [grid_point(space, position) for position in feasible_grid_positions(space)] == expected
    assert n_feasible_grid(space) == n_feasible(space) == len(expected)


def test_a_continuous_space_is_sampled():
    space = space_of("{a: {uniform: [0, 1]}, b: {uniform: [0, 1]}}", "a + b < 0.5")
    share = feasible_share(space)
    assert not share.is_exact
    assert share.fraction == pytest.approx(0.125, abs=0.02)
    assert feasible_positions(space) is None
    assert all(is_feasible(space, point) for point in feasible_points(space))


def test_a_large_grid_is_read_only_as_far_as_needed():
    space = space_of("{a: {int: [1, 1000000]}, b: {int: [1, 1000000]}}", "b % 100 == 0")
    assert (grid_size(space) or 0) > MAX_LISTED
    assert list(islice(feasible_grid_positions(space), 2)) == [99, 199]
    assert list(islice(feasible_grid_positions(space), 3)) == [99, 199, 299]
    assert n_of_small_grid(space, 5) is None


def test_a_space_without_constraints_is_wholly_feasible():
    space = space_of("{a: {int: [1, 5]}}")
    assert list(feasible_positions(space)) == list(feasible_grid_positions(space)) == list(range(5))
    assert feasible_share(space) == Share(5, 5, is_exact=True)
    assert n_of_small_grid(space, 5) == 5
    assert n_of_small_grid(space, 4) is None


def test_defaults_that_break_a_condition_are_no_point():
    text = "{a: {int: [1, 5], default: 2}}"
    assert feasible_default(space_of(text, "a < 3")) == {"a": 2}
    assert feasible_default(space_of(text, "a > 3")) is None


def test_the_nearest_feasible_point_lies_on_the_way_to_a_feasible_one():
    space = space_of("{a: {uniform: [0, 1]}, k: {choice: [x, {name: y, z: {uniform: [0, 1]}}]}}", "a < 0.4")
    start, anchor = {"a": 0.9, "k": "x"}, {"a": 0.1, "k": "y", "k.z": 0.3}
    moved = nearest_feasible(space, start, anchor, lambda point: is_feasible(space, point))
    assert 0.37 < moved["a"] < 0.4
    assert nearest_feasible(space, start, anchor, lambda point: False) is None


def test_the_checked_points_meet_the_constraints_and_keep_every_possible_option():
    space = space_of("{a: {choice: [1, 2, 3]}, b: {choice: [1, 2, 3]}, c: {choice: [x, y]}}", "a > b")
    points = list(points_to_check(space))
    assert all(is_feasible(space, point) for point in points)
    assert {point["a"] for point in points} == {2, 3}
    assert {point["b"] for point in points} == {1, 2}


def test_random_points_are_the_same_every_time():
    space = space_of(BRANCHES)
    assert list(islice(random_points(space), 300)) == list(islice(random_points(space), 300))
    assert (space_size(space)) is None
