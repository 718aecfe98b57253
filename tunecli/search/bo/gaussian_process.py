"""A Gaussian process over encoded points, averaged over kernels that are sampled from their posterior.

**Sampled kernels.** Few trials leave the kernel uncertain, and the single most likely one is overconfident. So further
kernels are drawn from the Laplace approximation of their posterior at its mode, with Fisher information as curvature,
and the acquisition is averaged over all of them (Snoek, Larochelle, Adams (2012), section 3.2).

Every process is fitted from its arguments alone. This module knows rows and numbers; neither spaces nor trials.

Axes: N observed points, M other points, P pending points, D parameters, F columns of the encoding, S kernels,
H hyper-parameters as in :mod:`tunecli.search.bo.kernel`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tunecli.search.bo.pending_process import PendingProcess

from tunecli.search.bo.kernel import (
    FRACTION_BOUNDS,
    LENGTH_BOUNDS,
    MEAN_VARIANCE,
    N_SHARED,
    NOISE,
    NOISE_BOUNDS,
    SIGNAL_BOUNDS,
    Floats,
    covariance,
    fisher_information,
    kernel_prior,
    negative_log_posterior,
    noise_variance,
    pair_indices,
    signal_variance,
    squared_distances,
)
from tunecli.search.bo.memo import Memo, content_key

MAX_EXACT_PENDING = 64
"""With more pending trials than this, a suggestion computes less exactly, at a bounded cost."""

_MAX_ITERATIONS = 60
_MAX_ITERATIONS_HIGH_D = 24  # for more than _HIGH_D parameters
_HIGH_D = 16
_MAX_DISTANCES = 2**18  # at a time: 2 MB fit the cache


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
            signal = signal_variance(self.kernels_SH[s])
            variance_M = signal + MEAN_VARIANCE - np.einsum("mn,mn->m", white_MN, white_MN)
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
        return replace(
            self,
            kernels_SH=self.kernels_SH[:1],
            values_SN=self.values_SN[:1],
            inverse_cholesky_SNN=self.inverse_cholesky_SNN[:1],
            alpha_SN=self.alpha_SN[:1],
        )

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Return the mean and deviation of each observation by all others, each (S, N).

        They are yₙ - [K⁻¹ y]ₙ / [K⁻¹]ₙₙ and [K⁻¹]ₙₙ to the power of -½, where K includes the noise: Rasmussen, Williams
        (2006), equation 5.12. So no fit is repeated: the kernels are those of the fit to all observations.
        """
        precision_SN = np.square(self.inverse_cholesky_SNN).sum(axis=1)
        means_SN: Floats = self.values_SN - self.alpha_SN / precision_SN
        return means_SN, 1 / np.sqrt(precision_SN)

    @property
    def noise_S(self) -> Floats:
        """The standard deviation of one observation's noise under each kernel, (S,)."""
        noise_S: Floats = np.exp(0.5 * self.kernels_SH[:, NOISE])
        return noise_S

    def with_noise_of(self, noise: float) -> GaussianProcess:
        """Return the process with the same kernels and a noise of at least ``noise``, a standard deviation above 0."""
        kernels_SH = self.kernels_SH.copy()
        kernels_SH[:, NOISE] = np.maximum(kernels_SH[:, NOISE], 2 * math.log(noise))
        return _condition(kernels_SH, self.groups_F, self.rows_NF, self.values_SN)

    def given_only(self, is_kept_N: NDArray[np.bool_]) -> GaussianProcess:
        """Return the process with the same kernels after some of its observations alone, at least one."""
        return _condition(
            self.kernels_SH, self.groups_F, self.rows_NF[is_kept_N], self.values_SN[:, is_kept_N]
        )

    def _covariances(self, rows_MF: Floats) -> Iterator[tuple[slice, int, Floats]]:
        """Yield parts of the rows with each kernel's index and covariances with the observations, (M, N)."""
        n_columns = len(self.rows_NF) * (self.kernels_SH.shape[1] - N_SHARED)
        n_at_once = max(16, _MAX_DISTANCES // n_columns)
        for first in range(0, len(rows_MF), n_at_once):
            part = slice(first, first + n_at_once)
            distances_DMN = squared_distances(rows_MF[part], self.rows_NF, self.groups_F)
            for s, kernel_H in enumerate(self.kernels_SH):
                yield part, s, covariance(kernel_H, distances_DMN) + MEAN_VARIANCE

    def fantasize(self, rows_PF: Floats) -> GaussianProcess | PendingProcess:
        """Return the process conditioned on each kernel's own mean at ``rows_PF``, with the same kernels.

        The kriging believer of Ginsbourger, Le Riche, Carraro (2010), "Kriging is well-suited to parallelize
        optimization": the mean is unchanged, the uncertainty near ``rows_PF`` is removed. After more than
        ``MAX_EXACT_PENDING`` rows it is removed as in :mod:`tunecli.search.bo.pending_process`.
        """
        if not len(rows_PF):
            return self
        if len(rows_PF) > MAX_EXACT_PENDING:
            from tunecli.search.bo.pending_process import believing  # which builds on this module

            return believing(self, rows_PF)
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
        is_conservative: whether the prior expects short length scales, so that the process is less certain between the
            points.
    """
    key = content_key(rows_NF, values_N, groups_F, n_kernels, generator.bit_generator.state, is_conservative)

    def make() -> _FitAndState:
        process = _fitted(rows_NF, values_N, groups_F, n_kernels, generator, is_conservative=is_conservative)
        return process, generator.bit_generator.state

    process, state = _FITS.get(key, make)
    generator.bit_generator.state = state  # the caller's next draw does not depend on the memo
    return process


_FitAndState = tuple[GaussianProcess, Mapping[str, Any]]
_FITS: Memo[_FitAndState] = Memo(8)


def _fitted(
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    n_kernels: int,
    generator: np.random.Generator,
    *,
    is_conservative: bool,
) -> GaussianProcess:
    from scipy.optimize import minimize

    distances_DNN = squared_distances(rows_NF, rows_NF, groups_F)
    n_parameters = len(distances_DNN)
    prior = kernel_prior(n_parameters, is_conservative=is_conservative)
    start_H = np.append(prior.mean_H[:-N_SHARED] - 1.5, prior.mean_H[-N_SHARED:])
    bounds = [LENGTH_BOUNDS] * n_parameters + [SIGNAL_BOUNDS, NOISE_BOUNDS, FRACTION_BOUNDS]
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


def inverse_cholesky(total_NN: Floats) -> Floats:
    """Return L⁻¹, where ``total_NN`` = L Lᵀ."""
    from scipy.linalg import lapack

    inverse_NN: Floats
    inverse_NN, _ = lapack.dtrtri(np.linalg.cholesky(total_NN), lower=1)
    return inverse_NN


def _condition(
    kernels_SH: Floats, groups_F: NDArray[np.intp], rows_NF: Floats, values_SN: Floats
) -> GaussianProcess:
    """Return the process with these kernels after these observations."""
    distances_DNN = squared_distances(rows_NF, rows_NF, groups_F)
    inverse_choleskys, alphas = [], []
    for kernel_H, values_N in zip(kernels_SH, values_SN, strict=True):
        total_NN = covariance(kernel_H, distances_DNN) + MEAN_VARIANCE
        total_NN[np.diag_indices(len(rows_NF))] += noise_variance(kernel_H)
        inverse_NN = inverse_cholesky(total_NN)
        inverse_choleskys.append(inverse_NN)
        alphas.append(inverse_NN.T @ (inverse_NN @ values_N))
    return GaussianProcess(
        kernels_SH, groups_F, rows_NF, values_SN, np.array(inverse_choleskys), np.array(alphas)
    )
