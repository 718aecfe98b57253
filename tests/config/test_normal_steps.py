"""Normal and lognormal ranges: quantiles, steps, grids, and the numbers that they refuse."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from scipy import stats

from tests.support.spaces import space_of
from tunecli.config.domains import Normal, contains, likely_values, unit_of_value, value_of_unit
from tunecli.config.enumeration import grid_point_at, grid_position_of, n_grid_points, space_size
from tunecli.config.labels import described
from tunecli.config.scales import numbers_of_normal, value_of_normal


@pytest.mark.parametrize("unit", [0.001, 0.1, 0.5, 0.77, 0.999])
def test_a_lognormal_range_has_the_mean_and_the_deviation_of_the_natural_logarithm(unit):
    value = value_of_unit(Normal(-7.0, 1.5, is_log=True), unit)
    assert value == pytest.approx(stats.lognorm(1.5, scale=math.exp(-7)).ppf(unit))
    assert unit_of_value(Normal(-7.0, 1.5, is_log=True), value) == pytest.approx(unit)


@pytest.mark.parametrize("domain", [Normal(0.3, 1.0, step=0.1), Normal(-3.0, 1.0, is_log=True, step=0.001)])
def test_every_draw_is_the_multiple_of_the_step_nearest_to_the_normal_draw(domain):
    smooth = Normal(domain.mean, domain.deviation, is_log=domain.is_log)
    for unit in np.linspace(0.0005, 0.9995, 200):
        value, exact = value_of_unit(domain, unit), value_of_unit(smooth, unit)
        assert abs(value - exact) <= domain.step * 0.500001 or (domain.is_log and value == domain.step)
        assert Decimal(repr(value)) % Decimal(repr(domain.step)) == 0
        assert contains(domain, value)


def test_draws_of_a_step_have_the_probability_of_their_interval():
    domain = Normal(0.0, 2.0, step=1.0)
    draws = [value_of_unit(domain, (i + 0.5) / 20_000) for i in range(20_000)]
    for value in (-3.0, 0.0, 1.0):
        share = stats.norm(0, 2).cdf(value + 0.5) - stats.norm(0, 2).cdf(value - 0.5)
        assert draws.count(value) / len(draws) == pytest.approx(share, abs=2e-4)


def test_a_lognormal_number_is_at_least_one_step_and_never_0():
    domain = Normal(-7.0, 1.0, is_log=True, step=0.01)
    assert {value_of_unit(domain, unit) for unit in (0.0, 0.1, 0.5)} == {0.01}
    assert not contains(domain, 0.0)
    assert not contains(domain, -0.01)


@pytest.mark.parametrize("value", [0.15, "0.1", True, math.inf, math.nan, None])
def test_other_values_than_multiples_are_not_in_the_range(value):
    assert not contains(Normal(0.0, 1.0, step=0.1), value)


def test_a_grid_with_steps_has_each_rounded_median_once():
    domain = Normal(0.0, 1.0, grid=9, step=0.5)
    points = [grid_point_at(domain, place) for place in range(n_grid_points(domain))]
    assert points == [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
    assert [grid_position_of(domain, point) for point in points] == list(range(7))
    assert grid_position_of(domain, 2.0) is None


def test_a_lognormal_grid_has_the_medians_of_equally_likely_slices():
    domain = Normal(-2.0, 1.0, grid=4, is_log=True)
    points = [grid_point_at(domain, place) for place in range(4)]
    assert points == pytest.approx(stats.lognorm(1, scale=math.exp(-2)).ppf([0.125, 0.375, 0.625, 0.875]))
    assert [grid_position_of(domain, point) for point in points] == [0, 1, 2, 3]


def test_the_likely_values_are_all_that_draws_give():
    domain = Normal(3.0, 0.4, step=0.5)
    likely = likely_values(domain)
    assert list(likely) == sorted(
        {value_of_unit(domain, unit) for unit in np.linspace(0, 0.9999999999, 3)} | set(likely)
    )
    assert likely[0] == value_of_unit(domain, 0.0)
    assert likely[-1] == value_of_unit(domain, math.nextafter(1, 0))
    assert likely_values(Normal(0.0, 1.0)) == ()
    assert likely_values(Normal(0.0, 1.0, step=1e-9)) == ()


def test_a_normal_range_with_steps_has_no_number_of_points_and_is_described_with_its_step():
    space = space_of("{x: {normal: [0, 1], step: 0.5}, y: {lognormal: [-7, 1]}}")
    assert space_size(space) is None
    assert [described(parameter.domain) for parameter in space.parameters] == [
        "normal 0 ± 1 by 0.5",
        "lognormal -7 ± 1",
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("{lognormal: [0, 0]}", "the deviation of `lognormal` must be above 0"),
        ("{lognormal: [1e-3, 1e-1, 1]}", "`lognormal` must be two finite numbers, [mean, deviation] of the natural logarithm"),
        ("{lognormal: [800, 1]}", "the range is too wide"),
        ("{lognormal: [0, 200]}", "the range is too wide"),
        ("{lognormal: [0, 1], step: 1e-20}", "`step` is too small"),
        ("{normal: [0, 1], step: 0}", "`step` must be a number above 0"),
        ("{normal: [1e9, 1], step: 1e-12}", "`step` is too small"),
        ("{normal: [0, 1], step: 0.1, default: 0.25}", "the default 0.25 is not in the range"),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be_drawn_from_is_refused(text, message):
    with pytest.raises(pytest.fail.Exception) as caught:
        space_of(f"{{x: {text}}}")
    assert message in str(caught.value)


@pytest.mark.parametrize(("step", "is_log"), [(None, False), (None, True), (0.25, False), (0.25, True)])
def test_numbers_between_the_ends_have_the_value_and_others_have_not(step, is_log):
    for number in (-1.5, 0.3, 2.0):
        value = value_of_normal(number, step, is_log=is_log)
        ends = numbers_of_normal(value, step, is_log=is_log)
        if step is None:
            assert ends == pytest.approx((number,))
            continue
        low, high = ends
        assert low <= number <= high
        assert value_of_normal(high - 1e-9, step, is_log=is_log) == value
        assert value_of_normal(high + 1e-9, step, is_log=is_log) > value
