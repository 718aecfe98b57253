from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tunecli.config.domains import (
    Categorical,
    Domain,
    Integer,
    Normal,
    Powers,
    Real,
    bounds,
    centre,
    contains,
    n_values,
    position_of,
    unit_of_value,
    value_at,
    value_of_unit,
)
from tunecli.config.enumeration import grid_point_at, grid_position_of, n_grid_points
from tunecli.trial import Scalar

grids = st.none() | st.integers(1, 40)
units = st.floats(0, 1, exclude_max=True)


def _real(low: float, width: float, n_steps: float | None, is_log: bool, grid: int | None) -> Real:
    low = abs(low) + 1e-6 if is_log else low
    step = None if n_steps is None or not width else width / n_steps
    return Real(low, low + width, is_log, step, grid)


reals = st.builds(
    _real,
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e4) | st.just(0.0),
    st.none() | st.floats(0.5, 200),
    st.booleans(),
    grids,
)
integers = st.builds(
    lambda low, width, is_log, step, grid: Integer(
        max(low, 1) if is_log else low, max(low, 1) + width, is_log, step, grid
    ),
    st.integers(-1000, 1000),
    st.integers(0, 5000),
    st.booleans(),
    st.integers(1, 70),
    grids,
)
scalars: st.SearchStrategy[Scalar] = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("abc")
categoricals = st.lists(
    scalars | st.just(1.0), min_size=1, max_size=6, unique_by=lambda value: (type(value), value)
).map(lambda options: Categorical(tuple(options)))
weighted = categoricals.flatmap(
    lambda domain: st.lists(
        st.floats(1e-3, 1e3), min_size=len(domain.options), max_size=len(domain.options)
    ).map(lambda weights: Categorical(domain.options, tuple(weights)))
)
steps = st.none() | st.floats(0.01, 3)
normals = st.builds(Normal, st.floats(-10, 10), st.floats(0.1, 10), grids, st.just(False), steps)
lognormals = st.builds(Normal, st.floats(-3, 3), st.floats(0.1, 2), grids, st.just(True), steps)
exponents = (
    st.builds(lambda low, width, grid: Integer(low, low + width, grid=grid), st.integers(-20, 20), st.integers(0, 30), grids)
    | st.builds(lambda low, width, step, grid: Real(low, low + width, False, step, grid),
                st.floats(-9, 9), st.floats(0.1, 9), st.none() | st.sampled_from((0.1, 0.25, 1.5)), grids)
    | st.builds(Normal, st.floats(-3, 3), st.floats(0.1, 1), grids, st.just(False), st.none() | st.just(0.5))
)  # fmt: skip
powers = st.builds(Powers, st.sampled_from((2, 10, 2.0, 1.5, 0.5, 3)), exponents)
domains = reals | integers | categoricals | weighted | normals | lognormals | powers


def _same(a: Scalar, b: Scalar) -> bool:
    return type(a) is type(b) and a == b


@settings(deadline=None)
@given(domains, units)
def test_any_unit_is_a_value_of_the_domain(domain: Domain, unit: float) -> None:
    assert contains(domain, value_of_unit(domain, unit))


@settings(deadline=None)
@given(domains, units)
def test_a_value_is_restored_from_its_unit(domain: Domain, unit: float) -> None:
    value = value_of_unit(domain, unit)
    back = value_of_unit(domain, unit_of_value(domain, value))
    if n_values(domain) is None:
        assert unit_of_value(domain, back) == pytest.approx(unit_of_value(domain, value), abs=1e-11)
    else:
        assert _same(back, value)


@settings(deadline=None)
@given(domains)
def test_values_and_positions_are_inverse_bijections(domain: Domain) -> None:
    count = n_values(domain)
    if count is None:
        assert position_of(domain, value_of_unit(domain, 0.3)) is None
        return
    values = [value_at(domain, position) for position in range(count)]
    assert [position_of(domain, value) for value in values] == list(range(count))
    assert all(contains(domain, value) for value in values)


@settings(deadline=None)
@given(domains)
def test_grid_points_and_grid_positions_are_inverse_bijections(domain: Domain) -> None:
    count = n_grid_points(domain)
    if count is None:
        assert n_values(domain) is None
        return
    points = [grid_point_at(domain, position) for position in range(count)]
    assert [grid_position_of(domain, point) for point in points] == list(range(count))
    assert all(contains(domain, point) for point in points)


@pytest.mark.parametrize(
    "domain",
    [
        Real(1.0, 1.0 + 1e-11, grid=7),
        Real(1.0, 1.0 + 1e-9, is_log=True, grid=50),
        Real(1e-3, 1.0, is_log=True, step=0.01, grid=9),
        Normal(1e6, 1e-6, grid=9),
        Integer(1, 1000, is_log=True, step=3, grid=40),
    ],
)
def test_points_of_narrow_and_uneven_grids_are_found_but_not_their_neighbours(domain: Domain) -> None:
    points = [grid_point_at(domain, position) for position in range(n_grid_points(domain) or 0)]
    assert [grid_position_of(domain, point) for point in points] == [points.index(point) for point in points]
    for beside in (2e9, -1.0, 0.4999, True, "1", None, float("nan"), float("inf")):
        assert grid_position_of(domain, beside) is None


@settings(deadline=None)
@given(reals | integers | normals | lognormals)
def test_values_rise_with_their_units(domain: Domain) -> None:
    values = [value_of_unit(domain, unit) for unit in np.linspace(0, 1, 97, endpoint=False)]
    assert values == sorted(values, key=float)


@settings(deadline=None)
@given(domains)
def test_the_centre_and_the_bounds_lie_in_the_domain(domain: Domain) -> None:
    assert contains(domain, centre(domain))
    assert all(contains(domain, value) for value in bounds(domain))


@pytest.mark.parametrize("unit", [0.0, 0.1, 0.5, 0.77, 0.999])
def test_units_are_the_quantiles_of_the_named_distributions(unit: float) -> None:
    assert value_of_unit(Real(-2, 6), unit) == pytest.approx(stats.uniform(-2, 8).ppf(unit))
    assert value_of_unit(Real(1e-5, 1e-1, is_log=True), unit) == pytest.approx(
        stats.loguniform(1e-5, 1e-1).ppf(unit)
    )
    if unit:
        assert value_of_unit(Normal(3, 2), unit) == pytest.approx(stats.norm(3, 2).ppf(unit))


def test_every_whole_number_owns_an_equal_share_of_the_units() -> None:
    drawn = Counter(value_of_unit(Integer(1, 9, step=2), unit) for unit in np.arange(0.0005, 1, 0.001))
    assert drawn == {1: 200, 3: 200, 5: 200, 7: 200, 9: 200}


def test_a_logarithmic_whole_number_owns_its_share_of_the_logarithm() -> None:
    domain = Integer(1, 100, is_log=True)
    n_units = 100_000
    drawn = Counter(value_of_unit(domain, (i + 0.5) / n_units) for i in range(n_units))
    for value in (1, 2, 10, 100):
        share = math.log((value + 0.5) / (value - 0.5)) / math.log(100.5 / 0.5)
        assert drawn[value] / n_units == pytest.approx(share, abs=2e-5)


def test_steps_are_written_as_a_person_would_write_them() -> None:
    domain = Real(0.1, 0.5, step=0.1)
    assert [value_at(domain, i) for i in range(n_values(domain) or 0)] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_range_that_steps_do_not_fill_ends_below_its_upper_bound() -> None:
    assert bounds(Real(0.0, 1.0, step=0.3)) == (0.0, 0.9)
    assert bounds(Integer(1, 10, step=4)) == (1, 9)


def test_a_logarithmic_grid_is_even_in_the_logarithm_and_holds_both_ends() -> None:
    domain = Real(1e-5, 1e-1, is_log=True, grid=5)
    assert [grid_point_at(domain, i) for i in range(5)] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    whole = Integer(1, 100, is_log=True, grid=3)
    assert [grid_point_at(whole, i) for i in range(n_grid_points(whole) or 0)] == [1, 10, 100]


def test_a_grid_finer_than_the_values_is_the_values() -> None:
    whole, stepped = Integer(1, 3, grid=10), Real(0.0, 1.0, step=0.5, grid=10)
    assert [grid_point_at(whole, i) for i in range(n_grid_points(whole) or 0)] == [1, 2, 3]
    assert [grid_point_at(stepped, i) for i in range(n_grid_points(stepped) or 0)] == [0.0, 0.5, 1.0]


def test_a_normal_grid_takes_the_middles_of_equally_likely_slices() -> None:
    points = [grid_point_at(Normal(0, 1, grid=4), i) for i in range(4)]
    assert points == pytest.approx(stats.norm.ppf([0.125, 0.375, 0.625, 0.875]))


@pytest.mark.parametrize("grid", [1, 2, 7])
def test_a_range_of_one_number_has_a_grid_of_one_point(grid: int) -> None:
    domain = Real(0.1234567890123456, 0.1234567890123456, grid=grid)
    assert n_grid_points(domain) == 1
    assert grid_point_at(domain, 0) == 0.1234567890123456


def test_options_that_are_equal_in_python_only_stay_different() -> None:
    domain = Categorical((1, 1.0, True, "1"))
    assert [position_of(domain, value) for value in domain.options] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="none of"):
        unit_of_value(domain, "2")


@pytest.mark.parametrize("value", [True, "2", None, 2.0, 4, -1])
def test_an_integer_range_contains_only_integers_within_its_bounds(value: Scalar) -> None:
    assert not contains(Integer(0, 3), value)


def test_a_range_of_10_to_the_18_values_is_numbered_at_once() -> None:
    domain = Integer(0, 10**18 - 1)
    assert n_values(domain) == 10**18
    assert position_of(domain, value_at(domain, 10**18 - 7)) == 10**18 - 7
