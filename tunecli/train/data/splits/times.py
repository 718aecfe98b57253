"""Splits by time: the latest rows validate, and folds are forward chains.

Rows of equal time are in one part. Rows within the gap before a part are left out. With different times and a gap in
rows, the folds are those of scikit-learn's ``TimeSeriesSplit``.

Axes: P rows that are split, in the order of their time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.validation import span_s
from tunecli.errors import DataError
from tunecli.text import counted
from tunecli.train.data.splits.parts import Cut, Indices

Times = NDArray[np.float64]


def in_order(rows: Indices, time_N: Times) -> Indices:
    """The rows in the order of their time; equal times keep the order of the file."""
    return rows[np.argsort(time_N[rows], kind="stable")]


def latest(rows: Indices, time_N: Times, fraction: float, gap: int | str, parameter: str) -> Cut:
    """Cut the latest rows: the number nearest to the fraction that no two rows of equal time straddle.

    Args:
        rows: the rows that are split.
        time_N: the time of each row of the table.
        fraction: the fraction of ``rows`` that is cut.
        gap: the number of rows, or the span of time, before the cut that are left out.
        parameter: the configuration key of the part.

    Raises:
        DataError: all rows have one time, or the gap leaves no rows.
    """
    ordered_P = in_order(rows, time_N)
    starts = _starts(time_N[ordered_P])
    if not len(starts):
        message = f"all {counted(len(rows), 'row')} have the same time"
        raise DataError(message, hint="split by `row`", parameter=parameter)
    wanted = len(rows) - max(1, round(len(rows) * fraction))
    start = int(starts[np.abs(starts - wanted).argmin()])
    end = _before_gap(time_N[ordered_P], start, gap, parameter)
    return Cut(ordered_P[start:], ordered_P[end:start])


def forward_chains(rows: Indices, time_N: Times, n_folds: int, gap: int | str, parameter: str) -> list[Cut]:
    """Cut a validation part for each fold: each fold trains on the rows before its part, and later rows are left out.

    Args:
        rows, time_N, gap, parameter: as for `latest`.
        n_folds: the number of folds.

    Raises:
        DataError: there are too few different times, or the gap leaves no rows.
    """
    ordered_P = in_order(rows, time_N)
    time_P = time_N[ordered_P]
    starts = _starts(time_P)
    if len(starts) < n_folds:
        n_needed, n_times = n_folds + 1, len(starts) + 1
        message = f"{n_folds} folds by time need {n_needed} different times, and the data has {n_times}"
        hint = "use fewer folds" if n_times > 2 else "folds by time need at least 3 different times"
        raise DataError(message, hint=hint, parameter=parameter)
    size = max(1, len(rows) // (n_folds + 1))
    wanted = [len(rows) - (n_folds - fold) * size for fold in range(n_folds)]
    bounds = [*_nearest(starts, wanted), len(rows)]
    cuts = []
    for start, stop in pairwise(bounds):
        end = _before_gap(time_P, start, gap, parameter)
        cuts.append(Cut(ordered_P[start:stop], np.concatenate([ordered_P[end:start], ordered_P[stop:]])))
    return cuts


def most_recent(rows: Indices, time_N: Times, train_fraction: float) -> Indices:
    """The most recent rows, ascending: those of a smaller fraction are a subset of those of a larger one."""
    n_kept = max(1, round(train_fraction * len(rows)))
    return np.sort(in_order(rows, time_N)[len(rows) - n_kept :])


def _starts(time_P: Times) -> Indices:
    """The places at which a part may begin: those of rows that are later than the row before."""
    return np.flatnonzero(np.diff(time_P) > 0) + 1


def _nearest(starts: Indices, wanted: Sequence[int]) -> list[int]:
    """For each wanted place the nearest start that is after the one before, and leaves one for each later place."""
    chosen: list[int] = []
    first = 0
    for number, place in enumerate(wanted):
        last = len(starts) - len(wanted) + number
        options = starts[first : last + 1]
        best = int(np.abs(options - place).argmin())
        chosen.append(int(options[best]))
        first += best + 1
    return chosen


def _before_gap(time_P: Times, start: int, gap: int | str, parameter: str) -> int:
    """The number of rows before the gap in front of the row ``start``.

    Raises:
        DataError: there are none.
    """
    if isinstance(gap, str):
        end = int(np.searchsorted(time_P, time_P[start] - span_s(gap), side="right"))
    else:
        end = max(0, start - gap)
        if 0 < end < start and time_P[end - 1] == time_P[end]:
            end = int(np.searchsorted(time_P, time_P[end], side="left"))
    end = min(end, start)
    if end == 0:
        shown = gap if isinstance(gap, str) else counted(gap, "row")
        message = f"the gap of {shown} leaves no rows before a part that begins after {counted(start, 'row')}"
        raise DataError(message, hint="use a shorter gap or fewer folds", parameter=f"{parameter}.gap")
    return end
