"""A Gaussian process over encoded points, averaged over kernels that are sampled from their posterior.

**Kernel.** A sum of additive effects of single parameters (a rational quadratic kernel each) and one joint effect of
all parameters (Matérn 5/2), plus a constant for the unknown mean, plus noise. Most of a hyper-parameter's effect is its
own (Hutter, Hoos, Leyton-Brown (2014), "An Efficient Approach for Assessing Hyperparameter Importance"; Duvenaud,
Nickisch, Rasmussen (2011), "Additive Gaussian Processes"), so a few trials inform about regions that none of them was
in.

**Priors.** Length scales grow with the square root of the number of parameters (Hvarfner, Hellsten, Nardi (2024),
"Vanilla Bayesian Optimization Performs Great in High Dimensions"). By default the joint effect has the length scales of
the additive ones. A *conservative* process lets the joint effect's be shorter, and so is less certain everywhere
between the trials.

**Sampled kernels.** Few trials leave the kernel uncertain, and the single most likely one is overconfident. So further
kernels are drawn from the Laplace approximation of their posterior at its mode, with Fisher information as curvature,
and the acquisition is averaged over all of them (Snoek, Larochelle, Adams (2012), section 3.2).

Every process is fitted from its arguments alone. This module knows rows and numbers; neither spaces nor trials.

Axes: N observed points, M other points, P pending points, D parameters, F columns of the encoding, S kernels, X pairs
of points, H hyper-parameters: log length scales (D), log of the factor by which the joint effect's length scales differ
from them, log signal variance, log noise variance, log odds of the additive fraction of the signal variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Mean and deviation of each hyper-parameter's normal prior, for values of variance 1 and coordinates in [0, 1].
_LENGTH_PRIOR = (math.sqrt(2.0), math.sqrt(3.0))  # Hvarfner et al. (2024); the mean before ½ log D
_FACTOR_PRIOR = (0.0, 1e-3)  # factor 1, by equal bounds; too narrow to change the draws of the others
_CONSERVATIVE_FACTOR_PRIOR = (-1.5, 1.0)  # factor 0.08 to 0.6
_SIGNAL_PRIOR = (0.0, 1.0)
_NOISE_PRIOR = (math.log(1e-3), 2.0)  # deviation from nothing to a fifth of the values'
_FRACTION_PRIOR = (0.0, 1.5)  # additive fraction from a tenth to nine tenths
_LENGTH_BOUNDS, _FACTOR_BOUNDS, _CONSERVATIVE_FACTOR_BOUNDS = (-4.0, 7.0), (0.0, 0.0), (-4.0, 0.0)
_SIGNAL_BOUNDS, _NOISE_BOUNDS, _FRACTION_BOUNDS = (-5.0, 5.0), (math.log(1e-7), 0.0), (-6.0, 6.0)

_N_SHARED = 4  # hyper-parameters after the length scales
_FACTOR, _SIGNAL, _NOISE, _FRACTION = -4, -3, -2, -1  # their indices
_MEAN_VARIANCE = 1.0  # of the constant
_JITTER = 1e-8
_MAX_ITERATIONS = 60
_MAX_ITERATIONS_HIGH_D = 24  # for more than _HIGH_D parameters
_HIGH_D = 16
_MAX_DISTANCES = 2**18  # at a time: 2 MB fit the cache
_ROOT_5 = math.sqrt(5.0)


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior of the function under each of S kernels.

    Attributes:
        kernels_SH: hyper-parameters of each kernel.
        groups_F: the parameter of each column.
        rows_NF, values_SN: the observations; they differ between kernels only in fantasies.
        inverse_cholesky_SNN: L⁻¹, where K + noise = L Lᵀ.
        alpha_SN: (K + noise)⁻¹ y (Rasmussen, Williams (2006), algorithm 2.1).
    """

    kernels_SH: Floats
    groups_F: NDArray[np.intp]
    rows_NF: Floats
    values_SN: Floats
    inverse_cholesky_SNN: Floats
    alpha_SN: Floats

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        """Return the mean and deviation of the noise-free function at ``rows_MF``, each (S, M).

        Rasmussen, Williams (2006), equations 2.25 and 2.26.
        """
        mean_SM, deviation_SM = np.empty((2, len(self.kernels_SH), len(rows_MF)))
        for part, s, covariance_MN in self._covariances(rows_MF):
            mean_SM[s, part] = covariance_MN @ self.alpha_SN[s]
            white_MN = covariance_MN @ self.inverse_cholesky_SNN[s].T
            signal = math.exp(self.kernels_SH[s, _SIGNAL])
            variance_M = signal + _MEAN_VARIANCE - np.einsum("mn,mn->m", white_MN, white_MN)
            deviation_SM[s, part] = np.sqrt(np.maximum(variance_M, 1e-12))
        return mean_SM, deviation_SM

    def mean(self, rows_MF: Floats) -> Floats:
        """Return the mean of :meth:`predict` alone, (S, M); the deviation costs far more."""
        mean_SM = np.empty((len(self.kernels_SH), len(rows_MF)))
        for part, s, covariance_MN in self._covariances(rows_MF):
            mean_SM[s, part] = covariance_MN @ self.alpha_SN[s]
        return mean_SM

    @property
    def most_likely(self) -> GaussianProcess:
        """The process under its most likely kernel alone."""
        first = slice(0, 1)
        return GaussianProcess(
            self.kernels_SH[first],
            self.groups_F,
            self.rows_NF,
            self.values_SN[first],
            self.inverse_cholesky_SNN[first],
            self.alpha_SN[first],
        )

    @property
    def noise_S(self) -> Floats:
        """The standard deviation of one observation's noise under each kernel, (S,)."""
        noise_S: Floats = np.exp(0.5 * self.kernels_SH[:, _NOISE])
        return noise_S

    def with_noise_of(self, noise: float) -> GaussianProcess:
        """Return the process with the same kernels and a noise of at least ``noise``, a standard deviation above 0."""
        kernels_SH = self.kernels_SH.copy()
        kernels_SH[:, _NOISE] = np.maximum(kernels_SH[:, _NOISE], 2 * math.log(noise))
        return _condition(kernels_SH, self.groups_F, self.rows_NF, self.values_SN)

    def _covariances(self, rows_MF: Floats) -> Iterator[tuple[slice, int, Floats]]:
        """Yield parts of the rows with each kernel's index and covariances with the observations, (M, N)."""
        n_columns = len(self.rows_NF) * (self.kernels_SH.shape[1] - _N_SHARED)
        n_at_once = max(16, _MAX_DISTANCES // n_columns)
        for first in range(0, len(rows_MF), n_at_once):
            part = slice(first, first + n_at_once)
            distances_DMN = squared_distances(rows_MF[part], self.rows_NF, self.groups_F)
            for s, kernel_H in enumerate(self.kernels_SH):
                yield part, s, _covariance(kernel_H, distances_DMN) + _MEAN_VARIANCE

    def fantasize(self, rows_PF: Floats) -> GaussianProcess:
        """Return the process conditioned on each kernel's own mean at ``rows_PF``, with the same kernels.

        The kriging believer of Ginsbourger, Le Riche, Carraro (2010), "Kriging is well-suited to parallelize
        optimization": the mean is unchanged, the uncertainty near ``rows_PF`` is removed.
        """
        if not len(rows_PF):
            return self
        values_SN = np.hstack([self.values_SN, self.predict(rows_PF)[0]])
        return _condition(self.kernels_SH, self.groups_F, np.vstack([self.rows_NF, rows_PF]), values_SN)


def fit_gp(
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    n_kernels: int,
    generator: np.random.Generator,
    *,
    is_conservative: bool = False,
) -> GaussianProcess:
    """Return the process under the most likely kernel and ``n_kernels`` - 1 others, sampled from their posterior.

    Args:
        rows_NF: encoded points, F ≥ 1.
        values_N: the observations, with mean near 0 and deviation near 1.
        groups_F: the parameter, from 0, that each column belongs to; the columns of one share a length scale.
        n_kernels: at least 1.
        generator: samples the other kernels.
        is_conservative: whether the joint effect may have shorter length scales than the additive ones. The kernel is
            then the mode next to this prior's mean: if the function is purely additive, longer length scales may be
            more likely, but those are the default process's.
    """
    from scipy.optimize import minimize

    distances_DNN = squared_distances(rows_NF, rows_NF, groups_F)
    n_parameters = len(distances_DNN)
    prior = kernel_prior(n_parameters, is_conservative=is_conservative)
    start_H = np.append(prior.mean_H[:-_N_SHARED] - 1.5, prior.mean_H[-_N_SHARED:])
    factor_bounds = _CONSERVATIVE_FACTOR_BOUNDS if is_conservative else _FACTOR_BOUNDS
    bounds = [_LENGTH_BOUNDS] * n_parameters + [
        factor_bounds,
        _SIGNAL_BOUNDS,
        _NOISE_BOUNDS,
        _FRACTION_BOUNDS,
    ]
    optimum: Any = minimize(
        negative_log_posterior,
        start_H,
        args=(distances_DNN[:, *pair_indices(len(values_N))], values_N, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={
            "maxiter": _MAX_ITERATIONS if n_parameters <= _HIGH_D else _MAX_ITERATIONS_HIGH_D,
            "ftol": 1e-7,
        },
    )
    kernels_SH: Floats = optimum.x[None]
    if n_kernels > 1:
        precision_HH = fisher_information(optimum.x, distances_DNN) + np.diag(prior.deviation_H**-2)
        root_HH = np.linalg.cholesky(precision_HH)
        normal_SH = generator.standard_normal((n_kernels - 1, len(optimum.x)))
        low_H, high_H = np.array(bounds).T
        others_SH = np.clip(optimum.x + np.linalg.solve(root_HH.T, normal_SH.T).T, low_H, high_H)
        kernels_SH = np.vstack([kernels_SH, others_SH])
    return _condition(kernels_SH, groups_F, rows_NF, np.tile(values_N, (len(kernels_SH), 1)))


def squared_distances(a_MF: Floats, b_NF: Floats, groups_F: NDArray[np.intp]) -> Floats:
    """Return the squared distance of every two rows in each parameter, (D, M, N)."""
    distances_DMN = np.zeros((int(groups_F.max()) + 1, len(a_MF), len(b_NF)))
    for a_M, b_N, group in zip(a_MF.T, b_NF.T, groups_F, strict=True):
        distances_DMN[group] += np.square(a_M[:, None] - b_N)
    return distances_DMN


class KernelPrior(NamedTuple):
    """Independent normal priors of the hyper-parameters, (H,) each."""

    mean_H: Floats
    deviation_H: Floats


def kernel_prior(n_parameters: int, *, is_conservative: bool = False) -> KernelPrior:
    """Return the prior of the hyper-parameters; see :func:`fit_gp`."""
    length = (_LENGTH_PRIOR[0] + 0.5 * math.log(n_parameters), _LENGTH_PRIOR[1])
    factor = _CONSERVATIVE_FACTOR_PRIOR if is_conservative else _FACTOR_PRIOR
    return KernelPrior(
        *np.array([*[length] * n_parameters, factor, _SIGNAL_PRIOR, _NOISE_PRIOR, _FRACTION_PRIOR]).T
    )


def negative_log_posterior(
    kernel_H: Floats, pairs_DX: Floats, values_N: Floats, prior: KernelPrior
) -> tuple[float, Floats]:
    """Return the negative log-posterior of the hyper-parameters, up to a constant, and its gradient, (H,).

    Rasmussen, Williams (2006), "Gaussian Processes for Machine Learning", equations 5.8 and 5.9, plus the log-prior.

    Args:
        kernel_H: the hyper-parameters.
        pairs_DX: :func:`squared_distances` between the points, at :func:`pair_indices`.
        values_N: the observations, with mean near 0 and deviation near 1.
        prior: of the hyper-parameters.
    """
    from scipy.linalg import lapack

    n_points, noise = len(values_N), math.exp(kernel_H[_NOISE])
    additive_X, joint_X, decay_X = _correlations(kernel_H, pairs_DX)
    fraction, variance = _fraction_and_variance(kernel_H)
    total_NN = np.zeros((n_points, n_points))
    indices = pair_indices(n_points)
    total_NN[indices] = variance * (fraction * additive_X + (1 - fraction) * joint_X) + _MEAN_VARIANCE
    total_NN[np.diag_indices(n_points)] = variance + _MEAN_VARIANCE + noise + _JITTER
    cholesky_NN, is_failed = lapack.dpotrf(total_NN, lower=1)
    if is_failed:
        return 1e10, np.zeros_like(kernel_H)
    alpha_N, _ = lapack.dpotrs(cholesky_NN, values_N, lower=1)
    inverse_NN, _ = lapack.dpotri(cholesky_NN, lower=1)
    value = 0.5 * float(values_N @ alpha_N) + float(np.log(np.diag(cholesky_NN)).sum())
    # dlogp/dK is (α αᵀ - K⁻¹) / 2. It is symmetric, so a pair counts twice: the factor ½ remains for the trace only.
    dlogp_dK_X = alpha_N[indices[0]] * alpha_N[indices[1]] - inverse_NN[indices]
    trace = float(alpha_N @ alpha_N) - float(np.trace(inverse_NN))
    gradient_H = np.empty_like(kernel_H)
    dlogp_dlength_D, dlogp_dfactor = _length_gradients(kernel_H, pairs_DX, decay_X, dlogp_dK_X)
    gradient_H[:-_N_SHARED], gradient_H[_FACTOR] = -dlogp_dlength_D, -dlogp_dfactor
    signal_X = fraction * additive_X + (1 - fraction) * joint_X
    gradient_H[_SIGNAL] = -variance * (float(dlogp_dK_X @ signal_X) + 0.5 * trace)
    gradient_H[_NOISE] = -0.5 * trace * noise
    gradient_H[_FRACTION] = -variance * fraction * (1 - fraction) * float(dlogp_dK_X @ (additive_X - joint_X))
    standard_H = (kernel_H - prior.mean_H) / prior.deviation_H
    return value + 0.5 * float(standard_H @ standard_H), gradient_H + standard_H / prior.deviation_H


@lru_cache(maxsize=4)
def pair_indices(n_points: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and column indices of every two points, (X,) each: the lower triangle without the diagonal."""
    rows_X, columns_X = np.tril_indices(n_points, -1)
    return rows_X, columns_X


def _fraction_and_variance(kernel_H: Floats) -> tuple[float, float]:
    """Return the additive fraction of the signal variance, and the signal variance."""
    return 1 / (1 + math.exp(-kernel_H[_FRACTION])), math.exp(kernel_H[_SIGNAL])


def _covariance(kernel_H: Floats, distances_DMN: Floats) -> Floats:
    """Return the covariance of the function's values without the constant, (M, N)."""
    fraction, variance = _fraction_and_variance(kernel_H)
    additive_X, joint_X, _ = _correlations(kernel_H, distances_DMN.reshape(len(distances_DMN), -1))
    covariance_X: Floats = variance * (fraction * additive_X + (1 - fraction) * joint_X)
    return covariance_X.reshape(distances_DMN.shape[1:])


def _correlations(kernel_H: Floats, distances_DX: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the correlations of the additive and of the joint effect, and (1 + √5 r) exp(-√5 r), (X,) each.

    Additive: the mean over the D parameters of a rational quadratic kernel with exponent 1 and length scale
    ℓ_d / √D. Joint: Matérn 5/2 of r = |(x - x') / (ℓ · factor)| (Rasmussen, Williams (2006), equations 4.19 and 4.17).
    The third gives the joint one's derivative: ∂joint/∂r² = -⅚ (1 + √5 r) exp(-√5 r).
    """
    n_parameters = len(distances_DX)
    inverse_squares_D = np.exp(-2 * kernel_H[:-_N_SHARED])
    scaled_X = _ROOT_5 * math.exp(-kernel_H[_FACTOR]) * np.sqrt(inverse_squares_D @ distances_DX)
    exponential_X = np.exp(-scaled_X)
    decay_X = (1 + scaled_X) * exponential_X
    joint_X = decay_X + scaled_X**2 / 3 * exponential_X
    additive_X = np.zeros_like(joint_X)
    buffer_X = np.empty_like(joint_X)
    # One parameter at a time fits the cache.
    for inverse_square, distances_X in zip(inverse_squares_D, distances_DX, strict=True):
        np.multiply(distances_X, 0.5 * n_parameters * inverse_square, out=buffer_X)
        buffer_X += 1.0
        np.divide(1.0 / n_parameters, buffer_X, out=buffer_X)
        additive_X += buffer_X
    return additive_X, joint_X, decay_X


def _length_gradients(
    kernel_H: Floats, pairs_DX: Floats, decay_X: Floats, dlogp_dK_X: Floats
) -> tuple[Floats, float]:
    """Return the gradient of the log-likelihood by each log length scale, (D,), and by the joint effect's factor."""
    n_parameters = len(pairs_DX)
    inverse_squares_D, inverse_factor = np.exp(-2 * kernel_H[:-_N_SHARED]), math.exp(-2 * kernel_H[_FACTOR])
    fraction, variance = _fraction_and_variance(kernel_H)
    gradient_D: Floats = (
        (1 - fraction) * 5 / 3 * inverse_factor * inverse_squares_D * (pairs_DX @ (dlogp_dK_X * decay_X))
    )
    by_factor = float(gradient_D.sum())
    buffer_X = np.empty_like(dlogp_dK_X)
    for d, (inverse_square, distances_X) in enumerate(zip(inverse_squares_D, pairs_DX, strict=True)):
        np.multiply(distances_X, 0.5 * n_parameters * inverse_square, out=buffer_X)
        buffer_X += 1.0
        np.square(buffer_X, out=buffer_X)
        np.divide(distances_X, buffer_X, out=buffer_X)
        gradient_D[d] += fraction * inverse_square * float(buffer_X @ dlogp_dK_X)
    return variance * gradient_D, variance * by_factor


def fisher_information(kernel_H: Floats, distances_DNN: Floats) -> Floats:
    """Return the Fisher information of the hyper-parameters, (H, H): ½ tr(K⁻¹ ∂K/∂i K⁻¹ ∂K/∂j).

    Mardia, Marshall (1984), "Maximum likelihood estimation of models for residual covariance in spatial regression".
    Unlike the Hessian it is never indefinite.

    Args:
        kernel_H: the hyper-parameters.
        distances_DNN: :func:`squared_distances` between all points.
    """
    n_parameters, n_points, _ = distances_DNN.shape
    inverse_squares_D11 = np.exp(-2 * kernel_H[:-_N_SHARED])[:, None, None]
    inverse_factor = math.exp(-2 * kernel_H[_FACTOR])
    fraction, variance = _fraction_and_variance(kernel_H)
    correlations = _correlations(kernel_H, distances_DNN.reshape(n_parameters, -1))
    additive_NN, joint_NN, decay_NN = (part.reshape(n_points, n_points) for part in correlations)
    signal_NN = variance * (fraction * additive_NN + (1 - fraction) * joint_NN)
    noise_NN = math.exp(kernel_H[_NOISE]) * np.eye(n_points)
    by_additive_DNN = fraction / np.square(1 + 0.5 * n_parameters * inverse_squares_D11 * distances_DNN)
    scaled_DNN = variance * inverse_squares_D11 * distances_DNN
    by_joint_NN = (1 - fraction) * 5 / 3 * inverse_factor * decay_NN
    by_length_DNN = scaled_DNN * (by_joint_NN + by_additive_DNN)
    by_factor_NN = by_joint_NN * scaled_DNN.sum(axis=0)
    by_fraction_NN = variance * fraction * (1 - fraction) * (additive_NN - joint_NN)
    dK_HNN = np.concatenate([by_length_DNN, np.stack([by_factor_NN, signal_NN, noise_NN, by_fraction_NN])])
    total_NN = signal_NN + _MEAN_VARIANCE + noise_NN + _JITTER * np.eye(n_points)
    solved_HNN = np.linalg.inv(total_NN) @ dK_HNN
    transposed_HX = solved_HNN.transpose(0, 2, 1).reshape(len(solved_HNN), -1)
    information_HH: Floats = 0.5 * solved_HNN.reshape(len(solved_HNN), -1) @ transposed_HX.T
    return information_HH


def _condition(
    kernels_SH: Floats, groups_F: NDArray[np.intp], rows_NF: Floats, values_SN: Floats
) -> GaussianProcess:
    """Return the process with these kernels after these observations."""
    from scipy.linalg import lapack

    distances_DNN = squared_distances(rows_NF, rows_NF, groups_F)
    inverse_choleskys, alphas = [], []
    for kernel_H, values_N in zip(kernels_SH, values_SN, strict=True):
        total_NN = _covariance(kernel_H, distances_DNN) + _MEAN_VARIANCE
        total_NN[np.diag_indices(len(rows_NF))] += math.exp(kernel_H[_NOISE]) + _JITTER
        inverse_NN, _ = lapack.dtrtri(np.linalg.cholesky(total_NN), lower=1)
        inverse_choleskys.append(inverse_NN)
        alphas.append(inverse_NN.T @ (inverse_NN @ values_N))
    return GaussianProcess(
        kernels_SH, groups_F, rows_NF, values_SN, np.array(inverse_choleskys), np.array(alphas)
    )
