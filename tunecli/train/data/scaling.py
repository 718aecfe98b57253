"""Center and scale of columns of numbers, exact also for columns far from 0; columns of rounding errors are flat.

Axes: F features or channels; the other axes are reduced.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Normalization = Literal["standard", "minmax", "robust", "none"]

_MIN_STEPS = 4
"""A spread of fewer steps between neighbouring floats than this is rounding."""
_TINY = 1e-140
"""The square of a smaller deviation loses digits to underflow."""
_FAR = 1e-6
"""A spread below this fraction of the center is computed from distances to the smallest value.

The mean of N numbers is off by up to N times their rounding: for a spread of this fraction, that is 2e-10 N of it.
"""


def center_and_scale(
    x: NDArray[Any], axes: tuple[int, ...], normalize: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Center and scale of each column, for ``(x - center) / scale``.

    ``standard`` uses the mean and the (biased) standard deviation; ``minmax`` maps the range to [0, 1]; ``robust`` uses
    the median and the interquartile range, like scikit-learn's ``RobustScaler``, or the deviation if the interquartile
    range is 0. ``none`` gives 0 and 1.

    Args:
        x: float32 or float64 numbers without missing ones.
        axes: the axes that are reduced; at most one axis, of F columns, remains.
        normalize: the method.

    Returns:
        Center (F,); scale (F,), above 0; and is_flat (F,): whether a column is constant, or varies by no more than the
        rounding of its numbers. A flat column's scale is 1. Center or scale are infinite or NaN if a column's range
        exceeds float64.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # the caller reports infinite results
        exact = x.astype(np.float64, copy=False)
        low, high = np.array(exact.min(axis=axes)), np.array(exact.max(axis=axes))
        if normalize == "none":
            return np.zeros_like(low), np.ones_like(low), np.zeros(low.shape, dtype=bool)
        spread = high - low
        step = rounding(np.maximum(np.abs(low), np.abs(high)), x.dtype)
        if normalize == "minmax":
            center, scale = low, spread
        elif normalize == "robust":
            quarter, center, three_quarters = np.quantile(exact, [0.25, 0.5, 0.75], axis=axes)
            middle = three_quarters - quarter
            # A feature that is mostly one value has an interquartile range of 0, so its deviation is used.
            scale = np.where(middle >= _MIN_STEPS * step, middle, _moments(exact, axes, low, spread)[1])
        else:
            center, scale = _moments(exact, axes, low, spread)
        is_flat = (spread == 0) | (scale < _MIN_STEPS * step)
        center = np.where(spread == 0, low, center)
        return center, np.where(is_flat, 1.0, scale), is_flat


def is_lost(spread: Any, x: NDArray[Any]) -> bool:
    """Whether a spread is no more than the rounding of the numbers ``x``."""
    return bool(spread < _MIN_STEPS * rounding(np.abs(x).max(), x.dtype))


def rounding(size: Any, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """The distance between neighbouring floats at ``size``; values of that size are rounded by up to half of it."""
    kind = np.float32 if dtype == np.float32 else np.float64
    steps: NDArray[np.float64] = np.spacing(np.asarray(size).astype(kind)).astype(np.float64)
    return steps


def _moments(
    x: NDArray[np.float64], axes: tuple[int, ...], low: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column.

    For columns far from 0, or with numbers too large or too small to be squared, both are computed from the values'
    relative positions in the column's range.
    """
    mean, deviation = np.array(x.mean(axis=axes)), np.array(x.std(axis=axes))
    is_ordinary = np.isfinite(deviation) & (deviation > _FAR * np.abs(mean)) & (deviation > _TINY)
    is_special = ~is_ordinary & (spread > 0) & np.isfinite(spread)
    if not is_special.any():
        return mean, deviation
    if x.ndim == len(axes):
        columns = x.reshape(-1, 1)
    else:
        (kept,) = set(range(x.ndim)) - set(axes)
        columns = np.moveaxis(x, kept, -1).reshape(-1, x.shape[kept])[:, is_special]
    least, width = low[is_special], spread[is_special]
    place_NF = (columns - least) / width
    mean[is_special] = least + width * place_NF.mean(axis=0)
    deviation[is_special] = width * place_NF.std(axis=0)
    return mean, deviation
