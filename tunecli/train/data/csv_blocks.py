"""The fields of a CSV file by column, gathered block by block: each block is split and read as numbers while the
processor's cache holds it, which halves the time.

`plain_text` splits files without quotes, which need no CSV reader. csv_records.py splits all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tunecli.train.data.csv_records import BLANK, N_SAMPLE_LINES, Record, declares_separator, separator_of
from tunecli.train.data.number_text import plain_values
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
        fields: by column, its fields.
    """

    def __init__(self, header: Sequence[str], may_be_number: MayBeNumber) -> None:
        self.fields: list[list[str]] = [[] for _ in header]
        self._parts: list[list[NDArray[np.float64]] | None] = [
            [] if may_be_number(name) else None for name in header
        ]
        self._shared: dict[int, dict[str, str]] = {}

    def add(self, block: Iterator[list[str]]) -> None:
        """Add the fields of the next rows, by column."""
        for column, fields in enumerate(block):
            parts = self._parts[column]
            if parts is not None:
                values = plain_values(fields)
                if values is None:
                    self._parts[column] = None
                else:
                    parts.append(values)
            if self._parts[column] is None:
                fields = self._with_shared_texts(column, fields)
            if self.fields[column]:
                self.fields[column] += fields
            else:
                self.fields[column] = fields

    def _with_shared_texts(self, column: int, fields: list[str]) -> list[str]:
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
        blocks.add(map(list, zip(*rows, strict=True)))
    return blocks


def plain_text(file: TextFile, may_be_number: MayBeNumber) -> tuple[tuple[str, ...], FieldBlocks] | None:
    """The header and the fields of a plain file.

    A plain file has no quotes, no blanks before fields, and no line of another width than the header's; its first line
    is the header; and its lines end in a line feed, with or without a carriage return.

    Returns:
        None if the file is not plain: then `tunecli.train.data.csv_records.read_records` reads it, or says what is
        wrong. For a plain file both give the same fields.
    """
    with closing(file.lines()) as lines:
        sample = [*islice(lines, N_SAMPLE_LINES)]
    if not sample or declares_separator(sample[0]):
        return None
    separator = separator_of(sample)
    names = sample[0].rstrip("\r\n").split(separator)
    if len(names) < 2 or not any(name.strip(BLANK) for name in names):
        return None
    header = tuple(name.strip() for name in names)
    blocks = FieldBlocks(header, may_be_number)
    n_characters = max(_BLOCK_CHARACTERS, _MIN_ROWS * max(map(len, sample)))
    rest, n_blocks = "", 0
    with closing(file.blocks(n_characters)) as texts:
        for text in texts:
            whole, is_cut, rest = f"{rest}{text}".rpartition("\n")
            if is_cut:
                fields = _split(whole, separator, len(header))
                if fields is None:
                    return None
                blocks.add(_columns(fields, len(header), 0 if n_blocks else 1))
                n_blocks += 1
    if rest:
        fields = _split(rest, separator, len(header))
        if fields is None:
            return None
        blocks.add(_columns(fields, len(header), 0 if n_blocks else 1))
    return (header, blocks) if blocks.fields[0] else None


def _columns(fields: list[str], width: int, n_skipped: int) -> Iterator[list[str]]:
    """By column, the fields of rows that follow each other, without those of the first ``n_skipped`` rows."""
    return (fields[column::width] for column in range(n_skipped * width, (n_skipped + 1) * width))


def _split(text: str, separator: str, width: int) -> list[str] | None:
    """The fields of lines, row by row; None if the lines are not plain. ``text`` lacks the end of its last line."""
    if "\r" in text:
        text = f"{text}\n".replace("\r\n", "\n")[:-1]
    if '"' in text or "\r" in text or text.startswith(" ") or f"{separator} " in text or "\n " in text:
        return None
    if {line.count(separator) for line in text.split("\n")} != {width - 1}:
        return None
    return text.replace("\n", separator).split(separator)
