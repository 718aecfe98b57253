"""How the database is opened and kept honest: the pragmas, the checks, and SQLite's errors in our words.

A rollback journal with ``synchronous=EXTRA`` rather than WAL: SQLite before 3.44.6, 3.50.7 and 3.51.3 can corrupt a
WAL database that has two connections (sqlite.org/wal.html, "the WAL-reset bug"), and a sweep commits far too seldom to
notice the difference. Where SQLite can open the file nothing else here does: to close it again would take SQLite's
locks away (sqlite.org/howtocorrupt.html, 2.2). Knows SQL and nothing of what the rows mean.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from tunecli import failpoints
from tunecli.errors import (
    CHECK_THE_DISK,
    FREE_SPACE,
    DiskFull,
    StoreDamaged,
    StoreFailed,
    StoreTooNew,
    StudyLocked,
    UsageError,
    from_os_error,
)
from tunecli.store.checksums import first_wrong, migrate, summed_tables
from tunecli.store.files import has_room, write_atomically
from tunecli.store.schema import (
    APPLICATION_ID,
    CHECKSUMS_SINCE,
    LONG_TEXTS,
    SCHEMA_VERSION,
    require_strict_tables,
    tables_in,
    tables_of,
    version,
)

_BUSY_TIMEOUT_S = 20.0
_MAY_LEAVE_ITS_PAGE_BYTES = (
    500  # a row leaves its page of 4 KiB from 1,003 bytes on, and is hardly more than its text
)


def open_to_write(
    path: Path, examine: Callable[[sqlite3.Connection, bool], object] = lambda *_: None
) -> sqlite3.Connection:
    """The coordinator's connection. What a killed predecessor left half done is rolled back first.

    Every row is checked before anything is written. A database of an older tunecli is copied beside itself, as
    ``study.db.v1``, and then brought to today's tables in one transaction: killed anywhere, it is the one or the other.

    Args:
        path: the database.
        examine: reads the database, with today's tables, before anything is written, and raises where it must not be;
            is also told whether an older tunecli wrote it.

    Raises:
        StoreDamaged: found by reading all of it; nothing was written.
        StoreTooNew: a later tunecli wrote it.
        UsageError: it is not there, not writable, or a symbolic link.
        DiskFull, StoreFailed: the disk refuses the copy or the change.
    """
    with explaining(path):
        if path.is_symlink():
            # Whoever holds this folder's lock does not hold the other's.
            raise UsageError(f"{path} is a symbolic link", hint="put the database itself into the run folder")
        connection = _connect(path)
        try:
            _require_ours(connection, path)
            _require_sound(connection, path)
            is_older = version(connection) < SCHEMA_VERSION
            if not is_older:
                require_true(connection, path, summed_tables())
            with closing(_in_memory(connection, path)) if is_older else nullcontext(connection) as readable:
                examine(readable, is_older)
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            # Also where nothing is to be changed: a folder that cannot be written to is found now, not at trial 1.
            with transaction(connection, path):
                if version(connection) < SCHEMA_VERSION:
                    _keep_copy(connection, path)
                migrate(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError) and _forbids_what_its_folder_allows(error, path):
                raise damaged(path, "its header says that it is not to be written") from error
            raise
        return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A reader's connection: it never writes a row, waits while the coordinator commits, and works on read-only media.

    A writer that was killed leaves a hot journal, which whoever comes next must roll back, reader or not; so the
    connection may write to the file, though never through SQL. Where the file or its folder forbids that (or knows no
    locks), a private copy is recovered and read instead; and so is a copy where an older tunecli wrote it, brought to
    today's tables.

    Raises:
        StoreDamaged: found by reading all of it.
        StoreTooNew: a later tunecli wrote it.
        UsageError: it is not there, or not readable.
    """
    with explaining(path):
        connection = _connect(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            _require_ours(connection, path)
            if version(connection) < SCHEMA_VERSION:
                with closing(connection):
                    return _in_memory(connection, path)
            _require_sound(connection, path)
        except BaseException as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError) or _code(error) not in _CANNOT_RECOVER:
                raise
            return _connect_to_copy(path)
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All that the block writes becomes durable at its end, or none of it where anything raises.

    SQLite's roll-back after a failed sync is no second try of it: every page is written anew, from a journal that was
    synced before.

    Raises:
        DiskFull, StoreFailed: the disk refused the commit.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        try:
            failpoints.reach("commit begins")
            connection.execute("COMMIT")
            failpoints.reach("commit done")
        except OSError as error:
            raise from_os_error(error, path) from error
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite itself rolls back on the worst errors
            connection.execute("ROLLBACK")
        raise


def require_true(connection: sqlite3.Connection, path: Path, tables: Iterable[str]) -> None:
    """Make sure that every row of these tables is what was written, by its checksum.

    Raises:
        StoreDamaged: one is not.
    """
    for table in tables:
        if row := first_wrong(connection, table):
            raise damaged(path, f"the record `{row}` is not what was written (its checksum differs)")


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the database at ``path`` into the tree of `tunecli.errors`.

    Raises:
        DiskFull, StoreDamaged, StoreFailed, StudyLocked, UsageError: by SQLite's result code.
        ValueError: a record that contradicts the log (a number twice, an event of an unknown trial): a bug of ours.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ValueError(f"this contradicts the log {path}: {error}") from error
    except sqlite3.ProgrammingError:  # SQL misused, a connection that is closed: a bug, told as it is
        raise
    except sqlite3.DatabaseError as error:
        raise _from_sqlite_error(error, path) from error
    except (
        UnicodeDecodeError
    ) as error:  # SQLite quotes a damaged schema in its message, which Python cannot read
        raise damaged(path, "its tables are not described in text") from error


def damaged(path: Path, why: str) -> StoreDamaged:
    """The error for a database that is not what it should be."""
    return StoreDamaged(
        f"{path} is damaged: {why}",
        hint="results.csv holds the table so far; restore a copy of the run folder, or begin a new study",
    )


def _from_sqlite_error(error: sqlite3.DatabaseError, path: Path) -> Exception:
    code = _code(error)
    # SQLite keeps the errno to itself: a quota, or a limit on the size of files, looks like a disk that fails.
    if code == sqlite3.SQLITE_FULL or (code in _PERHAPS_NO_ROOM and not has_room(path)):
        return DiskFull(f"no room to write {path}: {error}", hint=FREE_SPACE)
    if code == sqlite3.SQLITE_BUSY:
        return StudyLocked(f"{path} is in use by another process", hint="wait for it; then try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return UsageError(
            f"cannot open or write {path}: {error}", hint="make the file and its folder writable"
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreFailed(f"cannot read or write {path}: {error}", hint=CHECK_THE_DISK)
    return damaged(path, str(error))


_CANNOT_RECOVER = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
_PERHAPS_NO_ROOM = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


def _forbids_what_its_folder_allows(error: sqlite3.OperationalError, path: Path) -> bool:
    is_forbidden = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY
    return is_forbidden and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF  # the low byte: a primary result code


def _connect(path: Path) -> sqlite3.Connection:
    require_strict_tables()
    try:
        is_there = path.is_file()
    except OSError as error:
        raise from_os_error(error, path, "read") from error
    if not is_there:
        raise UsageError(f"there is no {path}")
    uri = f"{path.absolute().as_uri()}?mode=rw"  # rw: open it or fail, never make one
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _connect_to_copy(path: Path) -> sqlite3.Connection:
    with tempfile.TemporaryDirectory(prefix="tunecli-") as folder:
        copy_path = Path(folder) / path.name
        try:
            shutil.copyfile(path, copy_path)
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}-journal", f"{copy_path}-journal")
        except OSError as error:
            raise from_os_error(error, path, "read") from error
        with closing(_connect(copy_path)) as copy:
            return _in_memory(copy, path)


def _in_memory(source: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """A private copy with today's tables, which changes nothing on disk."""
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        source.backup(memory)
        _require_ours(memory, path)
        _require_sound(memory, path)
        migrate(memory)
        memory.execute("PRAGMA query_only = ON")
    except BaseException:
        memory.close()
        raise
    return memory


def _keep_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Put the database as it is beside itself, unless it lies there already; what else lies there is left alone."""
    content = connection.serialize()
    copy_path = first_path = path.with_name(f"{path.name}.v{version(connection)}")
    n = 1
    while copy_path.is_symlink() or copy_path.exists():
        if _is_file_of(copy_path, content):
            return
        n += 1
        copy_path = first_path.with_name(f"{first_path.name}-{n}")
    write_atomically(copy_path, content)


def _is_file_of(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    found = version(connection)
    if application_id != APPLICATION_ID or found < 1:
        raise damaged(path, "it is not a database of tunecli's")
    if found > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} was written by a later tunecli (schema {found}; this one knows {SCHEMA_VERSION})",
            hint="upgrade tunecli",
        )
    if tables_in(connection) != tables_of(found):
        # One flipped bit makes a version an older one, and what is called so must not be migrated.
        raise damaged(path, f"its tables are not those of its version, {found}")


def _require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Check every page, and what SQLite does not look at: the texts that are too long for theirs."""
    # `quick_check` is hardly quicker here, where no table has an index, and misses a page that took another's place.
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise damaged(path, " ".join(str(answer).split()))
    if version(connection) >= CHECKSUMS_SINCE:
        if version(connection) < SCHEMA_VERSION:
            require_true(connection, path, summed_tables(version(connection)))
        return
    for table, column in LONG_TEXTS[version(connection) - 1]:
        is_long = f"length(CAST({column} AS BLOB)) > {_MAY_LEAVE_ITS_PAGE_BYTES}"
        broken = f"SELECT 1 FROM {table} WHERE {is_long} AND NOT json_valid({column}) LIMIT 1"
        if connection.execute(broken).fetchone():
            raise damaged(path, f"a record of {table} cannot be understood")
