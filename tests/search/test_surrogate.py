"""The Gaussian process, against scikit-learn's own and against what a good model must say."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tunecli.search.encoding import Floats
from tunecli.search.surrogate import fitted, standardised

NOTHING_2 = np.empty((0, 2))


def bowl(rows_NF: Floats) -> Floats:
    losses_N: Floats = np.sum((rows_NF - 0.3) ** 2, axis=1)
    return losses_N


def fit(rows_NF: Floats, losses_N: Floats, pending_PF: Floats = NOTHING_2) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted(rows_NF, losses_N, pending_PF, 1)


def test_the_posterior_is_scikit_learns_for_the_same_kernel() -> None:
    generator = np.random.default_rng(0)
    rows, new = generator.random((20, 2)), generator.random((30, 2))
    losses = bowl(rows) + 0.05 * generator.standard_normal(20)
    model = fit(rows, losses)
    constant, matern = model.kernel_.k1.k1, model.kernel_.k1.k2
    kernel = ConstantKernel(constant.constant_value) * Matern(matern.length_scale, nu=2.5)
    noise = WhiteKernel(model.noise_)
    reference = GaussianProcessRegressor(kernel + noise, alpha=1e-8, optimizer=None)
    reference.fit(rows, standardised(losses))
    mean, deviation = model.predict(new, return_std=True)
    expected_mean, expected_deviation = reference.predict(new, return_std=True)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-6)
    np.testing.assert_allclose(deviation**2, expected_deviation**2 - model.noise_, atol=1e-6)


def test_a_smooth_function_is_learnt_from_thirty_points() -> None:
    generator = np.random.default_rng(0)
    rows, new = generator.random((30, 2)), generator.random((50, 2))
    predicted = fit(rows, bowl(rows)).predict(new)
    assert np.corrcoef(predicted, bowl(new))[0, 1] > 0.99


def test_pending_points_get_the_loss_expected_of_them_and_leave_the_kernel_as_it_is() -> None:
    rows = np.random.default_rng(0).random((20, 2))
    pending = np.array([[0.9, 0.05], [0.05, 0.9]])
    before, after = fit(rows, bowl(rows)), fit(rows, bowl(rows), pending)
    mean_before, deviation_before = before.predict(pending, return_std=True)
    mean_after, deviation_after = after.predict(pending, return_std=True)
    np.testing.assert_allclose(mean_after, mean_before, atol=1e-2)
    assert (deviation_after < 0.5 * deviation_before).all()
    np.testing.assert_allclose(after.kernel_.k1.theta, before.kernel_.k1.theta)


def test_each_column_has_its_length_only_with_two_observations_for_each() -> None:
    rows = np.random.default_rng(0).random((13, 7))
    assert np.ndim(fit(rows, bowl(rows), np.empty((0, 7))).kernel_.k1.k2.length_scale) == 0
    assert np.shape(fit(rows[:, :6], bowl(rows), np.empty((0, 6))).kernel_.k1.k2.length_scale) == (6,)


losses_lists = st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=30)


@settings(deadline=None)
@given(losses_lists)
def test_any_finite_losses_are_standardised_to_finite_numbers_in_the_same_order(losses: list[float]) -> None:
    found = standardised(np.array(losses))
    assert np.isfinite(found).all()
    assert np.abs(found.mean()) < 1e-9
    assert found.std() == pytest.approx(1) or not found.any()
    assert (np.diff(found[np.argsort(losses)]) >= -1e-9).all()


def test_a_loss_of_a_billion_does_not_make_all_others_alike() -> None:
    losses = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 1e9])
    found = standardised(losses)
    np.testing.assert_allclose(np.diff(found[:5]), np.diff(found[:2])[0] * np.ones(4))
    assert found[1] - found[0] > 0.2
