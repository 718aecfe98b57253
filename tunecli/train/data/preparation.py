"""From a table's rows to numbers that a model trains on: imputing, encoding, scaling, and characters as tokens.

`fit` looks at training rows only and `apply` uses its result on any rows, so nothing of the validation or test part
leaks into training. Loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.columns import names_shown
from tunecli.train.data.scaling import center_and_scale, rounding
from tunecli.train.data.splits import Indices
from tunecli.train.data.table import Table
from tunecli.train.inputs import InputKind

PADDING, UNKNOWN = 0, 1
_FIRST = 2


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What the training part's texts taught.

    Attributes:
        characters: the most frequent first, ties by code point; the first of them is token 2.
        length: tokens in each example, at least 1.
    """

    characters: tuple[str, ...]
    length: int

    @property
    def n_tokens(self) -> int:
        """How many different tokens there are, padding and unknown among them."""
        return _FIRST + len(self.characters)


def learn_alphabet(texts: Iterable[str | None], max_length: int, max_tokens: int) -> Alphabet:
    """Learn the characters of texts and the length they are brought to.

    Args:
        texts: the training part's; None is an empty one.
        max_length: what is longer will be cut; at least 1. Characters beyond it do not count.
        max_tokens: different tokens in all, padding and unknown among them; at least 2. The rarest characters go.
    """
    counts: Counter[str] = Counter()
    length = 1
    for text in texts:
        kept = (text or "")[:max_length]
        counts.update(kept)
        length = max(length, len(kept))
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return Alphabet(tuple(ranked[: max_tokens - _FIRST]), length)


def encode(alphabet: Alphabet, texts: Sequence[str | None]) -> NDArray[np.int64]:
    """Write texts as tokens, cut or padded on the right.

    Returns:
        (N, T) in [0, n_tokens).
    """
    token_of = {character: token for token, character in enumerate(alphabet.characters, start=_FIRST)}
    tokens_NT = np.full((len(texts), alphabet.length), PADDING, dtype=np.int64)
    for row, text in enumerate(texts):
        tokens = [token_of.get(character, UNKNOWN) for character in (text or "")[: alphabet.length]]
        tokens_NT[row, : len(tokens)] = tokens
    return tokens_NT


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
        is_flat: shaped as ``center``: columns that are 0 in every row, since in training they never vary, or by no
            more than the rounding of their numbers.
    """

    median: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    categories: tuple[tuple[str, ...], ...]
    alphabet: Alphabet | None
    target_center: float
    target_scale: float
    is_flat: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Inputs as of `Table`, float32, or int64 for tokens; targets, int64 classes or float32 standardised."""

    x: NDArray[Any]
    y: NDArray[Any]


def fit(table: Table, train_indices: Indices, data: Data) -> Preparation:
    """Learn medians, scales, categories and alphabets from the training rows.

    Inputs are scaled per feature, or per channel of images, as `center_and_scale` says. A feature that is flat in
    the training part is 0 in every row. A regression target is always standardised: the losses' defaults and the usual
    learning rates suppose a target of that size.

    Args:
        table: the data.
        train_indices: the rows to learn from.
        data: its knobs: ``normalize``, and for texts ``max_length`` and ``max_tokens``.

    Raises:
        DataError: numbers are too large to be scaled.
    """
    median = center = scale = np.zeros(0)
    is_flat = np.zeros(0, dtype=bool)
    alphabet = None
    if table.prose is not None:
        alphabet = learn_alphabet(table.prose.values[train_indices], data.max_length, data.max_tokens)
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
    target_center, target_scale = 0.0, 1.0
    if table.task == "regression":
        target_center, target_scale = _target_scale(table.y[train_indices])
    return Preparation(median, center, scale, categories, alphabet, target_center, target_scale, is_flat)


def apply(preparation: Preparation, table: Table, indices: Indices) -> Prepared:
    """Prepare any rows with what the training rows taught.

    Text columns follow the numbers, one 0/1 input per category; a value that training never saw, or a
    missing one, is all zeros.

    Raises:
        DataError: a number is too large for 32 bits, once it is scaled.
    """
    y_N = table.y[indices]
    if table.task == "regression":
        y_N = _as_float32((y_N - preparation.target_center) / preparation.target_scale, (), "the target")
    if table.prose is not None and preparation.alphabet is not None:
        return Prepared(encode(preparation.alphabet, table.prose.values[indices].tolist()), y_N)
    if table.kind == "tokens":
        return Prepared(table.x[indices], y_N)
    x = table.x[indices].astype(np.float64, copy=False)
    if table.kind == "features":
        x = np.where(np.isnan(x), preparation.median, x)
    with np.errstate(over="ignore"):  # values that are too large are refused below
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
        message = f"{name} has a number that is too large for 32 bits once it is scaled"
        hint = "scale it by its training values (`normalize`), or correct the number"
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
    """Mean and deviation of a target. A target that is constant here may vary elsewhere, so it is not scaled."""
    center, scale, is_flat = center_and_scale(y_N, (0,), "standard")
    if not (np.isfinite(center) and np.isfinite(scale)):
        raise DataError(
            "the target's numbers are too large to be scaled", hint="divide them", parameter="data.target"
        )
    if is_flat and np.ptp(y_N) > 0:
        scale = rounding(np.abs(y_N).max(), y_N.dtype)
    return float(center), float(scale)


def _median(x_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the numbers that are there; 0 where a feature has none."""
    is_there_F = ~np.isnan(x_NF).all(axis=0)
    median_F = np.zeros(x_NF.shape[1])
    median_F[is_there_F] = np.nanmedian(x_NF[:, is_there_F], axis=0)
    return median_F
