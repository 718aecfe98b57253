"""A quick look at a study for the completion of command lines: its trials and metrics, with next to no imports.

It never waits for a writer, takes no lock, changes nothing and checks no checksum, so its answer serves as a
suggestion only.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

DATABASE_NAME = "study.db"

_N_ROWS = 20
_TRIALS = """
SELECT s.number, coalesce(r.state, ''), coalesce(r.score, '')
FROM suggestion AS s LEFT JOIN result AS r ON r.number = s.number ORDER BY s.number
"""
_METRICS = f"SELECT metrics FROM epoch ORDER BY number DESC, attempt DESC, epoch DESC LIMIT {_N_ROWS}"


class TrialGlance(NamedTuple):
    """A trial: its number, its state (empty until it ends) and its score (empty if it has none)."""

    number: int
    state: str
    score: str


def holds_study(folder: str | Path) -> bool:
    """Whether ``folder`` has a database. A folder that cannot be read, or whose name cannot exist, has none."""
    try:
        return stat.S_ISREG(os.lstat(os.path.join(folder, DATABASE_NAME)).st_mode)  # noqa: PTH118  # called per folder
    except (OSError, ValueError):
        return False


def trials_at_a_glance(folder: Path) -> list[TrialGlance]:
    """The trials by number; none if the database is damaged, locked or missing."""
    return [
        TrialGlance(number, state, "" if score == "null" or score[:1] in "{[" else score)
        for number, state, score in _rows(folder, _TRIALS)
    ]


def metrics_at_a_glance(folder: Path) -> list[str]:
    """The names of the metrics that the newest epochs have, in their order."""
    names: dict[str, None] = {}
    for (text,) in _rows(folder, _METRICS):
        names.update(dict.fromkeys(json.loads(text)))
    return [*names]


def _rows(folder: Path, query: str) -> Sequence[Any]:
    if not holds_study(folder):
        return []
    import sqlite3  # here, because most completions read no database

    try:
        return [*_read(folder / DATABASE_NAME, query)]
    except (sqlite3.Error, OSError, ValueError):
        return []


def _read(path: Path, query: str) -> Iterator[Any]:
    import sqlite3

    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=0)) as connection:
        yield from connection.execute(query).fetchall()
