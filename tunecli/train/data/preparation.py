"""From a table's rows to numbers a model can train on: imputing, encoding, scaling.

`fit` looks at training rows only and `apply` uses what it found on any rows, so nothing of the validation
or test part leaks into training. Knows neither splits nor models; loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.spec.knobs.data import Data
from tunecli.train.data.characters import Alphabet, encode, learn_alphabet
from tunecli.train.data.splits import Indices
from tunecli.train.data.table import Table
from tunecli.train.inputs import InputKind

Normalization = Literal["standard", "minmax", "robust", "none"]

_AXES: dict[InputKind, tuple[int, ...]] = {"features": (0,), "sequence": (0, 1), "image": (0, 2, 3)}
"""What is normalised together, by axis: each feature over examples and steps, each channel over whole images."""


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """What the training part taught.

    Attributes:
        median: (F,) stands in for a missing number; empty where inputs are no features.
        center: taken from every input; (F,), or (C, 1, 1) for images; empty for tokens.
        scale: what is left is divided by it; never 0; shaped as ``center``.
        categories: per text column, its training values in order.
        alphabet: how texts become tokens, where they do.
        target_center: mean of a regression target, in its units; 0 for classes.
        target_scale: its standard deviation, above 0; 1 for classes.
    """

    median: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    categories: tuple[tuple[str, ...], ...]
    alphabet: Alphabet | None
    target_center: float
    target_scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Inputs as of `Table`, float32, or int64 for tokens; targets, int64 classes or float32 standardised."""

    x: NDArray[Any]
    y: NDArray[Any]


def fit(table: Table, train_indices: Indices, data: Data) -> Preparation:
    """Learn medians, scales, categories and alphabets from the training rows.

    ``standard`` takes the mean and the (biased) standard deviation, per feature or per channel; ``minmax``
    maps the training range to [0, 1]; ``robust`` takes the median and the interquartile range, as scikit-learn's
    ``RobustScaler``. A constant feature is centred and left unscaled. A regression target is always standardised:
    the losses' defaults and the usual learning rates suppose a target of that size.

    Args:
        table: the data.
        train_indices: the rows to learn from.
        data: its knobs: ``normalize``, and for texts ``max_length`` and ``max_tokens``.
    """
    median = center = scale = np.zeros(0)
    alphabet = None
    if table.prose is not None:
        alphabet = learn_alphabet(table.prose.values[train_indices], data.max_length, data.max_tokens)
    elif table.kind != "tokens":
        x = table.x[train_indices].astype(np.float64, copy=False)
        if table.kind == "features":
            median = _median(x)
            x = np.where(np.isnan(x), median, x)
        center, scale = _center_and_scale(x, _AXES[table.kind], data.normalize)
        if table.kind == "image":
            center, scale = center[:, None, None], scale[:, None, None]
    categories = tuple(
        tuple(sorted({v for v in column.values[train_indices].tolist() if v is not None}))
        for column in table.text
    )
    target_center, target_scale = 0.0, 1.0
    if table.task == "regression":
        mean, deviation = _center_and_scale(table.y[train_indices], (0,), "standard")
        target_center, target_scale = float(mean), float(deviation)
    return Preparation(median, center, scale, categories, alphabet, target_center, target_scale)


def apply(preparation: Preparation, table: Table, indices: Indices) -> Prepared:
    """Prepare any rows with what the training rows taught.

    Text columns follow the numbers, one 0/1 input per category; a value that training never saw, or a
    missing one, is all zeros.
    """
    y_N = table.y[indices]
    if table.task == "regression":
        y_N = ((y_N - preparation.target_center) / preparation.target_scale).astype(np.float32)
    if table.prose is not None and preparation.alphabet is not None:
        return Prepared(encode(preparation.alphabet, table.prose.values[indices].tolist()), y_N)
    if table.kind == "tokens":
        return Prepared(table.x[indices], y_N)
    x = table.x[indices].astype(np.float64, copy=False)
    if table.kind == "features":
        x = np.where(np.isnan(x), preparation.median, x)
    blocks = [((x - preparation.center) / preparation.scale).astype(np.float32)]
    for column, categories in zip(table.text, preparation.categories, strict=True):
        values_N1 = column.values[indices][:, None]
        blocks.append((values_N1 == np.array(categories, dtype=object)[None, :]).astype(np.float32))
    return Prepared(np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0], y_N)


def _median(x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the numbers that are there; 0 where a feature has none."""
    is_there_F = ~np.isnan(x_NF).all(axis=0)
    median_F = np.zeros(x_NF.shape[1])
    median_F[is_there_F] = np.nanmedian(x_NF[:, is_there_F], axis=0)
    return median_F


def _center_and_scale(
    x: NDArray[np.float64], axes: tuple[int, ...], normalize: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        return _scaled(x, axes, normalize)


def _scaled(
    x: NDArray[np.float64], axes: tuple[int, ...], normalize: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if normalize == "none":
        kept = x.mean(axis=axes)
        return np.zeros_like(kept), np.ones_like(kept)
    if normalize == "minmax":
        center = x.min(axis=axes)
        scale = x.max(axis=axes) - center
    elif normalize == "robust":
        quarter, center, three_quarters = np.quantile(x, [0.25, 0.5, 0.75], axis=axes)
        # A feature that is mostly one value has no middle range; its deviation is the next best measure.
        scale = np.where(three_quarters > quarter, three_quarters - quarter, x.std(axis=axes))
    else:
        center, scale = x.mean(axis=axes), x.std(axis=axes)
    if not (np.isfinite(center).all() and np.isfinite(scale).all()):
        raise DataError(
            "a column's numbers are too large to be scaled", hint="divide them, or drop the column"
        )
    # The mean of equal numbers is off by rounding, so a constant column's deviation is tiny and not 0.
    is_constant = scale <= 1e-12 * np.maximum(np.abs(center), 1e-300)
    return center, np.where(is_constant, 1.0, scale)
