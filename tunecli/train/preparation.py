"""From a table's rows to numbers a model can train on: imputing, encoding, scaling.

`fit` looks at training rows only and `apply` uses what it found on any rows, so nothing of the validation
part leaks into training. Knows neither splits nor models; loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.train.splits import Indices
from tunecli.train.table import Table

Normalization = Literal["standard", "minmax", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """What the training part taught.

    Attributes:
        median: (F,) stands in for a missing number; empty for images.
        center: taken from every input; (F,), or (C, 1, 1) for images.
        scale: what is left is divided by it; never 0; shaped as ``center``.
        categories: per text column, its training values in order.
        target_center: mean of a regression target, in its units; 0 for classes.
        target_scale: its standard deviation, above 0; 1 for classes.
    """

    median: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    categories: tuple[tuple[str, ...], ...]
    target_center: float
    target_scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Inputs, (N, F) or (N, C, H, W) float32; targets, int64 classes or float32 standardised."""

    x: NDArray[np.float32]
    y: NDArray[Any]


def fit(table: Table, train_indices: Indices, normalize: Normalization) -> Preparation:
    """Learn medians, scales and categories from the training rows.

    ``standard`` takes the mean and the (biased) standard deviation, per feature or per channel; ``minmax``
    maps the training range to [0, 1]. A constant feature is centred and left unscaled. A regression target
    is always standardised: the losses' defaults and the usual learning rates suppose a target of that size.
    """
    x = table.x[train_indices].astype(np.float64, copy=False)
    median = np.zeros(0)
    if not table.is_image:
        is_there_F = ~np.isnan(x).all(axis=0)
        median = np.zeros(x.shape[1])
        median[is_there_F] = np.nanmedian(x[:, is_there_F], axis=0)
        x = np.where(np.isnan(x), median, x)
    axes = (0, 2, 3) if table.is_image else (0,)
    center, scale = _center_and_scale(x, axes, normalize)
    if table.is_image:
        center, scale = center[:, None, None], scale[:, None, None]
    categories = tuple(
        tuple(sorted({v for v in column.values[train_indices].tolist() if v is not None}))
        for column in table.text
    )
    target_center, target_scale = 0.0, 1.0
    if table.task == "regression":
        mean, deviation = _center_and_scale(table.y[train_indices], (0,), "standard")
        target_center, target_scale = float(mean), float(deviation)
    return Preparation(median, center, scale, categories, target_center, target_scale)


def apply(preparation: Preparation, table: Table, indices: Indices) -> Prepared:
    """Prepare any rows with what the training rows taught.

    Text columns follow the numbers, one 0/1 input per category; a value that training never saw, or a
    missing one, is all zeros.
    """
    x = table.x[indices].astype(np.float64, copy=False)
    if not table.is_image:
        x = np.where(np.isnan(x), preparation.median, x)
    blocks = [((x - preparation.center) / preparation.scale).astype(np.float32)]
    for column, categories in zip(table.text, preparation.categories, strict=True):
        values_N1 = column.values[indices][:, None]
        blocks.append((values_N1 == np.array(categories, dtype=object)[None, :]).astype(np.float32))
    y_N = table.y[indices]
    if table.task == "regression":
        y_N = ((y_N - preparation.target_center) / preparation.target_scale).astype(np.float32)
    return Prepared(np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0], y_N)


def _center_and_scale(
    x: NDArray[np.float64], axes: tuple[int, ...], normalize: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if normalize == "none":
        kept = x.mean(axis=axes)
        return np.zeros_like(kept), np.ones_like(kept)
    if normalize == "minmax":
        center = x.min(axis=axes)
        scale = x.max(axis=axes) - center
    else:
        center, scale = x.mean(axis=axes), x.std(axis=axes)
    # The mean of equal numbers is off by rounding, so a constant column's deviation is tiny and not 0.
    is_constant = scale <= 1e-12 * np.maximum(np.abs(center), 1e-300)
    return center, np.where(is_constant, 1.0, scale)
