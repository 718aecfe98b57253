"""A table in the order of time becomes windows of its rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.series import Series
from tunecli.errors import DataError
from tunecli.train.data.series import windowed
from tunecli.train.data.table import RowRoles, Table, TextColumn

TWO = Series(window=2, horizon=2)


def table_of(
    times: list[float] | None, groups: list[str] | None = None, n_rows: int = 0, **roles: list[str]
) -> Table:
    """A table whose input and target are the numbers of the rows in the file: 0, 1, 2, …, and 100 more."""
    n_rows = n_rows or len(times or groups or ())
    rows = np.arange(float(n_rows))
    named = {name: np.array(values, dtype=object) for name, values in roles.items()}
    group = None if groups is None else np.array(groups, dtype=object)
    time = None if times is None else np.array(times)
    return Table(
        np.stack([rows, rows + 100.0], axis=1),
        rows + 100.0,
        "regression",
        feature_names=("x", "y"),
        text=(TextColumn("t", np.array([f"r{row:.0f}" for row in rows], dtype=object)),),
        roles=RowRoles(group=group, time=time, **named),  # type: ignore[arg-type]
    )


def rows_of(table: Table) -> list[list[float]]:
    assert table.windows is not None
    rows_NT = table.windows.rows_of(np.arange(len(table.y)))
    return table.x[:, 0][rows_NT].tolist()  # type: ignore[no-any-return]


def test_windows_are_consecutive_rows_in_the_order_of_time() -> None:
    table = windowed(table_of([3, 1, 2, 5, 4]), TWO, ("y",))
    assert rows_of(table) == [[1, 2], [2, 0]]
    assert table.y.tolist() == [104, 103]
    assert table.kind == "sequence"
    assert table.roles.time is not None
    assert table.roles.time.tolist() == [4, 5]
    assert [column.values.tolist() for column in table.text] == [["r1", "r2", "r0", "r4", "r3"]]


def test_a_window_never_has_rows_of_two_series() -> None:
    table = windowed(table_of([1, 1, 2, 2, 3, 3, 4, 5], list("abababac")), TWO, ("y",))
    assert rows_of(table) == [[0, 2]]
    assert table.y.tolist() == [106]
    assert table.roles.group is not None
    assert table.roles.group.tolist() == ["a"]
    assert "2 of 3 series have fewer than 4 rows and are left out" in table.notes


def test_the_last_window_of_a_stride_is_the_latest_one() -> None:
    table = windowed(table_of(None, n_rows=9), Series(window=2, stride=3), ("y",))
    assert rows_of(table) == [[0, 1], [3, 4], [6, 7]]
    assert table.roles.time is not None
    assert table.roles.time.tolist() == [2, 5, 8]
    assert table.roles.id is not None
    assert table.roles.id.tolist() == ["2", "5", "8"]


def test_rows_to_predict_have_a_window_that_ends_with_the_last_known_target() -> None:
    table = table_of(None, n_rows=5)
    x = table.x.copy()
    x[4, 1] = np.nan
    table = Table(x, table.y, "regression", feature_names=("x", "y"))
    future = windowed(table, TWO, ("y",), is_future=True)
    assert rows_of(future) == [[0, 1], [1, 2], [2, 3]]
    assert not future.has_target


def test_a_window_has_rows_of_one_part() -> None:
    parts = ["train"] * 5 + ["validation"] * 4
    table = windowed(table_of(None, n_rows=9, part=parts), TWO, ("y",))
    assert rows_of(table) == [[0, 1], [1, 2], [5, 6]]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="a window and its target take 4 rows, but the data has 3 rows"):
        windowed(table_of([1, 2, 3]), TWO, ("y",))
    with pytest.raises(DataError) as caught:
        windowed(table_of([1]), TWO, ("y",), is_future=True)
    assert caught.value.message.endswith("a window takes 2 rows, but the data has 1 row")


def test_equal_times_are_noted() -> None:
    notes = windowed(table_of([1, 1, 2, 2, 3, 3]), TWO, ("y",)).notes
    assert any("have the time of the row before; if the file holds several series" in note for note in notes)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.data(),
)
def test_examples_without_overlap_share_no_row_with_others(
    lengths: list[int], window: int, horizon: int, data: st.DataObject
) -> None:
    groups = [str(number) for number, length in enumerate(lengths) for _ in range(length)]
    if max(lengths) < window + horizon:
        return
    table = windowed(table_of(None, groups), Series(window=window, horizon=horizon), ("y",))
    assert table.windows is not None
    numbers = range(len(table.y))
    others = sorted(data.draw(st.sets(st.sampled_from(numbers))))
    examples = [number for number in numbers if number not in others]

    def used(number: int) -> set[int]:
        assert table.windows is not None
        return {*range(table.windows.firsts[number], table.windows.ends[number] + horizon + 1)}

    taken = set().union(*(used(number) for number in others))
    kept = table.windows.without_overlap(np.array(examples, int), np.array(others, int))
    assert kept.tolist() == [number for number in examples if not used(number) & taken]
