"""Reads metrics from JSON lines, CSV and JSON files that the user's program writes, while it writes them.

Owns the meaning of a row in each format. Loads no torch.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tunecli.messages import EpochEnded
from tunecli.text import short_repr, shorten
from tunecli.train.user_code.epoch_rows import EpochRows, row_of, whole
from tunecli.train.user_code.json_metrics import decoded, number_of, rows_of
from tunecli.train.user_code.tail import Before, Tail, Unreadable, open_file

_MOST_JSON_BYTES = 2**26
_CSV_DELIMITERS = (",", ";", "\t")


class FormatReader(Protocol):
    """Reads the new rows of one file.

    Attributes:
        is_found: whether the program has written the file since the trial began.
        n_too_long: number of lines that were too long to read.
    """

    @property
    def is_found(self) -> bool: ...

    @property
    def n_too_long(self) -> int: ...

    def read(self, *, is_last: bool) -> Iterator[EpochEnded]:
        """Read the new rows; ``is_last``: the program has ended.

        Raises:
            Unreadable: the file cannot be read, or a row is invalid.
        """

    def close(self) -> None:
        """Close the file."""


@dataclass(slots=True)
class ReadRows:
    """How many rows of a file were read: as many are old if the file is rewritten from its start."""

    _n_rows: int = 0
    _n_files: int = 1
    _n_restarts: int = 0
    _n_skipped: int = 0

    def is_old(self, tail: Tail) -> bool:
        """Whether the next row was read before; a new file has new rows only."""
        if tail.n_restarts != self._n_restarts:
            if tail.n_files != self._n_files:
                self._n_rows = 0
            self._n_restarts, self._n_files, self._n_skipped = tail.n_restarts, tail.n_files, self._n_rows
        if self._n_skipped:
            self._n_skipped -= 1
            return True
        self._n_rows += 1
        return False


@dataclass(slots=True)
class JsonlFile:
    """A file with a JSON object on each line."""

    tail: Tail
    rows: EpochRows
    _read: ReadRows = field(default_factory=ReadRows)

    @property
    def is_found(self) -> bool:
        """Whether anything new was in the file."""
        return self.tail.is_found

    @property
    def n_too_long(self) -> int:
        """Number of lines that were too long to read."""
        return self.tail.n_too_long

    def read(self, *, is_last: bool) -> Iterator[EpochEnded]:
        """See `FormatReader`. Lines that are no JSON objects are ignored."""
        for line in self.tail.lines(is_last=is_last):
            if self._read.is_old(self.tail):
                continue
            with suppress(ValueError, RecursionError):
                values = decoded(line)
                if isinstance(values, dict):
                    self._require_numbers(values)
                    yield from _add(self.rows, rows_of(values).final, self.tail.path)
            if self.rows.reports.is_over:
                return

    def _require_numbers(self, values: Mapping[str, Any]) -> None:
        for name in self.rows.reports.job.task.objective.metrics:
            if values.get(name) is not None and number_of(values[name]) is None:
                raise Unreadable(f"has {short_repr(values[name])} for {name}, which is no number")

    def close(self) -> None:
        """Close the file."""
        self.tail.close()


@dataclass(slots=True)
class CsvFile:
    """A file with names of columns on its first line. An empty cell has no value."""

    tail: Tail
    rows: EpochRows
    _names: list[str] = field(default_factory=list)
    _header: bytes = b""
    _delimiter: str = ","
    _read: ReadRows = field(default_factory=ReadRows)

    @property
    def is_found(self) -> bool:
        """Whether anything new was in the file."""
        return self.tail.is_found

    @property
    def n_too_long(self) -> int:
        """Number of lines that were too long to read."""
        return self.tail.n_too_long

    def read(self, *, is_last: bool) -> Iterator[EpochEnded]:
        """See `FormatReader`. Cells that are no numbers are ignored, but not those of the objective."""
        n_restarts = self.tail.n_restarts
        for line in self.tail.lines(is_last=is_last):
            if self.tail.n_restarts != n_restarts:
                n_restarts, self._header = self.tail.n_restarts, b""
            if not self._header:
                is_header = not self.tail.header
                self._begin(self.tail.header or line)
                if is_header:
                    continue
            if line == self._header or self._read.is_old(self.tail):
                continue
            yield from self._read_row(line)
            if self.rows.reports.is_over:
                return

    def _begin(self, header: bytes) -> None:
        self._header = header.rstrip(b"\r")
        text = self._header.decode("utf-8-sig", errors="replace")
        self._delimiter = max(_CSV_DELIMITERS, key=text.count)
        self._names = [name.strip() for name in self._cells(text)]
        if all(_cell(name) is not None for name in self._names):
            raise Unreadable(f"has no names of columns on its first line: `{shorten(text, 80)}`")
        numbers = row_of(dict.fromkeys(self._names, 0.0), by_step=self.rows.reports.is_by_step)
        self.rows.expect(set(numbers.values))

    def _cells(self, text: str) -> list[str]:
        return next(csv.reader([text], delimiter=self._delimiter), [])

    def _read_row(self, line: bytes) -> Iterator[EpochEnded]:
        try:
            cells = self._cells(line.decode(errors="replace"))
        except csv.Error:
            return
        values = {}
        for name, text in zip(self._names, cells, strict=False):
            if not text.strip() or not name:
                continue
            value = _cell(text)
            if value is not None:
                values[name] = value
            elif name in self.rows.reports.job.task.objective.metrics:
                raise Unreadable(f"has {short_repr(text)} in the column {name}, which is no number")
        yield from _add(self.rows, values, self.tail.path)

    def close(self) -> None:
        """Close the file."""
        self.tail.close()


@dataclass(slots=True)
class JsonFile:
    """A file with one JSON value, which the program rewrites: an object of metrics, or lists of epochs.

    An object counts once, at the program's end: how many of its versions are seen before depends on the speed of the
    machine.
    """

    path: Path
    before: Before
    rows: EpochRows
    _seen: tuple[int, int, int] | None = None
    _n_rows: int = 0
    _final: Mapping[str, float] = field(default_factory=dict)
    _has_rows: bool = False
    _problem: str = ""
    n_too_long: int = 0

    @property
    def is_found(self) -> bool:
        """Whether the file was written since the trial began."""
        return self._seen is not None

    def read(self, *, is_last: bool) -> Iterator[EpochEnded]:
        """See `FormatReader`. A file that is not complete yet is read again later."""
        content = self._new_content()
        if content is not None:
            try:
                self._problem, metrics = "", rows_of(decoded(content))
            except (ValueError, RecursionError) as error:
                self._problem = (
                    f"is not valid JSON: {str(error).splitlines()[0] if str(error) else 'nested too deeply'}"
                )
            else:
                if len(metrics.rows) < self._n_rows:
                    self._n_rows = 0
                for values in metrics.rows[self._n_rows :]:
                    yield from _add(self.rows, values, self.path)
                self._n_rows = len(metrics.rows)
                self._final, self._has_rows = metrics.final, bool(metrics.rows)
        if is_last:
            if self._problem:
                raise Unreadable(self._problem)
            row = row_of(self._final, by_step=self.rows.reports.is_by_step)
            if row.number is not None and not self._has_rows:
                yield from self.rows.add(whole(row.number), row.values, str(self.path))
            yield from self.rows.close()
            if row.number is None or self._has_rows:
                self.rows.reports.update(row.values)

    def _new_content(self) -> bytes | None:
        """The content if it has changed since the last call; None if not."""
        descriptor = open_file(self.path)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            is_old = self._seen is None and self.before.n_old_bytes(descriptor) is None
            if is_old or seen == self._seen:
                return None
            if facts.st_size > _MOST_JSON_BYTES:
                raise Unreadable(
                    f"has {facts.st_size:,} bytes; the most that is read is {_MOST_JSON_BYTES:,}"
                )
            content = file.read(_MOST_JSON_BYTES + 1)
            self._seen = seen
        return content

    def close(self) -> None:
        """Close the file."""
        self.before.close()


def _add(rows: EpochRows, values: Mapping[str, float], path: Path) -> Iterator[EpochEnded]:
    row = row_of(values, by_step=rows.reports.is_by_step)
    yield from rows.add(whole(row.number), row.values, str(path))


def _cell(text: str) -> float | None:
    """The number in a cell; None if it holds something else."""
    plain = text.strip()
    if "_" in plain or not plain.isascii():  # Python's float accepts both
        return None
    try:
        return float(plain)
    except ValueError:
        return None
