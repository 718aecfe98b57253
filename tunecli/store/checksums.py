"""A checksum for each row of the log, to find a bit that changed on the disk.

SQLite checks the structure of a file but not the values in its rows, so it does not notice a changed digit of a score.
Each row therefore ends with the CRC-32 of its table's name and its other values. CRC-32 finds every change of up to 32
neighbouring bits, and misses other damage with a probability of one in four billion. It does not protect against a
person who changes a row on purpose. This module does not know the meaning of rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from struct import Struct
from typing import Any
from zlib import crc32

from tunecli.store.schema import SCHEMA_VERSION, require_strict_tables, tables_in, take_steps, version

COLUMN = "checksum"

Row = Sequence[Any]


@dataclass(frozen=True)
class ChecksummedTable:
    """A table whose rows have checksums.

    Attributes:
        name: the table's name.
        columns: the names of its columns in order, without the checksum's.
        checksum: computes the checksum of a row's values in that order; it ignores further values.
    """

    name: str
    columns: tuple[str, ...]
    checksum: Callable[[Row], int]


@cache
def checksummed_tables(n_steps: int = SCHEMA_VERSION) -> Mapping[str, ChecksummedTable]:
    """The tables that have checksums after ``n_steps`` of the schema, by name."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        take_steps(model, n_steps)
        columns = {name: model.execute(f"PRAGMA table_info({name})").fetchall() for name in tables_in(model)}
    return {name: _table(name, info) for name, info in columns.items()}


def with_checksums(table: str, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """The rows of a table as they are stored, each followed by its checksum.

    Raises:
        ValueError: a value does not have its column's type.
    """
    checksum = checksummed_tables()[table].checksum
    return [(*row, checksum(row)) for row in rows]


def first_damaged_row(connection: sqlite3.Connection, table: str) -> str | None:
    """The table and key of the first row whose checksum is wrong, for a message; None if all are right."""
    description = checksummed_tables(version(connection))[table]
    for row in connection.execute(f"SELECT {', '.join(description.columns)}, {COLUMN} FROM {table}"):
        try:
            if description.checksum(row) == row[-1]:
                continue
        except ValueError:
            pass  # a value has another type than its column
        return f"{table} {row[0]!r}"[:80]
    return None


def new_database(facts: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a new database that holds ``facts`` (keys and JSON values).

    The caller writes them as one file, so a crash cannot leave half a schema.

    Raises:
        UsageError: this Python's SQLite is too old.
    """
    require_strict_tables()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        take_steps(memory)
        memory.executemany("INSERT INTO study VALUES (?, ?, ?)", with_checksums("study", facts))
        return memory.serialize()


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the current schema, in the caller's transaction."""
    is_older = version(connection) < SCHEMA_VERSION
    take_steps(connection)
    if is_older:  # its rows have no checksums, or checksums of fewer columns
        add_checksums(connection)


def add_checksums(connection: sqlite3.Connection) -> None:
    """Write the checksum of its present values into every row of a database."""
    for name, table in checksummed_tables().items():
        function = f"checksum_of_{name}"
        connection.create_function(
            function, len(table.columns), lambda *row, of=table.checksum: of(row), deterministic=True
        )
        connection.execute(f"UPDATE {name} SET {COLUMN} = {function}({', '.join(table.columns)})")


def _table(name: str, columns: Sequence[tuple[Any, ...]]) -> ChecksummedTable:
    """Prepare the checksum of a table.

    Args:
        name: the table's name.
        columns: the rows of ``PRAGMA table_info``: (index, name, type, is not NULL, default, index in the key).
    """
    own = [column for column in columns if column[1] != COLUMN]
    codes, numbers, texts, nullable = "<", [], [], []
    for place, _, kind, is_filled, _, key in own:
        if not is_filled and not key:
            nullable.append(place)
        elif kind == "TEXT":
            texts.append(place)
        else:
            numbers.append(place)
            codes += "q" if kind == "INTEGER" else "d"
    pack, numbers_of, texts_of = Struct(codes).pack, _getter(numbers), _getter(texts)
    only_text = texts[0] if len(texts) == 1 else None  # as in `epoch`, the longest table
    seed = crc32(name.encode())

    def checksum(row: Row) -> int:
        try:
            text = row[only_text] if only_text is not None else "\x1f".join(texts_of(row))
            if nullable:
                text += "".join(f"\x1f{row[place]!a}" for place in nullable)
            return crc32(text.encode(), crc32(pack(*numbers_of(row)), seed))
        except Exception as error:  # struct.error, TypeError, UnicodeEncodeError, OverflowError
            raise ValueError(
                f"a record of {name} has a value of another type than its column ({error})"
            ) from error

    return ChecksummedTable(name, tuple(column[1] for column in own), checksum)


def _getter(places: Sequence[int]) -> Callable[[Row], tuple[Any, ...]]:
    """A function that returns the values at these indexes of a row, always as a tuple."""
    if not places:
        return lambda row: ()
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)
