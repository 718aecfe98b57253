"""How a CSV file is cut into fields: its separator, its quotes, and each record's line. Knows nothing of values."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tunecli.errors import DataError

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
        message = f"{path.name} cannot be read: {error.strerror or error}"
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
