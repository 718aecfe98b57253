"""Losses on the model's scale: the order stays, the unit goes, and no list of losses breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew
from scipy.stats import yeojohnson as scipys_yeojohnson

from tunecli.search.bo.warping import standardised, warped, warping, yeo_johnson, yeo_johnson_inverse

losses_lists = st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=30)


@settings(deadline=None)
@given(losses_lists)
def test_any_finite_losses_become_finite_numbers_in_the_same_order(losses: list[float]) -> None:
    for found in (standardised(np.array(losses)), warped(np.array(losses))):
        assert np.isfinite(found).all()
        assert np.abs(found.mean()) < 1e-6
        assert found.std() == pytest.approx(1) or not found.any()
        assert (np.diff(found[np.argsort(losses)]) >= -1e-9).all()


@pytest.mark.parametrize("power", [-2.0, 0.0, 0.7, 1.0, 2.0, 3.1])
def test_the_transformation_is_scipys(power: float) -> None:
    values = np.linspace(-3, 5, 41)
    np.testing.assert_allclose(yeo_johnson(values, power), scipys_yeojohnson(values, lmbda=power), rtol=1e-12)


def test_a_long_tail_of_bad_losses_becomes_short() -> None:
    losses = np.exp(np.random.default_rng(0).normal(0, 1, 60))
    assert abs(skew(warped(losses))) < 0.2 * skew(standardised(losses))


def test_neither_the_unit_nor_the_origin_of_the_losses_matters() -> None:
    losses = np.random.default_rng(1).exponential(1, 40)
    np.testing.assert_allclose(warped(1e6 * losses - 7), warped(losses), atol=1e-6)


def test_a_loss_of_a_billion_does_not_make_all_others_alike() -> None:
    found = warped(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 1e9]))
    assert (np.diff(found[:5]) > 0.2).all()


def test_losses_that_are_all_alike_are_nought() -> None:
    np.testing.assert_array_equal(warped(np.full(5, 0.3)), np.zeros(5))


@pytest.mark.parametrize("power", [-2.0, 0.0, 0.7, 1.0, 2.0])
def test_the_way_back_is_the_inverse(power: float) -> None:
    values = np.linspace(-3, 5, 41)
    np.testing.assert_allclose(yeo_johnson_inverse(yeo_johnson(values, power), power), values, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_warped_comes_back(seed: int) -> None:
    losses = np.random.default_rng(seed).gumbel(-3, 2, 40)
    found = warping(losses)
    np.testing.assert_allclose(found.losses(found.values), np.minimum(losses, found.outlier_cap), rtol=1e-9)


def test_a_loss_far_out_comes_back_as_the_fence() -> None:
    found = warping(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 1e9]))
    np.testing.assert_allclose(found.losses(found.values), [0.1, 0.2, 0.3, 0.4, 0.5, found.outlier_cap])
    assert 0.5 < found.outlier_cap < 2


@settings(deadline=None)
@given(losses_lists, st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=9))
def test_any_values_come_back_as_finite_losses_in_the_same_order(
    losses: list[float], values: list[float]
) -> None:
    found = warping(np.array(losses)).losses(np.sort(values))
    assert np.isfinite(found).all()
    assert (found[1:] >= found[:-1]).all()
