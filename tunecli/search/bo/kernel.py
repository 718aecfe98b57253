"""The kernel of the Gaussian process, the priors of its hyper-parameters, and their posterior.

**Kernel.** A sum of additive effects of single parameters (a rational quadratic kernel each) and one joint effect of
all parameters (Matérn 5/2), plus a constant for the unknown mean, plus noise. Most of a hyper-parameter's effect is its
own (Hutter, Hoos, Leyton-Brown (2014), "An Efficient Approach for Assessing Hyperparameter Importance"; Duvenaud,
Nickisch, Rasmussen (2011), "Additive Gaussian Processes"), so a few trials inform about regions that none of them was
in.

**Priors.** Length scales grow with the square root of the number of parameters (Hvarfner, Hellsten, Nardi (2024),
"Vanilla Bayesian Optimization Performs Great in High Dimensions"). Theirs, the default, are long: a few trials then
say much of distant regions, and may mislead. A *conservative* process expects an eleventh of that length, about that of
tuning problems with four to nine parameters, and so is less certain everywhere between the trials.

Axes: N observed points, M other points, D parameters, F columns of the encoding, X pairs of points, H hyper-parameters:
log length scales (D), log signal variance, log noise variance, log odds of the additive fraction of the signal
variance.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Mean and deviation of each hyper-parameter's normal prior, for values of variance 1 and coordinates in [0, 1].
_LENGTH_PRIOR = (math.sqrt(2.0), math.sqrt(3.0))  # Hvarfner et al. (2024); the mean before ½ log D
# A length scale of one range for seven parameters. Among means from -2 to -0.5 and deviations from 0.5 to 1.5 these
# predicted unseen points best, on average over random trials of LCBench and of generated functions.
_CONSERVATIVE_LENGTH_PRIOR = (-1.0, 0.75)
_SIGNAL_PRIOR = (0.0, 1.0)
_NOISE_PRIOR = (math.log(1e-3), 2.0)  # deviation from nothing to a fifth of the values'
_FRACTION_PRIOR = (0.0, 1.5)  # additive fraction from a tenth to nine tenths
LENGTH_BOUNDS = (-4.0, 7.0)
SIGNAL_BOUNDS, NOISE_BOUNDS, FRACTION_BOUNDS = (-5.0, 5.0), (math.log(1e-7), 0.0), (-6.0, 6.0)

N_SHARED = 3  # hyper-parameters after the length scales
SIGNAL, NOISE, _FRACTION = -3, -2, -1  # their indices
MEAN_VARIANCE = 1.0  # of the constant
_JITTER = 1e-8
_ROOT_5 = math.sqrt(5.0)


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
    mean, deviation = _CONSERVATIVE_LENGTH_PRIOR if is_conservative else _LENGTH_PRIOR
    length = (mean + 0.5 * math.log(n_parameters), deviation)
    return KernelPrior(*np.array([*[length] * n_parameters, _SIGNAL_PRIOR, _NOISE_PRIOR, _FRACTION_PRIOR]).T)


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

    n_points, noise = len(values_N), math.exp(kernel_H[NOISE])
    additive_X, joint_X, decay_X = _correlations(kernel_H, pairs_DX)
    fraction, variance = _fraction_and_variance(kernel_H)
    total_NN = np.zeros((n_points, n_points))
    indices = pair_indices(n_points)
    total_NN[indices] = variance * (fraction * additive_X + (1 - fraction) * joint_X) + MEAN_VARIANCE
    total_NN[np.diag_indices(n_points)] = variance + MEAN_VARIANCE + noise + _JITTER
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
    gradient_H[:-N_SHARED] = -_length_gradients(kernel_H, pairs_DX, decay_X, dlogp_dK_X)
    signal_X = fraction * additive_X + (1 - fraction) * joint_X
    gradient_H[SIGNAL] = -variance * (float(dlogp_dK_X @ signal_X) + 0.5 * trace)
    gradient_H[NOISE] = -0.5 * trace * noise
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
    return 1 / (1 + math.exp(-kernel_H[_FRACTION])), math.exp(kernel_H[SIGNAL])


def signal_variance(kernel_H: Floats) -> float:
    """Return the variance of the function's values, without the constant."""
    return math.exp(kernel_H[SIGNAL])


def noise_variance(kernel_H: Floats) -> float:
    """Return the variance of an observation's noise, with what keeps the factor of a covariance stable."""
    return math.exp(kernel_H[NOISE]) + _JITTER


def covariance(kernel_H: Floats, distances_DMN: Floats) -> Floats:
    """Return the covariance of the function's values without the constant, (M, N)."""
    fraction, variance = _fraction_and_variance(kernel_H)
    additive_X, joint_X, _ = _correlations(kernel_H, distances_DMN.reshape(len(distances_DMN), -1))
    covariance_X: Floats = variance * (fraction * additive_X + (1 - fraction) * joint_X)
    return covariance_X.reshape(distances_DMN.shape[1:])


def _correlations(kernel_H: Floats, distances_DX: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the correlations of the additive and of the joint effect, and (1 + √5 r) exp(-√5 r), (X,) each.

    Additive: the mean over the D parameters of a rational quadratic kernel with exponent 1 and length scale
    ℓ_d / √D. Joint: Matérn 5/2 of r = |(x - x') / ℓ| (Rasmussen, Williams (2006), equations 4.19 and 4.17).
    The third gives the joint one's derivative: ∂joint/∂r² = -⅚ (1 + √5 r) exp(-√5 r).
    """
    n_parameters = len(distances_DX)
    inverse_squares_D = np.exp(-2 * kernel_H[:-N_SHARED])
    scaled_X = _ROOT_5 * np.sqrt(inverse_squares_D @ distances_DX)
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


def _length_gradients(kernel_H: Floats, pairs_DX: Floats, decay_X: Floats, dlogp_dK_X: Floats) -> Floats:
    """Return the gradient of the log-likelihood by each log length scale, (D,)."""
    n_parameters = len(pairs_DX)
    inverse_squares_D = np.exp(-2 * kernel_H[:-N_SHARED])
    fraction, variance = _fraction_and_variance(kernel_H)
    gradient_D: Floats = (1 - fraction) * 5 / 3 * inverse_squares_D * (pairs_DX @ (dlogp_dK_X * decay_X))
    buffer_X = np.empty_like(dlogp_dK_X)
    for d, (inverse_square, distances_X) in enumerate(zip(inverse_squares_D, pairs_DX, strict=True)):
        np.multiply(distances_X, 0.5 * n_parameters * inverse_square, out=buffer_X)
        buffer_X += 1.0
        np.square(buffer_X, out=buffer_X)
        np.divide(distances_X, buffer_X, out=buffer_X)
        gradient_D[d] += fraction * inverse_square * float(buffer_X @ dlogp_dK_X)
    return variance * gradient_D


def fisher_information(kernel_H: Floats, distances_DNN: Floats) -> Floats:
    """Return the Fisher information of the hyper-parameters, (H, H): ½ tr(K⁻¹ ∂K/∂i K⁻¹ ∂K/∂j).

    Mardia, Marshall (1984), "Maximum likelihood estimation of models for residual covariance in spatial regression".
    Unlike the Hessian it is never indefinite.

    Args:
        kernel_H: the hyper-parameters.
        distances_DNN: :func:`squared_distances` between all points.
    """
    n_parameters, n_points, _ = distances_DNN.shape
    inverse_squares_D11 = np.exp(-2 * kernel_H[:-N_SHARED])[:, None, None]
    fraction, variance = _fraction_and_variance(kernel_H)
    correlations = _correlations(kernel_H, distances_DNN.reshape(n_parameters, -1))
    additive_NN, joint_NN, decay_NN = (part.reshape(n_points, n_points) for part in correlations)
    signal_NN = variance * (fraction * additive_NN + (1 - fraction) * joint_NN)
    noise_NN = math.exp(kernel_H[NOISE]) * np.eye(n_points)
    by_additive_DNN = fraction / np.square(1 + 0.5 * n_parameters * inverse_squares_D11 * distances_DNN)
    scaled_DNN = variance * inverse_squares_D11 * distances_DNN
    by_joint_NN = (1 - fraction) * 5 / 3 * decay_NN
    by_length_DNN = scaled_DNN * (by_joint_NN + by_additive_DNN)
    by_fraction_NN = variance * fraction * (1 - fraction) * (additive_NN - joint_NN)
    dK_HNN = np.concatenate([by_length_DNN, np.stack([signal_NN, noise_NN, by_fraction_NN])])
    total_NN = signal_NN + MEAN_VARIANCE + noise_NN + _JITTER * np.eye(n_points)
    solved_HNN = np.linalg.inv(total_NN) @ dK_HNN
    transposed_HX = solved_HNN.transpose(0, 2, 1).reshape(len(solved_HNN), -1)
    information_HH: Floats = 0.5 * solved_HNN.reshape(len(solved_HNN), -1) @ transposed_HX.T
    return information_HH
