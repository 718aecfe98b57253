"""Opening and checking the database: the pragmas, the integrity checks, and the translation of SQLite's errors.

The database uses a rollback journal with ``synchronous=EXTRA`` and not WAL: SQLite before 3.44.6, 3.50.7 and 3.51.3 can
corrupt a WAL database that has two connections (sqlite.org/wal.html, "the WAL-reset bug"), and a sweep commits so
seldom that WAL would not be faster. This module opens the file only through SQLite, because closing another descriptor
of it would release SQLite's locks (sqlite.org/howtocorrupt.html, 2.2). It does not know the meaning of rows.
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
    TunecliError,
    UsageError,
    from_os_error,
)
from tunecli.store.checksums import checksummed_tables, first_damaged_row, migrate
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
_LONG_TEXT_BYTES = (
    500  # a row of more than 1,002 bytes leaves its page of 4 KiB, and is little longer than its text
)


def open_to_write(
    path: Path, examine: Callable[[sqlite3.Connection, bool], object] = lambda *_: None
) -> sqlite3.Connection:
    """Open the database for the coordinator; SQLite first rolls back an unfinished transaction of a killed one.

    Every row is checked before anything is written. A database of an older tunecli is copied to ``study.db.v1`` in the
    same folder, and then migrated in one transaction, so a kill at any time leaves the old schema or the new one.

    Args:
        path: the database.
        examine: called before anything is written, with a connection that has the current schema and with whether an
            older tunecli wrote the database; raises to cancel the opening.

    Raises:
        StoreDamaged: a check failed; nothing was written.
        StoreTooNew: a later tunecli wrote it.
        UsageError: it is missing, not writable, or a symbolic link.
        DiskFull, StoreFailed: the copy or the migration cannot be written.
    """
    with translated_errors(path):
        if path.is_symlink():
            # The lock of this run folder does not protect a database in another folder.
            raise UsageError(f"{path} is a symbolic link", hint="put the database itself into the run folder")
        connection = _connect(path)
        try:
            _require_ours(connection, path)
            _require_sound(connection, path)
            is_older = version(connection) < SCHEMA_VERSION
            if not is_older:
                require_checksums(connection, path, checksummed_tables())
            with closing(_in_memory(connection, path)) if is_older else nullcontext(connection) as readable:
                examine(readable, is_older)
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            # Also without a migration, so that a folder that cannot be written to is found now and not at trial 1.
            with transaction(connection, path):
                if version(connection) < SCHEMA_VERSION:
                    _keep_copy(connection, path)
                migrate(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError) and _is_read_only_by_its_header(error, path):
                raise damaged(path, "its header marks it as read-only") from error
            raise
        return connection


def open_to_read(path: Path, *, is_whole: bool = True) -> sqlite3.Connection:
    """Open the database for a reader, which waits while the coordinator commits, and works on read-only media.

    A killed writer leaves a hot journal, and the next process must roll it back, even a reader. So the connection can
    write to the file, but not through SQL. If the file or its folder is read-only, or the file system has no locks, the
    connection is to a recovered private copy; if an older tunecli wrote the database, to a migrated private copy.

    Args:
        path: the database.
        is_whole: check every page now. Otherwise only the pages and the rows that are read are checked, when they are.

    Raises:
        StoreDamaged: a check failed.
        StoreTooNew: a later tunecli wrote it.
        UsageError: it is missing or not readable.
    """
    with translated_errors(path):
        connection = _connect(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            _require_ours(connection, path)
            if version(connection) < SCHEMA_VERSION:
                with closing(connection):
                    return _in_memory(connection, path)
            if is_whole:
                _require_sound(connection, path)
        except BaseException as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError) or _code(error) not in _CANNOT_RECOVER:
                raise
            return _connect_to_copy(path)
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Commit the writes of the block at its end, durably; roll them back if it raises.

    SQLite's rollback after a failed fsync does not repeat that fsync: it writes every page anew, from a journal that
    was synced before.

    Raises:
        DiskFull, StoreFailed: the commit cannot be written.
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
        with suppress(sqlite3.Error):  # SQLite has already rolled back after some errors
            connection.execute("ROLLBACK")
        raise


def require_checksums(connection: sqlite3.Connection, path: Path, tables: Iterable[str]) -> None:
    """Check every row of these tables by its checksum.

    Raises:
        StoreDamaged: a checksum is wrong.
    """
    for table in tables:
        if row := first_damaged_row(connection, table):
            raise damaged(path, f"the checksum of the record `{row}` is wrong")


def is_of_another_program(path: Path) -> bool:
    """Whether another program wrote the database ``path``: it is readable, has tables, and lacks tunecli's mark.

    A missing, empty or damaged file counts as tunecli's.
    """
    try:
        with closing(_connect(path)) as connection:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            return application_id != APPLICATION_ID and bool(tables_in(connection))
    except (sqlite3.Error, UnicodeDecodeError, TunecliError):
        return False


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's errors about the database at ``path`` into those of `tunecli.errors`.

    Raises:
        DiskFull, StoreDamaged, StoreFailed, StudyLocked, UsageError: by SQLite's result code.
        ValueError: a record contradicts the log (a number twice, an event of an unknown trial), which is a bug.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ValueError(f"this contradicts the log {path}: {error}") from error
    except sqlite3.ProgrammingError:  # wrong SQL or a closed connection, which is a bug
        raise
    except sqlite3.DatabaseError as error:
        raise _from_sqlite_error(error, path) from error
    except (
        UnicodeDecodeError
    ) as error:  # SQLite quotes a damaged schema in a message that Python cannot decode
        raise damaged(path, "its schema is not text") from error


def damaged(path: Path, why: str) -> StoreDamaged:
    """The error for a damaged database, for the caller to raise."""
    return StoreDamaged(
        f"{path} is damaged: {why}",
        hint="results.csv holds the results so far; restore a copy of the run folder, or start a new study",
    )


def _from_sqlite_error(error: sqlite3.DatabaseError, path: Path) -> Exception:
    code = _code(error)
    # SQLite does not report the errno: a quota or a limit on the size of files looks like a failure of the disk.
    if code == sqlite3.SQLITE_FULL or (code in _PERHAPS_NO_ROOM and not has_room(path)):
        return DiskFull(f"no room to write {path}: {error}", hint=FREE_SPACE)
    if code == sqlite3.SQLITE_BUSY:
        return StudyLocked(f"another process uses {path}", hint="wait until it ends, then try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return UsageError(
            f"cannot open or write {path}: {error}", hint="make the file and its folder writable"
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreFailed(f"cannot read or write {path}: {error}", hint=CHECK_THE_DISK)
    return damaged(path, str(error))


_CANNOT_RECOVER = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
_PERHAPS_NO_ROOM = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


def _is_read_only_by_its_header(error: sqlite3.OperationalError, path: Path) -> bool:
    is_forbidden = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY
    effective = os.access in os.supports_effective_ids  # the rights with which files are opened
    return is_forbidden and all(
        os.access(place, os.W_OK, effective_ids=effective) for place in (path, path.parent)
    )


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
    uri = f"{path.absolute().as_uri()}?mode=rw"  # rw: fail if it is missing, do not create it
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
    """Copy the database into memory and migrate the copy; nothing on disk changes."""
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
    """Copy the unchanged database into its folder, unless a copy is there; never overwrite another file."""
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
    schema = version(connection)
    if application_id != APPLICATION_ID or schema < 1:
        raise damaged(path, "it is not a database of tunecli")
    if schema > SCHEMA_VERSION:
        raise StoreTooNew(
            f"a later tunecli wrote {path} (schema {schema}; this version reads up to {SCHEMA_VERSION})",
            hint="upgrade tunecli",
        )
    if tables_in(connection) != tables_of(schema):
        # One flipped bit can turn the version into an older one. Such a database must not be migrated.
        raise damaged(path, f"its tables do not match its schema version, {schema}")


def _require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Check every page, and the texts that are longer than a page, whose content SQLite does not check."""
    # `quick_check` is hardly faster, because no table has an index, and misses a page in another's place.
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise damaged(path, " ".join(str(answer).split()))
    if version(connection) >= CHECKSUMS_SINCE:
        if version(connection) < SCHEMA_VERSION:
            require_checksums(connection, path, checksummed_tables(version(connection)))
        return
    for table, column in LONG_TEXTS[version(connection) - 1]:
        is_long = f"length(CAST({column} AS BLOB)) > {_LONG_TEXT_BYTES}"
        broken = f"SELECT 1 FROM {table} WHERE {is_long} AND NOT json_valid({column}) LIMIT 1"
        if connection.execute(broken).fetchone():
            raise damaged(path, f"a record of {table} is not valid JSON")
