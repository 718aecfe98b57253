"""The shapes of curves against exact values, scipy and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import linregress

from tunecli.results.advice.curve_shapes import rise, smoothed, step_noise, trend


@pytest.mark.parametrize("n", [4, 5, 7, 12, 60])
def test_step_noise_of_independent_values_is_their_deviation(n):
    values = np.random.default_rng(n).normal(0, 2.0, (4000, n)).tolist()
    mean_square = np.mean([step_noise(row) ** 2 for row in values])
    # Of a long curve the smaller of two estimates counts, which is a little below the deviation.
    assert 0.85 * 4.0 < mean_square < 1.05 * 4.0


def test_step_noise_ignores_a_parabola():
    assert step_noise([0.3 * i * i - 2.0 * i for i in range(30)]) == pytest.approx(0, abs=1e-12)


def test_fewer_than_four_values_have_no_noise():
    assert step_noise([1.0, 5.0, 2.0]) == 0.0


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_the_further_fall_of_an_exponential_is_exact(rate):
    n = 400
    curve = [math.exp(-rate * i / n) for i in range(1, n + 1)]
    assert trend(curve).further_fall == pytest.approx(math.exp(-rate) - math.exp(-1.5 * rate), rel=0.02)


def test_a_straight_line_goes_on():
    line = [1 - i / 40 for i in range(40)]
    assert trend(line).further_fall == pytest.approx(0.5, rel=0.03)
    assert trend(line).t > 1e6


def test_the_slope_has_the_t_of_a_regression():
    values = (1 - 0.01 * np.arange(40) + np.random.default_rng(0).normal(0, 0.05, 40)).tolist()
    expected = linregress(range(10), values[-10:])
    assert trend(values).t == pytest.approx(-expected.slope / expected.stderr)
    assert trend(values).fall == pytest.approx(-10 * expected.slope)


def test_a_constant_curve_neither_falls_nor_rises():
    flat = [0.5] * 20
    assert (trend(flat).t, trend(flat).further_fall, rise(flat).height) == (0.0, 0.0, 0.0)


def test_a_rise_is_the_distance_from_the_least_smoothed_value():
    values = [1.0] * 5 + [0.0] * 20 + [0.5] * 15
    found = rise(values)
    assert (found.height, found.depth) == (0.5, 1.0)
    assert values[found.epoch_index] == 0.0


def test_smoothing_keeps_the_length_and_uses_whole_windows():
    assert smoothed([3.0, 0.0, 0.0, 6.0]) == [1.0, 1.0, 2.0, 2.0]
