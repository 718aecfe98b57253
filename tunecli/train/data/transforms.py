"""Transforms that give skewed numbers a normal distribution: by quantiles, and the power transform of Yeo and Johnson.

Both are fitted to training rows, column by column. scipy is imported only where it is used.

Axes: N rows, F columns, Q quantiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunecli.seeding import generator_for

MAX_QUANTILES = 1000
_MAX_ROWS = 100_000  # more rows change neither the quantiles nor the powers by much
_BOUND = 1e-7
"""The probability of the smallest and of the largest quantile, as in scikit-learn: a normal value of 5.2."""


def fit_quantiles(x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantiles (Q, F) of columns without missing numbers, as `sklearn.preprocessing.QuantileTransformer` has them.

    Q is the number of rows, and at most 1000. Of more than 100,000 rows, a sample is taken, the same for equal counts.
    """
    rows_NF = _sampled(x_NF)
    at_Q = np.linspace(0.0, 1.0, min(MAX_QUANTILES, len(rows_NF)))
    quantiles_QF = np.percentile(rows_NF, at_Q * 100, axis=0)  # rounded as in scikit-learn
    # Interpolation may round a quantile to below the one before it.
    ordered_QF: NDArray[np.float64] = np.maximum.accumulate(quantiles_QF)
    return ordered_QF


def to_normal(x_NF: NDArray[np.float64], quantiles_QF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map each column by its quantiles to a standard normal distribution, at most 5.2 from 0.

    A value between two quantiles is interpolated, from both sides if several quantiles are equal, as in
    `sklearn.preprocessing.QuantileTransformer`.
    """
    from scipy.special import ndtri

    at_Q = np.linspace(0.0, 1.0, len(quantiles_QF))
    normal_NF = np.empty_like(x_NF)
    for column, quantiles_Q in enumerate(quantiles_QF.T):
        x_N = x_NF[:, column]
        up_N = np.interp(x_N, quantiles_Q, at_Q)
        down_N = -np.interp(-x_N, -quantiles_Q[::-1], -at_Q[::-1])
        share_N = 0.5 * (up_N + down_N)
        share_N[x_N + _BOUND > quantiles_Q[-1]] = 1.0
        share_N[x_N - _BOUND < quantiles_Q[0]] = 0.0
        edge = _BOUND - np.spacing(1.0)
        normal_NF[:, column] = np.clip(ndtri(share_N), ndtri(edge), ndtri(1.0 - edge))
    return normal_NF


def fit_powers(x_NF: NDArray[np.float64], is_flat_F: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The exponents (F,) of `yeo_johnson` with the largest likelihood of a normal distribution; 1 for a flat column."""
    from scipy.stats import yeojohnson_normmax

    rows_NF = _sampled(x_NF)
    powers_F = np.ones(x_NF.shape[1])
    with np.errstate(all="ignore"):  # exponents that overflow are tried, and are not the best
        for column in np.flatnonzero(~is_flat_F).tolist():
            powers_F[column] = yeojohnson_normmax(rows_NF[:, column])
    return powers_F


def yeo_johnson(x_NF: NDArray[np.float64], powers_F: NDArray[np.float64]) -> NDArray[np.float64]:
    """The power transform of Yeo and Johnson 2000, equation (2.1), with an exponent for each column."""
    changed_NF = np.empty_like(x_NF)
    with np.errstate(over="ignore"):  # the caller reports infinite numbers
        for column, power in enumerate(powers_F.tolist()):
            x_N = x_NF[:, column]
            up_N = _power(np.log1p(np.maximum(x_N, 0.0)), power)
            down_N = _power(np.log1p(np.maximum(-x_N, 0.0)), 2.0 - power)
            changed_NF[:, column] = np.where(x_N >= 0, up_N, -down_N)
    return changed_NF


def _power(log_N: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """``(exp(log) ** power - 1) / power``, and its limit for a power of 0."""
    return np.expm1(power * log_N) / power if abs(power) > np.spacing(1.0) else log_N


def _sampled(x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(x_NF) <= _MAX_ROWS:
        return x_NF
    rows = generator_for(0, "transforms").choice(len(x_NF), _MAX_ROWS, replace=False)
    return x_NF[np.sort(rows)]
