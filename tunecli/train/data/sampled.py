"""A table's input columns as a sample of their values' ranks: what rules about many columns are computed on.

Loads no torch.

Axes: S sampled examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.seeding import generator_for
from tunecli.train.data.table import Table

MAX_SAMPLED = 10_000
"""Rows that the rules look at; what needs all rows is confirmed on all."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledColumn:
    """One input column, sampled: ``ranks`` (S,) number its values in order, a missing one as the last."""

    name: str
    ranks: NDArray[np.int64]
    n_values: int
    is_text: bool
    is_whole: bool = False

    @property
    def nats(self) -> float:
        """How much its values tell, in all rows of the sample together."""
        counts = np.bincount(self.ranks)
        shares = counts[counts > 0] / len(self.ranks)
        return float(-(shares * np.log(shares)).sum() * len(self.ranks))


def sampled_rows(n_examples: int) -> NDArray[np.int64]:
    """The rows that the rules look at: all, or as many as `MAX_SAMPLED`, the same whenever they are asked for."""
    if n_examples <= MAX_SAMPLED:
        return np.arange(n_examples)
    return np.sort(generator_for(0, "oddities").choice(n_examples, MAX_SAMPLED, replace=False))


def numeric_columns(table: Table, rows: NDArray[np.int64]) -> Iterator[SampledColumn]:
    for place, name in enumerate(names_of(table)):
        values, ranks_S = np.unique(table.x[rows, place], return_inverse=True)
        there = values[~np.isnan(values)]
        is_whole = bool(np.array_equal(there, np.round(there)))
        yield SampledColumn(name, ranks_S.reshape(-1), len(values), is_text=False, is_whole=is_whole)


def text_columns(table: Table, rows: NDArray[np.int64]) -> Iterator[SampledColumn]:
    for column in table.text:
        sampled = column.values[rows].tolist()
        place = {value: n for n, value in enumerate(sorted({v for v in sampled if v is not None}))}
        ranks_S = np.array([place.get(value, len(place)) for value in sampled], dtype=np.int64)
        yield SampledColumn(column.name, ranks_S, len(set(sampled)), is_text=True)


def names_of(table: Table) -> tuple[str, ...]:
    return table.feature_names or tuple(f"x{number}" for number in range(table.x.shape[1]))
