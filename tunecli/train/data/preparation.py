"""From a table's rows to the arrays that a model trains on: imputing, encoding and scaling; texts.py makes tokens.

`fit` sees only training rows, and `apply` uses its result on any rows, so nothing of the validation or test part leaks
into training. Loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.columns import names_shown
from tunecli.train.data.scaling import center_and_scale, rounding
from tunecli.train.data.splits.parts import Indices
from tunecli.train.data.table import InputKind, Table
from tunecli.train.data.texts import TextSettings, Vocabulary, encode, learn_vocabulary

_AXES: dict[InputKind, tuple[int, ...]] = {"features": (0,), "sequence": (0, 1), "image": (0, 2, 3)}
"""The axes that are normalised together: each feature over examples and steps, each channel over whole images."""


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """The result of fitting to the training part.

    Attributes:
        median: (F,) replaces missing numbers; empty if the inputs are not features.
        center: subtracted from every input; (F,), or (C, 1, 1) for images; empty for tokens.
        scale: divides the difference; never 0; shaped like ``center``.
        categories: by text column, its training values in order.
        vocabulary: the tokens of a text column; None if there is no such column.
        target_center: (K,) means of a regression's targets, in their units; one 0 for classes and labels.
        target_scale: (K,) standard deviations of a regression's targets, above 0; one 1 for classes and labels.
        is_flat: shaped like ``center``: inputs that become 0 in every row, because in training they vary by no more
            than the rounding of their numbers.
    """

    median: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    categories: tuple[tuple[str, ...], ...]
    vocabulary: Vocabulary | None
    target_center: NDArray[np.float64]
    target_scale: NDArray[np.float64]
    is_flat: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Inputs with the axes of `Table`, float32, or int64 for tokens; and targets (N,) or (N, K), int64 or float32."""

    x: NDArray[Any]
    y: NDArray[Any]


def fit(table: Table, train_indices: Indices, data: Data) -> Preparation:
    """Learn medians, scales, categories and vocabularies from the training rows.

    `center_and_scale` scales each feature, or each channel of images. A feature that is flat in the training part
    becomes 0 in every row. A regression target is always standardised: the defaults of losses and the usual learning
    rates are made for targets of this size.

    Args:
        table: the data.
        train_indices: the rows to learn from.
        data: the data's configuration: ``normalize``, and the settings of texts.

    Raises:
        DataError: numbers are too large to be scaled.
    """
    median = center = scale = np.zeros(0)
    is_flat = np.zeros(0, dtype=bool)
    vocabulary = None
    if table.prose is not None:
        vocabulary = learn_vocabulary(table.prose.values[train_indices], TextSettings.of(data))
    elif table.kind != "tokens":
        x = table.x[train_indices]
        if table.kind == "features":
            median = _median(x)
            x = np.where(np.isnan(x), median, x)
        center, scale, is_flat = center_and_scale(x, _AXES[table.kind], data.normalize)
        _require_finite(center, scale, table)
        if table.kind == "image":
            center, scale = center[:, None, None], scale[:, None, None]
            is_flat = is_flat[:, None, None]
    categories = tuple(
        tuple(sorted({v for v in column.values[train_indices].tolist() if v is not None}))
        for column in table.text
    )
    target_center, target_scale = np.zeros(1), np.ones(1)
    if table.task == "regression":
        y_NK = table.y[train_indices].reshape(len(train_indices), -1)
        scales = [_target_scale(np.ascontiguousarray(y_N)) for y_N in y_NK.T]
        target_center, target_scale = (np.array(values) for values in zip(*scales, strict=True))
    return Preparation(median, center, scale, categories, vocabulary, target_center, target_scale, is_flat)


def apply(preparation: Preparation, table: Table, indices: Indices) -> Prepared:
    """Prepare any rows with the result of `fit`.

    Text columns follow the numbers, with one 0/1 input for each category. Values that the training rows lack, and
    missing ones, are all zeros.

    Raises:
        DataError: a scaled number is too large for float32.
    """
    y_N = table.y[indices]
    if table.task == "regression":
        scaled = (y_N - preparation.target_center) / preparation.target_scale
        y_N = _as_float32(scaled, table.target_names, "the target")
    elif table.task == "multilabel":
        y_N = y_N.astype(np.float32)
    if table.prose is not None and preparation.vocabulary is not None:
        return Prepared(encode(preparation.vocabulary, table.prose.values[indices].tolist()), y_N)
    if table.kind == "tokens":
        return Prepared(table.x[indices], y_N)
    x = table.x[indices].astype(np.float64, copy=False)
    if table.kind == "features":
        x = np.where(np.isnan(x), preparation.median, x)
    with np.errstate(over="ignore"):  # numbers that are too large fail below
        x = (x - preparation.center) / preparation.scale
    if preparation.is_flat.any():
        x = np.where(preparation.is_flat, 0.0, x)
    blocks = [_as_float32(x, table.feature_names, "an input")]
    for column, categories in zip(table.text, preparation.categories, strict=True):
        number_of = {category: number for number, category in enumerate(categories)}
        numbers_N = np.array(
            [number_of.get(value, -1) for value in column.values[indices].tolist()], dtype=np.int64
        )
        blocks.append((numbers_N[:, None] == np.arange(len(categories))).astype(np.float32))
    return Prepared(np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0], y_N)


def _as_float32(x: NDArray[np.float64], names: Sequence[str], other: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    if not np.isfinite(narrow).all():
        is_finite_F = np.isfinite(narrow).reshape(len(narrow), -1).all(axis=0)
        column = int((~is_finite_F).argmax())
        name = f"column `{names[column]}`" if column < len(names) else other
        message = f"{name} has a number that is too large for float32 after scaling"
        hint = "set `data.normalize` to scale by the training values, or correct the number"
        raise DataError(message, hint=hint)
    return narrow


def _require_finite(center: NDArray[np.float64], scale: NDArray[np.float64], table: Table) -> None:
    is_finite_F = np.isfinite(center) & np.isfinite(scale)
    if not is_finite_F.all():
        names = [f"`{name}`" for name in table.feature_names]
        bad = [name for name, is_finite in zip(names, is_finite_F.tolist(), strict=False) if not is_finite]
        of_column = f" (column {names_shown(bad)})" if bad else ""
        message = f"a column's numbers are too large to be scaled{of_column}"
        raise DataError(message, hint="divide them, or remove the column from the file")


def _target_scale(y_N: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation of a target.

    The deviation is 1 for a constant target, which may vary in other parts, and the rounding step for a target that
    varies only by rounding.
    """
    center, scale, is_flat = center_and_scale(y_N, (0,), "standard")
    if not (np.isfinite(center) and np.isfinite(scale)):
        raise DataError(
            "the target's numbers are too large to be scaled", hint="divide them", parameter="data.target"
        )
    if is_flat and np.ptp(y_N) > 0:
        scale = rounding(np.abs(y_N).max(), y_N.dtype)
    return float(center), float(scale)


def _median(x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each feature's present numbers; 0 for a feature without any."""
    is_there_F = ~np.isnan(x_NF).all(axis=0)
    median_F = np.zeros(x_NF.shape[1])
    median_F[is_there_F] = np.nanmedian(x_NF[:, is_there_F], axis=0)
    return median_F
