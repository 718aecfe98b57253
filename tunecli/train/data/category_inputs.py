"""The preparation of categories: one 0/1 input for each, or a code that a model gives a vector; and the size of a row.

`fit_categories` sees only training rows. Loads no torch.

Axes: N examples, C categories of a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.table import Table, TextColumn


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of the training part.

    Attributes:
        values: by text column, its training values in order.
        are_codes: whether a column becomes one code; otherwise, it becomes one 0/1 input for each category.
    """

    values: tuple[tuple[str, ...], ...]
    are_codes: bool = False

    @property
    def n_codes(self) -> tuple[int, ...]:
        """By column of codes, the number of codes, with code 0; empty if categories are 0/1 inputs."""
        return tuple(len(values) + 1 for values in self.values) if self.are_codes else ()


def fit_categories(columns: Sequence[TextColumn], rows: NDArray[np.int64], data: Data) -> Categories:
    """Learn the categories of text columns from training rows.

    Args:
        columns: the text columns.
        rows: the training rows.
        data: the data's configuration: ``categories``, and ``min_category_count``.

    Raises:
        DataError: all categories are too rare.
    """
    values = []
    for column in columns:
        counts = Counter(column.values[rows].tolist())
        counts.pop(None, None)
        values.append(tuple(sorted(value for value, n in counts.items() if n >= data.min_category_count)))
    if columns and not any(values) and data.min_category_count > 1:
        message = f"no category of a text column has {data.min_category_count} training rows"
        raise DataError(message, hint="take a smaller number", parameter="data.min_category_count")
    return Categories(tuple(values), data.categories == "embedding")


def apply_categories(
    categories: Categories, columns: Sequence[TextColumn], rows: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """The inputs of text columns.

    Values that the training rows lack, those that are too rare there, and missing ones are code 0, or all zeros.

    Returns:
        One array (N, C), or (N, 1) for a code, for each column.
    """
    blocks = []
    for column, values in zip(columns, categories.values, strict=True):
        codes_N = codes_of(column.values[rows].tolist(), values)
        if categories.are_codes:
            blocks.append(codes_N[:, None].astype(np.float32))
        else:
            blocks.append((codes_N[:, None] == np.arange(1, len(values) + 1)).astype(np.float32))
    return blocks


def codes_of(texts: Sequence[str | None], values: Sequence[str]) -> NDArray[np.int64]:
    """The code of each text: its place in ``values`` from 1, or 0 if it is missing or not among them."""
    code_of: dict[str | None, int] = {value: code for code, value in enumerate(values, start=1)}
    return np.fromiter(map(code_of.get, texts, repeat(0)), np.int64, len(texts))


@dataclass(frozen=True, slots=True)
class ColumnEncoding:
    """The settings that decide how many inputs the columns of a table become.

    Attributes:
        categories: whether a text column becomes 0/1 inputs, or one code.
        min_category_count: a category with fewer rows has no input of its own.
        missing_indicators: whether a column with missing numbers has a second input.
    """

    categories: Literal["one_hot", "embedding"]
    min_category_count: int
    missing_indicators: bool

    @classmethod
    def of(cls, data: Data) -> ColumnEncoding:
        """The settings of a trial's data."""
        return cls(data.categories, data.min_category_count, data.missing_indicators)

    def sizes(self, table: Table) -> tuple[int, tuple[int, ...]]:
        """The number of values in a row, and the number of codes of each column of codes.

        They are those of a training on all rows of the table. A training part may lack categories and missing numbers,
        and then a row is smaller.
        """
        n_numbers: int = table.x.shape[1]
        if self.missing_indicators and table.x.dtype.kind == "f":
            n_numbers += int(np.isnan(table.x).any(axis=0).sum())
        n_categories = []
        for column in table.text:
            counts = Counter(column.values.tolist())
            counts.pop(None, None)
            n_categories.append(sum(n >= self.min_category_count for n in counts.values()))
        if self.categories == "embedding":
            n_codes = tuple(n + 1 for n in n_categories)
            return n_numbers + len(n_codes), n_codes
        return n_numbers + sum(n_categories), ()
