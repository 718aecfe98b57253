"""CSV, Parquet and NPZ files become columns, or an error that names the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunecli.errors import DataError
from tunecli.train.data.arrays import read_npz
from tunecli.train.data.columns import Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.parquet_files import read_parquet

SOURCE = Request("data.source")


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_column_of_only_numbers_is_numeric(tmp_path: Path) -> None:
    columns = read_csv(csv_file(tmp_path, "a,b,c\n1,x,2\n,y,NA\n3e-1,,5\n"), SOURCE)
    np.testing.assert_array_equal(columns.values["a"], [1.0, np.nan, 0.3])
    np.testing.assert_array_equal(columns.values["c"], [2.0, np.nan, 5.0])
    assert columns.values["b"].tolist() == ["x", "y", None]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separator_is_that_of_the_header(tmp_path: Path, separator: str) -> None:
    text = "\n".join(separator.join(row) for row in (["a", "b"], ["1", "2"]))
    assert list(read_csv(csv_file(tmp_path, text), SOURCE).values) == ["a", "b"]


def test_row_places_count_quoted_line_breaks(tmp_path: Path) -> None:
    columns = read_csv(csv_file(tmp_path, 'a,b\n1,"two\nlines"\n\n3,4\n'), SOURCE)
    assert columns.place(1) == "line 5 of table.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table.csv is empty"),
        ("a,b\n", "table.csv has no rows"),
        ("a,b\n1,2\n3\n", "line 3 of table.csv has 1 field, and the header has 2"),
        ("a,a\n1,2\n", "two columns named `a`"),
        (",a\n1,2\n", "column 1 of table.csv has no name"),
        ('a,b\n1,"2\n', "is not a readable CSV file"),
    ],
)
def test_bad_csv_file_is_reported_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_csv(csv_file(tmp_path, text), Request("data.validation"))
    assert caught.value.parameter == "data.validation"


def test_a_csv_file_in_another_encoding_is_read_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("a,b\nMünchen,1\n".encode("latin-1"))
    columns = read_csv(path, SOURCE)
    assert columns.values["a"].tolist() == ["München"]
    assert [note.text for note in columns.notes] == [
        "latin.csv is not UTF-8: it is read as Windows-1252 (the first other text is `München,1` in line 2)"
    ]


def test_a_parquet_file_gives_numbers_truth_values_and_text(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table = pa.table(
        {
            "whole": pa.array([1, None, 3], pa.int32()),
            "flag": [True, False, True],
            "word": pa.array(["a", None, "b"]).dictionary_encode(),
        }
    )
    pq.write_table(table, path)
    values = read_parquet(path, SOURCE).values
    np.testing.assert_array_equal(values["whole"], [1.0, np.nan, 3.0])
    assert values["flag"].dtype == bool
    assert values["word"].tolist() == ["a", None, "b"]


def test_a_parquet_column_of_another_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"pair": [[1, 2]], "y": [1]}), path)
    (problem,) = read_parquet(path, SOURCE).problems
    assert "column `pair` of table.parquet is of type list" in problem.message


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("no")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_parquet(path, SOURCE)


@pytest.mark.parametrize(
    ("shape", "expected"), [((4, 3), (4, 3)), ((4, 5, 6), (4, 1, 5, 6)), ((4, 2, 5, 6), (4, 2, 5, 6))]
)
def test_npz_inputs_are_features_or_images(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.ones(shape), y=np.arange(4))
    x, y = read_npz(path, None, "data.source")
    assert x.shape == expected
    assert y.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_npz_target_may_have_any_name_and_the_other_array_is_the_input(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, pixels=np.ones((2, 3)), label=np.array(["cat", "dog"]))
    assert read_npz(path, "label", "data.source")[1].tolist() == ["cat", "dog"]


def test_missing_npz_target_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.ones((2, 3)), label=np.arange(2))
    with pytest.raises(DataError, match="no array `labels`") as caught:
        read_npz(path, "labels", "data.source")
    assert "did you mean `label`?" in caught.value.hint
    assert caught.value.parameter == "data.target"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.array([[1.0], [np.nan]]), "y": np.arange(2)}, "NaN or infinity in example 1"),
        ({"x": np.ones(3), "y": np.arange(3)}, "it must hold numbers"),
        ({"x": np.ones((3, 1)), "y": np.arange(2)}, "for 3 examples"),
        ({"a": np.ones((3, 1)), "b": np.ones((3, 1)), "y": np.arange(3)}, "2 arrays besides `y`"),
        ({"x": np.array([[{}]], dtype=object), "y": np.arange(1)}, "not an NPZ archive of plain numbers"),
    ],
)
def test_bad_npz_file_is_reported(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        read_npz(path, None, "data.source")
