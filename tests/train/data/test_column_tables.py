"""Columns become inputs, roles and dates as `data.columns` says, and the same in every other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.files import read_table
from tunecli.train.data.table import Table

VISITS = """visit,patient,zip,seen,smokes,w,part,dose,y
001,anna,8001,2024-03-05 08:00,true,1,train,0.5,a
002,anna,8001,2024-03-06 12:00,false,0,valid,1.5,b
003,ben,3000,2025-04-16 08:00,,2.5,test,2.5,a
"""
COLUMNS: dict[str, Any] = {
    "id": ["visit", "patient"],
    "group": "patient",
    "weight": "w",
    "split": "part",
    "types": {"zip": "category", "smokes": "truth"},
}


def knobs(columns: dict[str, Any], **others: Any) -> Data:
    return Data.model_validate({"source": "t.csv", "target": "y", "columns": columns, **others})


def read(folder: Path, columns: dict[str, Any], text: str = VISITS, **others: Any) -> Table:
    (folder / "t.csv").write_text(text)
    return read_table(folder / "t.csv", knobs(columns, **others))


def test_roles_types_and_dates_are_read(tmp_path: Path) -> None:
    table = read(tmp_path, COLUMNS)
    parts = ("year", "month", "day", "weekday", "hour", "days")
    assert table.feature_names == (*(f"seen.{part}" for part in parts), "smokes", "dose")
    assert table.x[1, :5].tolist() == [2024, 3, 6, 2, 12]
    np.testing.assert_array_equal(table.x[:, 6], [1.0, 0.0, np.nan])
    assert [column.name for column in table.text] == ["zip"]
    assert table.text[0].values.tolist() == ["8001", "8001", "3000"]
    roles = table.roles
    assert roles.id is not None and roles.id.tolist() == ["001 anna", "002 anna", "003 ben"]
    assert roles.group is not None and roles.group.tolist() == ["anna", "anna", "ben"]
    assert roles.weight is not None and roles.weight.tolist() == [1.0, 0.0, 2.5]
    assert roles.part is not None and roles.part.tolist() == ["train", "validation", "test"]
    assert "column 'seen' holds dates" in " ".join(table.notes)


def test_words_of_truth_are_read_in_a_column_of_truth_values(tmp_path: Path) -> None:
    text = "a,b,y\nyes,T,u\nNo,f,v\n,1,u\n"
    table = read(tmp_path, {"types": {"a": "truth", "b": "truth"}}, text)
    np.testing.assert_array_equal(table.x, [[1, 1], [0, 0], [np.nan, 1]])


def test_new_rows_need_no_role_but_their_ids_are_read(tmp_path: Path) -> None:
    table = read(tmp_path, COLUMNS)
    (tmp_path / "new.csv").write_text("dose,seen,smokes,zip,visit,w\n1,2024-03-05,1,8001,9,heavy\n")
    new = read_table(tmp_path / "new.csv", knobs(COLUMNS), "DATA", table.schema, needs_target=False)
    assert new.feature_names == table.feature_names
    assert new.x[0].tolist() == [2024, 3, 5, 1, 0, 19787, 1, 1]
    assert new.roles.id is not None and new.roles.id.tolist() == ["9"]
    assert new.roles.weight is None


def test_parquet_dates_equal_those_of_a_csv_file(tmp_path: Path) -> None:
    table = read(tmp_path, COLUMNS)
    days = pa.array([1709625600_000, 1709726400_000, 1744790400_000], pa.timestamp("ms"))
    pq.write_table(pa.table({"seen": days, "y": ["a", "b", "a"]}), tmp_path / "t.parquet")
    other = read_table(tmp_path / "t.parquet", knobs({}))
    np.testing.assert_array_equal(other.x, table.x[:, :6])


def test_times_are_seconds_or_the_numbers_of_the_file(tmp_path: Path) -> None:
    of_dates = read(tmp_path, {"time": "seen"})
    assert of_dates.roles.time is not None
    assert of_dates.roles.time.tolist() == [1709625600.0, 1709726400.0, 1744790400.0]
    assert not any(name.startswith("seen") for name in of_dates.feature_names)
    (tmp_path / "v.csv").write_text(VISITS)
    again = read_table(tmp_path / "v.csv", knobs({"time": "seen"}), "data.validation", of_dates.schema)
    assert again.roles.time is not None and again.roles.time.tolist() == of_dates.roles.time.tolist()
    of_numbers = read(tmp_path, {"time": "dose"})
    assert of_numbers.roles.time is not None and of_numbers.roles.time.tolist() == [0.5, 1.5, 2.5]


def test_dropped_and_kept_columns_decide_the_inputs(tmp_path: Path) -> None:
    assert read(tmp_path, {"keep": ["dose"]}).feature_names == ("dose",)
    table = read(tmp_path, {"drop": ["visit", "seen", "w", "part", "patient", "smokes"]})
    assert table.feature_names == ("zip", "dose")
    assert [note.columns for note in table.data_notes if note.kind == "left_out"] == [
        ("visit", "patient", "seen", "smokes", "w", "part")
    ]


def test_all_names_that_are_no_column_are_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, {"drop": ["dosis"], "weight": "wt", "types": {"zipp": "category"}})
    assert (
        caught.value.message
        == "t.csv has no columns `dosis` (`drop`) and `wt` (`weight`) and `zipp` (`types`)"
    )
    assert "did you mean `dose`?" in caught.value.hint and "did you mean `zip`?" in caught.value.hint
    assert caught.value.parameter == "data.columns"


def test_all_values_that_do_not_fit_are_in_one_error(tmp_path: Path) -> None:
    text = "a,b,c,d,w,p,g,y\n1,1,x,2024-01-01,-1,train,u,0\n2,maybe,y,soon,1,holdout,,1\n"
    columns = {
        "weight": "w",
        "split": "p",
        "group": "g",
        "types": {"b": "truth", "c": "number", "d": "datetime"},
    }
    with pytest.raises(DataError) as caught:
        read(tmp_path, columns, text)
    message = caught.value.message
    assert message.startswith("6 columns of t.csv cannot be used")
    assert "`b` holds `maybe` in line 3 of t.csv, but true and false by its type" in message
    assert "`c` holds the text `x` in line 2 of t.csv, but numbers by its type" in message
    assert "`d` holds no dates" in message
    assert "`w` is the weight, but holds -1 in line 2 of t.csv" in message
    assert "`p` holds `holdout`, which is none of train, validation and test, in line 3 of t.csv" in message
    assert "`g` is the group of a row, but is empty in line 3 of t.csv" in message


def test_an_ambiguous_date_stays_text_until_the_file_says_which_number_is_the_day(tmp_path: Path) -> None:
    text = "d,x,y\n03/04/2021,1,a\n05/06/2021,2,b\n"
    table = read(tmp_path, {}, text)
    assert [column.name for column in table.text] == ["d"]
    assert "`data.columns.types: {d: dmy}` (or `mdy`)" in " ".join(table.notes)
    assert read(tmp_path, {"types": {"d": "dmy"}}, text).x[:, 0].tolist() == [4, 6]
    assert read(tmp_path, {"types": {"d": "category"}}, text).notes == (
        "column 'd' is text: encoded one-hot",
    )


def test_the_note_on_a_text_column_names_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("d,x,y\na,1,u\nb,2,v\n")
    for categories, note in (("one_hot", "encoded one-hot"), ("embedding", "its categories become codes")):
        data = Data.model_validate({"source": "t.csv", "target": "y", "categories": categories})
        assert read_table(tmp_path / "t.csv", data).notes == (f"column 'd' is text: {note}",)


def test_an_infinite_weight_is_not_advised_to_be_left_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`w` is infinite in line 3") as caught:
        read(tmp_path, {"weight": "w"}, "x,w,y\n1,1,u\n2,inf,v\n")
    assert caught.value.hint == "write finite numbers"


def test_a_file_without_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column of t\.csv is an input"):
        read(tmp_path, {"id": "a"}, "a,y\n1,u\n2,v\n")


def test_the_characters_of_a_text_may_come_with_roles(tmp_path: Path) -> None:
    table = read(tmp_path, {"id": "visit", "weight": "w"}, text="visit,w,t,y\n7,1,ab,u\n8,2,b,v\n")
    assert table.prose is None
    table = read_table(tmp_path / "t.csv", knobs({"id": "visit", "weight": "w"}, text="t"))
    assert table.prose is not None and table.roles.id is not None and table.roles.weight is not None
    assert table.roles.id.tolist() == ["7", "8"]
    assert not [note for note in table.data_notes if note.kind == "left_out"]
