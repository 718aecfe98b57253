"""Thousands of messy CSV files: each is read as it was meant, or an error or a note says otherwise."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.support.messy_csv import Column, MessyFile, messy_file
from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.summary import summary_of

N_FILES = 2_000
SAYS_OTHERWISE = {"open_decimal_mark", "mostly_numbers", "decimal_commas"}
BROKEN = {"ragged", "nameless", "repeated", "open quote", "nul", "empty", "header only"}


def is_as_meant(column: Column, columns: Columns) -> bool:
    """Whether a column was read as meant, or a note or a problem names it."""
    if any(f"`{column.name}`" in problem.message for problem in columns.problems):
        return True
    if any(column.name in note.columns and note.kind in SAYS_OTHERWISE for note in columns.notes):
        return True
    values = columns.values[column.name]
    if column.is_text is None:
        return True
    if column.is_text:
        if all(value is None for value in column.meant):
            return bool(values.dtype == object or all(map(math.isnan, values.tolist())))
        return values.dtype == object and values.tolist() == [
            None if value is None else str(value).strip() for value in column.meant
        ]
    if values.dtype == object:
        return False
    meant = [math.nan if value is None else float(value) for value in column.meant]
    return all(
        one == other or (math.isnan(one) and math.isnan(other))
        for one, other in zip(values.tolist(), meant, strict=True)
    )


def complaint(file: MessyFile, path: Path) -> str:
    """The reason why a file is read wrongly; empty if it is read as meant, or refused with a reason."""
    try:
        columns = read_csv(path, Request("data.source"))
    except DataError as error:
        is_known = file.fault != "none" or file.encoding in ("cp1252", "latin-1") or len(file.columns) < 2
        return "" if is_known else f"refused: {error.message}"
    if file.fault in BROKEN:
        return f"the fault `{file.fault}` is not reported"
    if file.fault == "cut":
        return ""
    if [column.name.strip() for column in file.columns] != [*columns.names]:
        return f"columns are {columns.names}"
    if "�" in file.content.decode("utf-8", "replace") and file.encoding == "cp1252":
        kinds = {note.kind for note in columns.notes}
        if ".csv." not in path.name and "encoding" not in kinds:
            return "no note on the encoding"
    wrong = [column.name for column in file.columns if not is_as_meant(column, columns)]
    if file.encoding == "latin-1":  # Windows-1252 reads all printed characters alike
        wrong = [name for name in wrong if columns.values[name].dtype != object]
    return f"wrong: {wrong}" if wrong else ""


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_messy_files_are_read_as_meant_or_something_says_otherwise(tmp_path: Path, block: int) -> None:
    complaints = {}
    for seed in range(block, N_FILES, 10):
        file = messy_file(seed)
        path = tmp_path / f"t{seed}{file.ending}"
        path.write_bytes(file.content)
        if text := complaint(file, path):
            complaints[seed] = text
        data = Data.model_validate({"source": path.name, "target": "target"})
        try:
            summary_of(data, tmp_path, 3)
        except DataError as error:
            assert error.message
            assert error.parameter
        path.unlink()
    assert complaints == {}
