"""Parquet columns become the same as CSV columns with the same values, or an error that names the column."""

from __future__ import annotations

import datetime
import decimal
import json
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
from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.files import read_table
from tunecli.train.data.parquet_files import read_parquet

SOURCE = Request("data.source")


def columns_of(folder: Path, table: pa.Table, request: Request = SOURCE) -> Columns:
    pq.write_table(table, folder / "t.parquet")
    return read_parquet(folder / "t.parquet", request)


def knobs(**others: Any) -> Data:
    return Data.model_validate({"source": "t.parquet", "target": "y", **others})


def with_pandas(table: pa.Table, index_columns: Any) -> pa.Table:
    """A table with the metadata that pandas writes."""
    names = (
        [name for name in index_columns if isinstance(name, str)] if isinstance(index_columns, list) else []
    )
    columns = [{"name": None if name.startswith("__") else name, "field_name": name} for name in names]
    meta = {
        "index_columns": index_columns,
        "columns": columns,
        "column_indexes": [],
        "pandas_version": "2.2.0",
    }
    return table.replace_schema_metadata({b"pandas": json.dumps(meta).encode()})


TABLE = pa.table({"a": [0.5, 1.5, 2.5], "y": [0, 1, 0], "id": [7, 9, 8], "__index_level_0__": [2, 0, 1]})


@pytest.mark.parametrize(
    ("index_columns", "left_out"),
    [
        (["__index_level_0__"], ["__index_level_0__"]),
        (["id"], ["id", "__index_level_0__"]),
        (["id", "__index_level_0__"], ["id", "__index_level_0__"]),
        ([{"kind": "range", "name": None, "start": 0, "stop": 3, "step": 1}], ["__index_level_0__"]),
        ([{"kind": "range", "name": "id", "start": 0, "stop": 3, "step": 1}], ["__index_level_0__"]),
        (["not there", None, 3], ["__index_level_0__"]),
        ([], ["__index_level_0__"]),
        (None, ["__index_level_0__"]),
        ({"id": 1}, ["id", "__index_level_0__"]),
    ],
)
def test_pandas_index_is_not_an_input(tmp_path: Path, index_columns: Any, left_out: list[str]) -> None:
    pq.write_table(with_pandas(TABLE, index_columns), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", knobs())
    assert set(table.feature_names) == {"a", "id", "__index_level_0__"} - set(left_out)
    (note,) = (note for note in table.data_notes if note.kind == "stored_index")
    assert list(note.columns) == left_out
    assert note.text in table.notes


@pytest.mark.parametrize(
    "metadata", [b"", b"{", b"[]", b'"x"', b'{"index_columns": 5}', b"\xff", b"[" * 100_000]
)
def test_invalid_pandas_metadata_leaves_out_no_column(tmp_path: Path, metadata: bytes) -> None:
    table = TABLE.drop(["__index_level_0__"]).replace_schema_metadata({b"pandas": metadata})
    assert columns_of(tmp_path, table).names == ("a", "y", "id")


def test_index_named_by_the_user_is_read(tmp_path: Path) -> None:
    pq.write_table(with_pandas(TABLE, ["y"]), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", knobs())
    assert (table.y.tolist(), table.feature_names) == ([0, 1, 0], ("a", "id"))


def test_index_that_is_a_training_input_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,id,y\n1,5,0\n2,6,1\n")
    known = read_table(tmp_path / "t.csv", knobs())
    pq.write_table(with_pandas(TABLE, ["id"]), tmp_path / "v.parquet")
    table = read_table(tmp_path / "v.parquet", knobs(), "data.validation", known.schema)
    assert table.x[:, 1].tolist() == [7.0, 9.0, 8.0]


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1, max_size=8),
    st.lists(st.integers(0, 2**64 - 1) | st.none(), min_size=1, max_size=8),
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20)
        | st.none(),
        min_size=1,
        max_size=8,
    ),
)
def test_numbers_are_rounded_like_csv_numbers(
    tmp_path_factory: pytest.TempPathFactory,
    signed: list[int | None],
    unsigned: list[int | None],
    decimals: list[decimal.Decimal | None],
) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    for values, kind in ((signed, pa.int64()), (unsigned, pa.uint64()), (decimals, pa.decimal128(38, 6))):
        columns = columns_of(folder, pa.table({"a": pa.array(values, kind), "b": ["x"] * len(values)}))
        (folder / "t.csv").write_text(
            "a,b\n" + "".join(f"{'' if each is None else each},x\n" for each in values)
        )
        np.testing.assert_array_equal(columns.values["a"], read_csv(folder / "t.csv", SOURCE).values["a"])


def test_whole_numbers_beyond_float64_are_noted(tmp_path: Path) -> None:
    (note,) = columns_of(tmp_path, pa.table({"a": [1_700_000_000_000_000_001, 2], "b": [1, 2]})).notes
    assert (note.kind, note.columns) == ("rounded", ("a",))


def test_classes_that_float64_merges_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0, 2.0], "y": [2**60, 2**60 + 1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"the class in row 1 of t\.parquet is a number of 2\^53 or more"):
        read_table(tmp_path / "t.parquet", knobs(task="classification"))


GOOD: dict[str, tuple[pa.Array, list[Any]]] = {
    "half": (pa.array(np.array([0.5, 2.0], np.float16)), [0.5, 2.0]),
    "single": (pa.array([0.5, None], pa.float32()), [0.5, np.nan]),
    "tiny": (pa.array([-128, 127], pa.int8()), [-128.0, 127.0]),
    "decimal256": (pa.array([decimal.Decimal("1.10"), None], pa.decimal256(50, 2)), [1.1, np.nan]),
    "null": (pa.nulls(2), [np.nan, np.nan]),
    "coded numbers": (pa.array([3, 4]).dictionary_encode(), [3.0, 4.0]),
    "coded text": (pa.array(["u", None]).dictionary_encode(), ["u", None]),
    "large text": (pa.array(["u", "v"], pa.large_string()), ["u", "v"]),
    "text view": (pa.array(["u", "v"], pa.string_view()), ["u", "v"]),
    "truth": (pa.array([True, False]), [True, False]),
    "date": (pa.array([datetime.date(2024, 1, 1), None]), ["2024-01-01", None]),
    "stamp": (
        pa.array([1000, 10**9], pa.timestamp("ns")),
        ["1970-01-01 00:00:00.000001", "1970-01-01 00:00:01"],
    ),
    "truth with a gap": (pa.array([True, None]), ["True", None]),
}
BAD: dict[str, pa.Array] = {
    "time": pa.array([datetime.time(1)] * 2),
    "duration": pa.array([1, 2], pa.duration("ns")),
    "bytes": pa.array([b"a", b"\xff"]),
    "list": pa.array([[1], [2]]),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
    "coded bytes": pa.array([b"a", b"b"]).dictionary_encode(),
    "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_column_of_a_known_type_is_read(tmp_path: Path, name: str) -> None:
    array, expected = GOOD[name]
    values = columns_of(tmp_path, pa.table({"a": array, "b": [1, 2]})).values["a"]
    np.testing.assert_array_equal(values, np.array(expected, dtype=values.dtype))


def test_all_columns_of_other_types_are_in_one_error(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({**BAD, "a": [1, 2], "y": [0, 1], "infinite": [0.5, np.inf]}), tmp_path / "t.parquet"
    )
    with pytest.raises(DataError, match=f"^{len(BAD) + 1} columns of t.parquet cannot be used") as caught:
        read_table(tmp_path / "t.parquet", knobs())
    assert all(f"`{name}` is of type" in caught.value.message for name in BAD)
    assert "`infinite` is infinite in row 2 of t.parquet" in caught.value.message


@pytest.mark.parametrize("name", BAD)
def test_other_columns_than_the_text_are_not_read(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"a": BAD[name], "t": ["u", "v"], "y": [0, 1]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", knobs(text="t")).prose is not None


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_text_column_of_any_type_is_read_or_reported(tmp_path: Path, name: str) -> None:
    array = GOOD[name][0] if name in GOOD else BAD[name]
    pq.write_table(pa.table({"a": array, "y": [0, 1]}), tmp_path / "t.parquet")
    try:
        table = read_table(tmp_path / "t.parquet", knobs(text="a"))
        assert table.prose is not None
        assert all(isinstance(value, str) for value in table.prose.values)
    except DataError as error:
        assert "column `a`" in error.message


def test_damaged_file_is_read_or_raises_data_error(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"a": [0.5, 1.5, 2.5] * 20, "t": ["u", "v", None] * 20, "y": [0, 1, 0] * 20}), path
    )
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged if number % 3 else whole[: int(rng.integers(0, len(whole)))])
        try:
            read_table(path, knobs())
        except DataError as error:
            assert error.message


def test_rows_larger_than_memory_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": np.zeros(200_000), "y": np.zeros(200_000)}), tmp_path / "t.parquet")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable: 1000 kB\n")
    monkeypatch.setattr("tunecli.train.main_memory._MEMINFO", meminfo)
    with pytest.raises(DataError, match=r"t\.parquet takes 3\.1 MiB of memory, and 1000\.0 KiB are free"):
        read_table(tmp_path / "t.parquet", knobs())
