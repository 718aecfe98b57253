"""CSV files: split into records and fields, then read as typed columns, with notes on how the fields were read.

number_text.py decides which fields are numbers or missing values.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np

from tunecli.errors import DataError, os_reason
from tunecli.train.data.columns import Columns, Request, check_header
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import FieldColumn, read_fields
from tunecli.train.data.target import INEXACT

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_N_SAMPLE_LINES = 64
BLANK = " \r\n" + "".join(SEPARATORS)
"""The characters of a line that holds no value."""

Record = tuple[int, list[str]]
"""The line that a record ends in, counting from 1, and its fields."""

# The first line `sep=;` of Excel. Other programs rewrite it in quotes or with empty fields after it.
_DECLARED = re.compile(r"""["']?sep=(.)["']?[,;\t| "']*[\r\n]*""", re.IGNORECASE)


def read_records(path: Path, parameter: str) -> tuple[str, list[Record]]:
    """Split a file into records.

    The separator is the one with which all rows have as many fields as the header; if there are several such, the one
    that gives the header the most fields. A first line `sep=;`, which Excel reads and writes, decides it and is no
    record. Separators and line breaks inside quotes belong to the value; blanks around quotes do not.

    Args:
        path: the file.
        parameter: the configuration key that errors name.

    Returns:
        The separator, one of `SEPARATORS`; and the records that are not empty, the header first.

    Raises:
        DataError: the file cannot be opened, is not UTF-8 text, has a quoted value without a proper end, or declares a
            separator that is not in `SEPARATORS`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(islice(file, _N_SAMPLE_LINES))
            _require_text(lines, path.name, parameter)
            declared = _declared_separator(lines[:1], path.name, parameter)
            n_skipped = 1 if declared else 0
            lines = lines[n_skipped:]
            separator = declared or _separator_of(lines)
            if not _has_tabs_before_quotes(lines, separator):
                file.seek(0)
                with suppress(csv.Error):
                    rest = islice(file, n_skipped, None)
                    return separator, list(_counted_from(n_skipped, _plain_records(rest, separator)))
            file.seek(0)
            text = "".join(islice(file, n_skipped, None))
            return separator, list(_counted_from(n_skipped, _lenient_records(text, separator)))
    except _IllFormedError as error:
        problem = f"the quoted value that begins in line {error.line + n_skipped} has no proper end"
        message = f"{path.name} is not a readable CSV file: {problem}"
        hint = 'close the value with `"`, and write a quote inside it twice'
        raise DataError(message, hint=hint, parameter=parameter) from error
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8"
        raise DataError(f"{path.name} is not UTF-8 text", hint=hint, parameter=parameter) from error
    except OSError as error:
        message = f"{path.name} cannot be read: {os_reason(error)}"
        raise DataError(message, parameter=parameter) from error


def _require_text(lines: Sequence[str], file: str, parameter: str) -> None:
    """Check that the first lines are text: ZIP archives and UTF-16 text may be valid UTF-8 by chance.

    Raises:
        DataError: they are not text.
    """
    if lines and lines[0].startswith("PK\3\4"):
        message = f"{file} is not a CSV file but a ZIP archive, such as an Excel workbook"
        raise DataError(message, hint="save it as CSV in UTF-8", parameter=parameter)
    if any("\0" in line for line in lines):
        message = f"{file} is not UTF-8 text: it contains NUL characters"
        raise DataError(message, hint="save it as UTF-8", parameter=parameter)


def _declared_separator(first: Sequence[str], file: str, parameter: str) -> str:
    """The separator that a first line such as `sep=;` declares; empty without such a line.

    Raises:
        DataError: it is not in `SEPARATORS`.
    """
    match = _DECLARED.fullmatch(first[0]) if first else None
    if match is None:
        return ""
    if match[1] not in SEPARATORS:
        message = f"line 1 of {file} declares the separator `{match[1]}`, which is not supported"
        hint = f"known separators: {', '.join(SEPARATORS.values())}"
        raise DataError(message, hint=hint, parameter=parameter)
    return match[1]


def _counted_from(n_skipped: int, records: Iterable[Record]) -> Iterator[Record]:
    return ((line + n_skipped, fields) for line, fields in records)


def _separator_of(lines: Sequence[str]) -> str:
    """The separator that gives all rows the header's width; if several do, the one that gives the most columns."""
    widths = {}
    first = next((place for place, line in enumerate(lines) if line.strip(BLANK)), 0)
    lines = lines[first:]  # the header is the first line that holds a name
    for separator in SEPARATORS:
        header = next(iter(_sampled(lines, separator, 1) or []), [])
        if len(header) > 1:
            widths[separator] = len(header)
    if len(widths) > 1:
        samples = {separator: _sampled(lines, separator) for separator in widths}
        fitting = {
            separator: widths[separator]
            for separator, rows in samples.items()
            if rows is not None and all(len(row) == widths[separator] for row in rows)
        }
        widths = fitting or widths
    return max(widths, key=widths.__getitem__, default=",")


def _sampled(lines: Sequence[str], separator: str, n_records: int | None = None) -> list[list[str]] | None:
    """The first records of a file's first lines, without a last partial one; None if quotes do not match."""
    with suppress(csv.Error):
        return [row for _, row in islice(_plain_records(lines, separator), n_records)]
    rows: list[list[str]] = []
    try:
        rows.extend(row for _, row in islice(_lenient_records("".join(lines), separator), n_records))
    except _IllFormedError as error:
        is_cut_off = error.is_open and len(lines) == _N_SAMPLE_LINES
        return rows if is_cut_off else None
    return rows


def _has_tabs_before_quotes(lines: Sequence[str], separator: str) -> bool:
    """Whether a tab precedes a quote: Python's reader skips blanks there, but not tabs."""
    tabs = re.compile(rf'(?:^|{re.escape(separator)}) *\t[ \t]*"')
    return separator != "\t" and any(map(tabs.search, lines))


def _plain_records(lines: Iterable[str], separator: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    return ((reader.line_num, row) for row in reader if row)


class _IllFormedError(Exception):
    """A quoted value that begins in ``line`` is never closed (``is_open``), or text follows its closing quote."""

    def __init__(self, line: int, *, is_open: bool) -> None:
        super().__init__(line)
        self.line = line
        self.is_open = is_open


def _lenient_records(text: str, separator: str) -> Iterator[Record]:
    """Records that Python's reader refuses: tabs before a quote, blanks after it, or very long fields.

    It is slower than Python's reader, so it only reads files that need it. A quote inside an unquoted value is part of
    the value.

    Raises:
        _IllFormedError: a quoted value is not closed, or text other than blanks follows it.
    """
    blanks = "[ ]*+" if separator == "\t" else r"[ \t]*+"
    ends = re.escape(separator) + r"\r\n"
    quoted = re.compile(rf'{blanks}"([^"]*+(?:""[^"]*+)*+)"{blanks}(?=[{ends}]|\Z)')
    plain = re.compile(rf'(?!")[^{ends}]*+')
    left_open = re.compile(r'"[^"]*+(?:""[^"]*+)*+\Z')
    position, line, fields = 0, 1, list[str]()
    while True:
        if match := quoted.match(text, position):
            fields.append(match[1].replace('""', '"'))
            line += len(re.findall(r"\r\n|\r|\n", match[1]))
        elif match := plain.match(text, position):
            fields.append(match[0].lstrip(" "))
        else:
            raise _IllFormedError(line, is_open=left_open.match(text, position) is not None)
        position = match.end()
        if text.startswith(separator, position):
            position += 1
            continue
        if fields != [""] or match.re is quoted:
            yield line, fields
        fields = []
        if position == len(text):
            return
        position += 2 if text.startswith("\r\n", position) else 1
        line += 1
        if position == len(text):
            return


_LONGEST_WHOLE = 300  # digits of a finite float64


def read_csv(path: Path, request: Request) -> Columns:
    """Read a CSV file with a header, separated by comma, semicolon, tab or vertical bar; see `read_records`.

    The header is the first line that holds a name. Blank lines are no rows. `read_fields` types each column. The column
    that the request names as text is read unchanged.

    Raises:
        DataError: the file cannot be opened, is empty, is not UTF-8, has a row whose width differs from the header's,
            or has columns without a name or with the same name.
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
        hint = f"line {header_line} is read as the header" if header else ""
        raise DataError(f"{path.name} has no rows", hint=hint, parameter=parameter)
    known = ", ".join(SEPARATORS.values())
    for line, row in rows:
        if len(row) != len(header):
            n_fields = f"{len(row)} field{'' if len(row) == 1 else 's'}"
            message = f"line {line} of {path.name} has {n_fields}, and the header has {len(header)}"
            hint = f"the fields are read as separated by {SEPARATORS[separator]}; known separators: {known}"
            if len(header) == 1:
                header_text = f"line {header_line}, `{header[0][:40]}`"
                hint += f"; the header is read from {header_text}: remove the lines before the real header"
            raise DataError(message, hint=hint, parameter=parameter)
    row_numbers = np.array([line for line, _ in rows], dtype=np.int64)
    hint = f"its header contains none of the known separators: {known}" if len(header) == 1 else ""
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
    typed = read_fields(fields, request.kind_of(name))
    if typed.misfit_row is not None:
        add_misfit(columns, name, fields[typed.misfit_row].strip(), typed, request)
        return
    if typed.marks:
        columns.marks[name] = typed.marks
    if not typed.may_be_large:
        columns.values[name] = typed.values
        columns.kinds[name] = typed.kind
    elif columns.add(name, typed.kind, typed.values):
        columns.notes.extend(_notes_of(columns, name, fields, typed))


def add_misfit(columns: Columns, name: str, text: str, typed: FieldColumn, request: Request) -> None:
    """Record that a column holds a text that cannot be read as the training column's kind, or the user's."""
    row = typed.misfit_row or 0
    by = "in the training data" if request.kinds is not None else "by its type"
    if typed.kind == "truth":
        predicate = f"holds `{text[:40]}` in {columns.place(row)}, but true and false {by}"
        fix = "write true or false there, or leave the field empty"
    else:
        predicate = f"holds the text `{text[:40]}` in {columns.place(row)}, but numbers {by}"
        fix = "write a number there, or leave the field empty if the value is missing"
    columns.add_problem(name, predicate, fix)


def _notes_of(columns: Columns, name: str, fields: Sequence[str], typed: FieldColumn) -> Iterator[DataNote]:
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
    if typed.odd_row is not None:
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
