"""Parts of windows of time series: no row of a validation or test window is in a training window.

The rows of a window are its inputs and its targets. A split by time cuts the rows of the series, so the validated
targets do not depend on the length of the windows.

Axes: R rows of the series, N windows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.text import counted
from tunecli.train.data.splits.drawing import SplitRows, apart_from_test, parts_of, split_rows
from tunecli.train.data.splits.parts import Indices, Part, SplitProblem, raise_problems
from tunecli.train.data.table import Table, Windows


def random_windows(data: Data) -> Iterator[SplitProblem]:
    """The problem of parts of single windows that are drawn at random: nearly all of them overlap."""
    for key, part in (("data.validation", data.validation), ("data.test", data.test)):
        if part is None or part.by != "row":
            continue
        if part.fraction is not None or getattr(part, "folds", None) is not None:
            message = "windows of a time series overlap, so they cannot be drawn at random"
            hint = "split `by: time`, or several series `by: group`"
            yield SplitProblem(f"{key}.by", message, hint)


def parts_of_windows(
    table: Table, windows: Windows, data: Data, study_seed: int, n_validation_file: int
) -> list[Part]:
    """The parts of a table of windows, without windows that overlap those of another part.

    Args:
        table: the training data.
        windows: its windows.
        data: the data's configuration.
        study_seed: the seed that determines the split.
        n_validation_file: windows of the validation file; 0 without one.

    Raises:
        DataError: a part has no windows.
    """
    is_by_time, rows = _is_by_time(data), _rows_to_split(table, windows, data)
    parts = parts_of(rows, data.validation, data.test, data.train_fraction, study_seed, n_validation_file)
    if is_by_time:
        parts = [_windows_of(part, windows, data) for part in parts]
    parts = [_without_overlap(part, windows, data) for part in parts]
    raise_problems([*_empty_parts(parts, windows)])
    return parts


def windows_but_test(table: Table, windows: Windows, data: Data, study_seed: int) -> Indices:
    """All windows, ascending, that have no row of the test part's windows; the parameters are as in `parts_of_windows`.

    Raises:
        DataError: the test part cannot be drawn.
    """
    rows = _rows_to_split(table, windows, data)
    tested, is_open = apart_from_test(rows, data.validation, data.test, study_seed)
    kept, test_indices = np.flatnonzero(is_open), np.sort(tested.rows)
    if _is_by_time(data):
        kept, test_indices = _ending_in(kept, windows), _ending_in(test_indices, windows)
    return windows.without_overlap(kept, test_indices)


def _is_by_time(data: Data) -> bool:
    return data.validation.by == "time" or (data.test is not None and data.test.by == "time")


def _rows_to_split(table: Table, windows: Windows, data: Data) -> SplitRows:
    """The rows of the series for a split by time; otherwise the windows."""
    return _rows_of_series(windows) if _is_by_time(data) else split_rows(table, data)


def _rows_of_series(windows: Windows) -> SplitRows:
    roles, stratum_R = windows.roles, np.zeros(windows.n_rows, dtype=np.int64)
    return SplitRows(stratum_R, stratum_R, roles.group, roles.time, roles.part, is_classes=False)


def _windows_of(part: Part, windows: Windows, data: Data) -> Part:
    """The windows whose last targets are in the parts of the rows; those of a validation file stay as they are."""
    is_file = data.validation.file is not None
    valid_indices = part.valid_indices if is_file else _ending_in(part.valid_indices, windows)
    return Part(
        _ending_in(part.train_indices, windows), valid_indices, _ending_in(part.test_indices, windows)
    )


def _ending_in(rows: Indices, windows: Windows) -> Indices:
    """The windows whose last target is in one of the rows."""
    return np.flatnonzero(np.isin(windows.lasts, rows))


def _without_overlap(part: Part, windows: Windows, data: Data) -> Part:
    """A part without validation windows that overlap the test part, and training windows that overlap either."""
    others, valid_indices = part.test_indices, part.valid_indices
    if data.validation.file is None:
        valid_indices = windows.without_overlap(valid_indices, part.test_indices)
        others = np.concatenate([valid_indices, part.test_indices])
    train_indices = windows.without_overlap(part.train_indices, others)
    return Part(train_indices, valid_indices, part.test_indices)


def _empty_parts(parts: list[Part], windows: Windows) -> Iterator[SplitProblem]:
    for number, part in enumerate(parts, start=1):
        where = f" of fold {number}" if len(parts) > 1 else ""
        for name, indices in (("training", part.train_indices), ("validation", part.valid_indices)):
            if not len(indices):
                rows = counted(windows.length + windows.n_later, "row")
                message = f"the {name} part{where} has no windows: each takes {rows} that no other part has"
                hint = "use a shorter `data.series.window`, or fewer folds"
                yield SplitProblem("data.series.window", message, hint)
