"""Priors as plain numbers: scales, shifts, and which ranges they say something about."""

from __future__ import annotations

import json

import pytest

from tests.support.spaces import space_of
from tunecli.config.domains import Categorical, Integer, Real
from tunecli.config.priors.prior import (
    Prior,
    Shift,
    is_informative,
    option_position,
    position,
    priors_in,
    record_of,
    shift_at,
    usual_numbers,
    usual_options,
    value_at_position,
)
from tunecli.config.priors.space_priors import priors_of

RATE = Prior("optimizer.lr", "log", 1e-3, 0.5)


@pytest.mark.parametrize(
    ("scale", "value", "expected"), [("linear", 0.3, 0.3), ("log", 1e-3, -3.0), ("below_one", 0.99, 2.0)]
)
def test_a_position_is_that_of_the_value_on_its_scale(scale, value, expected):
    assert position(scale, value) == pytest.approx(expected)
    assert value_at_position(scale, expected) == pytest.approx(value)


def test_a_shift_follows_the_other_parameter():
    by_batch = Shift("b", scale="log", slope=0.5, reference=64)
    assert shift_at(by_batch, 6400) == pytest.approx(1.0)
    assert shift_at(by_batch, "full") == 0.0
    by_name = Shift("o", by_option=(("sgd", 1.5), ("adam", -0.5)))
    assert [shift_at(by_name, name) for name in ("sgd", "adam", "mine")] == [1.5, -0.5, 0.0]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Real(1e-5, 1e-1, is_log=True), True),
        (Real(0.0, 0.1), True),
        (Real(0.1, 10.0, is_log=True), False),  # four deviations above the centre
        (Real(1e-9, 1e-5), False),
        (Real(3e-3, 1.0), True),  # one deviation above it
        (Real(1e-3, 1e-3), False),
        (Categorical((1e-4, 1e-3)), True),
        (Categorical(("a", "b")), False),
    ],
)
def test_a_prior_with_nearly_all_its_mass_outside_the_range_says_nothing(domain, expected):
    assert is_informative(RATE, domain) is expected


def test_a_zero_or_a_text_among_numbers_is_one_deviation_below_the_centre():
    assert option_position(RATE, 0) == option_position(RATE, "full") == pytest.approx(-3.5)
    assert option_position(RATE, 0.1) == pytest.approx(-1.0)


def test_usual_values_are_within_a_deviation_and_within_the_range():
    assert usual_numbers(RATE, Real(1e-5, 1e-1, is_log=True)) == (3e-4, 3e-3)
    assert usual_numbers(RATE, Real(5e-4, 2e-3)) == (5e-4, 2e-3)
    momentum = Prior("optimizer.momentum", "below_one", 0.9, 0.5)
    assert usual_numbers(momentum, Real(0.0, 0.99)) == pytest.approx((0.7, 0.97))
    assert usual_numbers(Prior("model.width", "log", 128, 0.4), Integer(16, 200)) == (50, 200)
    assert usual_options(RATE, Categorical((1e-5, 1e-3, 2e-3, "auto"))) == (1e-3, 2e-3)
    assert usual_options(Prior("loss", weights=(1.0, 2.0)), Categorical(("a", "b"))) == ("b",)


SPACE = space_of("""
  optimizer: {name: {choice: [sgd, adamw]}, lr: {loguniform: [1e-5, 10]}}
  training: {batch_size: {choice: [32, 64, full]}}
  model: {activation: {choice: [relu, {name: elu, alpha: {uniform: [0, 2]}}]}}
""")


def test_a_record_holds_the_priors_exactly():
    priors = priors_of(SPACE)
    assert len(priors) == 4
    assert priors_in(json.loads(json.dumps(record_of(priors)))) == priors


@pytest.mark.parametrize("record", [{"x": 3}, {"x": {"knob": "a", "scale": "cubic"}}, {"x": {"centre": "a"}}])
def test_a_record_of_something_else_is_refused(record):
    with pytest.raises(ValueError):
        priors_in(record)
