"""Time series: a table in the order of time, and its examples, which are windows of consecutive rows.

A window never has rows of two series. Loads no torch.

Axes: R rows of the table, N examples, T rows of a window, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.series import Series
from tunecli.errors import DataError
from tunecli.text import counted
from tunecli.train.data.columns import quoted
from tunecli.train.data.notes import DataNote
from tunecli.train.data.table import RowRoles, Table, TextColumn, Windows

Indices = NDArray[np.int64]

_REGULAR = 0.95
"""From this share of equal time steps on, a series is regular."""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """The size of time series and their windows.

    Attributes:
        n_rows: rows of all series.
        n_series: number of series.
        window: rows of a window.
        horizon: rows from the last row of a window to its last target.
        n_outputs: number of rows that are predicted.
        n_windows: number of windows.
        n_unused: windows in no part, because they overlap those of another part.
        last_value_rmse: root mean squared error of validation forecasts that repeat the last value; None if undefined.
    """

    n_rows: int
    n_series: int
    window: int
    horizon: int
    n_outputs: int
    n_windows: int
    n_unused: int = 0
    last_value_rmse: float | None = None


def series_facts(
    table: Table, series: Series | None, n_unused: int = 0, last_value_rmse: float | None = None
) -> SeriesFacts | None:
    """The facts about a table of windows; None for other tables.

    Args:
        table: the table.
        series: the settings of the windows.
        n_unused: windows in no part.
        last_value_rmse: the error of repeating the last value.
    """
    windows = table.windows
    if windows is None or series is None:
        return None
    n_outputs = series.horizon if series.outputs == "all" else 1
    n_series = 1 if table.roles.group is None else len({*table.roles.group.tolist()})
    return SeriesFacts(
        len(table.x),
        n_series,
        series.window,
        series.horizon,
        n_outputs,
        len(windows.ends),
        n_unused,
        last_value_rmse,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """The rows in the order of series and time.

    Attributes:
        rows: (R,) rows of the file.
        starts: the place of each series' first row; ``stops``: the place after its last one.
    """

    rows: Indices
    starts: Indices

    @property
    def stops(self) -> Indices:
        return np.append(self.starts[1:], len(self.rows))


def windowed(
    table: Table,
    series: Series,
    targets: Sequence[str],
    *,
    is_future: bool = False,
    parameter: str = "data.series",
) -> Table:
    """The table whose examples are windows of the rows of a table of columns.

    The rows are sorted by series and time. The time and the weight of an example are those of its last target; its name
    and its group are those of its last row. A window with rows of two marks of a split column is left out.

    Args:
        table: one row for each row of the file, with the target of that row.
        series: the settings of the windows.
        targets: names of the columns that are predicted.
        is_future: for rows to predict, whose targets are unknown: a window ends with each row that has enough rows
            before it, and windows with a missing past target are left out.
        parameter: the configuration key that errors name.

    Raises:
        DataError: no series has enough rows, or ``outputs: all`` does not fit the target.
    """
    if series.outputs == "all" and not is_future and (table.task != "regression" or table.y.ndim != 1):
        message = "`outputs: all` predicts several rows of one number, but the target is of another kind"
        raise DataError(message, hint="use `outputs: last`", parameter="data.series.outputs")
    order = _ordered(table.roles, len(table.x))
    rows = _reordered(table, order)
    n_later = 0 if is_future else series.horizon
    ends = _window_ends(order, series.window, n_later, 1 if is_future else series.stride)
    if not len(ends):
        raise _too_few_rows(order, series.window, n_later, parameter, is_future=is_future)
    is_usable_N = _is_of_one_part(rows, Windows(ends, series.window, n_later))
    why = "has rows of one part of the split column only"
    if is_future:
        is_usable_N = _has_inputs(rows, Windows(ends, series.window), targets)
        why = f"has all values of {quoted(targets)}"
    notes = [*table.data_notes, *_notes(table.roles, rows.roles.time, order, series.window + n_later)]
    n_missing = int((~is_usable_N).sum())
    if is_future and n_missing:
        text = f"{counted(n_missing, 'window')} with a missing value of {quoted(targets)} left out"
        notes = [note for note in notes if note.kind != "imputed" or not {*note.columns} <= {*targets}]
        notes.append(DataNote("series", text, tuple(targets)))
    ends = ends[is_usable_N]
    if not len(ends):
        message = f"no window of {series.window + n_later} rows {why}"
        raise DataError(message, hint="use a shorter `data.series.window`", parameter=parameter)
    return replace(
        rows,
        y=rows.y[ends] if is_future else _targets(rows, ends, series),
        target_names=rows.target_names if is_future else _target_names(rows, targets, series),
        windows=Windows(ends, series.window, n_later, rows.roles),
        roles=_roles_of(rows.roles, ends, n_later, order),
        data_notes=tuple(notes),
        has_target=table.has_target and not is_future,
    )


def measured(table: Table, series: Series, targets: Sequence[str]) -> tuple[Table, Indices] | None:
    """The windows of rows to predict whose later targets are in the rows too, with these targets.

    Args:
        table: from `windowed` with ``is_future``.
        series: the settings of the windows.
        targets: names of the columns that are predicted.

    Returns:
        A table of the targets alone, and the places of its examples in ``table``. None: the target is no single number
        that is an input, or no later one is known.
    """
    windows, name = table.windows, targets[0] if len(targets) == 1 else ""
    if windows is None or table.task != "regression" or name not in table.feature_names:
        return None
    steps = np.arange(1, series.horizon + 1) if series.outputs == "all" else np.array([series.horizon])
    rows_NK = windows.ends[:, None] + steps
    is_row_N = rows_NK[:, -1] < len(table.x)
    rows_NK = np.where(is_row_N[:, None], rows_NK, windows.ends[:, None])
    group_R, y_NK = windows.roles.group, table.x[rows_NK, table.feature_names.index(name)].astype(np.float64)
    if group_R is not None:
        is_row_N &= group_R[rows_NK[:, -1]] == group_R[windows.ends]
    known = np.flatnonzero(is_row_N & np.isfinite(y_NK).all(axis=1))
    if not len(known):
        return None
    y = y_NK[known] if len(steps) > 1 else y_NK[known, 0]
    return replace(table, y=y, windows=None, roles=RowRoles(), has_target=True), known


def _targets(rows: Table, ends: Indices, series: Series) -> NDArray[Any]:
    """The target of each window: that of a later row, (N, …), or those of all later rows up to it, (N, K)."""
    if series.outputs == "last" or series.horizon == 1:
        one_NK: NDArray[Any] = rows.y[ends + series.horizon]
        return one_NK
    several_NK: NDArray[Any] = rows.y[ends[:, None] + np.arange(1, series.horizon + 1)]
    return several_NK


def _target_names(rows: Table, targets: Sequence[str], series: Series) -> tuple[str, ...]:
    """The names of several outputs: ``demand+1``, ``demand+2``, …"""
    if series.outputs == "last" or series.horizon == 1:
        return rows.target_names
    return tuple(f"{targets[0]}+{step}" for step in range(1, series.horizon + 1))


def _ordered(roles: RowRoles, n_rows: int) -> _Order:
    """The rows by series, in the order of their first rows, then by time; equal times keep the order of the file."""
    group_R = np.zeros(n_rows, dtype=np.int64)
    if roles.group is not None:
        numbers = {group: number for number, group in enumerate(dict.fromkeys(roles.group.tolist()))}
        group_R = np.array([numbers[group] for group in roles.group.tolist()], dtype=np.int64)
    time_R = np.arange(n_rows) if roles.time is None else roles.time
    rows = np.lexsort((time_R, group_R))
    starts = np.flatnonzero(np.diff(group_R[rows], prepend=-1))
    return _Order(rows, starts)


def _reordered(table: Table, order: _Order) -> Table:
    """The table in an order. Without times, the time of a row is its place in its series."""
    text = tuple(TextColumn(column.name, column.values[order.rows]) for column in table.text)
    roles = _taken(table.roles, order.rows)
    if roles.time is None:
        places = np.concatenate([np.arange(n) for n in (order.stops - order.starts).tolist()])
        roles = replace(roles, time=places.astype(np.float64))
    x, y = table.x[order.rows], table.y[order.rows]
    return replace(table, x=x, y=y, text=text, roles=roles, places=None)


def _taken(roles: RowRoles, rows: Indices) -> RowRoles:
    values = ((name, getattr(roles, name)) for name in roles.__dataclass_fields__)
    return RowRoles(**{name: None if array is None else array[rows] for name, array in values})


def _window_ends(order: _Order, window: int, n_later: int, stride: int) -> Indices:
    """The place of the last row of each window; each series' last window is as late as possible."""
    ends = [
        np.arange(stop - 1 - n_later, start + window - 2, -stride)[::-1]
        for start, stop in zip(order.starts.tolist(), order.stops.tolist(), strict=True)
    ]
    return np.concatenate(ends).astype(np.int64)


def _too_few_rows(order: _Order, window: int, n_later: int, parameter: str, *, is_future: bool) -> DataError:
    n_longest = int((order.stops - order.starts).max())
    series = "the data" if len(order.starts) == 1 else "the longest series"
    has = f"but {series} has {counted(n_longest, 'row')}"
    if is_future:  # the window of a trained model is fixed
        return DataError(f"a window takes {window} rows, {has}", hint="add earlier rows", parameter=parameter)
    message = f"a window and its target take {window + n_later} rows, {has}"
    return DataError(message, hint="use a shorter `data.series.window`", parameter=parameter)


def _is_of_one_part(rows: Table, windows: Windows) -> NDArray[np.bool_]:
    """Whether all rows of a window (N,) and its target are of one part of the split column."""
    n_changes_R = np.zeros(len(rows.x), dtype=np.int64)
    if rows.roles.part is not None:
        n_changes_R[1:] = np.cumsum(rows.roles.part[1:] != rows.roles.part[:-1])
    is_of_one_N: NDArray[np.bool_] = n_changes_R[windows.firsts] == n_changes_R[windows.lasts]
    return is_of_one_N


def _has_inputs(rows: Table, windows: Windows, targets: Sequence[str]) -> NDArray[np.bool_]:
    """Whether a window (N,) has all past targets; True if they are no inputs."""
    is_missing_R = np.zeros(len(rows.x), dtype=bool)
    for place, name in enumerate(rows.feature_names):
        if name in targets:
            is_missing_R |= np.isnan(rows.x[:, place])
    for column in rows.text:
        if column.name in targets:
            is_missing_R |= np.array([value is None for value in column.values.tolist()], dtype=bool)
    n_missing = np.concatenate([[0], np.cumsum(is_missing_R)])
    is_whole_N: NDArray[np.bool_] = n_missing[windows.ends + 1] == n_missing[windows.firsts]
    return is_whole_N


def _roles_of(roles: RowRoles, ends: Indices, n_later: int, order: _Order) -> RowRoles:
    """The roles of each window; without names of the rows, a window has the number of its last row in the file."""
    at_end, at_target = _taken(roles, ends), _taken(roles, ends + n_later)
    names = at_end.id
    if names is None:
        names = np.array([str(row + 1) for row in order.rows[ends].tolist()], dtype=object)
    return RowRoles(names, at_target.weight, at_end.group, at_target.time, at_target.part)


def _notes(
    roles: RowRoles, time_R: NDArray[np.float64] | None, order: _Order, n_needed: int
) -> Iterator[DataNote]:
    """Notes on series that are too short, on equal times, and on steps of different length."""
    lengths = order.stops - order.starts
    n_short = int((lengths < n_needed).sum())
    if n_short:
        text = f"{n_short:,} of {len(lengths):,} series have fewer than {n_needed} rows and are left out"
        yield DataNote("series", text)
    if roles.time is None or time_R is None:
        yield DataNote(
            "series", "the rows of the series are in the order of the file: `data.columns.time` is not set"
        )
        return
    is_step_R = np.ones(len(time_R), dtype=bool)
    is_step_R[order.starts] = False
    steps = np.diff(time_R, prepend=0.0)[is_step_R]
    n_equal = int((steps == 0).sum())
    if n_equal:
        text = f"{n_equal:,} of {len(steps) + 1:,} rows of the series have the time of the row before"
        hint = "; if the file holds several series, name their column in `data.columns.group`"
        yield DataNote("series", text if roles.group is not None else text + hint)
    values, counts = np.unique(steps, return_counts=True)
    if len(values) > 1 and counts.max() < _REGULAR * len(steps):
        usual = f"{counts.max() / len(steps):.0%} of the steps between rows have the same length"
        yield DataNote("series", f"{usual}; a window counts rows, not time", is_detail=True)
