"""Parquet files are read batch by batch, and several files as one; only the arrays of the table stay in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import parquet_files
from tunecli.train.data.columns import Request
from tunecli.train.data.files import read_table
from tunecli.train.data.parquet_files import read_parquet

SOURCE = Request("data.source")


def mixed(n: int, seed: int = 0) -> pa.Table:
    """A table with columns of every kind that is read."""
    r = np.random.default_rng(seed)
    is_gap = r.random(n) < 0.2
    words = r.choice(["u", "v", "w"], n)
    return pa.table(
        {
            "a.b": pa.array(r.normal(size=n), mask=is_gap),
            "whole": r.integers(-5, 5, n).astype(np.int16),
            "single": r.normal(size=n).astype(np.float32),
            "flag": r.random(n) < 0.5,
            "gap": pa.array(r.random(n) < 0.5, mask=is_gap),
            "word": pa.array(words, mask=is_gap),
            "code": pa.array(words, mask=is_gap).dictionary_encode(),
            "none": pa.nulls(n),
            "large": pa.array([2**60 + 1] * n),
            "y": words,
        }
    )


@pytest.mark.parametrize("n_row_group", [7, 10_000])
def test_batches_give_the_same_columns_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_row_group: int
) -> None:
    table = mixed(1_000)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=n_row_group)
    monkeypatch.setattr(parquet_files, "_CELLS_PER_BATCH", 1_300)  # 130 rows
    columns = read_parquet(tmp_path / "t.parquet", SOURCE)
    assert list(columns.values) == table.column_names
    for name, column in zip(table.column_names, table.columns, strict=True):
        expected = column.to_pylist()
        if name == "gap":
            expected = [None if value is None else str(value) for value in expected]
        if columns.values[name].dtype == np.float64:
            expected = [np.nan if value is None else float(value) for value in expected]
        np.testing.assert_array_equal(columns.values[name], np.array(expected, columns.values[name].dtype))
    (note,) = columns.notes
    assert f"`{2**60 + 1}` in row 1 of t.parquet" in note.text


def test_numbers_of_the_inputs_are_not_copied(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": [True, False], "y": [0, 1]}), tmp_path / "t.parquet")
    columns = read_parquet(tmp_path / "t.parquet", Request("data.source", ("y",)))
    table = read_table(tmp_path / "t.parquet", Data.model_validate({"source": "t.parquet", "target": "y"}))
    assert columns.block is not None
    assert columns.block[0] == ("a", "b") == table.feature_names
    assert table.x.tolist() == [[1.0, 1.0], [2.0, 0.0]] == columns.block[1].tolist()
    assert table.x.flags.c_contiguous


def test_files_of_a_pattern_are_one_table_with_places(tmp_path: Path) -> None:
    first, second = mixed(5), mixed(9, seed=1)
    pq.write_table(first, tmp_path / "a.parquet")
    pq.write_table(second.select(second.column_names[::-1]), tmp_path / "b.parquet")
    columns = read_parquet(tmp_path / "*.parquet", SOURCE)
    both = pa.concat_tables([first, second.select(first.column_names)], promote_options="permissive")
    assert columns.values["word"].tolist() == both["word"].to_pylist()
    np.testing.assert_array_equal(columns.values["whole"], both["whole"].to_numpy())
    assert (columns.place(4), columns.place(5)) == ("row 5 of a.parquet", "row 1 of b.parquet")


def test_files_of_a_pattern_need_the_same_columns_and_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": pa.nulls(1), "y": ["u"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [2], "y": ["v"]}), tmp_path / "b.parquet")
    columns = read_parquet(tmp_path / "*.parquet", SOURCE)
    (problem,) = columns.problems
    assert "is of type int64 in a.parquet and string in b.parquet" in problem.message
    np.testing.assert_array_equal(columns.values["b"], [np.nan, 2.0])
    pq.write_table(pa.table({"a": [1], "y": ["v"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet has no column `b`, which a\.parquet has"):
        read_parquet(tmp_path / "*.parquet", SOURCE)


READ = """
import resource, sys
from pathlib import Path
from tunecli.config.schema.data import Data
from tunecli.train.data.files import read_table
import pyarrow.parquet
data = Data.model_validate_json(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = read_table(Path(sys.argv[2]), data)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024, table.x.nbytes)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_the_arrays_of_the_table(tmp_path: Path) -> None:
    """One row group of 400 MB, with a column of text that is not needed."""
    n, r = 4_000_000, np.random.default_rng(0)
    numbers = {f"x{i}": r.normal(size=n).astype(np.float32) for i in range(12)}
    words = pa.array(r.choice(["up", "down"], n)).dictionary_encode()
    table = pa.table(
        {**numbers, "word": words, "unused": pa.array(np.arange(n)).cast(pa.string()), "y": words}
    )
    pq.write_table(
        table, tmp_path / "t.parquet", row_group_size=n, compression="none", use_dictionary=["word", "y"]
    )
    del numbers, table
    knobs = {"source": "t.parquet", "target": "y", "columns": {"drop": ["unused"]}}
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(knobs), str(tmp_path / "t.parquet")],
        capture_output=True,
        text=True,
        check=True,
    )
    used_bytes, table_bytes = map(int, done.stdout.split())
    assert table_bytes == n * 12 * 8
    assert used_bytes < 1.6 * table_bytes
