"""Files become tables, and a validation file is read with the training table's columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.files import read_table


def knobs(**others: object) -> Data:
    return Data.model_validate({"source": "t.csv", **others})


ROWS = {"size": [1.0, 2.5, 4.0], "city": ["Rom", "Bern", "Rom"], "y": ["a", "b", "a"]}


def test_csv_and_parquet_with_the_same_rows_give_the_same_table(tmp_path: Path) -> None:
    lines = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    pq.write_table(pa.table(ROWS), tmp_path / "t.parquet")
    one, other = (read_table(tmp_path / name, knobs(target="y")) for name in ("t.csv", "t.parquet"))
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.y, other.y)
    assert one.text[0].values.tolist() == other.text[0].values.tolist() == ["Rom", "Bern", "Rom"]
    assert (one.class_names, one.feature_names, one.notes) == (
        other.class_names,
        other.feature_names,
        other.notes,
    )


def test_npz_images_stay_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 5, 6)), y=np.array(["u", "v", "u", "v"]))
    table = read_table(tmp_path / "t.npz", knobs())
    assert table.kind == "image"
    assert table.x.shape == (4, 1, 5, 6)
    assert table.class_counts == (2, 2)


def test_an_npz_validation_file_must_have_the_same_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 3)), y=np.arange(4) % 2)
    np.savez(tmp_path / "v.npz", x=np.ones((4, 2)), y=np.arange(4) % 2)
    known = read_table(tmp_path / "t.npz", knobs())
    with pytest.raises(DataError, match=r"shape \(2,\), but the training data \(3,\)"):
        read_table(tmp_path / "v.npz", knobs(), "data.validation", known.schema)


def test_numeric_category_of_a_validation_file_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("c,y\n10000000,0\nnorth,1\n")
    (tmp_path / "v.csv").write_text("c,y\n10000000,1\n,0\n")
    known = read_table(tmp_path / "t.csv", knobs(target="y"))
    table = read_table(tmp_path / "v.csv", knobs(target="y"), "data.validation", known.schema)
    assert table.text[0].values.tolist() == ["10000000", None]


def test_npz_sequences_are_read_if_configured(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 5, 6)), y=np.arange(4) % 2)
    table = read_table(tmp_path / "t.npz", knobs(inputs="sequence"))
    assert table.kind == "sequence"
    assert table.x.shape == (4, 5, 6)


def test_text_column_is_read_unchanged_and_the_others_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("review,stars,label\n 007 ,1,a\nnone,2,b\n,3,a\n")
    pq.write_table(
        pa.table({"review": ["007", "none", None], "stars": [1, 2, 3], "label": ["a", "b", "a"]}),
        tmp_path / "t.parquet",
    )
    for name in ("t.csv", "t.parquet"):
        table = read_table(tmp_path / name, knobs(target="label", text="review"))
        assert table.kind == "tokens"
        assert table.prose is not None
        assert table.prose.values.tolist() == ["007", "none", ""]
        assert table.notes == (
            "column 'review' is read as texts",
            "the other columns are left out: 'stars'",
        )


def test_a_text_column_of_numbers_is_still_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"code": [10, 20], "y": ["a", "b"]}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", knobs(target="y", text="code"))
    assert table.prose is not None
    assert table.prose.values.tolist() == ["10", "20"]


def test_missing_text_column_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("review,y\nx,a\ny,b\n")
    with pytest.raises(DataError, match="no column `revew`") as caught:
        read_table(tmp_path / "t.csv", knobs(target="y", text="revew"))
    assert caught.value.parameter == "data.text"
    assert "did you mean `review`?" in caught.value.hint


def test_arrays_have_no_text_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 2)), y=np.arange(4) % 2)
    with pytest.raises(DataError, match="holds arrays and has no columns") as caught:
        read_table(tmp_path / "t.npz", knobs(text="x"))
    assert caught.value.parameter == "data.text"


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        ("text.csv", "arrays.npz", "arrays, but the training data has columns of text"),
        ("images.npz", "numbers.csv", "columns, but the training data has inputs of the kind `image`"),
        ("numbers.csv", "images.npz", r"shape \(1, 5, 6\), but the training data \(1,\)"),
    ],
)
def test_validation_file_of_an_unsuitable_format_is_refused(
    tmp_path: Path, train: str, valid: str, message: str
) -> None:
    (tmp_path / "text.csv").write_text("x0,c,y\n1,u,0\n2,v,1\n")
    (tmp_path / "numbers.csv").write_text("x0,y\n1,0\n2,1\n")
    np.savez(tmp_path / "arrays.npz", x=np.ones((2, 1)), y=np.arange(2))
    np.savez(tmp_path / "images.npz", x=np.ones((2, 5, 6)), y=np.arange(2))
    known = read_table(tmp_path / train, knobs(target="y"))
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / valid, knobs(target="y"), "data.validation", known.schema)


def test_arrays_and_columns_with_the_same_numbers_agree(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x0,x1,y\n1,2,0\n3,4,1\n")
    np.savez(tmp_path / "t.npz", x=np.array([[1, 2], [3, 4]]), y=np.arange(2))
    for train, valid in (("t.csv", "t.npz"), ("t.npz", "t.csv")):
        known = read_table(tmp_path / train, knobs(target="y"))
        table = read_table(tmp_path / valid, knobs(target="y"), "data.validation", known.schema)
        np.testing.assert_array_equal(table.x, known.x)


def test_only_near_constant_columns_are_noted(tmp_path: Path) -> None:
    start = 1_700_000_000_000_000_000
    rows = [f"{start + row % 3 * 256},{start + row % 3 * 256_000},5,{row % 2},{row % 2}" for row in range(60)]
    (tmp_path / "t.csv").write_text("near,far,same,flag,y\n" + "\n".join([*rows, ",,,,1"]))
    notes = [
        note
        for note in read_table(tmp_path / "t.csv", knobs(target="y")).data_notes
        if note.kind == "near_constant"
    ]
    assert [note.columns for note in notes] == [("near",)]
    assert (
        "column 'near' varies by 512 around 1.7e+18, no more than the rounding of its numbers: scaling makes it 0"
        in notes[0].text
    )


def test_other_columns_than_the_text_may_hold_anything(tmp_path: Path) -> None:
    lines = [f"text {row},name {row},inf,{row % 2}" for row in range(150)]
    (tmp_path / "t.csv").write_text("t,name,b,y\n" + "\n".join(lines))
    table = read_table(tmp_path / "t.csv", knobs(target="y", text="t"))
    assert [note.columns for note in table.data_notes] == [("t",), ("name", "b")]
    (tmp_path / "v.csv").write_text("y,t\n0,007\n")
    other = read_table(tmp_path / "v.csv", knobs(target="y", text="t"), "data.validation", table.schema)
    assert other.prose is not None
    assert other.prose.values.tolist() == ["007"]


def test_too_many_values_error_names_the_first_non_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a,y\n" + "\n".join(f"{row if row != 77 else '7 7'},{row % 2}" for row in range(200))
    )
    with pytest.raises(
        DataError,
        match=r"text with 200 distinct values \(the first that is not a number: `7 7` in line 79 of",
    ):
        read_table(tmp_path / "t.csv", knobs(target="y"))
