"""Rows are a list of dicts with columns, a display and a data frame."""

from __future__ import annotations

import json
import sys

import pytest

from tunecli import Rows, UsageError
from tunecli.registry.packages import install_command

ROWS = Rows(("trial", "name"), [(number, f"<b>{number}</b>") for number in range(40)])


def test_rows_are_a_list_that_json_takes() -> None:
    assert json.loads(json.dumps(ROWS[:1])) == [{"trial": 0, "name": "<b>0</b>"}]
    assert ROWS[3]["trial"] == 3
    assert isinstance(ROWS[5:7], Rows)
    assert ROWS[5:7].columns == ("trial", "name")


def test_a_notebook_shows_escaped_text_and_how_many_rows_are_left_out() -> None:
    page = Rows(("<i>",), [("<script>alert(1)</script>",), ("a\x1b[31m",)])._repr_html_()
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert ROWS._repr_html_().count("<tr>") == 31
    assert "10 more rows" in ROWS._repr_html_()


def test_a_terminal_shows_the_first_rows() -> None:
    lines = repr(ROWS).splitlines()
    assert len(lines) == 13
    assert lines[-1] == "… 30 more rows"
    assert repr(Rows(("a",))).splitlines() == ["| a   |", "| --- |"]


def test_a_data_frame_without_pandas_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError) as caught:
        ROWS.to_pandas()
    assert caught.value.hint == install_command("pandas", "pandas")
    assert f"try: {caught.value.hint}" in caught.value.__notes__


@pytest.mark.slow  # pandas is no package of the ordinary tests
def test_a_data_frame_has_the_rows_columns_and_types() -> None:
    frame = Rows(("trial", "lr", "name"), [(0, 0.1, "a"), (1, None, "b")]).to_pandas()
    assert list(frame.columns) == ["trial", "lr", "name"]
    assert frame["trial"].tolist() == [0, 1]
    assert frame["lr"].isna().tolist() == [False, True]
    assert frame.dtypes["lr"] == "float64"
    assert list(Rows(("a", "b")).to_pandas().columns) == ["a", "b"]
