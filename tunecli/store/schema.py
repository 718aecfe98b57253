"""The schema of ``study.db`` as migration steps: one step a version, each applied once, in order.

A new database takes all steps and an older one the missing steps, so both get the same tables. A released step is never
changed; a later change is a new step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache

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
    # An attempt that failed. It can fail before its start is recorded, so it need not have a row in `start`.
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
    # The schedule of a study whose trials pause: each step starts trial ``number``, or continues it.
    """
CREATE TABLE step (
    number INTEGER NOT NULL REFERENCES suggestion,
    step INTEGER NOT NULL CHECK (step >= 0),
    level INTEGER NOT NULL CHECK (level >= 0),
    until_epoch INTEGER CHECK (until_epoch >= 1),
    at TEXT NOT NULL,
    PRIMARY KEY (number, step)
) STRICT, WITHOUT ROWID""",
    # A step that ended in a pause, with the values that a result would have if the trial ended there.
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

_TABLES = (
    "study",
    "suggestion",
    "start",
    "epoch",
    "result",
    "session",
    "checkpoint",
    "setback",
    "step",
    "pause",
)
_EPOCH_OFFSETS_AND_CHECKSUMS = (
    "ALTER TABLE epoch ADD COLUMN epoch_offset INTEGER NOT NULL DEFAULT 0",
    # The last column of each table, because `checksums` appends the checksum to a row.
    *(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0" for table in _TABLES),
)

_CONFIRMATIONS = (
    # Trials that are trained again with fresh seeds. ``candidates`` and ``request`` are JSON.
    """
CREATE TABLE confirmation (
    id INTEGER PRIMARY KEY CHECK (id >= 1),
    candidates TEXT NOT NULL,
    request TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('seeds', 'splits')),
    n_trials INTEGER NOT NULL,
    at TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT""",
    # A run that was decided on. Its row is no suggestion: samplers and the ranked table do not see it.
    """
CREATE TABLE confirmed_run (
    confirmation INTEGER NOT NULL REFERENCES confirmation,
    number INTEGER NOT NULL REFERENCES suggestion,
    repeat INTEGER NOT NULL CHECK (repeat >= 0),
    stage TEXT NOT NULL CHECK (stage IN ('race', 'quote')),
    seed INTEGER NOT NULL,
    split_seed INTEGER,
    opening INTEGER NOT NULL CHECK (opening >= 0),
    at TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, repeat)
) STRICT, WITHOUT ROWID""",
    """
CREATE TABLE confirmed_result (
    number INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('complete', 'failed')),
    score TEXT NOT NULL,
    metrics TEXT NOT NULL,
    epochs INTEGER NOT NULL,
    kept_epoch INTEGER NOT NULL,
    seconds REAL NOT NULL,
    device TEXT NOT NULL,
    failure TEXT CHECK ((failure IS NOT NULL) = (state = 'failed')),
    at TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, repeat),
    FOREIGN KEY (number, repeat) REFERENCES confirmed_run
) STRICT, WITHOUT ROWID""",
)

_HOSTS = (
    # The machine of an attempt that ran on another one than the coordinator's. It is no column of ``start``, because
    # the checksum is the last column of each table.
    """
CREATE TABLE start_host (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, attempt),
    FOREIGN KEY (number, attempt) REFERENCES start
) STRICT, WITHOUT ROWID""",
    # The versions on a machine where they differ from those of the session. ``versions`` is JSON.
    """
CREATE TABLE host_versions (
    session INTEGER NOT NULL REFERENCES session,
    host TEXT NOT NULL,
    versions TEXT NOT NULL,
    at TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, host)
) STRICT, WITHOUT ROWID""",
)

_HOSTS_OF_FRESH_RUNS = (
    # The machine of a fresh run that ended on another one than the coordinator's, as in ``start_host``.
    """
CREATE TABLE confirmed_host (
    number INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    host TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, repeat),
    FOREIGN KEY (number, repeat) REFERENCES confirmed_result
) STRICT, WITHOUT ROWID""",
)

_STEPS = (
    _TRIALS_AND_RESULTS,
    _CHECKPOINTS_SETBACKS_AND_SESSIONS,
    _STEPS_AND_PAUSES,
    _EPOCH_OFFSETS_AND_CHECKSUMS,
    _CONFIRMATIONS,
    _HOSTS,
    _HOSTS_OF_FRESH_RUNS,
)

SCHEMA_VERSION = len(_STEPS)
CHECKSUMS_SINCE = 4
"""The first version in which every row has a checksum."""

_LONG_TEXTS = (
    ("study", "value"),
    ("suggestion", "parameters"),
    ("epoch", "metrics"),
    ("result", "metrics"),
    ("result", "failure"),
)
_MORE_LONG_TEXTS = (*_LONG_TEXTS, ("session", "versions"), ("setback", "failure"))
LONG_TEXTS = (_LONG_TEXTS, _MORE_LONG_TEXTS, (*_MORE_LONG_TEXTS, ("pause", "metrics")))
"""The columns whose JSON may be longer than a page, as (table, column), for each version without checksums."""


def take_steps(connection: sqlite3.Connection, n_steps: int = SCHEMA_VERSION) -> None:
    """Apply the missing steps to a database, up to ``n_steps``, in the caller's transaction."""
    for step in _STEPS[version(connection) : n_steps]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {n_steps}")


def version(connection: sqlite3.Connection) -> int:
    """The schema version of the database, which is the number of its steps."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables_in(connection: sqlite3.Connection) -> dict[str, str]:
    """The database's tables by name, each with its CREATE statement."""
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    return dict(connection.execute(query))


@cache
def tables_of(n_steps: int) -> Mapping[str, str]:
    """The tables after ``n_steps`` by name, each with its CREATE statement."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        take_steps(model, n_steps)
        return tables_in(model)


def require_strict_tables() -> None:
    """Check that SQLite supports STRICT tables.

    Raises:
        UsageError: this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < (3, 37):
        raise UsageError(f"this Python has SQLite {sqlite3.sqlite_version}; tunecli needs 3.37 or later")
