"""CSV files as one table of texts: a header and rows of its width, from one file or several with equal columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.columns import check_header
from tunecli.train.data.csv_blocks import MayBeNumber, blocks_of_records, plain_text
from tunecli.train.data.csv_records import BLANK, SEPARATORS, read_records
from tunecli.train.data.file_patterns import files_of, shown_names
from tunecli.train.data.notes import DataNote
from tunecli.train.data.text_files import TextFile, checked_text

_KNOWN = ", ".join(SEPARATORS.values())


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """The texts of CSV files.

    Attributes:
        name: the name of the file, or of the pattern.
        header: the names of the columns.
        fields: by column, the field of each row; a column of numbers may lack them.
        numbers: by column, the number of each row, NaN for an empty field; None if it holds anything else, or must not
            be a number.
        line_numbers: (N,) the line that each row ends in, counted from 1.
        files: the first row and the name of each file, if there are several.
        notes: files that are not UTF-8.
    """

    name: str
    header: tuple[str, ...]
    fields: list[list[str]]
    numbers: list[NDArray[np.float64] | None]
    line_numbers: NDArray[np.int64]
    files: tuple[tuple[int, str], ...] = ()
    notes: tuple[DataNote, ...] = ()

    def has_texts(self, column: int) -> bool:
        """Whether the fields of all rows are there."""
        return len(self.fields[column]) == len(self.line_numbers)

    @property
    def hint(self) -> str:
        """Advice for an error about a column that does not exist."""
        return f"its header contains none of the known separators: {_KNOWN}" if len(self.header) == 1 else ""


def read_text_table(
    path: Path, parameter: str, may_be_number: MayBeNumber, *, keeps_texts: bool = True
) -> TextTable:
    """Read a CSV file, or all files that match a pattern.

    Args:
        path: the file, or the pattern.
        parameter: the configuration key that errors name.
        may_be_number: whether a column is tried as plain numbers.
        keeps_texts: False: a column may lack the fields that were read as numbers. `TextTable.has_texts` says it.

    Raises:
        DataError: as `read_one` for any of the files, or the columns of two files differ.
    """
    paths = files_of(path, parameter)
    if len(paths) == 1:
        return read_one(paths[0], paths[0].name, parameter, may_be_number, keeps_texts=keeps_texts)
    parts, files, notes = list[TextTable](), list[tuple[int, str]](), list[DataNote]()
    n_rows = 0
    for one, name in zip(paths, shown_names(paths), strict=True):
        part = read_one(one, name, parameter, may_be_number, keeps_texts=keeps_texts)
        first = parts[0] if parts else part
        order = same_columns(first.header, part.header, first.name, name, parameter)
        if order is not None:
            of_columns = [part.fields[place] for place in order], [part.numbers[place] for place in order]
            part = replace(part, header=first.header, fields=of_columns[0], numbers=of_columns[1])
        parts.append(part)
        files.append((n_rows, name))
        n_rows += len(part.line_numbers)
        notes += part.notes
    fields = [[*chain(*of_files)] for of_files in zip(*(part.fields for part in parts), strict=True)]
    numbers = [
        np.concatenate([one for one in of_files if one is not None])
        if all(one is not None for one in of_files)
        else None
        for of_files in zip(*(part.numbers for part in parts), strict=True)
    ]
    lines = np.concatenate([part.line_numbers for part in parts])
    return TextTable(path.name, parts[0].header, fields, numbers, lines, tuple(files), tuple(notes))


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


def read_one(
    path: Path, name: str, parameter: str, may_be_number: MayBeNumber, *, keeps_texts: bool = True
) -> TextTable:
    """Read one CSV file. The header is the first line that holds a name. Blank lines are no rows.

    Raises:
        DataError: the file cannot be opened, is empty or no text, has a row whose width differs from the header's, or
            has columns without a name or with the same name.
    """
    file = checked_text(path, parameter)
    plain = plain_text(file, may_be_number, keeps_texts=keeps_texts)
    if plain is not None:
        header, blocks = plain
        check_header(header, name, parameter)
        numbers = np.arange(2, blocks.n_rows + 2)
        return TextTable(name, header, blocks.fields, blocks.numbers(), numbers, notes=_notes_of(file, name))
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
    numbers = np.array([line for line, _ in records], dtype=np.int64)
    blocks = blocks_of_records(records, header, may_be_number)
    return TextTable(name, header, blocks.fields, blocks.numbers(), numbers, notes=_notes_of(file, name))


def _notes_of(file: TextFile, name: str) -> tuple[DataNote, ...]:
    if not file.first_other:
        return ()
    shown = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}[file.encoding]
    text = f"{name} is not UTF-8: it is read as {shown} (the first other text is {file.first_other})"
    return (DataNote("encoding", text),)
