"""CSV files, split into records and fields. csv_files.py makes typed columns of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tunecli.errors import DataError, os_reason

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
