"""CSV files, split into records and fields. csv_files.py makes typed columns of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain, islice

from tunecli.errors import DataError
from tunecli.train.data.text_files import MAX_LINE, TextFile

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
N_SAMPLE_LINES = 64
"""The lines at the beginning of a file that decide its separator."""

BLANK = " \r\n" + "".join(SEPARATORS)
"""The characters of a line that holds no value."""

Record = tuple[int, list[str]]
"""The line that a record ends in, counting from 1, and its fields."""

# The first line `sep=;` of Excel. Other programs rewrite it in quotes or with empty fields after it.
_DECLARED = re.compile(r"""["']?sep=(.)["']?[,;\t| "']*[\r\n]*""", re.IGNORECASE)


def read_records(file: TextFile, parameter: str) -> tuple[str, list[Record]]:
    """Split a file into records.

    The separator is the one with which all rows have as many fields as the header; if there are several such, the one
    that gives the header the most fields. A first line `sep=;`, which Excel reads and writes, decides it and is no
    record. Separators and line breaks inside quotes belong to the value; blanks around quotes do not.

    Args:
        file: the file.
        parameter: the configuration key that errors name.

    Returns:
        The separator, one of `SEPARATORS`; and the records that are not empty, the header first.

    Raises:
        DataError: the file has a quoted value without a proper end, or declares a separator that is not in
            `SEPARATORS`.
    """
    name = file.path.name
    with closing(file.lines()) as all_lines:
        lines = list(islice(all_lines, N_SAMPLE_LINES))
        declared = _declared_separator(lines[:1], name, parameter)
        n_skipped = 1 if declared else 0
        separator = declared or separator_of(lines)
        if not _has_tabs_before_quotes(lines, separator):
            with suppress(csv.Error):
                rest = islice(chain(lines, all_lines), n_skipped, None)
                return separator, list(_counted_from(n_skipped, _plain_records(rest, separator)))
    try:
        with closing(file.lines()) as all_lines:
            rest = islice(all_lines, n_skipped, None)
            return separator, list(_counted_from(n_skipped, _lenient_records(rest, separator)))
    except _IllFormedError as error:
        problem = f"the quoted value that begins in line {error.line + n_skipped} has no proper end"
        message = f"{name} is not a readable CSV file: {problem}"
        hint = 'close the value with `"`, and write a quote inside it twice'
        raise DataError(message, hint=hint, parameter=parameter) from error


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


def declares_separator(line: str) -> bool:
    """Whether a first line declares the separator: `sep=;`."""
    return _DECLARED.fullmatch(line) is not None


def _counted_from(n_skipped: int, records: Iterable[Record]) -> Iterator[Record]:
    return ((line + n_skipped, fields) for line, fields in records) if n_skipped else iter(records)


def separator_of(lines: Sequence[str]) -> str:
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
        rows.extend(row for _, row in islice(_lenient_records(lines, separator), n_records))
    except _IllFormedError as error:
        is_cut_off = error.is_open and len(lines) == N_SAMPLE_LINES
        return rows if is_cut_off else None
    return rows


def _has_tabs_before_quotes(lines: Sequence[str], separator: str) -> bool:
    """Whether a tab precedes a quote: Python's reader skips blanks there, but not tabs."""
    tabs = re.compile(rf'(?:^|{re.escape(separator)}) *\t[ \t]*"')
    return separator != "\t" and any(tabs.search(line) for line in lines if "\t" in line and '"' in line)


def _plain_records(lines: Iterable[str], separator: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    return ((reader.line_num, row) for row in reader if row)


class _IllFormedError(Exception):
    """A quoted value that begins in ``line`` is never closed (``is_open``), or text follows its closing quote."""

    def __init__(self, line: int, *, is_open: bool) -> None:
        super().__init__(line)
        self.line = line
        self.is_open = is_open


def _lenient_records(lines: Iterable[str], separator: str) -> Iterator[Record]:
    """Records that Python's reader refuses: tabs before a quote, blanks after it, or very long fields.

    It is slower than Python's reader, so it only reads files that need it. A quote inside an unquoted value is part of
    the value. Only the lines of one record are in memory.

    Raises:
        _IllFormedError: a quoted value is not closed, or text other than blanks follows it.
    """
    record_at = _lenient_reader(separator)
    source, text, position, line, n_more = iter(lines), "", 0, 1, 1
    while True:
        if position == len(text):
            text, position, n_more = next(source, ""), 0, 1
            if not text:
                return
        try:
            end, n_lines, fields = record_at(text, position, line)
        except _IllFormedError as error:
            more = "".join(islice(source, n_more)) if error.is_open else ""
            if not more or len(text) - position > MAX_LINE:
                raise
            text, position = text[position:] + more, 0
            n_more *= 2  # so that a value of many lines takes linear time
            continue
        if fields:
            yield line + n_lines, fields
        position, line = end, line + n_lines + 1


def _lenient_reader(separator: str) -> Callable[[str, int, int], tuple[int, int, list[str]]]:
    """A function of a text, a position and its line that reads one record.

    It returns the position after the record, the number of line breaks inside it, and its fields (none if it is empty).
    """
    blanks = "[ ]*+" if separator == "\t" else r"[ \t]*+"
    ends = re.escape(separator) + r"\r\n"
    quoted = re.compile(rf'{blanks}"([^"]*+(?:""[^"]*+)*+)"{blanks}(?=[{ends}]|\Z)')
    plain = re.compile(rf'(?!")[^{ends}]*+')
    left_open = re.compile(r'"[^"]*+(?:""[^"]*+)*+\Z')

    def record_at(text: str, position: int, line: int) -> tuple[int, int, list[str]]:
        n_lines, fields = 0, list[str]()
        while True:
            if match := quoted.match(text, position):
                fields.append(match[1].replace('""', '"'))
                n_lines += len(re.findall(r"\r\n|\r|\n", match[1]))
            elif match := plain.match(text, position):
                fields.append(match[0].lstrip(" "))
            else:
                raise _IllFormedError(line + n_lines, is_open=left_open.match(text, position) is not None)
            position = match.end()
            if not text.startswith(separator, position):
                break
            position += 1
        is_empty = fields == [""] and match.re is not quoted
        position += 2 if text.startswith("\r\n", position) else 1
        return min(position, len(text)), n_lines, [] if is_empty else fields

    return record_at
