"""The Sobol sequence, one point a trial."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import qmc

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, sobol_units, uniform_draws
from tunecli.search.samplers.random import quasirandom
from tunecli.seeding import generator_for
from tunecli.trial import Observation, State


def space_of(text: str) -> Space:
    return Space(parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))


def test_skipping_gives_the_points_that_drawing_all_would() -> None:
    whole = sobol_units(16, 3, generator_for(5, "s"))
    one_by_one = [sobol_units(1, 3, generator_for(5, "s"), skip=i)[0] for i in range(16)]
    np.testing.assert_array_equal(whole, one_by_one)


def test_the_first_64_trials_are_balanced_in_every_dimension() -> None:
    space = space_of("{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}, act: {choice: [a, b, c, d]}}")
    points = [quasirandom(space, [], number, 3) or {} for number in range(64)]
    for name in ("x", "y"):
        values = sorted(float(point[name]) for point in points)
        assert [int(64 * value) for value in values] == list(range(64))
    assert [sum(point["act"] == label for point in points) for label in "abcd"] == [16] * 4
    units = np.array([[point["x"], point["y"]] for point in points], dtype=float)
    uniform = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(units) < 0.5 * qmc.discrepancy(uniform)


def test_a_default_uses_up_no_point_of_the_sequence() -> None:
    plain, told = space_of("{x: {uniform: [0, 1]}}"), space_of("{x: {uniform: [0, 1], default: 0.25}}")
    assert quasirandom(told, [], 0, 9) == {"x": 0.25}
    for number in range(5):
        assert quasirandom(told, [], number + 1, 9) == quasirandom(plain, [], number, 9)


def test_another_seed_is_another_sequence() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    firsts = sorted(float((quasirandom(space, [], 0, seed) or {})["x"]) for seed in range(20))
    assert all(a < b for a, b in pairwise(firsts))


def test_a_point_proposed_before_is_replaced_by_a_uniform_draw() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    own = quasirandom(space, [], 1, 4)
    assert own is not None
    history = [Observation(0, own, State.FAILED)]
    assert quasirandom(space, history, 1, 4) == next(uniform_draws(space, 1, 4))


def test_beyond_the_tabulated_dimensions_the_draw_is_uniform() -> None:
    depth = "{list: {of: {list: {of: {list: {of: {uniform: [0, 1]}, length: 7}}, length: 56}}, length: 56}}"
    space = space_of(f"{{x: {depth}}}")
    assert len(space.parameters) > MAX_SOBOL_DIMENSIONS
    assert quasirandom(space, [], 0, 4) == next(uniform_draws(space, 0, 4))
