"""A file's columns settle an open decimal mark together; further files are read in the format of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.columns import Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.files import read_table
from tunecli.train.data.number_format import NumberFormat

SOURCE = Request("data.source")


def csv(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("other", "expected"), [("0,5", [1.234, 5.678]), ("0.5", [1234.0, 5678.0]), ("2.250", [1.234, 5.678])]
)
def test_other_columns_settle_an_open_mark(tmp_path: Path, other: str, expected: list[float]) -> None:
    second = "0,25" if "," in other else "0.75"
    if other == "2.250":
        second, other = "7,5", "1.000,25"
    columns = read_csv(csv(tmp_path, f"a;b\n1,234;{other}\n5,678;{second}\n"), SOURCE)
    assert columns.values["a"].tolist() == expected
    assert list(columns.values) == ["a", "b"]


@pytest.mark.parametrize("others", ["1;2", "0,5;0.5", "1.234;2.345"])
def test_open_mark_without_evidence_stays_text_with_a_note(tmp_path: Path, others: str) -> None:
    columns = read_csv(csv(tmp_path, f"a;b;c\n1,234;{others}\n5,678;{others}\n"), SOURCE)
    assert columns.values["a"].tolist() == ["1,234", "5,678"]
    (note,) = [note for note in columns.notes if note.columns == ("a",)]
    assert "column 'a' is text: `1,234` in line 2 of t.csv is 1234 or 1.234" in note.text


def test_open_mark_of_a_column_that_must_hold_numbers_is_a_problem(tmp_path: Path) -> None:
    request = Request("data.source", types={"a": "number"})
    (problem,) = read_csv(csv(tmp_path, "a;b\n1,234;1\n5;2\n"), request).problems
    assert "`1,234` in line 2 of t.csv is 1234 or 1.234" in problem.message
    assert not read_csv(csv(tmp_path, "a;b\n1,234;0,5\n5;2\n"), request).problems


def test_plain_points_beside_decimal_commas_are_noted_and_kept(tmp_path: Path) -> None:
    columns = read_csv(csv(tmp_path, "a;b\n1.234;0,5\n5;1,25\n"), SOURCE)
    assert columns.values["a"].tolist() == [1.234, 5.0]
    (note,) = [note for note in columns.notes if note.kind == "open_decimal_mark"]
    assert "column 'a' is read with decimal points (`1.234` in line 2 of t.csv is 1.234)" in note.text
    assert not note.is_detail


def test_points_before_three_digits_are_noted_unless_a_column_has_decimal_points(tmp_path: Path) -> None:
    columns = read_csv(csv(tmp_path, "a;b;c\n1.234;5;2.500\n5;6;\n"), SOURCE)
    (note,) = columns.notes
    assert "columns 'a', 'c' are read with decimal points" in note.text
    assert note.is_detail
    assert not read_csv(csv(tmp_path, "a;b;c\n1.234;5;2.5\n5;6;\n"), SOURCE).notes


def test_one_note_names_all_columns_of_a_format(tmp_path: Path) -> None:
    text = "a;b;c;d\n0,5;1.234,50 €;12%;1\n1,25;(2 €);13 %;2\n"
    notes = [note for note in read_csv(csv(tmp_path, text), SOURCE).notes if note.kind == "numbers_read"]
    assert [note.text for note in notes] == [
        "column 'a' is read as numbers written like `0,5` (decimal comma)",
        "column 'b' is read as numbers written like `1.234,50 €` (decimal comma, points between thousands, without the currency)",
        "column 'c' is read as numbers written like `13 %` (decimal comma, 12% is 12)",
    ]


def test_further_file_is_read_in_the_format_of_training(tmp_path: Path) -> None:
    data = Data.model_validate({"source": "t.csv", "target": "y"})
    table = read_table(csv(tmp_path, "a;b;y\n1.000,5 €;7;u\n2 €;8;v\n"), data)
    schema = table.schema
    assert schema.formats == {"a": NumberFormat(",", ".", "€", "1.000,5 €")}
    valid = read_table(csv(tmp_path, "a;b;y\n1.234;7;u\nn/a;8;v\n", "v.csv"), data, "data.validation", schema)
    np.testing.assert_array_equal(valid.x[:, 0], [1234.0, np.nan])
    with pytest.raises(DataError) as caught:
        read_table(csv(tmp_path, "a;b;y\n1234.5;7;u\n2;1,5;v\n", "w.csv"), data, "data.validation", schema)
    assert "holds the text `1234.5` in line 2 of w.csv, but numbers written like `1.000,5 €`" in str(
        caught.value.message
    )
    assert "holds the text `1,5` in line 3 of w.csv, but numbers in the training data" in caught.value.message
