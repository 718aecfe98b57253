"""Warping keeps the order and removes the unit of any finite losses; scalarization gives one loss for several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew
from scipy.stats import yeojohnson as scipys_yeojohnson

from tunecli.search.bo.outcome_transforms import (
    augmented_chebyshev,
    scalarize,
    scaled,
    standardised,
    warped,
    warping,
    yeo_johnson,
    yeo_johnson_inverse,
)
from tunecli.trial import Observation, State

losses_lists = st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=30)


@settings(deadline=None)
@given(losses_lists)
def test_finite_losses_become_finite_values_in_the_same_order(losses: list[float]) -> None:
    for values in (standardised(np.array(losses)), warped(np.array(losses))):
        assert np.isfinite(values).all()
        assert np.abs(values.mean()) < 1e-6
        assert values.std() == pytest.approx(1) or not values.any()
        assert (np.diff(values[np.argsort(losses)]) >= -1e-9).all()


@pytest.mark.parametrize("power", [-2.0, 0.0, 0.7, 1.0, 2.0, 3.1])
def test_yeo_johnson_equals_scipys(power: float) -> None:
    values = np.linspace(-3, 5, 41)
    np.testing.assert_allclose(yeo_johnson(values, power), scipys_yeojohnson(values, lmbda=power), rtol=1e-12)


def test_the_warp_removes_skewness() -> None:
    losses = np.exp(np.random.default_rng(0).normal(0, 1, 60))
    assert abs(skew(warped(losses))) < 0.2 * skew(standardised(losses))


def test_the_warp_does_not_depend_on_unit_or_origin() -> None:
    losses = np.random.default_rng(1).exponential(1, 40)
    np.testing.assert_allclose(warped(1e6 * losses - 7), warped(losses), atol=1e-6)


def test_an_outlier_does_not_make_all_other_losses_alike() -> None:
    values = warped(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 1e9]))
    assert (np.diff(values[:5]) > 0.2).all()


def test_equal_losses_become_0() -> None:
    np.testing.assert_array_equal(warped(np.full(5, 0.3)), np.zeros(5))


@pytest.mark.parametrize("power", [-2.0, 0.0, 0.7, 1.0, 2.0])
def test_yeo_johnson_inverse_is_the_inverse(power: float) -> None:
    values = np.linspace(-3, 5, 41)
    np.testing.assert_allclose(yeo_johnson_inverse(yeo_johnson(values, power), power), values, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_losses_inverts_the_warp_up_to_the_outlier_cap(seed: int) -> None:
    losses = np.random.default_rng(seed).gumbel(-3, 2, 40)
    warp = warping(losses)
    np.testing.assert_allclose(warp.losses(warp.values_N), np.minimum(losses, warp.outlier_cap), rtol=1e-9)


def test_the_inverse_of_an_outlier_is_the_cap() -> None:
    warp = warping(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 1e9]))
    np.testing.assert_allclose(warp.losses(warp.values_N), [0.1, 0.2, 0.3, 0.4, 0.5, warp.outlier_cap])
    assert 0.5 < warp.outlier_cap < 2


@settings(deadline=None)
@given(losses_lists, st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=9))
def test_any_values_become_finite_losses_in_the_same_order(losses: list[float], values: list[float]) -> None:
    inverse = warping(np.array(losses)).losses(np.sort(values))
    assert np.isfinite(inverse).all()
    assert (inverse[1:] >= inverse[:-1]).all()


def test_the_augmented_chebyshev_function_equals_knowles_and_prefers_dominating_points() -> None:
    losses = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 1.0]])
    weights = np.array([0.25, 0.75])
    np.testing.assert_allclose(
        augmented_chebyshev(losses, weights), [0.75 + 0.0375, 0.375 + 0.025, 0.75 + 0.05]
    )
    assert (scaled(losses * [1e-9, 1e9]).min(axis=0) == 0).all()
    assert (scaled(losses * [1e-9, 1e9]).max(axis=0) == 1).all()


def test_weights_depend_on_seed_and_number() -> None:
    history = [Observation(i, {}, State.COMPLETE, 0.1 * i, (0.1 * i, (0.1 * i - 0.4) ** 2)) for i in range(8)]
    first = [o.loss for o in scalarize(history, 8, 0)]
    assert first == [o.loss for o in scalarize(history, 8, 0)]
    assert first != [o.loss for o in scalarize(history, 9, 0)]
    assert first != [o.loss for o in scalarize(history, 8, 1)]
