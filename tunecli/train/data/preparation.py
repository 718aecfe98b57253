"""From a table's rows to the arrays that a model trains on: numbers, categories and tokens side by side, and targets.

number_inputs.py, category_inputs.py and texts.py prepare the three kinds.

`fit` sees only training rows, and `apply` uses its result on any rows, so nothing of the validation or test part leaks
into training. Loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.category_inputs import Categories, apply_categories, fit_categories
from tunecli.train.data.number_inputs import NO_NUMBERS, Numbers, apply_numbers, as_float32, fit_numbers
from tunecli.train.data.scaling import center_and_scale, rounding
from tunecli.train.data.splits.parts import Indices
from tunecli.train.data.table import Table
from tunecli.train.data.texts import TextSettings, Vocabulary, encode, learn_vocabulary


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """The result of fitting to the training part.

    Attributes:
        numbers: how numbers are prepared.
        categories: the categories of text columns, and how they are encoded.
        vocabulary: the tokens of a text column; None if there is no such column.
        target_center: (K,) means of a regression's targets, in their units; one 0 for classes and labels.
        target_scale: (K,) standard deviations of a regression's targets, above 0; one 1 for classes and labels.
    """

    numbers: Numbers
    categories: Categories
    vocabulary: Vocabulary | None
    target_center: NDArray[np.float64]
    target_scale: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Inputs with the axes of `Table`, float32, or int64 for tokens; and targets (N,) or (N, K), int64 or float32."""

    x: NDArray[Any]
    y: NDArray[Any]


def fit(table: Table, train_indices: Indices, data: Data) -> Preparation:
    """Learn medians, scales, categories and vocabularies from the training rows.

    A regression target is always standardised: the defaults of losses and the usual learning rates are made for targets
    of this size.

    Args:
        table: the data.
        train_indices: the examples to learn from.
        data: the data's configuration: how numbers, categories and texts are prepared.

    Raises:
        DataError: numbers are too large to be scaled.
    """
    numbers, vocabulary = NO_NUMBERS, None
    if table.prose is not None:
        vocabulary = learn_vocabulary(table.prose.values[train_indices], TextSettings.of(data))
    rows = table.rows_of(train_indices)
    if table.kind != "tokens":
        numbers = fit_numbers(table.x[rows], table.row_kind, data, table.feature_names)
    categories = fit_categories(table.text, rows, data)
    target_center, target_scale = np.zeros(1), np.ones(1)
    if table.task == "regression":
        y_NK = table.y[train_indices].reshape(len(train_indices), -1)
        scales = [_target_scale(np.ascontiguousarray(y_N)) for y_N in y_NK.T]
        target_center, target_scale = (np.array(values) for values in zip(*scales, strict=True))
    return Preparation(numbers, categories, vocabulary, target_center, target_scale)


def apply(preparation: Preparation, table: Table, indices: Indices) -> Prepared:
    """Prepare any rows with the result of `fit`.

    A row holds its numbers, the indicators of missing ones, its categories, and its tokens.

    Raises:
        DataError: a scaled number is too large for float32.
    """
    y_N = apply_to_target(preparation, table, indices)
    return Prepared(_inputs(preparation, table, indices), y_N)


def _inputs(preparation: Preparation, table: Table, indices: Indices) -> NDArray[Any]:
    if table.windows is not None:
        rows = table.rows_of(indices)
        x_RK = _columns(preparation, table, rows)
        x_NTK: NDArray[Any] = x_RK[np.searchsorted(rows, table.windows.rows_of(indices))]
        return x_NTK
    if table.prose is None or preparation.vocabulary is None:
        return table.x[indices] if table.kind == "tokens" else _columns(preparation, table, indices)
    tokens_NT = encode(preparation.vocabulary, table.prose.values[indices].tolist())
    if table.kind == "tokens":
        return tokens_NT
    # whole numbers up to 2^24 are exact in float32
    return np.concatenate([_columns(preparation, table, indices), tokens_NT.astype(np.float32)], axis=1)


def _columns(preparation: Preparation, table: Table, indices: Indices) -> NDArray[np.float32]:
    """The numbers and the encoded text columns of some rows; or images, or sequences."""
    place = _place_of(table, indices)
    blocks = [
        *apply_numbers(preparation.numbers, table.x[indices], table.row_kind, table.feature_names, place),
        *apply_categories(preparation.categories, table.text, indices),
    ]
    return np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]


def _place_of(table: Table, rows: Indices) -> Callable[[int], str] | None:
    """The place of one of ``rows`` in its file, in words; None if it is unknown."""
    places = table.places
    return None if places is None else lambda number: places.of(int(rows[number]))


def apply_to_target(preparation: Preparation, table: Table, indices: Indices) -> NDArray[Any]:
    """Prepare the targets alone: those of `apply`.

    Raises:
        DataError: a scaled number is too large for float32.
    """
    y_N = table.y[indices]
    if table.task == "regression":
        scaled = (y_N - preparation.target_center) / preparation.target_scale
        return as_float32(scaled, table.target_names, "the target", _place_of(table, indices))
    return y_N.astype(np.float32) if table.task == "multilabel" else y_N


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
