"""Random and quasi-random search."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import stats
from scipy.stats import qmc

from tests.support.spaces import space_of
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, uniform_draws
from tunecli.search.samplers.random import quasirandom, random
from tunecli.trial import Observation, State


def test_random_trials_are_uniform_in_the_scale_of_each_parameter() -> None:
    space = space_of("{lr: {loguniform: [1e-6, 1]}, x: {uniform: [2, 4]}, act: {choice: [a, b, c, d]}}")
    points = [random(space, [], number, 11) or {} for number in range(1500)]
    log_lr = np.log([float(point["lr"]) for point in points])
    low = np.log(1e-6)
    assert stats.kstest(log_lr, stats.uniform(low, -low).cdf).pvalue > 0.01
    x = np.array([point["x"] for point in points], dtype=float)
    assert stats.kstest(x, stats.uniform(2, 2).cdf).pvalue > 0.01
    counts = [sum(point["act"] == label for point in points) for label in "abcd"]
    assert stats.chisquare(counts).pvalue > 0.01
    assert abs(stats.spearmanr(log_lr, x).statistic) < 0.1


def test_the_first_64_sobol_points_are_balanced_in_every_dimension() -> None:
    space = space_of("{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}, act: {choice: [a, b, c, d]}}")
    points = [quasirandom(space, [], number, 3) or {} for number in range(64)]
    for name in ("x", "y"):
        values = sorted(float(point[name]) for point in points)
        assert [int(64 * value) for value in values] == list(range(64))
    assert [sum(point["act"] == label for point in points) for label in "abcd"] == [16] * 4
    units = np.array([[point["x"], point["y"]] for point in points], dtype=float)
    uniform = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(units) < 0.5 * qmc.discrepancy(uniform)


def test_a_default_takes_no_point_of_the_sequence() -> None:
    plain, with_default = (
        space_of("{x: {uniform: [0, 1]}}"),
        space_of("{x: {uniform: [0, 1], default: 0.25}}"),
    )
    assert quasirandom(with_default, [], 0, 9) == {"x": 0.25}
    for number in range(5):
        assert quasirandom(with_default, [], number + 1, 9) == quasirandom(plain, [], number, 9)


def test_every_seed_has_its_own_sequence() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    firsts = sorted(float((quasirandom(space, [], 0, seed) or {})["x"]) for seed in range(20))
    assert all(a < b for a, b in pairwise(firsts))


def test_a_uniform_draw_replaces_a_sobol_point_that_was_tried() -> None:
    space = space_of("{x: {uniform: [0, 1]}}")
    sobol = quasirandom(space, [], 1, 4)
    assert sobol is not None
    history = [Observation(0, sobol, State.FAILED)]
    assert quasirandom(space, history, 1, 4) == next(uniform_draws(space, 1, 4))


def test_draws_are_uniform_beyond_the_tabulated_dimensions() -> None:
    depth = "{list: {of: {list: {of: {list: {of: {uniform: [0, 1]}, length: 7}}, length: 56}}, length: 56}}"
    space = space_of(f"{{x: {depth}}}")
    assert len(space.parameters) > MAX_SOBOL_DIMENSIONS
    assert quasirandom(space, [], 0, 4) == next(uniform_draws(space, 0, 4))
