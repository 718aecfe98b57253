"""The preparation of numbers: missing ones are replaced and marked, and columns are transformed and scaled.

`fit_numbers` sees only training rows. Loads no torch.

Axes: N examples, F features, T steps, C channels, H rows, W columns, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.columns import names_shown
from tunecli.train.data.scaling import center_and_scale
from tunecli.train.data.table import InputKind
from tunecli.train.data.transforms import fit_powers, fit_quantiles, to_normal, yeo_johnson

_AXES: dict[InputKind, tuple[int, ...]] = {"features": (0,), "sequence": (0, 1), "image": (0, 2, 3)}
"""The axes that are normalised together: each feature over examples and steps, each channel over whole images."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """How numbers are prepared, fitted to the training part. All arrays are empty if the inputs are tokens.

    Attributes:
        median: (F,) replaces missing numbers; empty if the inputs are not features.
        center: subtracted from every input, after the transform; (F,), or (C, 1, 1) for images.
        scale: divides the difference; never 0; shaped like ``center``.
        is_flat: shaped like ``center``: inputs that become 0 in every row, because in training they vary by no more
            than the rounding of their numbers.
        is_indicated: (F,) the features that have another input, which is 1 where the number is missing.
        quantiles: (Q, F) for `to_normal`; empty without this transform.
        powers: (F,) exponents for `yeo_johnson`; empty without this transform.
    """

    median: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    is_flat: NDArray[np.bool_]
    is_indicated: NDArray[np.bool_]
    quantiles: NDArray[np.float64]
    powers: NDArray[np.float64]


_NONE = np.zeros(0)
NO_NUMBERS = Numbers(_NONE, _NONE, _NONE, _NONE.astype(bool), _NONE.astype(bool), _NONE, _NONE)
"""The preparation of tokens."""


def fit_numbers(x: NDArray[Any], kind: InputKind, data: Data, names: Sequence[str]) -> Numbers:
    """Learn medians, transforms and scales from training rows.

    `center_and_scale` scales each feature, or each channel of images. A feature that is flat in the training part
    becomes 0 in every row.

    Args:
        x: the training rows, with the axes of `Table.x`.
        kind: features, sequence or image.
        data: the data's configuration: ``normalize`` and ``missing_indicators``.
        names: of the features, for errors; empty if they have none.

    Raises:
        DataError: numbers are too large to be scaled.
    """
    median, quantiles, powers = _NONE, _NONE, _NONE
    is_indicated = np.zeros(0, dtype=bool)
    if kind == "features":
        is_missing = np.isnan(x)
        if data.missing_indicators:
            is_indicated = is_missing.any(axis=0)
        median = _median(x)
        x = np.where(is_missing, median, x)
    axes = _AXES[kind]
    if data.normalize == "quantile" or data.normalize == "power":
        _, _, is_flat = center_and_scale(x, axes, "standard")
        columns = _as_columns(x, kind)
        if data.normalize == "quantile":
            quantiles = fit_quantiles(columns)
            center, scale = np.zeros(len(is_flat)), np.ones(len(is_flat))
        else:
            powers = fit_powers(columns, is_flat)
            center, scale, _ = center_and_scale(yeo_johnson(columns, powers), (0,), "standard")
    else:
        center, scale, is_flat = center_and_scale(x, axes, data.normalize)
    _require_finite(center, scale, names)
    if kind == "image":
        center, scale, is_flat = center[:, None, None], scale[:, None, None], is_flat[:, None, None]
    return Numbers(median, center, scale, is_flat, is_indicated, quantiles, powers)


def apply_numbers(
    numbers: Numbers,
    x: NDArray[Any],
    kind: InputKind,
    names: Sequence[str],
    place: Callable[[int], str] | None = None,
) -> list[NDArray[np.float32]]:
    """Prepare any rows with the result of `fit_numbers`.

    Args:
        numbers: the result.
        x: the rows, with the axes of `Table.x`.
        kind: features, sequence or image.
        names: of the features, for errors; empty if they have none.
        place: the place of a row of ``x`` in its file, in words, for errors.

    Returns:
        The numbers, with the axes of ``x``; and for features, their indicators, if there are any.

    Raises:
        DataError: a scaled number is too large for float32.
    """
    x = x.astype(np.float64, copy=False)
    blocks = []
    if kind == "features":
        is_missing_NF = np.isnan(x)
        if numbers.is_indicated.any():
            blocks.append(is_missing_NF[:, numbers.is_indicated].astype(np.float32))
        x = np.where(is_missing_NF, numbers.median, x)
    if numbers.quantiles.size:
        x = _in_shape(to_normal(_as_columns(x, kind), numbers.quantiles), x, kind)
    elif numbers.powers.size:
        x = _in_shape(yeo_johnson(_as_columns(x, kind), numbers.powers), x, kind)
    with np.errstate(over="ignore"):  # numbers that are too large fail below
        x = (x - numbers.center) / numbers.scale
    if numbers.is_flat.any():
        x = np.where(numbers.is_flat, 0.0, x)
    return [as_float32(x, names, "an input", place), *blocks]


def as_float32(
    x: NDArray[np.float64],
    names: Sequence[str],
    other: str,
    place: Callable[[int], str] | None = None,
) -> NDArray[np.float32]:
    """Numbers as float32.

    Args:
        x: (N, ...).
        names: of the columns, for the error.
        other: the word for a column without a name.
        place: the place of a row in its file, in words.

    Raises:
        DataError: a number is too large.
    """
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    if not np.isfinite(narrow).all():
        is_large_NF = ~np.isfinite(narrow).reshape(len(narrow), -1)
        column = int(is_large_NF.any(axis=0).argmax())
        where = f", in {place(int(is_large_NF[:, column].argmax()))}" if place else ""
        name = f"column `{names[column]}`" if column < len(names) else other
        message = f"{name} has a number that is too large for float32 after scaling{where}"
        hint = "set `data.normalize` to scale by the training values, or correct the number"
        raise DataError(message, hint=hint)
    return narrow


def _as_columns(x: NDArray[Any], kind: InputKind) -> NDArray[np.float64]:
    """All values of each feature, or of each channel, as a column."""
    last = np.moveaxis(x, 1, -1) if kind == "image" else x
    return last.reshape(-1, last.shape[-1]).astype(np.float64, copy=False)


def _in_shape(columns: NDArray[np.float64], x: NDArray[Any], kind: InputKind) -> NDArray[np.float64]:
    """The inverse of `_as_columns`, in the shape of ``x``."""
    if kind != "image":
        return columns.reshape(x.shape)
    n, channels, height, width = x.shape
    return np.moveaxis(columns.reshape(n, height, width, channels), -1, 1)


def _require_finite(
    center: NDArray[np.float64], scale: NDArray[np.float64], feature_names: Sequence[str]
) -> None:
    is_finite_F = np.isfinite(center) & np.isfinite(scale)
    if not is_finite_F.all():
        names = [f"`{name}`" for name in feature_names]
        bad = [name for name, is_finite in zip(names, is_finite_F.tolist(), strict=False) if not is_finite]
        of_column = f" (column {names_shown(bad)})" if bad else ""
        message = f"a column's numbers are too large to be scaled{of_column}"
        raise DataError(message, hint="divide them, or leave the column out (`data.columns.drop`)")


def _median(x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each feature's present numbers; 0 for a feature without any."""
    is_there_F = ~np.isnan(x_NF).all(axis=0)
    median_F = np.zeros(x_NF.shape[1])
    median_F[is_there_F] = np.nanmedian(x_NF[:, is_there_F], axis=0)
    return median_F
