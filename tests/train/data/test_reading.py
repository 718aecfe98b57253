"""Files become tables, and a validation file takes the training table's columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunecli.errors import DataError
from tunecli.spec.knobs.data import Data
from tunecli.train.data.reading import read_table


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
    with pytest.raises(DataError, match=r"shape \(2,\), the training data \(3,\)"):
        read_table(tmp_path / "v.npz", knobs(), "data.validation", known)


def test_a_category_that_reads_as_a_number_in_validation_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("c,y\n10000000,0\nnorth,1\n")
    (tmp_path / "v.csv").write_text("c,y\n10000000,1\n,0\n")
    known = read_table(tmp_path / "t.csv", knobs(target="y"))
    table = read_table(tmp_path / "v.csv", knobs(target="y"), "data.validation", known)
    assert table.text[0].values.tolist() == ["10000000", None]


def test_npz_sequences_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 5, 6)), y=np.arange(4) % 2)
    table = read_table(tmp_path / "t.npz", knobs(inputs="sequence"))
    assert table.kind == "sequence"
    assert table.x.shape == (4, 5, 6)


def test_one_column_is_read_as_text_word_for_word_and_the_others_are_left_out(tmp_path: Path) -> None:
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
            "column 'review' is read character by character",
            "beside it these are left out: 'stars'",
        )


def test_a_text_column_of_numbers_is_still_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"code": [10, 20], "y": ["a", "b"]}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", knobs(target="y", text="code"))
    assert table.prose is not None
    assert table.prose.values.tolist() == ["10", "20"]


def test_a_text_column_that_is_not_there_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("review,y\nx,a\ny,b\n")
    with pytest.raises(DataError, match="no column `revew`") as caught:
        read_table(tmp_path / "t.csv", knobs(target="y", text="revew"))
    assert caught.value.parameter == "data.text"
    assert "did you mean `review`?" in caught.value.hint


def test_arrays_have_no_text_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 2)), y=np.arange(4) % 2)
    with pytest.raises(DataError, match="arrays and no columns") as caught:
        read_table(tmp_path / "t.npz", knobs(text="x"))
    assert caught.value.parameter == "data.text"
