"""The Gaussian process: against textbook formulas with scikit-optimize's kernels, and on functions that it must learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal, norm
from skopt.learning.gaussian_process.kernels import Matern, RationalQuadratic

from tunecli.search.bo.gaussian_process import GaussianProcess, fit_gp
from tunecli.search.bo.kernel import (
    Floats,
    fisher_information,
    kernel_prior,
    negative_log_posterior,
    pair_indices,
    squared_distances,
)

GROUPS_2 = np.arange(2)


def bowl(rows_NF: Floats) -> Floats:
    losses_N = np.sum((rows_NF - 0.3) ** 2, axis=1)
    values_N: Floats = (losses_N - losses_N.mean()) / losses_N.std()
    return values_N


def fit(
    rows_NF: Floats, values_N: Floats, n_kernels: int = 1, *, is_conservative: bool = False
) -> GaussianProcess:
    groups_F, generator = np.arange(rows_NF.shape[1]), np.random.default_rng(1)
    return fit_gp(rows_NF, values_N, groups_F, n_kernels, generator, is_conservative=is_conservative)


def covariance(kernel_H: Floats, a: Floats, b: Floats) -> Floats:
    """The kernel, built from scikit-optimize's and scikit-learn's."""
    lengths, fraction = np.exp(kernel_H[:2]), 1 / (1 + np.exp(-kernel_H[-1]))
    joint = Matern(lengths, nu=2.5)(a, b)
    additive = [
        RationalQuadratic(length / np.sqrt(2), alpha=1.0)(a[:, [i]], b[:, [i]])
        for i, length in enumerate(lengths)
    ]
    signal = (1 - fraction) * joint + fraction * np.mean(additive, axis=0)
    total: Floats = np.exp(kernel_H[2]) * signal + 1.0
    return total


@pytest.mark.parametrize("is_conservative", [False, True])
def test_the_posterior_equals_the_textbook_formula(*, is_conservative: bool) -> None:
    """Rasmussen, Williams (2006), equations 2.25 and 2.26."""
    generator = np.random.default_rng(0)
    rows, new = generator.random((20, 2)), generator.random((30, 2))
    values = bowl(rows) + 0.05 * generator.standard_normal(20)
    model = fit(rows, values, is_conservative=is_conservative)
    (kernel,) = model.kernels_SH
    total = covariance(kernel, rows, rows) + (np.exp(kernel[3]) + 1e-8) * np.eye(20)
    across = covariance(kernel, new, rows)
    expected_variance = np.diag(covariance(kernel, new, new) - across @ np.linalg.solve(total, across.T))
    (mean,), (deviation,) = model.predict(new)
    np.testing.assert_allclose(mean, across @ np.linalg.solve(total, values), atol=1e-6)
    np.testing.assert_allclose(deviation**2, expected_variance, atol=1e-6)


@pytest.mark.parametrize(
    ("is_conservative", "length"), [(False, (np.sqrt(2), np.sqrt(3))), (True, (-1.0, 0.75))]
)
def test_the_log_posterior_equals_scipys(length: tuple[float, float], *, is_conservative: bool) -> None:
    generator = np.random.default_rng(0)
    rows, values = generator.random((20, 2)), generator.standard_normal(20)
    distances = squared_distances(rows, rows, GROUPS_2)[:, *pair_indices(20)]

    def likelihood(kernel: Floats) -> float:
        total = covariance(kernel, rows, rows) + (np.exp(kernel[3]) + 1e-8) * np.eye(20)
        return float(multivariate_normal.logpdf(values, cov=total))

    def log_prior(kernel: Floats) -> float:
        mean = np.array([length[0] + 0.5 * np.log(2)] * 2 + [0.0, np.log(1e-3), 0.0])
        deviation = np.array([length[1]] * 2 + [1.0, 2.0, 1.5])
        return float(norm.logpdf(kernel, mean, deviation).sum())

    kernels = generator.normal([0, 0, 0, -3, 0], 1.0, (4, 5))
    prior = kernel_prior(2, is_conservative=is_conservative)
    expected = [-likelihood(kernel) - log_prior(kernel) for kernel in kernels]
    actual = [negative_log_posterior(kernel, distances, values, prior)[0] for kernel in kernels]
    np.testing.assert_allclose(np.diff(actual), np.diff(expected), rtol=1e-6)


def test_the_gradient_equals_finite_differences() -> None:
    generator = np.random.default_rng(0)
    rows, values = generator.random((15, 3)), generator.standard_normal(15)
    distances = squared_distances(rows, rows, np.array([0, 1, 1]))[:, *pair_indices(15)]
    prior = kernel_prior(2, is_conservative=True)
    for _ in range(3):
        at = generator.normal([0, 0, 0, -3, 0], 1.0)
        _, gradient = negative_log_posterior(at, distances, values, prior)
        numeric = approx_fprime(at, lambda h: negative_log_posterior(h, distances, values, prior)[0], 1e-6)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-2)


def test_the_fisher_information_equals_its_formula() -> None:
    """½ tr(K⁻¹ ∂K/∂i K⁻¹ ∂K/∂j), with derivatives by central differences."""
    rows = np.random.default_rng(0).random((15, 2))
    at, step = np.array([0.2, -0.3, 0.1, -3.0, 0.4]), 1e-5

    def total(kernel: Floats) -> Floats:
        return covariance(kernel, rows, rows) + np.exp(kernel[3]) * np.eye(15)

    derivatives = [(total(at + step * unit) - total(at - step * unit)) / (2 * step) for unit in np.eye(5)]
    solved = [np.linalg.solve(total(at), derivative) for derivative in derivatives]
    expected = [[0.5 * np.trace(a @ b) for a in solved] for b in solved]
    actual = fisher_information(at, squared_distances(rows, rows, GROUPS_2))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


def test_thirty_points_teach_a_smooth_function() -> None:
    generator = np.random.default_rng(0)
    rows, new = generator.random((30, 2)), generator.random((50, 2))
    (predicted,), _ = fit(rows, bowl(rows)).predict(new)
    assert np.corrcoef(predicted, bowl(new))[0, 1] > 0.99


def test_fewer_points_than_corners_teach_an_additive_function() -> None:
    generator = np.random.default_rng(0)
    rows, new = generator.random((20, 6)), generator.integers(0, 2, (64, 6)).astype(float)

    def linear(rows_NF: Floats) -> Floats:
        values_N: Floats = (rows_NF @ np.array([1.0, -2, 0.5, 0, 0, 3]) - 1.25) / 1.1
        return values_N

    (predicted,), _ = fit(rows, linear(rows)).predict(new)
    assert np.corrcoef(predicted, linear(new))[0, 1] > 0.95


def test_noise_is_estimated_and_not_part_of_the_prediction() -> None:
    generator = np.random.default_rng(0)
    rows = generator.random((80, 1))
    values = np.sin(6 * rows[:, 0]) + 0.3 * generator.standard_normal(80)
    model = fit(rows, values)
    assert np.exp(0.5 * model.kernels_SH[0, -2]) == pytest.approx(0.3, rel=0.3)
    (mean,), (deviation,) = model.predict(np.array([[0.5]]))
    assert abs(mean[0] - np.sin(3.0)) < 0.2
    assert deviation[0] < 0.2


def test_fantasies_keep_the_mean_and_the_kernels_and_reduce_the_uncertainty() -> None:
    rows = np.random.default_rng(0).random((20, 2))
    pending = np.array([[0.9, 0.05], [0.05, 0.9]])
    before = fit(rows, bowl(rows), n_kernels=4)
    after = before.fantasize(pending)
    mean_before, deviation_before = before.predict(pending)
    mean_after, deviation_after = after.predict(pending)
    np.testing.assert_allclose(mean_after, mean_before, atol=1e-2)
    assert (deviation_after <= deviation_before).all()
    np.testing.assert_array_equal(after.kernels_SH, before.kernels_SH)
    assert before.fantasize(np.empty((0, 2))) is before


def test_sampled_length_scales_vary_most_for_a_parameter_without_effect() -> None:
    rows = np.random.default_rng(0).random((40, 2))
    values = bowl(np.column_stack([rows[:, 0], np.full(40, 0.3)]))  # the second column does nothing
    lengths = fit(rows, values, n_kernels=64).kernels_SH[:, :2]
    assert lengths[:, 1].std() > 1.5 * lengths[:, 0].std()


def test_a_conservative_process_is_less_certain_between_the_points() -> None:
    generator = np.random.default_rng(0)
    rows, new = generator.random((20, 3)), generator.random((50, 3))
    _, (default,) = fit(rows, bowl(rows)).predict(new)
    _, (conservative,) = fit(rows, bowl(rows), is_conservative=True).predict(new)
    assert (conservative > default).all()


def test_a_conservative_process_learns_shorter_length_scales() -> None:
    rows = np.random.default_rng(0).random((20, 3))
    default, conservative = (
        fit(rows, bowl(rows), n_kernels=64, is_conservative=is_conservative).kernels_SH[:, :3]
        for is_conservative in (False, True)
    )
    assert (np.median(conservative, axis=0) < np.median(default, axis=0)).all()


def test_repeated_rows_with_different_values_give_finite_predictions() -> None:
    rows = np.repeat(np.random.default_rng(0).random((3, 2)), 4, axis=0)
    values = np.tile([-1.0, 0.0, 0.5, 0.5], 3)
    mean, deviation = fit(rows, values, n_kernels=4).predict(rows)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()


def test_leave_one_out_predictions_are_those_of_processes_without_the_trial() -> None:
    generator = np.random.default_rng(0)
    rows_NF = generator.random((25, 2))
    process = fit(rows_NF, bowl(rows_NF) + 0.1 * generator.standard_normal(25), n_kernels=4)
    expected_SN = np.empty((2, 4, 25))
    for left_out in range(25):
        without = process.given_only(np.arange(25) != left_out)
        mean_S1, deviation_S1 = without.predict(rows_NF[[left_out]])
        expected_SN[:, :, left_out] = mean_S1[:, 0], np.hypot(deviation_S1[:, 0], process.noise_S)
    np.testing.assert_allclose(process.leave_one_out(), expected_SN, atol=1e-5)


def test_the_mean_of_a_process_is_that_of_its_prediction() -> None:
    generator = np.random.default_rng(1)
    rows_NF, others_MF = generator.random((30, 2)), generator.random((5000, 2))
    process = fit(rows_NF, np.sin(9 * rows_NF[:, 0]), n_kernels=3)
    mean_SM, deviation_SM = process.predict(others_MF)
    assert process.mean(others_MF).tobytes() == mean_SM.tobytes()
    assert (deviation_SM > 0).all()
