"""Columns that determine the target alone (leaks), and columns that repeat another one (duplicates).

Each rule works on a sample of the rows, and its message names the measure.

Loads no torch.

Axes: S sampled examples, F columns, K classes, V values of a column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.seeding import generator_for
from tunecli.train.data.notes import MIN_ROWS, Oddity, drop_key, short
from tunecli.train.data.table import Table

MAX_SAMPLED = 10_000
"""The largest number of rows that a rule samples. A rule that needs all rows confirms its result on all."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledColumn:
    """One input column, sampled: ``ranks`` (S,) are its values' ranks; missing values, ``n_missing``, rank last."""

    name: str
    ranks: NDArray[np.int64]
    n_values: int
    is_text: bool
    is_whole: bool = False
    n_missing: int = 0

    @property
    def nats(self) -> float:
        """The entropy of its values, in nats, times the number of sampled rows."""
        if self.n_values == len(self.ranks):
            return len(self.ranks) * math.log(len(self.ranks))
        counts = np.bincount(self.ranks)
        shares = counts[counts > 0] / len(self.ranks)
        return float(-(shares * np.log(shares)).sum() * len(self.ranks))


def sampled_rows(n_examples: int) -> NDArray[np.int64]:
    """The rows (S,) that the rules look at: all, or `MAX_SAMPLED` random ones; the same at every call."""
    if n_examples <= MAX_SAMPLED:
        return np.arange(n_examples)
    return np.sort(generator_for(0, "oddities").choice(n_examples, MAX_SAMPLED, replace=False))


_BLOCK_VALUES = 2**20
"""Values of the columns that are ranked at once: a call for each column costs more than its work in wide tables."""


def numeric_columns(table: Table, rows: NDArray[np.int64]) -> Iterator[SampledColumn]:
    """The columns of numbers of a table, sampled in ``rows``."""
    names = names_of(table)
    n_block = max(1, _BLOCK_VALUES // max(1, len(rows)))
    for start in range(0, len(names), n_block):
        x_FS = np.ascontiguousarray(table.x[rows, start : start + n_block].T)
        order_FS = np.argsort(x_FS, axis=1, kind="stable")
        sorted_FS = np.take_along_axis(x_FS, order_FS, axis=1)
        is_missing_FS = np.isnan(sorted_FS)
        is_new_FS = (sorted_FS[:, 1:] != sorted_FS[:, :-1]) & ~(is_missing_FS[:, 1:] & is_missing_FS[:, :-1])
        sorted_ranks_FS = np.zeros(x_FS.shape, dtype=np.int64)
        np.cumsum(is_new_FS, axis=1, out=sorted_ranks_FS[:, 1:])
        ranks_FS = np.empty_like(sorted_ranks_FS)
        np.put_along_axis(ranks_FS, order_FS, sorted_ranks_FS, axis=1)
        is_whole_F = ((sorted_FS == np.round(sorted_FS)) | is_missing_FS).all(axis=1).tolist()
        n_values_F = (sorted_ranks_FS[:, -1] + 1).tolist()
        n_missing_F = is_missing_FS.sum(axis=1).tolist()
        for place, ranks_S in enumerate(ranks_FS):
            name = names[start + place]
            yield SampledColumn(
                name, ranks_S, n_values_F[place], False, is_whole_F[place], n_missing_F[place]
            )


def text_columns(table: Table, rows: NDArray[np.int64]) -> Iterator[SampledColumn]:
    """The columns of text of a table, sampled in ``rows``."""
    for column in table.text:
        sampled = column.values[rows].tolist()
        place = {value: n for n, value in enumerate(sorted({v for v in sampled if v is not None}))}
        ranks_S = np.array([place.get(value, len(place)) for value in sampled], dtype=np.int64)
        n_missing = int((ranks_S == len(place)).sum())
        yield SampledColumn(column.name, ranks_S, len(set(sampled)), is_text=True, n_missing=n_missing)


def leave_out(table: Table, name: str) -> str:
    """Advice to leave an input out, with the key that does it if the data come from a file with columns."""
    return f"leave it out{_key(table, name)}"


def _leave_one_out(table: Table, name: str) -> str:
    return f"leave one of them out{_key(table, name)}"


def _key(table: Table, name: str) -> str:
    column = {made: date.name for date in table.dates for made in date.inputs}.get(name, name)
    known = {*table.kinds, *(text.name for text in table.text)}
    return f" ({drop_key([column])})" if column in known else ""


def names_of(table: Table) -> tuple[str, ...]:
    """The names of the columns of numbers; ``x0``, ``x1``, … if they have none."""
    return table.feature_names or tuple(f"x{number}" for number in range(table.x.shape[1]))


MAX_CODED_CLASSES = 100
_MAX_TARGETS = 20
_NEARLY = 0.999
_MOSTLY = 0.95  # share of the rows for which the presence of a value has to give the class
_NEAR_COPY = 0.9999  # rank correlation of two columns that differ only by rounding
_MAX_COMPARED = 200  # columns: each pair costs a product over the sample
_MAX_DUPLICATES = 10  # as many as a summary shows; a wide table may have 100,000
_ROWS_COMPARED = 2_000  # rows of the first comparison; a pair that correlates is compared in all sampled rows
_SURE_NATS = 20.0  # two columns of this entropy agree by chance less often than once in 10^8


def leaks(columns: list[SampledColumn], table: Table, rows: NDArray[np.int64]) -> Iterator[Oddity]:
    """Columns that determine the target alone; none if the table has one column or few rows."""
    if len(columns) < 2 or len(rows) < MIN_ROWS:
        return
    of = f"{len(rows):,} rows" if len(rows) == len(table.y) else f"a sample of {len(rows):,} rows"
    for named, y_S in _targets(table, rows):
        y_ranks_S = np.unique(y_S, return_inverse=True)[1].reshape(-1)
        counts_K = np.bincount(y_ranks_S)
        for column in columns:
            if column.n_values < 2:
                continue
            if table.task == "regression":
                measure = _number_leak(column, y_S, y_ranks_S)
            else:
                measure = _class_leak(column, y_ranks_S, counts_K)
                measure = measure or _presence_leak(column, y_ranks_S, counts_K)
            if measure:
                text = (
                    f"column '{short(column.name)}' alone determines {named}: {measure} on {of}; "
                    f"{leave_out(table, column.name)} if its value is not known before the target's"
                )
                yield Oddity("leak", (column.name,), text)


def _targets(table: Table, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[Any]]]:
    """The targets or labels that vary, each with its name for a message and its sampled values (S,)."""
    if table.y.ndim == 1:
        return [("the target", table.y[rows])]
    word = "the target" if table.task == "regression" else "the label"
    names = table.target_names or table.class_names
    columns = [(f"{word} '{short(name)}'", table.y[rows, k]) for k, name in enumerate(names[:_MAX_TARGETS])]
    return [(named, y_S) for named, y_S in columns if y_S.min() < y_S.max()]


def _class_leak(column: SampledColumn, y_S: NDArray[np.int64], class_counts: NDArray[np.int64]) -> str:
    """How a column determines the class, in words; empty if it does not."""
    n = len(y_S)
    n_others = n - int(class_counts.max())
    max_errors = min(int((1 - _NEARLY) * n), n_others // 20)
    if n_others < 10 or len(class_counts) > MAX_CODED_CLASSES:
        return ""
    if column.n_values <= n / 5:
        table_VK = np.zeros((int(column.ranks.max()) + 1, len(class_counts)), dtype=np.int64)
        np.add.at(table_VK, (column.ranks, y_S), 1)
        n_wrong = n - int(table_VK.max(axis=1).sum())
        if n_wrong <= max_errors:
            return f"the most frequent class of each of its values is right for {1 - n_wrong / n:.1%}"
    if column.is_text:
        return ""
    if column.n_values == n:  # the ranks are an order
        ordered_S = np.empty_like(y_S)
        ordered_S[column.ranks] = y_S
    else:
        ordered_S = y_S[np.lexsort((y_S, column.ranks))]
    n_changes = int(np.count_nonzero(ordered_S[1:] != ordered_S[:-1]))
    if n_changes + 1 <= len(class_counts) + 2 * max_errors:
        changes = "once" if n_changes == 1 else f"{n_changes} times"
        return f"in the order of its values the class changes {changes}"
    return ""


def _presence_leak(column: SampledColumn, y_S: NDArray[np.int64], counts_K: NDArray[np.int64]) -> str:
    """How the presence of a value determines the class, in words; empty if it does not.

    A field that is filled in after the event, such as the lifeboat of a passenger, is nearly as good as the target.
    """
    n, n_others = len(y_S), len(y_S) - int(counts_K.max())
    if min(column.n_missing, n - column.n_missing, n_others) < 10:
        return ""
    is_missing_S = column.ranks == column.ranks.max()
    counts_2K = np.stack(
        [np.bincount(y_S[is_there], minlength=len(counts_K)) for is_there in (is_missing_S, ~is_missing_S)]
    )
    n_wrong = n - int(counts_2K.max(axis=1).sum())
    if n_wrong > min((1 - _MOSTLY) * n, n_others / 10):
        return ""
    right = f"{1 - n_wrong / n:.1%}"
    return f"the most frequent class of its empty fields, and that of the other fields, is right for {right}"


def _number_leak(column: SampledColumn, y_S: NDArray[np.float64], y_ranks_S: NDArray[np.int64]) -> str:
    """How a column determines a target of numbers, in words; empty if it does not."""
    if not column.is_text and column.n_values > 2:
        correlation = abs(float(np.corrcoef(column.ranks, y_ranks_S)[0, 1]))
        if correlation >= _NEARLY:
            return f"its rank correlation with the target is {correlation:.4f}"
    if column.n_values <= len(y_S) / 5:
        counts = np.maximum(1, np.bincount(column.ranks))
        centered_S = y_S - y_S.mean()
        means = np.bincount(column.ranks, weights=centered_S) / counts
        residual = float(np.square(centered_S - means[column.ranks]).sum())
        total = float(np.square(centered_S).sum())
        if math.isfinite(total) and total > 0 and 1 - residual / total >= _NEARLY:
            return f"its values explain {1 - residual / total:.2%} of the target's variance"
    return ""


def duplicates(columns: list[SampledColumn], table: Table, n_rows: int) -> Iterator[Oddity]:
    """Columns that repeat an earlier one: in the same or the opposite order, or value for value."""
    if n_rows < MIN_ROWS:
        return
    date_of = {name: date.name for date in table.dates for name in date.inputs}
    first_of: dict[tuple[str, bytes], SampledColumn] = {}
    kept: list[SampledColumn] = []
    n_found = 0
    for column in columns:
        if column.n_values < 2 or column.nats < _SURE_NATS:
            continue
        keys = (
            [] if column.is_text else [("order", column.ranks), ("order", column.n_values - 1 - column.ranks)]
        )
        if column.n_values <= n_rows / 5:
            keys.append(("codes", _codes(column.ranks)))
        earlier = [
            first_of.setdefault((kind, array.astype(np.int32).tobytes()), column) for kind, array in keys
        ]
        other = next((candidate for candidate in earlier if candidate is not column), None)
        if other is not None and date_of.get(other.name, "") == date_of.get(column.name):
            continue  # the year and the month of one date may say the same
        if other is not None:
            both = f"'{short(other.name)}' and '{short(column.name)}'"
            same = "hold the same values"
            if not _are_equal(table, other.name, column.name):
                same = "hold the same information: each value of one belongs to one value of the other"
            text = f"columns {both} {same}; {_leave_one_out(table, column.name)}"
            yield Oddity("duplicate", (other.name, column.name), text)
            n_found += 1
            if n_found == _MAX_DUPLICATES:
                return
        elif not column.is_text and column.n_values > n_rows / 5:
            kept.append(column)
    if 2 <= len(kept) <= _MAX_COMPARED:
        yield from _near_copies(kept, table)


def _near_copies(columns: list[SampledColumn], table: Table) -> Iterator[Oddity]:
    """Columns whose values have nearly the order of another column's, such as a rounded or converted copy."""
    every = max(1, len(columns[0].ranks) // _ROWS_COMPARED)
    correlations_FF = np.abs(np.corrcoef(np.stack([column.ranks[::every] for column in columns])))
    for place, column in enumerate(columns):
        for near in np.flatnonzero(correlations_FF[place, :place] >= _NEAR_COPY).tolist():
            other = columns[near]
            measure = abs(float(np.corrcoef(column.ranks, other.ranks)[0, 1]))
            if measure < _NEAR_COPY:
                continue
            text = (
                f"columns '{short(other.name)}' and '{short(column.name)}' hold nearly the same information "
                f"(rank correlation {measure:.5f}); {_leave_one_out(table, column.name)}"
            )
            yield Oddity("duplicate", (other.name, column.name), text)
            break


def _codes(ranks_S: NDArray[np.int64]) -> NDArray[Any]:
    """Values numbered in the order of their first appearance; equal for columns that group the rows alike."""
    _, first, inverse = np.unique(ranks_S, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    codes: NDArray[Any] = order[inverse.reshape(-1)]
    return codes


def _are_equal(table: Table, one: str, other: str) -> bool:
    names = names_of(table)
    texts = {column.name: column.values for column in table.text}
    if one in texts and other in texts:
        return bool((texts[one] == texts[other]).all())
    if one in texts or other in texts:
        return False
    return np.array_equal(table.x[:, names.index(one)], table.x[:, names.index(other)], equal_nan=True)
