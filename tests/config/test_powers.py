"""Powers with a searched exponent: exact values, one parameter with the value in the record, and refused numbers."""

from __future__ import annotations

import math

import pytest

from tests.support.spaces import space_of
from tunecli.config.comparison import fitting_point
from tunecli.config.concrete_trial import concrete
from tunecli.config.domains import Integer, Normal, Powers, Real, contains, n_values, value_at, value_of_unit
from tunecli.config.enumeration import grid_point, grid_size, space_size
from tunecli.config.labels import described
from tunecli.config.space import default_point, point_of_units


def only(text: str) -> Powers:
    (parameter,) = space_of(f"{{x: {text}}}").parameters
    assert parameter.name == "x"
    assert isinstance(parameter.domain, Powers)
    return parameter.domain


def values(domain: Powers) -> list[object]:
    return [value_at(domain, position) for position in range(n_values(domain) or 0)]


def test_whole_exponents_of_a_whole_number_give_whole_numbers():
    assert values(only("{power: {of: 2, int: [3, 8]}}")) == [8, 16, 32, 64, 128, 256]
    assert {type(value) for value in values(only("{power: {of: 2, int: [0, 3]}}"))} == {int}


def test_negative_exponents_give_the_numbers_that_the_decimal_digits_mean():
    assert values(only("{power: {of: 10, int: [-5, 1]}}")) == [1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]
    assert values(only("{power: {of: 0.1, int: [1, 3]}}")) == [0.1, 0.01, 0.001]
    assert {type(value) for value in values(only("{power: {of: 10, int: [-1, 1]}}"))} == {float}


def test_real_exponents_are_searched_on_their_own_scale():
    domain = only("{power: {of: 10, uniform: [-5, -1]}}")
    assert value_of_unit(domain, 0.5) == pytest.approx(1e-3)
    assert contains(domain, 1e-5)
    assert contains(domain, 0.1)
    assert not contains(domain, 0.11)
    assert values(only("{power: {of: 4, uniform: [0, 2], step: 0.5}}")) == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_every_range_of_numbers_may_be_the_exponent():
    kinds = (
        "uniform: [1, 2]",
        "loguniform: [1, 2]",
        "int: [1, 2]",
        "logint: [1, 2]",
        "normal: [0, 1]",
        "lognormal: [0, 0.5]",
    )
    found = [type(only(f"{{power: {{of: 2, {kind}}}}}").exponents) for kind in kinds]
    assert found == [Real, Real, Integer, Integer, Normal, Normal]


@pytest.mark.parametrize(
    "text", ["{power: {of: 2, int: [3, 8]}, default: 64}", "{power: {of: 2, int: [3, 8], default: 6}}"]
)
def test_the_default_is_the_value_beside_power_or_the_exponent_inside(text):
    assert default_point(space_of(f"{{x: {text}}}")) == {"x": 64}


def test_the_record_and_the_trial_hold_the_power_itself():
    space = space_of("{x: {power: {of: 2, int: [3, 8]}}, again: {ref: x}}")
    point = point_of_units(space, [0.99])
    assert point == {"x": 256}
    assert concrete(space, point) == {"x": 256, "again": 256}
    assert space_size(space) == 6


def test_a_grid_takes_the_points_of_the_exponent():
    space = space_of(
        "{x: {power: {of: 10, uniform: [-4, 0], grid: 5}}, n: {power: {of: 2, int: [0, 10], grid: 3}}}"
    )
    assert grid_size(space) == 15
    assert [grid_point(space, place) for place in (0, 4, 14)] == [
        {"x": 1e-4, "n": 2**5} | {"n": 1}, {"x": 1e-3, "n": 2**5}, {"x": 1.0, "n": 2**10},
    ]  # fmt: skip


def test_a_power_may_be_the_length_and_the_items_of_a_list():
    text = "{x: {list: {of: {power: {of: 2, int: [3, 5]}}, length: {power: {of: 2, int: [0, 2]}}}, default: [16, 32]}}"
    assert default_point(space_of(text)) == {"x.length": 2, "x.0": 16, "x.1": 32}


def test_a_trial_of_another_range_fits_where_its_value_is_a_power():
    base = "data: {source: iris}, model: {name: mlp, hidden: [8]}, training: {epochs: 1, batch_size: "
    powers = space_of("{" + base + "{power: {of: 2, int: [3, 5]}}}}")
    for size, point in ((16, {"training.batch_size": 16}), (17, None), (64, None)):
        config = concrete(space_of("{" + base + f"{size}}}}}"), {})
        assert fitting_point(powers, {}, config) == point


def test_a_power_is_described_by_its_exponent():
    assert described(only("{power: {of: 2, int: [3, 8]}}")) == "2 to the power of int 3 … 8"


@pytest.mark.parametrize("value", [63, 64.0, True, "64", 4, 512, -64, 0, math.nan, math.inf, None])
def test_other_values_than_powers_are_not_in_the_domain(value):
    assert not contains(only("{power: {of: 2, int: [3, 8]}}"), value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{power: {of: 1, int: [3, 8]}}", "`of` must be a number above 0, and not 1"),
        ("{power: {of: -2, int: [3, 8]}}", "`of` must be a number above 0, and not 1"),
        ("{power: {of: two, int: [3, 8]}}", "`of` must be a number above 0, and not 1"),
        ("{power: {of: 2, int: [3, 100]}}", "2 ** 100 is out of range"),
        ("{power: {of: 2, int: [3, 100000000000]}}", "out of range"),
        ("{power: {of: 10, uniform: [-1000, 1]}}", "out of range"),
        ("{power: {of: 10, normal: [0, 100]}}", "out of range"),
        ("{power: {of: 2, int: [8, 3]}}", "the range is reversed"),
        ("{power: {of: 2, int: [3, 8], choice: [1]}}", "unknown key `choice` in `power`"),
        ("{power: {of: 2, int: [3, 8]}, default: 65}", "the default 65 is not in the range"),
        ("{power: {of: 2, int: [3, 8], default: 3}, default: 8}", "`power` has two defaults"),
    ],
)
def test_numbers_without_powers_are_refused(text, message):
    with pytest.raises(pytest.fail.Exception) as caught:
        space_of(f"{{x: {text}}}")
    assert message in str(caught.value)
