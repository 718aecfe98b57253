"""No row of a validated or tested window is in a training window, however the parts are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.data import Data
from tunecli.config.schema.series import Series
from tunecli.errors import DataError
from tunecli.train.data.series import windowed
from tunecli.train.data.splits import Part, rows_but_test, split
from tunecli.train.data.table import RowRoles, Table, joined


def table_of(series: Series, n_series: int, n_rows: int, part: list[str] | None = None) -> Table:
    """Series of equal length, whose rows are mixed in the file."""
    row = np.random.default_rng(0).permutation(n_series * n_rows)
    roles = RowRoles(
        group=np.array([f"g{number}" for number in row // n_rows], dtype=object),
        time=(row % n_rows).astype(np.float64),
        part=None if part is None else np.array(part, dtype=object)[row % n_rows],
    )
    numbers = row.astype(np.float64)
    return windowed(
        Table(numbers[:, None], numbers, "regression", feature_names=("x",), roles=roles), series, ("y",)
    )


def data(series: Series, **knobs: Any) -> Data:
    return Data.model_validate({"source": "t.csv", "target": "y", "series": series.model_dump(), **knobs})


def rows_in(table: Table, windows: np.ndarray) -> set[int]:
    """The rows of the series that some windows have as inputs or targets."""
    assert table.windows is not None
    spans = zip(table.windows.firsts[windows].tolist(), table.windows.lasts[windows].tolist(), strict=True)
    return {row for first, last in spans for row in range(first, last + 1)}


def require_apart(table: Table, part: Part) -> None:
    train, valid, tested = (
        rows_in(table, windows) for windows in (part.train_indices, part.valid_indices, part.test_indices)
    )
    assert not train & valid
    assert not train & tested
    assert not valid & tested
    assert len(part.train_indices)
    assert len(part.valid_indices)


@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from(
        [
            {"validation": {"fraction": 0.3, "by": "time"}},
            {
                "validation": {"fraction": 0.3, "by": "time", "gap": 3},
                "test": {"fraction": 0.2, "by": "time"},
            },
            {"validation": {"folds": 2, "by": "time"}},
            {"validation": {"folds": 2, "by": "group"}, "test": {"fraction": 0.4, "by": "group"}},
            {"validation": {"fraction": 0.4, "by": "group"}, "test": {"fraction": 0.2, "by": "time"}},
        ]
    ),
)
def test_parts_have_no_row_in_common(window: int, horizon: int, stride: int, how: dict[str, Any]) -> None:
    series = Series(window=window, horizon=horizon, stride=stride)
    table = table_of(series, 6, 50)
    parts = split(table, data(series, **how), 1)
    for part in parts:
        require_apart(table, part)
    kept = rows_but_test(table, data(series, **how), 1)
    assert not rows_in(table, kept) & rows_in(table, parts[0].test_indices)
    assert {*parts[0].train_indices.tolist()} <= {*kept.tolist()}


def test_the_targets_validated_by_time_do_not_depend_on_the_window() -> None:
    validated = []
    for window in (2, 5, 9):
        series = Series(window=window, horizon=2)
        table = table_of(series, 3, 40)
        (part,) = split(table, data(series, validation={"fraction": 0.25, "by": "time"}), 1)
        validated.append(sorted(table.y[part.valid_indices].tolist()))
    assert validated[0] == validated[1] == validated[2]
    assert len(validated[0]) == 30


def test_marks_of_a_column_cut_the_series() -> None:
    series = Series(window=3)
    table = table_of(series, 2, 12, ["train"] * 8 + ["validation"] * 4)
    (part,) = split(table, data(series, validation={"by": "column"}), 1)
    assert (len(part.train_indices), len(part.valid_indices)) == (2 * 5, 2 * 1)


@pytest.mark.parametrize("validation", [{"fraction": 0.2}, {"folds": 3}])
def test_windows_drawn_at_random_are_refused(validation: dict[str, Any]) -> None:
    series = Series(window=3)
    with pytest.raises(DataError, match="cannot be drawn at random") as error:
        split(table_of(series, 2, 12), data(series, validation=validation), 1)
    assert error.value.parameter == "data.validation.by"


def test_a_window_that_is_too_long_for_the_parts_is_refused() -> None:
    series = Series(window=10, horizon=2)
    with pytest.raises(DataError, match="the training part has no windows: each takes 12 rows") as error:
        split(table_of(series, 1, 20), data(series, validation={"fraction": 0.2, "by": "time"}), 1)
    assert error.value.parameter == "data.series.window"


def test_joined_series_keep_the_rows_of_their_windows() -> None:
    one, other = (table_of(Series(window=4, horizon=2), 2, n_rows) for n_rows in (9, 7))
    both = joined(one, other)
    assert both.windows is not None
    assert other.windows is not None
    assert len(both.y) == len(both.windows.ends) == len(one.y) + len(other.y)
    places = np.arange(len(one.y), len(both.y))
    rows_NT, own_NT = both.windows.rows_of(places), other.windows.rows_of(np.arange(len(other.y)))
    assert np.array_equal(both.x[rows_NT], other.x[own_NT])
