"""The training file decides a column's kind: rows are encoded alike in one file or two."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import preparation
from tunecli.train.data.files import read_table
from tunecli.train.data.table import Table

Cell = tuple[str, Any]
"""A value as text in a CSV file, and as a value in a Parquet file."""

NUMBERS: list[Cell] = [
    ("1.50", 1.5), ("007", 7.0), ("1e5", 1e5), ("-3", -3.0), (".5", 0.5), ("2.", 2.0), ("+4E-1", 0.4),
    ("", None), ("NA", None), ("-", None), (".", None), ("#N/A", None), ("-1.#IND", None),
]  # fmt: skip
TEXTS: list[Cell] = [
    *((text, text) for text in ["01", "1", "1e5", "100000", "1.50", "1.5", "007", "7", "1_2", "12", "１２", "inf"]),
    *((text, text) for text in ["-", ".", "true", "0x10", "nan(1)", "x, y", 'say "a"']),
    ("", None), ("None", None), ("<NA>", None),
]  # fmt: skip
LABELS: dict[str, list[Cell]] = {
    "text": [(text, text) for text in ["X3", "01", "1", "1.50", "1e5"]],
    "whole": [("0", 0), ("1.0", 1), ("02", 2)],
    "real": [("0.5", 0.5), ("1e3", 1000.0), ("-2", -2.0), ("7.25", 7.25)],
}
TRUTHS: list[Cell] = [("True", True), ("False", False)]


def knobs() -> Data:
    return Data.model_validate({"source": "t.csv", "target": "y"})


def write(path: Path, rows: dict[str, list[Cell]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: [value for _, value in cells] for name, cells in rows.items()}), path)
        return
    quoted = [['"' + text.replace('"', '""') + '"' for text, _ in cells] for cells in rows.values()]
    lines = [",".join(rows), *(",".join(row) for row in zip(*quoted, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[Cell]], int]:
    """Rows, and the number of the training file's rows, which alone decide the columns' kinds."""
    n_rows, n_train = draw(st.integers(6, 14)), draw(st.integers(4, 5))

    def column(pool: list[Cell], shown: list[Cell]) -> list[Cell]:
        rest = draw(st.lists(st.sampled_from(pool), min_size=n_rows, max_size=n_rows))
        place = draw(st.integers(0, n_train - len(shown)))
        return [*rest[:place], *shown, *rest[place + len(shown) :]]

    labels = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    numbers = column(NUMBERS, [("3.25", 3.25)])
    texts = column(TEXTS, [("X3", "X3")])
    # A validation file may hold nothing but what looks like numbers, and a class that training has not is an error.
    targets = [*labels, *draw(st.lists(st.sampled_from(labels), min_size=n_rows, max_size=n_rows))]
    rows = {"number": numbers, "text": texts, "y": targets[:n_rows], "flag": column(TRUTHS, TRUTHS)}
    return rows, max(n_train, len(labels))


@given(tables(), st.sampled_from(["csv", "parquet"]))
def test_rows_are_encoded_the_same_in_one_or_two_files(
    drawn: tuple[dict[str, list[Cell]], int], ending: str
) -> None:
    rows, n_train = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / f"all.{ending}", rows)
        write(folder / f"train.{ending}", {column: cells[:n_train] for column, cells in rows.items()})
        whole = read_table(folder / f"all.{ending}", knobs())
        known = read_table(folder / f"train.{ending}", knobs())
        indices = np.arange(len(whole.y))
        together = preparation.apply(
            preparation.fit(whole, indices[:n_train], knobs()), whole, indices[n_train:]
        )
        for other in ("csv", "parquet"):
            write(folder / f"valid.{other}", {column: cells[n_train:] for column, cells in rows.items()})
            alone = read_table(folder / f"valid.{other}", knobs(), "data.validation", known.schema)
            found = preparation.fit(known, indices[:n_train], knobs())
            apart = preparation.apply(found, alone, indices[: len(alone.y)])
            np.testing.assert_array_equal(apart.x, together.x)
            np.testing.assert_array_equal(apart.y, together.y)
        assert (known.task, known.class_names) == (whole.task, whole.class_names)


def tables_of(folder: Path, train: str, valid: str) -> tuple[Table, Table]:
    (folder / "t.csv").write_text(train, encoding="utf-8")
    (folder / "v.csv").write_text(valid, encoding="utf-8")
    known = read_table(folder / "t.csv", knobs())
    return known, read_table(folder / "v.csv", knobs(), "data.validation", known.schema)


@pytest.mark.parametrize("category", ["01", "1e5", "1.50", "007", "1_0", "-0", "+1", "1.", ".5"])
def test_a_category_that_looks_like_a_number_keeps_its_name_in_validation(
    tmp_path: Path, category: str
) -> None:
    _, table = tables_of(tmp_path, f"c,y\n{category},a\nnorth,b\n", f"c,y\n{category},b\n{category},a\n")
    assert table.text[0].values.tolist() == [category, category]


@pytest.mark.parametrize("label", ["01", "1e5", "1.50", "007"])
def test_a_class_that_looks_like_a_number_keeps_its_name_in_validation(tmp_path: Path, label: str) -> None:
    known, table = tables_of(tmp_path, f"c,y\n1,{label}\n2,north\n", f"c,y\n1,{label}\n")
    assert known.class_names[int(table.y[0])] == label


def test_a_class_that_is_a_number_may_be_written_in_another_way(tmp_path: Path) -> None:
    known, table = tables_of(tmp_path, "c,y\n1,0\n2,1\n", "c,y\n1,1.0\n2,00\n")
    assert known.class_names == ("0", "1")
    assert table.y.tolist() == [1, 0]


def test_text_in_a_numeric_column_is_reported_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"column `c` of v.csv holds the text `abc` in line 3 of v.csv"
    ) as caught:
        tables_of(tmp_path, "c,y\n1,a\n2,b\n", "c,y\n1,a\nabc,b\n")
    assert caught.value.parameter == "data.validation"


def test_all_unusable_validation_columns_are_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        tables_of(tmp_path, "a,b,c,d,y\n1,1,1,u,a\n2,2,2,v,b\n", "a,b,y\nx,inf,a\n2,2,q\n")
    message = caught.value.message
    assert message.startswith("5 columns of v.csv cannot be used: ")
    for part in (
        "`a` holds the text `x` in line 2",
        "`b` is infinite in line 2",
        "`c` is missing",
        "`d` is missing",
        "class `q`",
    ):
        assert part in message


def test_column_unknown_to_training_is_ignored(tmp_path: Path) -> None:
    _, table = tables_of(tmp_path, "c,y\n1,a\n2,b\n", "c,y,more\n1,a,inf\n")
    assert table.feature_names == ("c",)


def test_column_empty_in_training_accepts_any_value(tmp_path: Path) -> None:
    _, table = tables_of(tmp_path, "c,e,y\n1,,a\n2,NA,b\n", "c,e,y\n1,text,a\n")
    assert np.isnan(table.x[0, 1])


def test_a_parquet_columns_truth_values_may_come_from_another_format(tmp_path: Path) -> None:
    pq.write_table(pa.table({"flag": [True, False], "y": [True, False]}), tmp_path / "t.parquet")
    known = read_table(tmp_path / "t.parquet", knobs())
    (tmp_path / "v.csv").write_text("flag,y\nTRUE,false\n0,True\n,1\n")
    table = read_table(tmp_path / "v.csv", knobs(), "data.validation", known.schema)
    np.testing.assert_array_equal(table.x[:, 0], [1.0, 0.0, np.nan])
    assert [known.class_names[label] for label in table.y] == ["False", "True", "True"]
    (tmp_path / "v.csv").write_text("flag,y\n2,false\n")
    with pytest.raises(DataError, match=r"holds `2` in line 2 of v\.csv, but true and false"):
        read_table(tmp_path / "v.csv", knobs(), "data.validation", known.schema)


def test_categories_of_only_one_file_are_noted(tmp_path: Path) -> None:
    _, table = tables_of(tmp_path, "c,d,y\nu,k,a\nv,l,b\n", "c,d,y\nw,k,a\nx,m,a\nw,k,b\n")
    shown, _, partly, _ = (note for note in table.data_notes if note.kind == "unmatched")
    assert (
        "column 'c' of v.csv: all rows have a category that the training data lacks (`w`, `x`)" in shown.text
    )
    assert (shown.values, shown.place) == ((("w", 2), ("x", 1)), "line 2 of v.csv")
    assert "1 of 3 rows have a category that the training data lacks (`m`)" in partly.text
    details = [note.text for note in table.data_notes if note.kind == "unmatched" and note.is_detail]
    assert details == [
        "no row of v.csv has these categories of column 'c': `u`, `v`",
        "no row of v.csv has these categories of column 'd': `l`",
    ]
