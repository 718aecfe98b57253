"""The tables of ``study.db``, as the steps that lead to them: one step a version, each applied once, in order.

A new database takes all of them and an older one those it lacks, so both end as the same tables by construction. A
step that was released is never changed: a later need is a later step. Knows SQL and nothing of files or of what rows
mean.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing

from tunecli.errors import UsageError

APPLICATION_ID = 0x74756E65  # "tune"

_TRIALS_AND_RESULTS = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
CREATE TABLE study (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    """
CREATE TABLE suggestion (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    parameters TEXT NOT NULL,
    seed INTEGER NOT NULL,
    at TEXT NOT NULL
) STRICT""",
    """
CREATE TABLE start (
    number INTEGER NOT NULL REFERENCES suggestion,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    device TEXT NOT NULL,
    process_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (number, attempt)
) STRICT, WITHOUT ROWID""",
    """
CREATE TABLE epoch (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    total_epochs INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (number, attempt, epoch),
    FOREIGN KEY (number, attempt) REFERENCES start
) STRICT, WITHOUT ROWID""",
    """
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
) STRICT""",
)

_CHECKPOINTS_SETBACKS_AND_SESSIONS = (
    """
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    host TEXT NOT NULL,
    process_id INTEGER NOT NULL,
    versions TEXT NOT NULL
) STRICT""",
    "ALTER TABLE start ADD COLUMN session INTEGER REFERENCES session",
    "ALTER TABLE start ADD COLUMN from_epoch INTEGER NOT NULL DEFAULT 0 CHECK (from_epoch >= 0)",
    """
CREATE TABLE checkpoint (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (number, attempt, epoch),
    FOREIGN KEY (number, attempt) REFERENCES start
) STRICT, WITHOUT ROWID""",
    # An attempt may fail before it says that it began, so it need not have a start.
    """
CREATE TABLE setback (
    number INTEGER NOT NULL REFERENCES suggestion,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    failure TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (number, attempt)
) STRICT, WITHOUT ROWID""",
)

_STEPS_AND_PAUSES = (
    # What is done next of a study whose trials pause: begin trial ``number``, or continue it.
    """
CREATE TABLE step (
    number INTEGER NOT NULL REFERENCES suggestion,
    step INTEGER NOT NULL CHECK (step >= 0),
    level INTEGER NOT NULL CHECK (level >= 0),
    until_epoch INTEGER CHECK (until_epoch >= 1),
    at TEXT NOT NULL,
    PRIMARY KEY (number, step)
) STRICT, WITHOUT ROWID""",
    # How a step ended that did not end its trial: with what a result would say of a trial that ends there.
    """
CREATE TABLE pause (
    number INTEGER NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    score TEXT NOT NULL,
    metrics TEXT NOT NULL,
    epochs INTEGER NOT NULL,
    kept_epoch INTEGER NOT NULL,
    seconds REAL NOT NULL,
    device TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (number, step),
    FOREIGN KEY (number, step) REFERENCES step
) STRICT, WITHOUT ROWID""",
)

_EPOCH_OFFSETS = ("ALTER TABLE epoch ADD COLUMN epoch_offset INTEGER NOT NULL DEFAULT 0",)

_STEPS = (_TRIALS_AND_RESULTS, _CHECKPOINTS_SETBACKS_AND_SESSIONS, _STEPS_AND_PAUSES, _EPOCH_OFFSETS)

SCHEMA_VERSION = len(_STEPS)
_NEW_TABLE = re.compile(r"CREATE TABLE (\w+)")

_LONG_TEXTS = (
    ("study", "value"),
    ("suggestion", "parameters"),
    ("epoch", "metrics"),
    ("result", "metrics"),
    ("result", "failure"),
)
_MORE_LONG_TEXTS = (*_LONG_TEXTS, ("session", "versions"), ("setback", "failure"))
_WITH_PAUSES = (*_MORE_LONG_TEXTS, ("pause", "metrics"))
LONG_TEXTS = (_LONG_TEXTS, _MORE_LONG_TEXTS, _WITH_PAUSES, _WITH_PAUSES)
"""For each version, the JSON that may be long enough to leave its page, by table and column."""


def new_database(facts: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a database with ``facts`` (keys and JSON) in it, to be put in place whole.

    So there is no moment, and no crash, with half a schema.

    Raises:
        UsageError: this Python's SQLite is too old.
    """
    require_strict_tables()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        migrate(memory)
        memory.executemany("INSERT INTO study VALUES (?, ?)", facts)
        return memory.serialize()


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that the database lacks; in one transaction with whatever else the caller has begun."""
    for step in _STEPS[version(connection) :]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def version(connection: sqlite3.Connection) -> int:
    """How many steps the database has taken."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables_of(n_steps: int) -> frozenset[str]:
    """The names of the tables that a database of so many steps has."""
    statements = (statement for step in _STEPS[:n_steps] for statement in step)
    return frozenset(name for statement in statements for name in _NEW_TABLE.findall(statement))


def require_strict_tables() -> None:
    """Make sure that SQLite knows the tables used here.

    Raises:
        UsageError: this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < (3, 37):
        raise UsageError(f"this Python has SQLite {sqlite3.sqlite_version}; tunecli needs 3.37 or later")
