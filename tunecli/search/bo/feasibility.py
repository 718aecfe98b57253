"""Model where trials are feasible: they satisfy every constraint, and they do not fail.

A violation is a constraint's value minus its bound: 0 or less if the constraint is satisfied. Each constraint has a
Gaussian process of its violations, and the probability that it is satisfied multiplies the acquisition: Gardner,
Kusner, Xu, Weinberger, Cunningham (2014), "Bayesian Optimization with Inequality Constraints".

Failures have a model of their own, so that a failure does not change the losses that are predicted near it: out of
memory one unit beyond the best network must not make that network look bad (Gelbart, Snoek, Adams (2014), "Bayesian
Optimization with Unknown Constraints"). Pure functions of rows and numbers.

Axes: N trials, C constraints, P pending trials, M candidates, U failed trials, S kernels, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo import gaussian_process
from tunecli.search.bo.gaussian_process import GaussianProcess

Floats = NDArray[np.float64]

LogProbability = Callable[[Floats], Floats]
"""Rows of shape (M, F) → the log of a probability at each, (M,)."""

LOG_HALF = math.log(0.5)
"""A trial is *likely* feasible if its log-probability is above this."""

_MIN_KNOWN = 2  # values of a constraint; a single one does not show where the constraint is satisfied
_N_KERNELS = 2
_CLEAR = 0.5  # deviations above even odds; on a border that all options share, an option's own trials are not clear
# For each standard deviation below even odds; larger than any difference between two log acquisitions.
_FAILURE_PENALTY = 1e15
_OWN_WEIGHT = 0.1  # of an option's own trials where they contradict those of all options
_LOG_OWN_WEIGHT, _LOG_ALL_WEIGHT = math.log(_OWN_WEIGHT), math.log(1 - _OWN_WEIGHT)


def violation_matrix(violations: Sequence[Sequence[float]]) -> Floats:
    """Return the violations of each trial as an array, (N, C); NaN if unknown.

    Args:
        violations: those of each trial, in the metric's unit; empty if unknown.
    """
    n_constraints = max(map(len, violations), default=0)
    violations_NC = np.full((len(violations), n_constraints), np.nan)
    for index, violations_of_trial in enumerate(violations):
        violations_NC[index, : len(violations_of_trial)] = violations_of_trial
    return np.where(np.isfinite(violations_NC), violations_NC, np.nan)


def known_constraints(violations_NC: Floats) -> Floats:
    """Return the columns of the constraints with at least two known violations."""
    known_NC: Floats = violations_NC[:, np.isfinite(violations_NC).sum(axis=0) >= _MIN_KNOWN]
    return known_NC


def is_feasible(violations_NC: Floats) -> NDArray[np.bool_]:
    """Return which trials satisfy every constraint, (N,); an unknown violation counts as infeasible."""
    is_feasible_N: NDArray[np.bool_] = np.all(violations_NC <= 0, axis=1)
    return is_feasible_N


def feasibility_rank(losses: Sequence[float], violations_NC: Floats) -> list[int]:
    """Return the rank of each trial, 0 for the best.

    Feasible trials come first, by their losses. Infeasible ones follow, by the sum of their violations, each as a
    fraction of its constraint's largest. An unknown violation counts as infinite.
    """
    positive_NC = np.where(np.isnan(violations_NC), np.inf, np.maximum(violations_NC, 0.0))
    finite_NC = np.where(np.isfinite(positive_NC), positive_NC, 0.0)
    largest_C = finite_NC.max(axis=0)
    total_N = (positive_NC / np.where(largest_C > 0, largest_C, 1.0)).sum(axis=1)
    order_N = np.lexsort((losses, total_N))
    rank_N = np.empty(len(order_N), np.intp)
    rank_N[order_N] = np.arange(len(order_N))
    ranks: list[int] = rank_N.tolist()
    return ranks


def log_probability_constraints(
    rows_NF: Floats,
    violations_NC: Floats,
    pending_PF: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
) -> LogProbability:
    """Return the log-probability, as a function of rows, that a trial satisfies every constraint.

    Constraints are independent of each other. For each one the probability is the mean over the kernels of its process.
    A constraint with fewer than two known violations is left out. Without constraints the result is 0 everywhere.

    Args:
        rows_NF: encoded points with observed violations.
        violations_NC: see :func:`violation_matrix`.
        pending_PF: encoded points of running trials; each process takes its own mean there as observed.
        groups_F: the parameter of each column.
        generator: draws the kernels.
    """
    models = []
    for violation_N in known_constraints(violations_NC).T:
        is_known_N = np.isfinite(violation_N)
        values_N = bilog(violation_N[is_known_N])
        mean, scale = values_N.mean(), values_N.std() or 1.0
        standard_N = (values_N - mean) / scale
        model = gaussian_process.fit_gp(rows_NF[is_known_N], standard_N, groups_F, _N_KERNELS, generator)
        models.append((model.fantasize(pending_PF), -mean / scale))

    def log_probability(rows_MF: Floats) -> Floats:
        from scipy.special import log_ndtr, logsumexp

        total_M = np.zeros(len(rows_MF))
        for model, bound in models:
            mean_SM, deviation_SM = model.predict(rows_MF)
            log_SM = log_ndtr((bound - mean_SM) / deviation_SM)
            total_M += logsumexp(log_SM, axis=0) - np.log(len(log_SM))
        return total_M

    return log_probability


def bilog(violations_N: Floats) -> Floats:
    """Return sign(v) log(1 + |v| / m), (N,), where m is the median of the nonzero |v|.

    Eriksson, Poloczek (2021), "Scalable Constrained Bayesian Optimization", section 3.2: magnifies the region near the
    bound, 0. The median makes the result independent of the metric's unit.
    """
    sizes_N = np.abs(violations_N)
    unit = float(np.median(sizes_N[sizes_N > 0])) if (sizes_N > 0).any() else 1.0
    bent_N: Floats = np.sign(violations_N) * np.log1p(sizes_N / unit)
    return bent_N


def log_probability_success(
    finished_NF: Floats,
    failed_UF: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
    choices: Sequence[slice] = (),
) -> LogProbability:
    """Return the log-probability, as a function of rows, that a trial does not fail. 0 everywhere before any failure.

    A Gaussian process of the two outcomes ±1: Rasmussen, Williams (2006), section 6.5, "least-squares classification".
    Below one half a penalty is added, so that every likely success ranks above every likely failure: else, once the
    good side of a border is known exactly, the search would continue on the bad side.

    A learning rate at which `sgd` diverges may be the best one of `adamw`. So an option whose own trials clearly say
    that it does not fail gets no penalty, and its own trials have a tenth of the weight in the probability.

    Args:
        finished_NF, failed_UF: encoded points of trials with each outcome.
        groups_F: the parameter of each column.
        generator: for the fit.
        choices: the columns of each choice; see :func:`tunecli.search.bo.encoding.option_columns`.
    """
    if not len(failed_UF):
        return lambda rows_MF: np.zeros(len(rows_MF))
    rows = np.vstack([finished_NF, failed_UF])
    outcomes = np.concatenate([np.ones(len(finished_NF)), -np.ones(len(failed_UF))])
    model = gaussian_process.fit_gp(rows, outcomes, groups_F, 1, generator)
    own_model = cache(partial(_own_model, model))

    def log_probability(rows_MF: Floats) -> Floats:
        from scipy.special import log_ndtr

        z_M = _signal_to_noise(model, rows_MF)
        own_z_M = z_M.copy()
        for columns in choices:
            for column in range(columns.start, columns.stop):
                # Of several choices, one whose option is not known to fail here is enough.
                is_doubtful_M = (own_z_M < 0) & (rows_MF[:, column] > 0)
                if is_doubtful_M.any():
                    own_z = _signal_to_noise(own_model(column), rows_MF[is_doubtful_M])
                    own_z_M[is_doubtful_M] = np.where(own_z > _CLEAR, own_z, own_z_M[is_doubtful_M])
        log_M = log_ndtr(z_M)
        mixed_M = np.logaddexp(log_M + _LOG_ALL_WEIGHT, log_ndtr(own_z_M) + _LOG_OWN_WEIGHT)
        log_probability_M: Floats = np.where(own_z_M > z_M, mixed_M, log_M)
        return log_probability_M - _FAILURE_PENALTY * np.maximum(-own_z_M, 0.0)

    return log_probability


def _own_model(model: GaussianProcess, column: int) -> GaussianProcess | None:
    """Return the model after the trials of one option alone; None without any."""
    is_own_N = model.rows_NF[:, column] > 0
    return model.given_only(is_own_N) if is_own_N.any() else None


def _signal_to_noise(model: GaussianProcess | None, rows_MF: Floats) -> Floats:
    """Return the mean divided by the deviation, (M,); 0 without a model."""
    if model is None:
        return np.zeros(len(rows_MF))
    (mean_M,), (deviation_M,) = model.predict(rows_MF)
    ratio_M: Floats = mean_M / deviation_M
    return ratio_M
