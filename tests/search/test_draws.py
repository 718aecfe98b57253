"""Draws, and the first that a study has not tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spaces import space_of
from tunecli.config.enumeration import point_at, position_of_point
from tunecli.search.draws import N_ATTEMPTS, nth_absent, propose, sobol_units, uniform_draws
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters, State


def history_of(*points: Parameters) -> list[Observation]:
    return [Observation(number, point, State.COMPLETE, 0.0) for number, point in enumerate(points)]


@given(st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_nth_absent_equals_a_listing(present: set[int], rank: int) -> None:
    assert nth_absent(rank, present) == [i for i in range(200) if i not in present][rank]


def test_the_first_new_draw_is_taken_and_no_further_one_is_made() -> None:
    def draws() -> Iterator[Parameters]:
        yield {"x": 1}
        yield {"x": 2}
        pytest.fail("a draw too many")

    assert propose(space_of("{x: {int: [1, 3]}}"), history_of({"x": 1}), 1, 0, draws()) == {"x": 2}


def test_an_exhausted_space_returns_none_without_a_draw() -> None:
    def draws() -> Iterator[Parameters]:
        pytest.fail("a draw too many")
        yield {}

    space = space_of("{x: {choice: [1, true]}}")
    assert propose(space, history_of({"x": 1}, {"x": True}), 2, 0, draws()) is None


def test_1_and_true_are_different_points() -> None:
    draws = [{"x": True}]
    assert propose(space_of("{x: {choice: [1, true]}}"), history_of({"x": 1}), 1, 0, draws) == {"x": True}
    mixed = space_of("{x: {choice: [1, true]}, y: {uniform: [0, 1]}}")
    assert propose(mixed, history_of({"x": 1, "y": 0.5}), 1, 0, [{"x": True, "y": 0.5}, {}]) == {
        "x": True,
        "y": 0.5,
    }


def test_remaining_points_are_equally_likely_if_no_draw_is_new() -> None:
    space = space_of("{x: {int: [0, 9]}}")
    history = history_of(*({"x": x} for x in (0, 3, 4, 9)))
    n_draws = 1200
    counts = Counter(propose(space, history, 4, seed, [{"x": 3}])["x"] for seed in range(n_draws))
    assert set(counts) == {1, 2, 5, 6, 7, 8}
    expected = n_draws / 6
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_squared < 20.5  # its 0.999 quantile at five degrees of freedom


def test_an_infinite_space_gets_a_uniform_draw_if_no_other_is_new() -> None:
    space = space_of("{x: {choice: [a, b]}, y: {uniform: [0, 1]}}")
    point: Parameters = {"x": "a", "y": 0.5}
    first, *others = uniform_draws(space, 1, 0)
    assert propose(space, history_of(point), 1, 0, [point, point]) == first
    assert propose(space, history_of(point, first), 1, 0, [point]) == others[0]


def test_an_infinite_space_repeats_the_last_draw_if_none_is_new() -> None:
    space = space_of("{x: {choice: [a, b]}, y: {uniform: [0, 1]}}")
    draws = list(uniform_draws(space, 1, 0))
    assert propose(space, history_of(*draws), 1, 0) == draws[-1]


def test_a_point_of_10_to_the_24_is_found_by_arithmetic() -> None:
    space = space_of("{" + ", ".join(f"k{i}: {{int: [1, 1000]}}" for i in range(8)) + "}")
    first = point_at(space, 0)
    point = propose(space, history_of(first), 1, 5, [first])
    assert point is not None
    position = position_of_point(space, point)
    assert position is not None
    assert position > 10**18


def test_points_of_another_space_are_ignored() -> None:
    space = space_of("{x: {int: [1, 2]}}")
    assert propose(space, history_of({"x": 7}, {"x": 8}), 2, 0, [{"x": 1}]) == {"x": 1}


def test_uniform_draws_differ_by_attempt_number_and_seed() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    drawn = [
        point["x"] for number in range(3) for seed in range(3) for point in uniform_draws(space, number, seed)
    ]
    assert len(set(drawn)) == 9 * N_ATTEMPTS


def test_skipping_gives_the_later_points_of_the_whole_sequence() -> None:
    whole = sobol_units(16, 3, generator_for(5, "s"))
    one_by_one = [sobol_units(1, 3, generator_for(5, "s"), skip=i)[0] for i in range(16)]
    np.testing.assert_array_equal(whole, one_by_one)
