"""Plain CSV files are split block by block into the fields that the reader of records finds."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.data.columns import Request
from tunecli.train.data.csv_blocks import plain_text
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.csv_records import read_records
from tunecli.train.data.number_text import ColumnKind
from tunecli.train.data.text_files import checked_text


def assert_same_fields(path: Path) -> bool:
    """Compare both readers; whether the file is plain."""
    file = checked_text(path, "data.source")
    found = plain_text(file, lambda _: True)
    if found is None:
        return False
    header, blocks = found
    _, records = read_records(file, "data.source")
    assert [line for line, _ in records] == [*range(1, len(records) + 1)]
    assert [field.strip() for field in records[0][1]] == [*header]
    assert [*map(tuple, blocks.fields)] == [*zip(*(fields for _, fields in records[1:]), strict=True)]
    return True


@given(
    st.text("ab1,,,;\t| \"'\n\n\r", max_size=60),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
)
def test_text_that_is_plain_has_the_fields_of_its_records(text: str, newline: str, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_text(text, encoding=encoding, newline=newline)
        assert_same_fields(path)


def test_file_of_many_blocks_is_read_whole_and_its_columns_of_numbers_are_converted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30_000, 2)) * 10.0 ** rng.integers(-30, 30, (30_000, 2))
    rows = [f"city {n % 7},{a!r},{b!r}" for n, (a, b) in enumerate(values.tolist())]
    rows[20_000] = rows[20_000].rpartition(",")[0] + ","
    path = tmp_path / "t.csv"
    path.write_text("\r\n".join(["c,x,y", *rows]), newline="")
    assert assert_same_fields(path)
    found = plain_text(checked_text(path, "data.source"), lambda name: name != "x")
    assert found is not None
    words, not_asked, numbers = found[1].numbers()
    assert words is None
    assert not_asked is None
    assert numbers is not None
    values[20_000, 1] = math.nan
    assert numbers.tobytes() == values[:, 1].tobytes()


def test_file_with_a_quote_in_a_late_block_is_not_plain(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,some text\n" * 40_000 + '1,"a,b"\n')
    assert not assert_same_fields(path)


def test_rows_of_a_wide_file_are_converted_at_once(tmp_path: Path) -> None:
    rows = [[f"{row}.{column}" for column in range(40)] for row in range(12)]
    for row in range(12):
        rows[row][3] = "ab"[row % 2]
    rows[5][7] = ""
    path = tmp_path / "t.csv"
    for broken, n_numbers in ((None, 39), ("x", 38)):
        rows[9][20] = broken or rows[9][20]
        names = ",".join(f"c{n}" for n in range(40))
        path.write_text("\n".join([names, *(",".join(row) for row in rows)]))
        assert assert_same_fields(path)
        found = plain_text(checked_text(path, "data.source"), lambda _: True)
        assert found is not None
        numbers = found[1].numbers()
        assert sum(one is not None for one in numbers) == n_numbers
        meant = np.array([float(row[7] or "nan") for row in rows])
        np.testing.assert_array_equal(numbers[7], meant)


def test_numbers_without_their_texts_are_read_again_where_a_late_row_needs_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{n % 5},{n}.5,{2**53 + 2 * n},city {n % 7}" for n in range(60_000)]
    rows[50_000] = "n/a,*,9007199254740993,city 1"
    path.write_text("\n".join(["a,x,whole,c", *rows]))
    found = plain_text(checked_text(path, "data.source"), lambda name: name != "c", keeps_texts=False)
    assert found is not None
    sizes = [len(fields) for fields in found[1].fields]
    assert sizes[2] == 0
    assert 0 < sizes[0] < 60_000
    kinds: dict[str, ColumnKind] = {"a": "number", "x": "number", "whole": "number", "c": "text"}
    new, trained = read_csv(path, Request("DATA", kinds=kinds)), read_csv(path, Request("data.source"))
    assert {*new.values} == {*kinds}
    for name, values in new.values.items():
        np.testing.assert_array_equal(values, trained.values[name])
    assert [note.kind for note in new.notes] == [note.kind for note in trained.notes]
    assert "`9007199254740993` in line 50002" in " ".join(note.text for note in new.notes)
