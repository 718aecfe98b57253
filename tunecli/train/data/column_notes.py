"""Notes on the columns of a table: missing numbers, columns that hardly vary, and categories of one file only.

Axes: N rows, F columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tunecli.train.data.columns import Columns, quoted
from tunecli.train.data.dates import DateColumn
from tunecli.train.data.notes import DataNote
from tunecli.train.data.scaling import center_and_scale
from tunecli.train.data.table import TextColumn, TextSchema


def gaps(
    x_NF: NDArray[np.float64], names: tuple[str, ...], dates: Sequence[DateColumn] = ()
) -> Iterator[DataNote]:
    """The note on columns with missing numbers."""
    column_of = {made: date.name for date in dates for made in date.inputs}
    inputs = (names[place] for place in np.flatnonzero(np.isnan(x_NF).any(axis=0)).tolist())
    missing = tuple(dict.fromkeys(column_of.get(name, name) for name in inputs))
    if missing:
        message = f"missing numbers in {quoted(missing)} are replaced by the training part's median"
        yield DataNote("imputed", message, missing)


def near_constant(x_NF: NDArray[np.float64], names: tuple[str, ...]) -> Iterator[DataNote]:
    """Notes on columns that vary by no more than the rounding of their numbers."""
    low_F, high_F = np.fmin.reduce(x_NF, axis=0), np.fmax.reduce(x_NF, axis=0)
    size_F = np.maximum(np.abs(low_F), np.abs(high_F))
    with np.errstate(over="ignore"):
        # The deviation of N numbers is at least 1/sqrt(N) of half their range, so no other column can be near-constant.
        is_close_F = (high_F - low_F) * 0.5 < 4 * np.sqrt(len(x_NF)) * np.spacing(size_F)
    for column in np.flatnonzero(is_close_F & (high_F > low_F)).tolist():
        values_N = x_NF[~np.isnan(x_NF[:, column]), column]
        _, _, is_flat = center_and_scale(values_N, (0,), "standard")
        if is_flat:
            message = (
                f"column '{names[column]}' varies by {high_F[column] - low_F[column]:.3g} around "
                f"{low_F[column]:.6g}, no more than the rounding of its numbers: scaling makes it 0"
            )
            yield DataNote("near_constant", message, (names[column],))


def unmatched(column: TextColumn, trained: TextSchema, columns: Columns) -> Iterator[DataNote]:
    """Notes on categories of a validation or test file that the training file lacks, and the other way round."""
    counts = Counter(column.values.tolist())
    counts.pop(None, None)
    known = set(trained.categories)
    unseen = [(value, n_rows) for value, n_rows in counts.items() if value not in known]
    if unseen:
        first = columns.place(column.values.tolist().index(unseen[0][0]))
        n_rows = sum(n for _, n in unseen)
        shown = ", ".join(f"`{value[:40]}`" for value, _ in unseen[:3]) + (", …" if len(unseen) > 3 else "")
        n_all = sum(counts.values())
        rows = "all rows have" if n_rows == n_all else f"{n_rows} of {n_all} rows have"
        message = (
            f"column '{column.name}' of {columns.name}: {rows} a category that the training data lacks "
            f"({shown}): its inputs are 0 there"
        )
        yield DataNote("unmatched", message, (column.name,), tuple(unseen), first)
    absent = sorted(value for value in trained.categories if value not in counts)
    if absent:
        shown = ", ".join(f"`{value[:40]}`" for value in absent[:3]) + (", …" if len(absent) > 3 else "")
        message = f"no row of {columns.name} has these categories of column '{column.name}': {shown}"
        values = tuple((value, 0) for value in absent)
        yield DataNote("unmatched", message, (column.name,), values, is_detail=True)
