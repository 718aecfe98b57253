"""A checksum for every row of the log, so that a bit that rots on the disk is found when the row is read.

SQLite checks the structure of a file but not the values in its rows: a changed digit of a score goes unnoticed. Each
row therefore ends with the CRC-32 of its table's name and of its other values. CRC-32 finds every change of up to 32
neighbouring bits of what it is computed from, and misses another damage once in four billion times. It is no defence
against a person who changes a row on purpose. Knows SQL and nothing of what the rows mean.
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
class Summed:
    """A table whose rows have checksums.

    Attributes:
        name: the table's.
        columns: the names of its columns, in their order, without the checksum's.
        checksum: of a row's values in that order; a longer row's further values are left out.
    """

    name: str
    columns: tuple[str, ...]
    checksum: Callable[[Row], int]


@cache
def summed_tables(n_steps: int = SCHEMA_VERSION) -> Mapping[str, Summed]:
    """The tables of a schema whose rows have checksums, by name."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        take_steps(model, n_steps)
        columns = {name: model.execute(f"PRAGMA table_info({name})").fetchall() for name in tables_in(model)}
    return {name: _summed(name, each) for name, each in columns.items()}


def with_checksums(table: str, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """The rows of a table as they are stored, each with its checksum at its end.

    Raises:
        ValueError: a value is not of its column's type.
    """
    checksum = summed_tables()[table].checksum
    return [(*row, checksum(row)) for row in rows]


def first_wrong(connection: sqlite3.Connection, table: str) -> str | None:
    """Which row of a table is not what was written, in words; None where all are."""
    summed = summed_tables(version(connection))[table]
    checksum = summed.checksum
    for row in connection.execute(f"SELECT {', '.join(summed.columns)}, {COLUMN} FROM {table}"):
        try:
            if checksum(row) == row[-1]:
                continue
        except ValueError:
            pass  # a value of another type than was written
        return f"{table} {row[0]!r}"[:80]
    return None


def new_database(facts: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a database with ``facts`` (keys and JSON) in it, to be put in place whole.

    So there is no moment, and no crash, with half a schema.

    Raises:
        UsageError: this Python's SQLite is too old.
    """
    require_strict_tables()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        take_steps(memory)
        memory.executemany("INSERT INTO study VALUES (?, ?, ?)", with_checksums("study", facts))
        return memory.serialize()


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to today's tables; in one transaction with whatever else the caller has begun."""
    is_older = version(connection) < SCHEMA_VERSION
    take_steps(connection)
    if is_older:  # its rows have no checksums, or those of fewer columns
        add_checksums(connection)


def add_checksums(connection: sqlite3.Connection) -> None:
    """Give every row of a database the checksum of its present values."""
    for name, summed in summed_tables().items():
        function = f"checksum_of_{name}"
        connection.create_function(
            function, len(summed.columns), lambda *row, of=summed.checksum: of(row), deterministic=True
        )
        connection.execute(f"UPDATE {name} SET {COLUMN} = {function}({', '.join(summed.columns)})")


def _summed(name: str, columns: Sequence[tuple[Any, ...]]) -> Summed:
    """The table of rows of ``PRAGMA table_info``: (place, name, type, is not NULL, default, place in the key)."""
    own = [column for column in columns if column[1] != COLUMN]
    codes, numbers, texts, perhaps = "<", [], [], []
    for place, _, kind, is_filled, _, key in own:
        if not is_filled and not key:
            perhaps.append(place)
        elif kind == "TEXT":
            texts.append(place)
        else:
            numbers.append(place)
            codes += "q" if kind == "INTEGER" else "d"
    pack, numbers_of, texts_of = Struct(codes).pack, _getter(numbers), _getter(texts)
    only_text = texts[0] if len(texts) == 1 else None  # as of epochs, of which there are the most
    seed = crc32(name.encode())

    def checksum(row: Row) -> int:
        try:
            text = row[only_text] if only_text is not None else "\x1f".join(texts_of(row))
            if perhaps:
                text += "".join(f"\x1f{row[place]!a}" for place in perhaps)
            return crc32(text.encode(), crc32(pack(*numbers_of(row)), seed))
        except Exception as error:  # struct.error, TypeError, UnicodeEncodeError, OverflowError
            raise ValueError(
                f"a record of {name} has a value of another type than its column ({error})"
            ) from error

    return Summed(name, tuple(column[1] for column in own), checksum)


def _getter(places: Sequence[int]) -> Callable[[Row], tuple[Any, ...]]:
    """What takes the values in these places of a row, as a tuple however many there are."""
    if not places:
        return lambda row: ()
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)
