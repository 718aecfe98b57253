"""How the database is opened, made and kept honest: the schema, the pragmas, and SQLite's errors in our words.

A rollback journal with ``synchronous=EXTRA`` rather than WAL: SQLite before 3.44.6, 3.50.7 and 3.51.3 can corrupt a
WAL database that has two connections (sqlite.org/wal.html, "the WAL-reset bug"), and a sweep commits far too seldom to
notice the difference. Knows SQL and nothing of what the rows mean.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tunecli.errors import DiskFull, StoreDamaged, StoreTooNew, StudyLocked, UsageError
from tunecli.store.files import explained

APPLICATION_ID = 0x74756E65  # "tune"
SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 20.0
_LITTLE_ROOM_BYTES = 1 << 20

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE study (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE suggestion (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    parameters TEXT NOT NULL,
    seed INTEGER NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE start (
    number INTEGER NOT NULL REFERENCES suggestion,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    device TEXT NOT NULL,
    process_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (number, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE epoch (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    total_epochs INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (number, attempt, epoch),
    FOREIGN KEY (number, attempt) REFERENCES start
) STRICT, WITHOUT ROWID;
CREATE TABLE result (
    number INTEGER PRIMARY KEY REFERENCES suggestion,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('complete', 'pruned', 'failed')),
    score TEXT NOT NULL,
    metrics TEXT NOT NULL,
    epochs INTEGER NOT NULL,
    kept_epoch INTEGER NOT NULL,
    seconds REAL NOT NULL,
    device TEXT NOT NULL,
    failure TEXT CHECK ((failure IS NOT NULL) = (state = 'failed')),
    weights_sha256 TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
"""


def new_database(facts: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a database with ``facts`` (keys and JSON) in it, to be put in place whole.

    So there is no moment, and no crash, with half a schema.

    Raises:
        UsageError: this Python's SQLite is too old.
    """
    _require_strict_tables()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        memory.executescript(_SCHEMA)
        memory.executemany("INSERT INTO study VALUES (?, ?)", facts)
        return memory.serialize()


def open_to_write(path: Path) -> sqlite3.Connection:
    """The coordinator's connection. What a killed predecessor left half done is rolled back first.

    Raises:
        StoreDamaged: found by ``quick_check``; nothing was written.
        StoreTooNew: a later tunecli wrote it.
        UsageError: it is not there, or not writable.
    """
    with explaining(path):
        connection = _connect(path)
        try:
            _require_ours(connection, path)
            _require_sound(connection, path)
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            # A write that changes nothing: a read-only folder is found now, not when trial 1 is recorded.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A reader's connection: it never writes a row, waits while the coordinator commits, and works on read-only media.

    A writer that was killed leaves a hot journal, which whoever comes next must roll back, reader or not; so the
    connection may write to the file, though never through SQL. Where the file or its folder forbids that (or knows no
    locks), a private copy is recovered and read instead.

    Raises:
        StoreDamaged: it cannot be read as what it should be.
        StoreTooNew: a later tunecli wrote it.
        UsageError: it is not there, or not readable.
    """
    with explaining(path):
        connection = _connect(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            _require_ours(connection, path)
        except BaseException as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError) or _code(error) not in _CANNOT_RECOVER:
                raise
            return _connect_to_copy(path)
        return connection


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the database at ``path`` into the tree of `tunecli.errors`.

    Raises:
        DiskFull, StoreDamaged, StudyLocked, UsageError: by SQLite's result code.
        ValueError: a record that contradicts the log (a number twice, an event of an unknown trial): a bug of ours.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ValueError(f"this contradicts the log {path}: {error}") from error
    except sqlite3.ProgrammingError:  # SQL misused, a connection that is closed: a bug, told as it is
        raise
    except sqlite3.DatabaseError as error:
        raise _explained(error, path) from error


def damaged(path: Path, why: str) -> StoreDamaged:
    """The error for a database that is not what it should be."""
    return StoreDamaged(
        f"{path} is damaged: {why}",
        hint="results.csv holds the table so far; restore a copy of the run folder, or begin a new study",
    )


def _explained(error: sqlite3.DatabaseError, path: Path) -> Exception:
    code = _code(error)
    # A write refused for a quota or a limit on file sizes arrives as IOERR_WRITE, without its errno.
    is_refused = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_WRITE
    if code == sqlite3.SQLITE_FULL or is_refused or (code in _PERHAPS_NO_ROOM and _has_no_room(path)):
        return DiskFull(
            f"no room to write {path}, or the disk refuses it ({error})", hint="free some space, then resume"
        )
    if code == sqlite3.SQLITE_BUSY:
        return StudyLocked(f"{path} is in use by another process", hint="wait for it; then try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return UsageError(
            f"cannot open or write {path}: {error}", hint="make the file and its folder writable"
        )
    if code == sqlite3.SQLITE_IOERR:
        return damaged(path, f"the disk failed while it was read or written ({error})")
    return damaged(path, str(error))


_CANNOT_RECOVER = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
_PERHAPS_NO_ROOM = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


def _has_no_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LITTLE_ROOM_BYTES
    except OSError:
        return False


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF  # the low byte: a primary result code


def _require_strict_tables() -> None:
    if sqlite3.sqlite_version_info < (3, 37):
        raise UsageError(f"this Python has SQLite {sqlite3.sqlite_version}; tunecli needs 3.37 or later")


def _connect(path: Path) -> sqlite3.Connection:
    _require_strict_tables()
    if not path.is_file():
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
            raise explained(error, path) from error
        with closing(_connect(copy_path)) as copy:
            memory = sqlite3.connect(":memory:", isolation_level=None)
            try:
                copy.backup(memory)
                _require_ours(memory, path)
            except BaseException:
                memory.close()
                raise
            return memory


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID or version < 1:
        raise damaged(path, "it is not a database of tunecli's")
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} was written by a later tunecli (schema {version}; this one knows {SCHEMA_VERSION})",
            hint="upgrade tunecli",
        )


def _require_sound(connection: sqlite3.Connection, path: Path) -> None:
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise damaged(path, " ".join(str(answer).split()))
