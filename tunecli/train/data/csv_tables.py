"""CSV files as one table of texts: a header and rows of its width, from one file or several with equal columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.columns import check_header
from tunecli.train.data.csv_records import BLANK, SEPARATORS, read_records
from tunecli.train.data.file_patterns import files_of, shown_names
from tunecli.train.data.notes import DataNote
from tunecli.train.data.text_files import checked_text

_KNOWN = ", ".join(SEPARATORS.values())


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """The texts of CSV files.

    Attributes:
        name: the name of the file, or of the pattern.
        header: the names of the columns.
        rows: the fields of each row.
        line_numbers: (N,) the line that each row ends in, counted from 1.
        files: the first row and the name of each file, if there are several.
        notes: files that are not UTF-8.
    """

    name: str
    header: tuple[str, ...]
    rows: list[list[str]]
    line_numbers: NDArray[np.int64]
    files: tuple[tuple[int, str], ...] = ()
    notes: tuple[DataNote, ...] = ()

    @property
    def hint(self) -> str:
        """Advice for an error about a column that does not exist."""
        return f"its header contains none of the known separators: {_KNOWN}" if len(self.header) == 1 else ""


def read_text_table(path: Path, parameter: str) -> TextTable:
    """Read a CSV file, or all files that match a pattern.

    Raises:
        DataError: as `read_one` for any of the files, or the columns of two files differ.
    """
    paths = files_of(path, parameter)
    if len(paths) == 1:
        return read_one(paths[0], paths[0].name, parameter)
    first, files, notes = None, [], list[DataNote]()
    rows: list[list[str]] = []
    numbers: list[NDArray[np.int64]] = []
    for one, name in zip(paths, shown_names(paths), strict=True):
        part = read_one(one, name, parameter)
        first = first or part
        files.append((len(rows), name))
        order = same_columns(first.header, part.header, first.name, name, parameter)
        rows += part.rows if order is None else [[row[place] for place in order] for row in part.rows]
        numbers.append(part.line_numbers)
        notes += part.notes
    assert first is not None
    return TextTable(path.name, first.header, rows, np.concatenate(numbers), tuple(files), tuple(notes))


def same_columns(
    first: Sequence[str], other: Sequence[str], first_name: str, name: str, parameter: str
) -> list[int] | None:
    """The places of one file's columns in another file; None if both have the same order.

    Raises:
        DataError: one of them has a column that the other lacks.
    """
    if tuple(first) == tuple(other):
        return None
    for has, lacks, has_name, lacks_name in (
        (first, other, first_name, name),
        (other, first, name, first_name),
    ):
        missing = [column for column in has if column not in {*lacks}]
        if missing:
            message = f"{lacks_name} has no column `{missing[0]}`, which {has_name} has"
            hint = "all files of a pattern need the same columns"
            raise DataError(message, hint=hint, parameter=parameter)
    place = {column: number for number, column in enumerate(other)}
    return [place[column] for column in first]


def read_one(path: Path, name: str, parameter: str) -> TextTable:
    """Read one CSV file. The header is the first line that holds a name. Blank lines are no rows.

    Raises:
        DataError: the file cannot be opened, is empty or no text, has a row whose width differs from the header's, or
            has columns without a name or with the same name.
    """
    file = checked_text(path, parameter)
    separator, records = read_records(file, parameter)
    top = next(
        (place for place, (_, fields) in enumerate(records) if any(field.strip(BLANK) for field in fields)), 0
    )
    header_line, names = records[top] if records else (1, [])
    header = tuple(field.strip() for field in names)
    check_header(header, name, parameter)
    del records[: top + 1]
    if len(header) > 1:
        records = [record for record in records if len(record[1]) > 1 or any(record[1])]
    if not records:
        hint = f"line {header_line} is read as the header" if header else ""
        raise DataError(f"{name} has no rows", hint=hint, parameter=parameter)
    for line, row in records:
        if len(row) != len(header):
            n_fields = f"{len(row)} field{'' if len(row) == 1 else 's'}"
            message = f"line {line} of {name} has {n_fields}, and the header has {len(header)}"
            hint = f"the fields are read as separated by {SEPARATORS[separator]}; known separators: {_KNOWN}"
            if len(header) == 1:
                header_text = f"line {header_line}, `{header[0][:40]}`"
                hint += f"; the header is read from {header_text}: remove the lines before the real header"
            raise DataError(message, hint=hint, parameter=parameter)
    notes: tuple[DataNote, ...] = ()
    if file.first_other:
        shown = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}[file.encoding]
        text = f"{name} is not UTF-8: it is read as {shown} (the first other text is {file.first_other})"
        notes = (DataNote("encoding", text),)
    numbers = np.array([line for line, _ in records], dtype=np.int64)
    return TextTable(name, header, [row for _, row in records], numbers, notes=notes)
