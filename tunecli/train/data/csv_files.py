"""CSV files, read as typed columns, with notes on how the fields were read.

csv_tables.py splits files into fields, number_text.py decides which fields are numbers or missing values, and
decimal_marks.py settles columns whose decimal mark their own values leave open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.csv_tables import TextTable, read_text_table
from tunecli.train.data.decimal_marks import add_format_notes, add_open_mark, settled
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import FieldColumn, may_be_plain, plain_column, read_fields
from tunecli.train.data.target import INEXACT

_LONGEST_WHOLE = 300  # digits of a finite float64


def read_csv(path: Path, request: Request) -> Columns:
    """Read a CSV file with a header, separated by comma, semicolon, tab or vertical bar; see `read_text_table`.

    `read_fields` types each column. The column that the request names as text is read unchanged.

    Args:
        path: the file, plain or compressed, or a pattern of several.
        request: the columns to read.

    Raises:
        DataError: as `read_text_table`.
    """

    def may_be_number(name: str) -> bool:
        return name != request.text and may_be_plain(request.kind_of(name), request.format_of(name))

    table = read_text_table(path, request.parameter, may_be_number, keeps_texts=request.kinds is None)
    if _lacks_texts(table, request):
        table = read_text_table(path, request.parameter, may_be_number)
    header = table.header
    columns = Columns(table.name, header, table.line_numbers, "line", hint=table.hint, files=table.files)
    columns.notes.extend(table.notes)
    wanted = {*request.wanted(header)}
    fields_of, typed_columns = dict[str, list[str]](), dict[str, FieldColumn]()
    for name, fields, plain in zip(header, table.fields, table.numbers, strict=True):
        if name in wanted:
            fields_of[name] = fields
            if name != request.text:
                typed_columns[name] = (
                    plain_column(plain)
                    if plain is not None
                    else read_fields(fields, request.kind_of(name), request.format_of(name))
                )
    if request.kinds is None:
        typed_columns = settled(typed_columns, fields_of)
    for name, fields in fields_of.items():
        if name == request.text:
            values = np.empty(len(fields), dtype=object)
            values[:] = [field.strip() for field in fields]
            columns.add(name, "text", values)
        else:
            _add(columns, name, fields, typed_columns[name], request)
    if request.kinds is None:
        add_format_notes(columns, typed_columns, fields_of)
    return columns


def _lacks_texts(table: TextTable, request: Request) -> bool:
    """Whether a column lacks texts that decide its values or its notes: it is not plain, or has large numbers."""
    wanted = {*request.wanted(table.header)}
    return any(
        name in wanted
        and not table.has_texts(column)
        and (numbers is None or plain_column(numbers).may_be_large)
        for column, (name, numbers) in enumerate(zip(table.header, table.numbers, strict=True))
    )


def _add(columns: Columns, name: str, fields: Sequence[str], typed: FieldColumn, request: Request) -> None:
    if typed.misfit_row is not None:
        add_misfit(columns, name, fields[typed.misfit_row].strip(), typed, request)
        return
    if len(typed.readings) > 1 and request.kind_of(name) == "number":
        add_open_mark(columns, name, fields, typed)
        return
    if typed.kind == "number" and typed.readings:
        columns.formats[name] = typed.readings[0]
    if typed.marks:
        columns.marks[name] = typed.marks
    if not typed.may_be_large:
        columns.values[name] = typed.values
        columns.kinds[name] = typed.kind
    elif (
        columns.add(name, typed.kind, typed.values, may_be_missing=request.may_be_missing(name))
        and name not in request.columns.roles
    ):
        is_asked = request.kinds is None and name in request.types
        columns.notes.extend(_notes_of(columns, name, fields, typed, is_asked=is_asked))


def add_misfit(columns: Columns, name: str, text: str, typed: FieldColumn, request: Request) -> None:
    """Record that a column holds a text that cannot be read as the kind it must have."""
    reason = request.reason(name, typed.kind)
    where = f"in {columns.place(typed.misfit_row or 0)}, but {reason}"
    if typed.kind == "truth":
        predicate, fix = f"holds `{text[:40]}` {where}", "write true or false there, or leave the field empty"
    else:
        predicate = f"holds the text `{text[:40]}` {where}"
        fix = "write a number there, or leave the field empty if the value is missing"
    if request.kinds is None and name in request.columns.types:
        fix += ", or remove the column from `data.columns.types`"
    columns.add_problem(name, predicate, fix)


def _notes_of(
    columns: Columns, name: str, fields: Sequence[str], typed: FieldColumn, *, is_asked: bool
) -> Iterator[DataNote]:
    """How the fields of a column were read; ``is_asked`` if the user decides that it is text."""
    marks = [(text, n) for text, _, n in typed.marks if text]
    if marks:
        shown = ", ".join(f"`{text}` ({n})" for text, n in marks)
        place = columns.place(min(row for text, row, _ in typed.marks if text))
        yield DataNote(
            "missing_marks",
            f"in column '{name}' these count as missing: {shown}",
            (name,),
            tuple(marks),
            place,
            is_detail=typed.kind != "text",  # a category may have such a name
        )
    if typed.odd_row is not None and not is_asked:
        yield from _notes_of_text(columns, name, fields, typed, typed.odd_row)
    if typed.kind == "number" and (np.abs(typed.values) >= INEXACT).any():
        row = next((row for row, text in enumerate(fields) if _is_rounded(text.strip())), None)
        if row is not None:
            yield rounded_note(name, fields[row].strip(), columns.place(row))


def _notes_of_text(
    columns: Columns, name: str, fields: Sequence[str], typed: FieldColumn, odd_row: int
) -> Iterator[DataNote]:
    """Why a column that mostly holds numbers is text."""
    text, place = fields[odd_row].strip(), columns.place(odd_row)
    values = ((text, sum(field.strip() == text for field in fields)),)
    if typed.has_decimal_commas:
        message = f"column '{name}' is text: `{text}` in {place} has a decimal comma; write a decimal point"
        yield DataNote("decimal_commas", message, (name,), values, place)
    elif 2 * typed.n_numbers > typed.n_values:
        message = (
            f"column '{name}' is text because of `{text[:40]}` in {place}: "
            f"{typed.n_numbers} of its {typed.n_values} values are numbers"
        )
        yield DataNote("mostly_numbers", message, (name,), values, place)


def _is_rounded(text: str) -> bool:
    """Whether a text is a whole number that float64 cannot represent."""
    is_whole = len(text) < _LONGEST_WHOLE and text.lstrip("+-").isdecimal()
    return is_whole and int(text) != int(float(text))


def rounded_note(name: str, text: str, place: str) -> DataNote:
    """The note on whole numbers that float64 cannot represent."""
    message = f"column '{name}' has whole numbers beyond 2^53, which are rounded: `{text[:40]}` in {place}"
    return DataNote("rounded", message, (name,), (), place, is_detail=True)
