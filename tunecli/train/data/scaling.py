"""The center and scale of columns of numbers: exact for columns far from 0, with rounding errors taken into account.

Knows neither tables nor files.

Axes: F features or channels; the other axes are reduced.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Normalization = Literal["standard", "minmax", "robust", "none"]

_MIN_STEPS = 4
"""A spread of fewer steps between neighbouring numbers than this is rounding."""
_TINY = 1e-140
"""The square of a smaller deviation has lost digits to underflow."""
_FAR = 1e-6
"""Below this share of its center, a spread is computed from the distances to the least value.

The mean of N numbers is off by up to N times their rounding: with a spread of this share, that is 2e-10 N of it.
"""


def center_and_scale(
    x: NDArray[Any], axes: tuple[int, ...], normalize: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """What is taken from every value of a column, and what the rest is divided by.

    ``standard`` takes the mean and the (biased) standard deviation; ``minmax`` maps the range to [0, 1]; ``robust``
    takes the median and the interquartile range, as scikit-learn's ``RobustScaler``, or the deviation where the
    middle half of the values is one. Under ``none`` nothing is taken and nothing divided.

    Args:
        x: numbers, float32 or float64, none missing.
        axes: what is reduced; one axis stays, of F columns, or none does.
        normalize: how.

    Returns:
        Center (F,); scale (F,), above 0; and which columns are flat (F,): constant, or of a spread that is lost in the
        rounding of their numbers. A flat column's scale is 1. Center or scale are infinite or NaN where a column's
        range is beyond float64.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # the caller tells what is infinite
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
            # A feature that is mostly one value has no middle range; its deviation is the next best measure.
            scale = np.where(middle >= _MIN_STEPS * step, middle, _moments(exact, axes, low, spread)[1])
        else:
            center, scale = _moments(exact, axes, low, spread)
        is_flat = (spread == 0) | (scale < _MIN_STEPS * step)
        center = np.where(spread == 0, low, center)
        return center, np.where(is_flat, 1.0, scale), is_flat


def is_lost(spread: Any, x: NDArray[Any]) -> bool:
    """Whether a spread of some numbers is no more than their rounding."""
    return bool(spread < _MIN_STEPS * rounding(np.abs(x).max(), x.dtype))


def rounding(size: Any, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """The distance between neighbouring numbers of some size and type; a column's values are off by half of it."""
    kind = np.float32 if dtype == np.float32 else np.float64
    steps: NDArray[np.float64] = np.spacing(np.asarray(size).astype(kind)).astype(np.float64)
    return steps


def _moments(
    x: NDArray[np.float64], axes: tuple[int, ...], low: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation.

    Those of columns far from 0, or too large or too small to be squared, come from their places in their range.
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
