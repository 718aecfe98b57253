"""A Gaussian process over encoded points whose kernel is weighed, and not only fitted.

The function is taken for a sum of effects of single parameters (a rational quadratic kernel each) and one effect of all
together (Matérn 5/2): most of what a hyper-parameter does it does alone (Hutter, Hoos, Leyton-Brown (2014), "An
Efficient Approach for Assessing Hyperparameter Importance"; Duvenaud, Nickisch, Rasmussen (2011), "Additive Gaussian
Processes"), so a few trials tell of regions none of them was in. To it come a constant for the unknown mean, and noise.

What is known of the kernel before any trial enters as priors: length scales grow with the root of the number of
parameters (Hvarfner, Hellsten, Nardi (2024), "Vanilla Bayesian Optimization Performs Great in High Dimensions"). The
joint effect reaches as far as the single ones; a *wary* process lets it reach less far, and so is less sure of all that
lies between the trials. From few trials a kernel is known badly, and the single best one is sure of itself where it
must not be; so several are drawn from the normal approximation of their posterior at its mode (Laplace; the curvature
is Fisher's information), for the acquisition to be averaged over (Snoek, Larochelle, Adams (2012), section 3.2).

Fitted afresh from nothing but its arguments (law 1). Knows rows and numbers; neither spaces nor trials.

Axes: N observed points, M other points, D parameters, F columns of the encoding, S kernels, H hyperparameters: the
logs of D length scales, of the joint effect's reach (its length scales are the single effects' times that), of the
signal's and the noise's variance, and the log odds of the single effects' share; X pairs of points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LENGTH = (
    math.sqrt(2.0),
    math.sqrt(3.0),
)  # mean and deviation; the mean before the root of D (Hvarfner et al.)
_N_SHARED = 4  # hyperparameters besides the length scales
_REACH = (0.0, 1e-3)  # 1: its bounds are equal, and this narrow so that it takes no part in the others' draws
_WARY_REACH = (-1.5, 1.0)  # 0.08 to 0.6
_SIGNAL = (0.0, 1.0)  # the losses have variance 1
_NOISE = (math.log(1e-3), 2.0)  # from nothing to a fifth of the losses' deviation
_SHARE = (0.0, 1.5)  # of single effects: a tenth to nine tenths
_LENGTH_BOUNDS, _REACH_BOUNDS, _WARY_REACH_BOUNDS = (-4.0, 7.0), (0.0, 0.0), (-4.0, 0.0)
_SIGNAL_BOUNDS, _NOISE_BOUNDS, _SHARE_BOUNDS = (-5.0, 5.0), (math.log(1e-7), 0.0), (-6.0, 6.0)
_MEAN_VARIANCE = 1.0
_JITTER = 1e-8
_MAX_STEPS = 60
_MAX_STEPS_OF_MANY = 24  # of more than _MANY parameters
_MANY = 16
_MAX_DISTANCES = 2**18  # at a time: 2 MB stay in the cache
_ROOT_5 = math.sqrt(5.0)


@dataclass(frozen=True)
class Process:
    """What each of S kernels makes of the observations."""

    kernels: Floats
    groups: NDArray[np.intp]
    rows: Floats
    values: Floats
    whitening: Floats  # inverses of the Cholesky factors
    weights: Floats

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation of the function at ``rows_MF``, each (S, M), the noise of observation left out."""
        n_kernels, n_rows = len(self.kernels), len(rows_MF)
        mean_SM, deviation_SM = np.empty((n_kernels, n_rows)), np.empty((n_kernels, n_rows))
        n_at_once = max(16, _MAX_DISTANCES // (len(self.rows) * (self.kernels.shape[1] - _N_SHARED)))
        for first in range(0, n_rows, n_at_once):
            part = slice(first, first + n_at_once)
            distances_DMN = squared_distances(rows_MF[part], self.rows, self.groups)
            for s, kernel_H in enumerate(self.kernels):
                covariance_MN = _signal(kernel_H, distances_DMN) + _MEAN_VARIANCE
                mean_SM[s, part] = covariance_MN @ self.weights[s]
                white_MN = covariance_MN @ self.whitening[s].T
                variance_M = (
                    math.exp(kernel_H[-3]) + _MEAN_VARIANCE - np.einsum("mn,mn->m", white_MN, white_MN)
                )
                deviation_SM[s, part] = np.sqrt(np.maximum(variance_M, 1e-12))
        return mean_SM, deviation_SM

    def believing(self, rows_PF: Floats) -> Process:
        """The process had each of ``rows_PF`` been observed at each kernel's mean, the kernels left as they are.

        The kriging believer of Ginsbourger, Le Riche, Carraro (2010), "Kriging is well-suited to parallelize
        optimization": the mean stays, the uncertainty near those rows goes.
        """
        if not len(rows_PF):
            return self
        values = np.hstack([self.values, self.predict(rows_PF)[0]])
        return _process(self.kernels, self.groups, np.vstack([self.rows, rows_PF]), values)


def fitted(
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    n_kernels: int,
    generator: np.random.Generator,
    *,
    is_wary: bool = False,
) -> Process:
    """The process under the most likely kernel, and under ``n_kernels`` - 1 others as the data allow.

    Args:
        rows_NF: encoded points, F ≥ 1.
        values_N: what was observed there, with mean near 0 and deviation near 1.
        groups_F: the parameter, from 0, that each column is part of; its columns share a length scale.
        n_kernels: how many, at least 1.
        generator: draws the other kernels.
        is_wary: whether the joint effect is taken to reach less far than the single ones. The kernel is then the most
            likely one near that belief: where the function is a sum of single effects, one that reaches further may
            be likelier, and is the usual process's to tell.
    """
    from scipy.optimize import minimize

    distances_DNN = squared_distances(rows_NF, rows_NF, groups_F)
    n_parameters = len(distances_DNN)
    prior = prior_of(n_parameters, is_wary=is_wary)
    start_H = np.append(prior.mean[:-_N_SHARED] - 1.5, prior.mean[-_N_SHARED:])
    of_reach = _WARY_REACH_BOUNDS if is_wary else _REACH_BOUNDS
    bounds = [_LENGTH_BOUNDS] * n_parameters + [of_reach, _SIGNAL_BOUNDS, _NOISE_BOUNDS, _SHARE_BOUNDS]
    found: Any = minimize(
        negative_log_posterior,
        start_H,
        args=(distances_DNN[:, *pair_places(len(values_N))], values_N, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _MAX_STEPS if n_parameters <= _MANY else _MAX_STEPS_OF_MANY, "ftol": 1e-7},
    )
    kernels_SH: Floats = found.x[None]
    if n_kernels > 1:
        precision_HH = information(found.x, distances_DNN) + np.diag(prior.deviation**-2)
        root_HH = np.linalg.cholesky(precision_HH)
        draws_SH = generator.standard_normal((n_kernels - 1, len(found.x)))
        low_H, high_H = np.array(bounds).T
        others_SH = np.clip(found.x + np.linalg.solve(root_HH.T, draws_SH.T).T, low_H, high_H)
        kernels_SH = np.vstack([kernels_SH, others_SH])
    return _process(kernels_SH, groups_F, rows_NF, np.tile(values_N, (len(kernels_SH), 1)))


def squared_distances(a_MF: Floats, b_NF: Floats, groups_F: NDArray[np.intp]) -> Floats:
    """From every row of one to every row of the other, in each parameter alone: shape (D, M, N)."""
    distances_DMN = np.zeros((int(groups_F.max()) + 1, len(a_MF), len(b_NF)))
    for a_M, b_N, group in zip(a_MF.T, b_NF.T, groups_F, strict=True):
        distances_DMN[group] += np.square(a_M[:, None] - b_N)
    return distances_DMN


class Prior(NamedTuple):
    """Of the hyperparameters, each normal: (H,) both."""

    mean: Floats
    deviation: Floats


def prior_of(n_parameters: int, *, is_wary: bool = False) -> Prior:
    """What is known of them before any trial; see :func:`fitted`."""
    length = (_LENGTH[0] + 0.5 * math.log(n_parameters), _LENGTH[1])
    reach = _WARY_REACH if is_wary else _REACH
    return Prior(*np.array([*[length] * n_parameters, reach, _SIGNAL, _NOISE, _SHARE]).T)


def negative_log_posterior(
    hyperparameters_H: Floats, pairs_DX: Floats, values_N: Floats, prior: Prior
) -> tuple[float, Floats]:
    """Of the hyperparameters given the values, up to a constant; and its gradient.

    Rasmussen, Williams (2006), "Gaussian Processes for Machine Learning", equations 5.8 and 5.9, with the priors.

    Args:
        hyperparameters_H: see the legend.
        pairs_DX: :func:`squared_distances` between the points, at :func:`pair_places`.
        values_N: with mean near 0 and deviation near 1.
        prior: of the hyperparameters.
    """
    from scipy.linalg import lapack

    n_points, noise = len(values_N), math.exp(hyperparameters_H[-2])
    effects_X, joint_X, decay_X = _parts(hyperparameters_H, pairs_DX)
    share, variance = _share_and_variance(hyperparameters_H)
    total_NN = np.zeros((n_points, n_points))
    places = pair_places(n_points)
    total_NN[places] = variance * (share * effects_X + (1 - share) * joint_X) + _MEAN_VARIANCE
    total_NN[np.diag_indices(n_points)] = variance + _MEAN_VARIANCE + noise + _JITTER
    cholesky_NN, failed = lapack.dpotrf(total_NN, lower=1)
    if failed:
        return 1e10, np.zeros_like(hyperparameters_H)
    weights_N, _ = lapack.dpotrs(cholesky_NN, values_N, lower=1)
    inverse_NN, _ = lapack.dpotri(cholesky_NN, lower=1)
    value = 0.5 * float(values_N @ weights_N) + float(np.log(np.diag(cholesky_NN)).sum())
    # the derivative of -value by each covariance: by a pair's twice as much, for it stands at two places
    pull_X = weights_N[places[0]] * weights_N[places[1]] - inverse_NN[places]
    pull = float(weights_N @ weights_N) - float(np.trace(inverse_NN))
    gradient_H = np.empty_like(hyperparameters_H)
    slopes_D, by_reach = _slopes(hyperparameters_H, pairs_DX, decay_X, pull_X)
    gradient_H[:-_N_SHARED], gradient_H[-4] = -slopes_D, -by_reach
    signal_X = share * effects_X + (1 - share) * joint_X
    gradient_H[-3] = -variance * (float(pull_X @ signal_X) + 0.5 * pull)
    gradient_H[-2] = -0.5 * pull * noise
    gradient_H[-1] = -variance * share * (1 - share) * float(pull_X @ (effects_X - joint_X))
    away_H = (hyperparameters_H - prior.mean) / prior.deviation
    return value + 0.5 * float(away_H @ away_H), gradient_H + away_H / prior.deviation


@lru_cache(maxsize=4)
def pair_places(n_points: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column of every two points' covariance, below the diagonal."""
    rows_X, columns_X = np.tril_indices(n_points, -1)
    return rows_X, columns_X


def _share_and_variance(hyperparameters_H: Floats) -> tuple[float, float]:
    return 1 / (1 + math.exp(-hyperparameters_H[-1])), math.exp(hyperparameters_H[-3])


def _signal(hyperparameters_H: Floats, distances_DMN: Floats) -> Floats:
    """The covariance of the function's values, without the constant's."""
    share, variance = _share_and_variance(hyperparameters_H)
    effects_X, joint_X, _ = _parts(hyperparameters_H, distances_DMN.reshape(len(distances_DMN), -1))
    signal_X: Floats = variance * (share * effects_X + (1 - share) * joint_X)
    return signal_X.reshape(distances_DMN.shape[1:])


def _parts(hyperparameters_H: Floats, distances_DX: Floats) -> tuple[Floats, Floats, Floats]:
    """The correlations of the single effects and of the joint one, and what the slope of the latter is made from."""
    n_parameters = len(distances_DX)
    scales_D = np.exp(-2 * hyperparameters_H[:-_N_SHARED])
    away_X = _ROOT_5 * math.exp(-hyperparameters_H[-4]) * np.sqrt(scales_D @ distances_DX)
    exponential_X = np.exp(-away_X)
    decay_X = (1 + away_X) * exponential_X
    joint_X = decay_X + away_X**2 / 3 * exponential_X
    effects_X = np.zeros_like(joint_X)
    buffer_X = np.empty_like(joint_X)
    for scale, distances_X in zip(
        scales_D, distances_DX, strict=True
    ):  # one parameter at a time fits the cache
        np.multiply(distances_X, 0.5 * n_parameters * scale, out=buffer_X)
        buffer_X += 1.0
        np.divide(1.0 / n_parameters, buffer_X, out=buffer_X)
        effects_X += buffer_X
    return effects_X, joint_X, decay_X


def _slopes(
    hyperparameters_H: Floats, pairs_DX: Floats, decay_X: Floats, pull_X: Floats
) -> tuple[Floats, float]:
    """The sum over pairs of ``pull_X`` times the signal's derivative by each log length scale, and by the log reach."""
    n_parameters = len(pairs_DX)
    scales_D, nearness = np.exp(-2 * hyperparameters_H[:-_N_SHARED]), math.exp(-2 * hyperparameters_H[-4])
    share, variance = _share_and_variance(hyperparameters_H)
    slopes_D: Floats = (1 - share) * 5 / 3 * nearness * scales_D * (pairs_DX @ (pull_X * decay_X))
    by_reach = float(slopes_D.sum())
    buffer_X = np.empty_like(pull_X)
    for place, (scale, distances_X) in enumerate(zip(scales_D, pairs_DX, strict=True)):
        np.multiply(distances_X, 0.5 * n_parameters * scale, out=buffer_X)
        buffer_X += 1.0
        np.square(buffer_X, out=buffer_X)
        np.divide(distances_X, buffer_X, out=buffer_X)
        slopes_D[place] += share * scale * float(buffer_X @ pull_X)
    return variance * slopes_D, variance * by_reach


def information(hyperparameters_H: Floats, distances_DNN: Floats) -> Floats:
    """Fisher's information on the hyperparameters, (H, H): ½ tr(K⁻¹ ∂K/∂i K⁻¹ ∂K/∂j).

    Never indefinite, as the Hessian may be. The distances are between all points, (D, N, N).
    """
    n_parameters, n_points, _ = distances_DNN.shape
    scales_D11 = np.exp(-2 * hyperparameters_H[:-_N_SHARED])[:, None, None]
    nearness = math.exp(-2 * hyperparameters_H[-4])
    share, variance = _share_and_variance(hyperparameters_H)
    parts = _parts(hyperparameters_H, distances_DNN.reshape(n_parameters, -1))
    effects_NN, joint_NN, decay_NN = (part.reshape(n_points, n_points) for part in parts)
    signal_NN = variance * (share * effects_NN + (1 - share) * joint_NN)
    noise_NN = math.exp(hyperparameters_H[-2]) * np.eye(n_points)
    single_DNN = share / np.square(1 + 0.5 * n_parameters * scales_D11 * distances_DNN)
    pulls_DNN = variance * scales_D11 * distances_DNN
    of_joint_NN = (1 - share) * 5 / 3 * nearness * decay_NN
    slopes_DNN = pulls_DNN * (of_joint_NN + single_DNN)
    by_reach_NN = of_joint_NN * pulls_DNN.sum(axis=0)
    by_share_NN = variance * share * (1 - share) * (effects_NN - joint_NN)
    slopes_HNN = np.concatenate([slopes_DNN, np.stack([by_reach_NN, signal_NN, noise_NN, by_share_NN])])
    total_NN = signal_NN + _MEAN_VARIANCE + noise_NN + _JITTER * np.eye(n_points)
    solved_HNN = np.linalg.inv(total_NN) @ slopes_HNN
    transposed_HX = solved_HNN.transpose(0, 2, 1).reshape(len(solved_HNN), -1)
    information_HH: Floats = 0.5 * solved_HNN.reshape(len(solved_HNN), -1) @ transposed_HX.T
    return information_HH


def _process(kernels_SH: Floats, groups_F: NDArray[np.intp], rows_NF: Floats, values_SN: Floats) -> Process:
    from scipy.linalg import lapack

    distances_DNN = squared_distances(rows_NF, rows_NF, groups_F)
    whitening, weights = [], []
    for kernel_H, values_N in zip(kernels_SH, values_SN, strict=True):
        total_NN = _signal(kernel_H, distances_DNN) + _MEAN_VARIANCE
        total_NN[np.diag_indices(len(rows_NF))] += math.exp(kernel_H[-2]) + _JITTER
        inverse_NN, _ = lapack.dtrtri(np.linalg.cholesky(total_NN), lower=1)
        whitening.append(inverse_NN)
        weights.append(inverse_NN.T @ (inverse_NN @ values_N))
    return Process(kernels_SH, groups_F, rows_NF, values_SN, np.array(whitening), np.array(weights))
