"""CSV files as columns, with notes on how their fields were read.

How a file is cut into fields is csv_records.py's, how a field is read as a number number_text.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tunecli.errors import DataError
from tunecli.train.data.columns import Columns, Request, check_header
from tunecli.train.data.csv_records import BLANK, SEPARATORS, read_records
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import FieldColumn, read_fields
from tunecli.train.data.table import INEXACT

_LONGEST_WHOLE = 300  # digits of a finite float64


def read_csv(path: Path, request: Request) -> Columns:
    """Read a CSV file with a header, separated by comma, semicolon, tab or vertical bar.

    The header is the first line that holds a name. The separator is the one that a line `sep=;` before it declares,
    or the one under which the rows have as many fields as the header; of several, the one that gives the header most.
    Lines of blanks are no rows. Separators and line breaks between quotes belong to the value, blanks around quotes do
    not. Which texts are numbers and which are missing, number_text.py says. The column that the request names as text
    is read as it stands.

    Raises:
        DataError: the file cannot be opened, is empty, not UTF-8, has a row of another width than the header's, or
            columns that have no name or the same one.
    """
    parameter = request.parameter
    separator, records = read_records(path, parameter)
    top = next(
        (place for place, (_, fields) in enumerate(records) if any(field.strip(BLANK) for field in fields)), 0
    )
    header_line, names = records[top] if records else (1, [])
    header = [name.strip() for name in names]
    check_header(header, path.name, parameter)
    rows = [
        record for record in records[top + 1 :] if len(header) == 1 or any(record[1]) or len(record[1]) > 1
    ]
    if not rows:
        hint = f"line {header_line} is taken to be the header" if header else ""
        raise DataError(f"{path.name} has no rows", hint=hint, parameter=parameter)
    known = ", ".join(SEPARATORS.values())
    for line, row in rows:
        if len(row) != len(header):
            message = f"line {line} of {path.name} has {len(row)} fields, and the header has {len(header)}"
            hint = f"fields are taken to be separated by {SEPARATORS[separator]}; known separators: {known}"
            if len(header) == 1:
                taken = f"line {header_line}, `{header[0][:40]}`"
                hint += f"; the header is taken from {taken}: remove what stands before it"
            raise DataError(message, hint=hint, parameter=parameter)
    row_numbers = np.array([line for line, _ in rows], dtype=np.int64)
    hint = f"its header has none of the known separators: {known}" if len(header) == 1 else ""
    columns = Columns(path.name, tuple(header), row_numbers, "line", hint=hint)
    for name, column in zip(header, zip(*(row for _, row in rows), strict=True), strict=True):
        if request.is_wanted(name):
            _add(columns, name, column, request)
    return columns


def _add(columns: Columns, name: str, fields: Sequence[str], request: Request) -> None:
    if name == request.text:
        values = np.empty(len(fields), dtype=object)
        values[:] = [field.strip() for field in fields]
        columns.add(name, "text", values)
        return
    found = read_fields(fields, request.kinds.get(name) if request.kinds else None)
    if found.misfit_row is not None:
        add_misfit(columns, name, fields[found.misfit_row].strip(), found)
        return
    if found.marks:
        columns.marks[name] = found.marks
    if not found.may_be_large:
        columns.values[name] = found.values
        columns.kinds[name] = found.kind
    elif columns.add(name, found.kind, found.values):
        columns.notes.extend(_notes_of(columns, name, fields, found))


def add_misfit(columns: Columns, name: str, text: str, found: FieldColumn) -> None:
    """Record that a column holds a text that cannot be read as what the training file's column holds."""
    row = found.misfit_row or 0
    if found.kind == "truth":
        what = f"holds `{text[:40]}` in {columns.place(row)}, and truth values in the training data"
        mend = "write true or false there, or leave it empty"
    else:
        what = f"is text (`{text[:40]}` in {columns.place(row)}), and in the training data it holds numbers"
        mend = "write a number there, or leave it empty where it is missing"
    columns.add_problem(name, what, mend)


def _notes_of(columns: Columns, name: str, fields: Sequence[str], found: FieldColumn) -> Iterator[DataNote]:
    marks = [(text, n) for text, _, n in found.marks if text]
    if marks:
        shown = ", ".join(f"`{text}` ({n})" for text, n in marks)
        place = columns.place(min(row for text, row, _ in found.marks if text))
        yield DataNote(
            "missing_marks",
            f"in column '{name}' these count as missing: {shown}",
            (name,),
            tuple(marks),
            place,
            is_detail=found.kind != "text",  # a category may be called so
        )
    if found.odd_row is not None:
        yield from _notes_of_text(columns, name, fields, found, found.odd_row)
    if found.kind == "number" and (np.abs(found.values) >= INEXACT).any():
        row = next((row for row, text in enumerate(fields) if _is_rounded(text.strip())), None)
        if row is not None:
            yield rounded_note(name, fields[row].strip(), columns.place(row))


def _notes_of_text(
    columns: Columns, name: str, fields: Sequence[str], found: FieldColumn, odd_row: int
) -> Iterator[DataNote]:
    """Why a column that could have been one of numbers is text."""
    text, place = fields[odd_row].strip(), columns.place(odd_row)
    values = ((text, sum(field.strip() == text for field in fields)),)
    if found.has_decimal_commas:
        message = f"column '{name}' is text: `{text}` in {place} has a comma, and a number needs a point"
        yield DataNote("decimal_commas", message, (name,), values, place)
    elif 2 * found.n_numbers > found.n_values:
        message = (
            f"column '{name}' is text because of `{text[:40]}` in {place}: "
            f"{found.n_numbers} of its {found.n_values} values are numbers"
        )
        yield DataNote("mostly_numbers", message, (name,), values, place)


def _is_rounded(text: str) -> bool:
    """Whether a whole number is another one as float64."""
    is_whole = len(text) < _LONGEST_WHOLE and text.lstrip("+-").isdecimal()
    return is_whole and int(text) != int(float(text))


def rounded_note(name: str, text: str, place: str) -> DataNote:
    """The note on whole numbers that float64 cannot hold."""
    message = f"column '{name}' has whole numbers beyond 2^53, which are rounded: `{text[:40]}` in {place}"
    return DataNote("rounded", message, (name,), (), place, is_detail=True)
