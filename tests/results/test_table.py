from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.objective import Objective
from tunecli.results.ranking import rank
from tunecli.results.table import (
    Cell,
    Table,
    display_cells,
    options_alike,
    results_table,
    to_csv,
    to_json,
    to_markdown,
    top,
    without_clock,
)
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

ACCURACY = Objective("val_accuracy", maximize=True)
NAMES = ("optimizer.lr", "model.activation", "optimizer.momentum")
TRIALS = [
    Trial(
        0,
        {"optimizer.lr": 1e-5, "model.activation": "relu"},
        11,
        State.COMPLETE,
        Outcome(State.COMPLETE, 0.1 + 0.2, {}, 20, 18, 12.3456, "cpu"),
    ),
    Trial(
        1,
        {"optimizer.lr": 0.5, "model.activation": None, "optimizer.momentum": -0.25},
        12,
        State.FAILED,
        Outcome(
            State.FAILED, failure=Failure(FailureKind.OOM, "no memory\nleft"), seconds=1.0, device="cuda:0"
        ),
    ),
    Trial(2, {"optimizer.lr": 0.25, "model.activation": "=cmd|' /C calc'!A0"}, 13, State.RUNNING),
]


@pytest.fixture
def table() -> Table:
    return results_table(rank(TRIALS, ACCURACY, include_unfinished=True), ACCURACY, NAMES)


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def one_cell(cell: Cell) -> Table:
    return Table(("a",), ((cell,),))


def test_the_columns_have_the_documented_names_and_order(table: Table) -> None:
    assert table.columns == (
        "rank",
        "trial",
        "status",
        "val_accuracy",
        *NAMES,
        "epochs",
        "seconds",
        "seed",
        "device",
        "failure",
    )


def test_a_row_shows_the_trial_and_its_outcome(table: Table) -> None:
    assert table.rows == (
        (1, 0, "complete", 0.1 + 0.2, 1e-5, "relu", None, 20, 12.3456, 11, "cpu", None),
        (None, 1, "failed", None, 0.5, "null", -0.25, 0, 1.0, 12, "cuda:0", "oom: no memory\nleft"),
        (None, 2, "running", None, 0.25, "=cmd|' /C calc'!A0", None, None, None, 13, None, None),
    )


def test_a_parameter_with_the_name_of_a_column_has_its_full_path() -> None:
    table = results_table(
        rank([Trial(0, {"seed": 5}, 9)], ACCURACY, include_unfinished=True), ACCURACY, ["seed"]
    )
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert len(set(table.columns)) == len(table.columns)
    assert (row["trial.seed"], row["seed"]) == (5, 9)


def test_csv_has_exact_floats_and_no_formulas(table: Table) -> None:
    assert read_csv(to_csv(table)) == [
        list(table.columns),
        ["1", "0", "complete", "0.30000000000000004", "1e-05", "relu", "", "20", "12.3456", "11", "cpu", ""],
        ["", "1", "failed", "", "0.5", "null", "-0.25", "0", "1.0", "12", "cuda:0", "oom: no memory left"],
        ["", "2", "running", "", "0.25", "'=cmd|' /C calc'!A0", "", "", "", "13", "", ""],
    ]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'=1"),
        (" \r+1", "'+1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("\u200b=1", "'=1"),
        ("\ufeff@x", "'@x"),
        ("\u2060\u00ad-1", "'-1"),
        ("\u200d=1", "'\u200d=1"),
        ("\u3164=1", "'=1"),
        ('"=1"', '\'"=1"'),
        (";=1+1", ";'=1+1"),
        ("a;b", "a;b"),
        ("a; \t+1;x", "a;' +1;x"),
        ('a;"@x', "a;'\"@x"),
        ("a;\u200b-1;=2", "a;'-1;'=2"),
        ("[-1, 2]", "[-1, 2]"),
        ("a, -1", "a, -1"),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (True, "true"),
        (None, ""),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_csv_defuses_formulas_in_text_only(cell: Cell, written: str) -> None:
    assert read_csv(to_csv(Table(("a", "b"), ((cell, "x"),))))[1] == [written, "x"]


FORMULAS = st.text(st.sampled_from("=+-@＝＋－＠;, \"'a1\t\r\n\u200b\u200d\ufeff\u202e\u2060\u00a0|"))


@given(FORMULAS | st.text(st.characters()))
def test_no_text_begins_a_formula_with_either_separator_of_cells(text: str) -> None:
    line = to_csv(Table(("x", "y"), ((1, text),))).splitlines()[1]
    for separator in ",;":
        for cell in next(csv.reader([line], delimiter=separator)):
            unseen = cell.lstrip(' "\u200c\u200d')
            assert cell == line or not unseen.startswith(tuple("=+-@＝＋－＠"))


def test_options_that_look_the_same_differ_in_every_format() -> None:
    values = [1, "1", None, "null", True, "true", "a"]
    trials = [
        Trial(n, {"p": value}, 0, State.COMPLETE, Outcome(State.COMPLETE, 1.0))
        for n, value in enumerate(values)
    ]
    alike = options_alike(values)
    assert alike == {"1", "null", "true"}
    table = results_table(rank(trials, ACCURACY), ACCURACY, ["p"], alike={"p": alike})
    shown = ["1", '"1"', "null", '"null"', "true", '"true"', "a"]
    at = table.columns.index("p")
    assert [row[at] for row in read_csv(to_csv(table))[1:]] == shown
    assert [row[at] for row in display_cells(table)] == shown
    assert [row["p"] for row in json.loads(to_json(table))] == [1, "1", "null", '"null"', True, "true", "a"]
    plain = results_table(rank(trials[1:2], ACCURACY), ACCURACY, ["p"])
    assert read_csv(to_csv(plain))[1][at] == "1", "without options that look the same, texts have no quotes"
    assert options_alike(["1", "2", None]) == set()


def test_a_label_replaces_a_value() -> None:
    table = Table(("p", "q"), (("a#2", "a#2"), ("null", 1)))
    labels = {"p": {"'a#2'": "a(x=1)", "'null'": "wrong", "None": "none"}}
    assert display_cells(table, labels) == (("a(x=1)", "a#2"), ("none", "1"))


@given(st.floats(allow_nan=False) | st.integers())
def test_a_number_in_csv_reads_back_to_the_same_bits(cell: float) -> None:
    (_, (text,)) = read_csv(to_csv(one_cell(cell)))
    assert repr(type(cell)(text)) == repr(cell)


@given(st.lists(st.tuples(st.text(st.characters()), st.text(st.characters()))))
def test_every_row_of_csv_is_one_line_with_all_its_cells_and_no_formula(rows: list[tuple[str, str]]) -> None:
    text = to_csv(Table(("a", "b"), tuple(rows)))
    assert text.count("\n") == len(rows) + 1
    assert all(
        len(row) == 2 and not cell.startswith(tuple("=+-@\t\r")) for row in read_csv(text) for cell in row
    )
    text.encode()


def test_json_is_strict_and_one_object_a_row(table: Table) -> None:
    rows = json.loads(to_json(table), parse_constant=pytest.fail)
    assert [tuple(row) for row in rows] == [table.columns] * 3
    assert [tuple(row.values()) for row in rows] == list(table.rows)
    assert json.loads(to_json(one_cell(math.nan)), parse_constant=pytest.fail) == [{"a": None}]


def test_markdown_is_aligned_and_a_cell_cannot_end_early() -> None:
    table = Table(("name", "lr"), (("a|b", 0.0123412), ("<b>`\\\n", None)))
    assert to_markdown(table).splitlines() == [
        r"| name     |      lr |",
        r"| -------- | ------: |",
        r"| a\|b     | 0.01234 |",
        r"| \<b>\`\\ |       — |",
    ]


def test_an_empty_table_still_has_its_header() -> None:
    table = results_table([], ACCURACY, [])
    assert to_csv(table).startswith("rank,trial,status,val_accuracy,epochs")
    assert json.loads(to_json(table)) == []
    assert to_markdown(table).count("\n") == 2
    assert display_cells(table) == ()


def test_display_cells_have_four_digits_plain_integers_and_a_dash(table: Table) -> None:
    assert display_cells(table)[0] == (
        "1", "0", "complete", "0.3", "1e-05", "relu", "—", "20", "12.35", "11", "cpu", "—",
    )  # fmt: skip
    assert display_cells(one_cell(123_456_789)) == (("123456789",),)
    assert display_cells(one_cell(13_377.0)) == (("13377",),), "a metric that counts is a float"
    assert display_cells(one_cell(1e7)) == (("1e+07",),)
    assert display_cells(one_cell("\x1b[2Ja\nb")) == (("[2Ja b",),)


def test_top_takes_the_first_rows(table: Table) -> None:
    assert top(table, 1).rows == table.rows[:1]
    assert top(table, 0).rows == ()
    assert top(table, 99) == table
    with pytest.raises(ValueError, match="-1"):
        top(table, -1)


def test_runs_that_differ_only_in_time_are_equal_without_the_clock() -> None:
    def run(seconds: float) -> Table:
        outcome: dict[str, Any] = {"epochs": 2, "kept_epoch": 2, "device": "cpu"}
        trial = Trial(
            0, {"a": 1}, 5, State.COMPLETE, Outcome(State.COMPLETE, 0.5, seconds=seconds, **outcome)
        )
        return results_table(rank([trial], ACCURACY), ACCURACY, ["a"])

    assert run(1.0) != run(2.0)
    assert without_clock(run(1.0)) == without_clock(run(2.0))
    assert without_clock(run(1.0)).columns == tuple(name for name in run(1.0).columns if name != "seconds")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((10.0, 10.0, 10.0), ("10", "10", "10")),
        ((0.1234567, 0.1234561, 0.1234567), ("0.123457", "0.123456", "0.123457")),
        ((10.0, math.nextafter(10.0, 11), 10.0), ("10", "10.000000000000002", "10")),
        ((0.12341, 0.12342, 0.5), ("0.1234", "0.1234", "0.5")),  # the column shows a difference already
    ],
)
def test_different_values_of_a_parameter_do_not_all_look_the_same(
    values: tuple[float, ...], expected: tuple[str, ...]
) -> None:
    rows = tuple((1, number, "complete", 0.5, value, 12.34567) for number, value in enumerate(values))
    table = Table(("rank", "trial", "status", "val_loss", "a", "seconds"), rows)
    shown = display_cells(table)
    assert tuple(row[4] for row in shown) == expected
    assert {row[5] for row in shown} == {"12.35"}
