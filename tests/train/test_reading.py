"""Files become tables, and a validation file takes the training table's columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunecli.errors import DataError
from tunecli.train.reading import read_table

ROWS = {"size": [1.0, 2.5, 4.0], "city": ["Rom", "Bern", "Rom"], "y": ["a", "b", "a"]}


def test_csv_and_parquet_with_the_same_rows_give_the_same_table(tmp_path: Path) -> None:
    lines = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    pq.write_table(pa.table(ROWS), tmp_path / "t.parquet")
    one, other = (read_table(tmp_path / name, "y", "auto") for name in ("t.csv", "t.parquet"))
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
    table = read_table(tmp_path / "t.npz", None, "auto")
    assert table.is_image
    assert table.x.shape == (4, 1, 5, 6)
    assert table.class_counts == (2, 2)


def test_an_npz_validation_file_must_have_the_same_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((4, 3)), y=np.arange(4) % 2)
    np.savez(tmp_path / "v.npz", x=np.ones((4, 2)), y=np.arange(4) % 2)
    known = read_table(tmp_path / "t.npz", None, "auto")
    with pytest.raises(DataError, match=r"shape \(2,\), the training data \(3,\)"):
        read_table(tmp_path / "v.npz", None, "auto", "data.validation", known)


def test_a_category_that_reads_as_a_number_in_validation_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("c,y\n10000000,0\nnorth,1\n")
    (tmp_path / "v.csv").write_text("c,y\n10000000,1\n,0\n")
    known = read_table(tmp_path / "t.csv", "y", "auto")
    table = read_table(tmp_path / "v.csv", "y", "auto", "data.validation", known)
    assert table.text[0].values.tolist() == ["10000000", None]
