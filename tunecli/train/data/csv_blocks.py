"""The fields of a CSV file by column, gathered block by block: each block is split and read as numbers while the
processor's cache holds it, which halves the time.

`plain_text` splits files without quotes, which need no CSV reader. csv_records.py splits all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain, compress, islice

import numpy as np
from numpy.typing import NDArray

from tunecli.train.data.csv_records import BLANK, N_SAMPLE_LINES, Record, declares_separator, separator_of
from tunecli.train.data.number_text import is_plain_field, plain_values
from tunecli.train.data.text_files import TextFile

_BLOCK_CHARACTERS = 2**18
_MIN_ROWS = 500
"""Rows of a block: the work for each column of a block costs as much as a few dozen fields."""

_MAX_SHARED = 10_000
"""Distinct texts of a column whose equal fields share one text."""

MayBeNumber = Callable[[str], bool]
"""Whether a column of this name may hold plain numbers."""


class FieldBlocks:
    """The columns of a file, to which blocks of rows are added.

    Attributes:
        fields: by column, its fields; without ``keeps_texts``, those of the blocks since the column holds no numbers.
    """

    def __init__(
        self, header: Sequence[str], may_be_number: MayBeNumber, *, keeps_texts: bool = True
    ) -> None:
        """Begin without rows.

        Args:
            header: the names of the columns.
            may_be_number: whether a column is tried as plain numbers.
            keeps_texts: whether the fields of numbers are kept too. Without them, splitting a large file takes a
                third less time, and a tenth of the memory.
        """
        self.fields: list[list[str]] = [[] for _ in header]
        self.n_rows = 0
        self._keeps_texts = keeps_texts
        self._parts: list[list[NDArray[np.float64]] | None] = [
            [] if may_be_number(name) else None for name in header
        ]
        self._shared: dict[int, dict[str, str]] = {}

    def add(self, block: Iterator[Sequence[str]]) -> None:
        """Add the fields of the next rows, by column."""
        fields: Sequence[str] = ()
        for column, fields in enumerate(block):
            if self._parts[column] is not None:
                self._add_numbers(column, plain_values(fields))
            self._add_fields(column, fields)
        self.n_rows += len(fields)

    def add_wide(self, rows: Sequence[Sequence[str]]) -> None:
        """Add the next rows, which are fewer than the columns: whole rows are read as numbers."""
        is_number = [
            parts is not None and is_plain_field(field)
            for parts, field in zip(self._parts, rows[0], strict=True)
        ]
        values = [plain_values([*compress(row, is_number)]) for row in rows]
        whole = [row for row in values if row is not None]
        if len(whole) < len(rows):
            self.add(zip(*rows, strict=True))
            return
        by_column = iter(np.ascontiguousarray(np.stack(whole).T))
        for column, fields in enumerate(zip(*rows, strict=True)):
            self._add_numbers(column, next(by_column) if is_number[column] else None)
            self._add_fields(column, fields)
        self.n_rows += len(rows)

    def _add_numbers(self, column: int, values: NDArray[np.float64] | None) -> None:
        parts = self._parts[column]
        if values is None:
            self._parts[column] = None
        elif parts is not None:
            parts.append(values)

    def _add_fields(self, column: int, fields: Sequence[str]) -> None:
        if self._parts[column] is not None and not self._keeps_texts:
            return
        if self._parts[column] is None:
            fields = self._with_shared_texts(column, fields)
        self.fields[column].extend(fields)

    def _with_shared_texts(self, column: int, fields: Sequence[str]) -> Sequence[str]:
        """The same fields; equal ones are one object, so that counting and comparing them is fast."""
        shared = self._shared.setdefault(column, {})
        return [*map(shared.setdefault, fields, fields)] if len(shared) < _MAX_SHARED else fields

    def numbers(self) -> list[NDArray[np.float64] | None]:
        """By column, its numbers, NaN for an empty field; None if it holds anything else, or must not be a number."""
        return [
            None if parts is None else parts[0] if len(parts) == 1 else np.concatenate(parts)
            for parts in self._parts
        ]


def blocks_of_records(
    records: Sequence[Record], header: Sequence[str], may_be_number: MayBeNumber
) -> FieldBlocks:
    """The fields by column of records that all have the header's width."""
    blocks = FieldBlocks(header, may_be_number)
    n_rows = max(_MIN_ROWS, _BLOCK_CHARACTERS // (8 * len(header)))
    for start in range(0, len(records), n_rows):
        rows = [fields for _, fields in records[start : start + n_rows]]
        blocks.add(zip(*rows, strict=True))
    return blocks


def plain_text(
    file: TextFile, may_be_number: MayBeNumber, *, keeps_texts: bool = True
) -> tuple[tuple[str, ...], FieldBlocks] | None:
    """The header and the fields of a plain file; the other arguments are those of `FieldBlocks`.

    A plain file has no quotes, no blanks before fields, and no line of another width than the header's; its first line
    is the header; and its lines end in a line feed, with or without a carriage return.

    Returns:
        None if the file is not plain: then `tunecli.train.data.csv_records.read_records` reads it, or says what is
        wrong. For a plain file both give the same fields.
    """
    with closing(file.lines()) as first_lines:
        sample = [*islice(first_lines, N_SAMPLE_LINES)]
    if not sample or declares_separator(sample[0]):
        return None
    separator = separator_of(sample)
    names = sample[0].rstrip("\r\n").split(separator)
    if len(names) < 2 or not any(name.strip(BLANK) for name in names):
        return None
    header = tuple(name.strip() for name in names)
    blocks = FieldBlocks(header, may_be_number, keeps_texts=keeps_texts)
    n_characters = max(_BLOCK_CHARACTERS, _MIN_ROWS * max(map(len, sample)))
    rest, is_first = "", True
    with closing(file.blocks(n_characters)) as texts:
        for text in chain(texts, ("\n",)):  # a last line without an end gets one
            whole, is_cut, rest = f"{rest}{text}".rpartition("\n")
            if is_cut and whole:
                lines = _plain_lines(whole, separator, len(header))
                if lines is None:
                    return None
                _add_lines(blocks, lines[1:] if is_first else lines, separator, len(header))
                is_first = False
    return (header, blocks) if blocks.n_rows else None


def _add_lines(blocks: FieldBlocks, lines: list[str], separator: str, width: int) -> None:
    if len(lines) < width:
        if lines:
            blocks.add_wide([line.split(separator) for line in lines])
        return
    fields = separator.join(lines).split(separator)
    blocks.add(fields[column::width] for column in range(width))


def _plain_lines(text: str, separator: str, width: int) -> list[str] | None:
    """The lines of a text that lacks the end of its last line; None if they are not plain."""
    if "\r" in text:
        text = f"{text}\n".replace("\r\n", "\n")[:-1]
    if '"' in text or "\r" in text or text.startswith(" ") or f"{separator} " in text or "\n " in text:
        return None
    lines = text.split("\n")
    return lines if {line.count(separator) for line in lines} == {width - 1} else None
