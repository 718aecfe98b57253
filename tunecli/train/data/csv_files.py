"""CSV files: cut into fields, read as typed columns, with notes on how the fields were read.

How one field becomes a number is in number_text.py.
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
from tunecli.train.data.table import INEXACT

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_N_SAMPLE_LINES = 64
BLANK = " \r\n" + "".join(SEPARATORS)
"""What a line without a single value is made of."""

Record = tuple[int, list[str]]
"""The line that a record ends in, counting from 1, and its fields."""

# Excel's own first line, `sep=;`, in quotes or with empty fields where another program has written it anew.
_DECLARED = re.compile(r"""["']?sep=(.)["']?[,;\t| "']*[\r\n]*""", re.IGNORECASE)


def read_records(path: Path, parameter: str) -> tuple[str, list[Record]]:
    """Cut a file into records.

    The separator is the one under which the rows have as many fields as the header; of several, the one that gives
    the header most. A first line `sep=;`, which Excel reads and writes, decides it and is no record. Separators and
    line breaks between quotes belong to the value, blanks around quotes do not.

    Args:
        path: the file.
        parameter: the key to blame for what is wrong with it.

    Returns:
        The separator, one of `SEPARATORS`; and the records that are not empty, the header first.

    Raises:
        DataError: the file cannot be opened, is not UTF-8 text, has a quoted value that does not end well, or names a
            separator that is none of `SEPARATORS`.
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
        what = f"a quoted value begins in line {error.line + n_skipped} and does not end well"
        message = f"{path.name} is not a readable CSV file: {what}"
        hint = 'close it with `"`, and write a quote inside it twice'
        raise DataError(message, hint=hint, parameter=parameter) from error
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8"
        raise DataError(f"{path.name} is not UTF-8 text", hint=hint, parameter=parameter) from error
    except OSError as error:
        message = f"{path.name} cannot be read: {os_reason(error)}"
        raise DataError(message, parameter=parameter) from error


def _require_text(lines: Sequence[str], file: str, parameter: str) -> None:
    """Make sure that the first lines are text, and no archive or UTF-16 that happens to be valid UTF-8.

    Raises:
        DataError: they are none.
    """
    if lines and lines[0].startswith("PK\3\4"):
        message = f"{file} is a ZIP archive, as Excel workbooks are, and not CSV"
        raise DataError(message, hint="save it as CSV in UTF-8", parameter=parameter)
    if any("\0" in line for line in lines):
        message = f"{file} is not UTF-8 text: it holds NUL characters"
        raise DataError(message, hint="save it as UTF-8", parameter=parameter)


def _declared_separator(first: Sequence[str], file: str, parameter: str) -> str:
    """The separator that a first line such as `sep=;` declares; empty where there is no such line.

    Raises:
        DataError: it declares another one than is known.
    """
    match = _DECLARED.fullmatch(first[0]) if first else None
    if match is None:
        return ""
    if match[1] not in SEPARATORS:
        message = f"line 1 of {file} says that fields are separated by `{match[1]}`"
        hint = f"known separators: {', '.join(SEPARATORS.values())}"
        raise DataError(message, hint=hint, parameter=parameter)
    return match[1]


def _counted_from(n_skipped: int, records: Iterable[Record]) -> Iterator[Record]:
    return ((line + n_skipped, fields) for line, fields in records)


def _separator_of(lines: Sequence[str]) -> str:
    """The separator under which the rows have the header's width; of several, the one that gives most columns."""
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
    """The first records of a file's first lines, without a record that is cut off; None if quotes do not match."""
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
    """Python's reader skips blanks before a quote, but no tabs."""
    tabs = re.compile(rf'(?:^|{re.escape(separator)}) *\t[ \t]*"')
    return separator != "\t" and any(map(tabs.search, lines))


def _plain_records(lines: Iterable[str], separator: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    return ((reader.line_num, row) for row in reader if row)


class _IllFormedError(Exception):
    """A quoted value that begins in ``line`` is followed by more than blanks, or is ``is_open``: never closed."""

    def __init__(self, line: int, *, is_open: bool) -> None:
        super().__init__(line)
        self.line = line
        self.is_open = is_open


def _lenient_records(text: str, separator: str) -> Iterator[Record]:
    """Records that Python's reader refuses: with tabs before a quote, blanks after it, or fields longer than it takes.

    Slower, so only for a file that needs it. A quote that follows a blank and opens no quoted value is part of the
    value.

    Raises:
        _IllFormedError: a quoted value is not closed, or is followed by more than blanks.
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
