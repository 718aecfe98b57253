"""Priors over units: density, draws and mode agree with the normal distributions that they are made of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from tests.support.spaces import space_of
from tunecli.config.domains import unit_of_value
from tunecli.config.priors.prior import FLOOR, Prior, Shift
from tunecli.config.priors.space_priors import with_priors
from tunecli.config.space import point_of_units
from tunecli.search.bo.knob_priors import drawn_units, log_density, mode_units


def space_with(text, *priors):
    """A space with these priors for its parameters, in order."""
    space = space_of(text)
    keys = (parameter.key for parameter in space.parameters)
    return replace(space, priors={key: prior for key, prior in zip(keys, priors, strict=False) if prior})


def drawn(space, n=2000):
    shares_ND = np.random.default_rng(0).random((n, len(space.parameters)))
    return [point_of_units(space, drawn_units(space, row.tolist())) for row in shares_ND]


RATE = Prior("optimizer.lr", "log", 1e-3, 0.5)


@pytest.mark.parametrize("word", ["loguniform", "uniform"])
def test_the_density_is_normal_on_the_scale_of_the_setting_however_the_range_is_declared(word):
    space = space_with(f"x: {{{word}: [1e-5, 1e-1]}}", RATE)
    values = np.array([1e-5, 1e-4, 1e-3, 3e-3, 5e-2])
    (domain,) = (parameter.domain for parameter in space.parameters)
    units_MD = np.array([[unit_of_value(domain, float(value))] for value in values])
    ratio_M = norm.pdf(np.log10(values), -3, 0.5) / norm.pdf(-3, -3, 0.5)
    expected_M = np.log((1 - FLOOR) * ratio_M + FLOOR)
    np.testing.assert_allclose(log_density(space, units_MD), expected_M, atol=0.02)


@pytest.mark.parametrize("word", ["loguniform", "uniform"])
def test_draws_are_those_of_the_truncated_distribution(word):
    space = space_with(f"x: {{{word}: [1e-5, 5e-3]}}", RATE)
    logs = np.log10([point["x"] for point in drawn(space)])
    expected = truncnorm(-4, (math.log10(5e-3) + 3) / 0.5, -3, 0.5)
    shares = (0.1, 0.5, 0.9)
    np.testing.assert_allclose(np.quantile(logs, shares), expected.ppf(shares), atol=0.06)


def test_no_draw_leaves_the_range_although_the_centre_does():
    space = space_with(
        "{x: {loguniform: [2e-3, 1.0]}, n: {int: [5, 9]}}", RATE, Prior("d", "linear", 2.0, 3.0)
    )
    points = drawn(space)
    assert all(2e-3 <= point["x"] <= 1.0 and 5 <= point["n"] <= 9 for point in points)
    assert np.median([point["x"] for point in points]) < 6e-3
    assert point_of_units(space, mode_units(space)) == {"x": pytest.approx(2e-3), "n": 5}


def test_a_range_from_zero_has_a_prior_on_a_logarithmic_scale():
    space = space_with("x: {uniform: [0, 0.1]}", RATE)
    logs = np.log10([point["x"] for point in drawn(space)])
    np.testing.assert_allclose(np.quantile(logs, (0.1, 0.5)), [-3.64, -3.0], atol=0.1)
    assert np.isfinite(log_density(space, np.array([[0.0], [0.5], [0.999]]))).all()


def test_options_have_their_weights():
    space = space_with("x: {choice: [a, b, c]}", Prior("loss", weights=(1.0, 2.0, 1.0)))
    np.testing.assert_allclose(
        log_density(space, np.array([[1 / 6], [0.5], [5 / 6]])), np.log([0.5, 1.0, 0.5]), atol=1e-12
    )
    values = [point["x"] for point in drawn(space)]
    assert values.count("b") == pytest.approx(1000, abs=80)
    assert point_of_units(space, mode_units(space)) == {"x": "b"}


def test_numbers_of_a_choice_have_the_density_at_each():
    space = space_with("x: {choice: [64, 1024, auto, 16]}", Prior("training.batch_size", "log", 64, 0.5))
    values = [point["x"] for point in drawn(space)]
    weights = {64: 1.0, 1024: math.exp(-2.9), "auto": math.exp(-0.5), 16: math.exp(-0.725)}
    for value, weight in weights.items():
        assert values.count(value) / 2000 == pytest.approx(weight / sum(weights.values()), abs=0.04)


def test_a_shift_moves_the_centre_with_the_other_parameter():
    shift = Shift("b", scale="log", slope=0.5, reference=64)
    space = space_with(
        "{x: {loguniform: [1e-6, 1.0]}, b: {choice: [1, 64, 4096, full]}}", replace(RATE, shifts=(shift,))
    )
    by_batch = {size: [p["x"] for p in drawn(space) if p["b"] == size] for size in (1, 64, 4096, "full")}
    medians = {size: math.log10(np.median(values)) for size, values in by_batch.items()}
    assert medians == pytest.approx({1: -3.9, 64: -3.0, 4096: -2.1, "full": -3.0}, abs=0.1)


def test_inactive_parameters_do_not_count():
    space = space_with("x: {choice: [a, {name: b, lr: {loguniform: [1e-5, 1]}}]}", None, RATE)
    np.testing.assert_array_equal(log_density(space, np.array([[0.25, np.nan]])), [0.0])
    assert log_density(space, np.array([[0.75, 0.99]]))[0] < -2


def test_a_space_without_priors_is_flat():
    space = space_of("{x: {uniform: [0, 1]}, y: {int: [1, 3]}}")
    assert mode_units(space) == [0.5, 0.5]
    assert drawn_units(space, [0.1, 0.7]) == [0.1, 0.7]
    np.testing.assert_array_equal(log_density(space, np.array([[0.2, 0.2]])), [0.0])


def test_the_mode_of_a_space_of_ours_is_its_usual_setting():
    space = with_priors(
        space_of(
            "{model: {dropout: {uniform: [0, 1]}}, optimizer: {name: adamw, lr: {loguniform: [1e-5, 1]}}}"
        )
    )
    point = point_of_units(space, mode_units(space))
    assert log_density(space, np.array([mode_units(space)]))[0] == pytest.approx(0.0, abs=1e-3)
    assert 5e-4 < point["optimizer.lr"] < 1e-2
    assert point["model.dropout"] < 0.5


@pytest.mark.parametrize(
    ("model", "name", "option"),
    [
        ("{name: cnn, channels: [8], norm: {choice: [none, group, batch]}}", "model.norm", "batch"),
        ("{name: transformer, width: 8, heads: 2, pool: {choice: [cls, mean]}}", "model.pool", "mean"),
    ],
)
def test_the_first_trial_has_the_norm_and_the_pooling_that_suit_most(model, name, option):
    space = with_priors(space_of(f"{{model: {model}}}"))
    assert point_of_units(space, mode_units(space))[name] == option
