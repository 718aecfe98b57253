"""Decimal marks of a whole file: they settle the columns of numbers whose own values leave the mark open.

`1,234` alone is 1234 or 1.234. If other columns of the file can only be read with one mark, that mark holds for the
column too. Otherwise nothing is guessed: the column stays text, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunecli.train.data.columns import Columns, quoted
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_format import NumberFormat, has_decimals, is_written_number, read_number
from tunecli.train.data.number_text import FieldColumn, read_fields

_Fields = Mapping[str, Sequence[str]]
_LIKE_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})")
"""A plain number whose point may separate thousands."""


def settled(typed: Mapping[str, FieldColumn], fields: _Fields) -> dict[str, FieldColumn]:
    """The columns of a training file, with open decimal marks settled where the other columns tell the mark.

    Args:
        typed: by column of a file, its values as `read_fields` types them.
        fields: by column, its texts.

    Returns:
        The columns in the same order. Columns with two readings keep them if the file does not tell.
    """
    is_open = {name for name, column in typed.items() if len(column.readings) > 1}
    if not is_open:
        return dict(typed)
    mark = _only_mark(typed, fields)
    return {
        name: _with_mark(column, fields[name], mark) if name in is_open and mark else column
        for name, column in typed.items()
    }


def _with_mark(column: FieldColumn, fields: Sequence[str], mark: str) -> FieldColumn:
    how = next(reading for reading in column.readings if reading.decimal == mark)
    if column.kind == "number":  # both readings give these values
        return replace(column, readings=(how,))
    return read_fields(fields, "number", how)


def _only_mark(typed: Mapping[str, FieldColumn], fields: _Fields) -> str:
    """The decimal mark of the columns that tell it; empty if there is none, or if they disagree."""
    marks = {
        column.readings[0].decimal
        for name, column in typed.items()
        if len(column.readings) == 1 and _tells_mark(fields[name], column.readings[0])
    }
    if marks != {"."} and _has_decimal_points(typed, fields):
        marks.add(".")
    return marks.pop() if len(marks) == 1 else ""


def _tells_mark(fields: Sequence[str], how: NumberFormat) -> bool:
    return any(has_decimals(field.strip(), how) for field in fields)


def _has_decimal_points(typed: Mapping[str, FieldColumn], fields: _Fields) -> bool:
    """Whether a column of plain numbers has a point that cannot separate thousands."""
    return any(
        "." in field and _LIKE_THOUSANDS.fullmatch(field.strip()) is None
        for name, column in typed.items()
        if column.kind == "number" and not column.readings
        for field in fields[name]
    )


def add_format_notes(columns: Columns, typed: Mapping[str, FieldColumn], fields: _Fields) -> None:
    """Record how the numbers of a training file are written, one note for each format, and what stays open."""
    columns.notes.extend(_notes_on_formats(columns))
    for name, column in typed.items():
        if len(column.readings) > 1 and column.kind == "text" and name in columns.values:
            columns.notes.append(_note_on_open_mark(columns, name, column, fields[name]))
    columns.notes.extend(_notes_on_plain_points(columns, typed, fields))


def _notes_on_formats(columns: Columns) -> Iterator[DataNote]:
    names_of: dict[NumberFormat, list[str]] = {}
    examples: dict[NumberFormat, str] = {}
    for name, how in columns.formats.items():
        form = replace(how, example="")
        names_of.setdefault(form, []).append(name)
        examples.setdefault(form, how.example)
    for form, names in names_of.items():
        subject = f"column {quoted(names)} is" if len(names) == 1 else f"columns {quoted(names)} are"
        in_words = f" ({form.in_words})" if form.in_words else ""
        text = f"{subject} read as numbers written like `{examples[form][:40]}`{in_words}"
        yield DataNote("numbers_read", text, tuple(names))


def _note_on_open_mark(columns: Columns, name: str, column: FieldColumn, fields: Sequence[str]) -> DataNote:
    text, row, readings = _open_value(column, fields)
    place = columns.place(row)
    message = (
        f"column '{name}' is text: `{text[:40]}` in {place} is {readings}, and no other value tells which; "
        "write it without a separator of thousands and with a decimal point"
    )
    return DataNote("open_decimal_mark", message, (name,), ((text, 1),), place)


def add_open_mark(columns: Columns, name: str, fields: Sequence[str], column: FieldColumn) -> None:
    """Record that a column of the type `number` has two readings."""
    text, row, readings = _open_value(column, fields)
    predicate = f"has the type `number`, but `{text[:40]}` in {columns.place(row)} is {readings}"
    columns.add_problem(
        name, predicate, "write numbers without a separator of thousands, with a decimal point"
    )


def _open_value(column: FieldColumn, fields: Sequence[str]) -> tuple[str, int, str]:
    """The first text with two readings, its row, and both numbers in words."""
    for row, field in enumerate(fields):
        text = field.strip()
        if is_written_number(text):
            both = [read_number(text, how) for how in column.readings]
            if both[0] != both[1]:
                return text, row, " or ".join(f"{number:.15g}" for number in both)
    raise ValueError("both readings give the same numbers")


def _notes_on_plain_points(
    columns: Columns, typed: Mapping[str, FieldColumn], fields: _Fields
) -> Iterator[DataNote]:
    """A note on plain columns whose points may separate thousands, if no column shows decimal points."""
    names = [
        name
        for name, column in typed.items()
        if column.kind == "number"
        and not column.readings
        and name in columns.values
        and _has_points(fields[name])
    ]
    mark = _only_mark(typed, fields) if names else "."
    if mark == "." or _has_decimal_points(typed, fields):
        return
    first = names[0]
    row = next(row for row, field in enumerate(fields[first]) if "." in field)
    text, place = fields[first][row].strip(), columns.place(row)
    subject = f"column {quoted(names)} is" if len(names) == 1 else f"columns {quoted(names)} are"
    why = "other columns have decimal commas" if mark == "," else "each point is followed by three digits"
    message = (
        f"{subject} read with decimal points (`{text}` in {place} is {float(text):g}), but {why}; "
        "if the points separate thousands, remove them"
    )
    yield DataNote("open_decimal_mark", message, tuple(names), ((text, 1),), place, is_detail=mark != ",")


def _has_points(fields: Sequence[str]) -> bool:
    return "." in "".join(fields)
