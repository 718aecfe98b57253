"""Selection and order of the table: columns by name, rows by a column."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.errors import UsageError
from tunecli.results.columns import column_named, failed_only, in_order, select
from tunecli.results.table import Table

TABLE = Table(
    ("rank", "trial", "status", "val_loss", "a.lr", "b.lr", "model.dropout"),
    (
        (1, 4, "complete", 0.1, 3, None, 0.5),
        (2, 0, "complete", 0.2, None, 1, "x"),
        (None, 2, "failed", math.nan, 2, None, True),
    ),
)


@pytest.mark.parametrize(
    ("asked", "column"),
    [("dropout", "model.dropout"), ("model.dropout", "model.dropout"), ("rank", "rank"), ("a.lr", "a.lr")],
)
def test_a_column_is_named_in_full_or_by_its_end(asked, column):
    assert column_named(TABLE, asked, "--columns") == column


@pytest.mark.parametrize(
    ("asked", "words"),
    [("lr", "a.lr or b.lr"), ("dropuot", "did you mean `model.dropout`?"), ("", "the columns are rank, trial"), ("val_los", "`val_loss`")],
)  # fmt: skip
def test_a_name_of_no_column_or_of_two_is_an_error_with_a_hint(asked, words):
    with pytest.raises(UsageError) as caught:
        column_named(TABLE, asked, "--sort")
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_columns_and_rows_are_selected():
    assert select(TABLE, ("trial", "a.lr")).rows == ((4, 3), (0, None), (2, 2))
    assert [row[1] for row in failed_only(TABLE).rows] == [2]


@pytest.mark.parametrize(
    ("column", "is_descending", "trials"),
    [("trial", False, [0, 2, 4]), ("trial", True, [4, 2, 0]), ("a.lr", False, [2, 4, 0]), ("a.lr", True, [4, 2, 0]),
     ("val_loss", True, [0, 4, 2]), ("model.dropout", False, [4, 2, 0])],
)  # fmt: skip
def test_rows_are_sorted_and_rows_without_a_value_come_last(column, is_descending, trials):
    assert [row[1] for row in in_order(TABLE, column, is_descending=is_descending).rows] == trials


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text()), st.booleans())
def test_the_table_is_sorted_by_cells_of_any_kind(cells, is_descending):
    table = Table(("x", "n"), tuple((cell, n) for n, cell in enumerate(cells)))
    ordered = in_order(table, "x", is_descending=is_descending)
    assert sorted(row[1] for row in ordered.rows) == list(range(len(cells)))
