"""The event log: what was suggested, started, measured and how it ended, in the order of trial numbers.

Owns ``study.db``, the truth of a study. Rows are only ever added; where a trial stands is read off them. Every append
is durable when the call returns, so what is recorded can be acted on. Knows nothing of what parameters or metrics
mean. Keeps law 1 (the record is the state) and, with the lock, law 2 (one writer).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunecli.errors import UsageError
from tunecli.store.codec import decode, encode
from tunecli.store.connection import damaged, explaining, new_database, open_to_read, open_to_write
from tunecli.store.files import write_atomically
from tunecli.trial import Ended, EpochEnded, Failure, FailureKind, Outcome, Started, State, Trial

_STATE = """
coalesce(r.state, iif(EXISTS (SELECT 1 FROM start WHERE start.number = s.number), 'running', 'waiting'))
"""
_TRIALS = f"""
SELECT s.number, s.parameters, s.seed, {_STATE},
       r.score, r.metrics, r.epochs, r.kept_epoch, r.seconds, r.device, r.failure, r.weights_sha256
FROM suggestion AS s LEFT JOIN result AS r USING (number)
"""
_COUNTS = f"SELECT {_STATE}, count(*) FROM suggestion AS s LEFT JOIN result AS r USING (number) GROUP BY 1"
_EPOCHS = """
SELECT attempt, epoch, total_epochs, metrics, seconds FROM epoch
WHERE number = ?1 AND attempt = (SELECT max(attempt) FROM start WHERE number = ?1)
ORDER BY epoch
"""


class Log:
    """One study's log, open. Make it with `create`, `open` or `open_to_read`; close it, or use it in a ``with``.

    Every method raises `StoreDamaged` where the database cannot be read as what it should be; every method that writes
    raises also `DiskFull` where there is no room, and ValueError where the record would contradict the log: a number
    that is there already, an event of a trial nobody suggested or started.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, Any]) -> Self:
        """Begin the log of a new study with ``facts`` in it, and open it for the coordinator.

        The file appears whole: killed in the middle, there is none.

        Raises:
            UsageError: there is a file already, or its folder is read-only or missing.
            DiskFull: no room.
        """
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} is there already", hint="resume that study, or give this one another name"
            )
        rows = [(key, encode(value)) for key, value in facts.items()]
        write_atomically(path, new_database(rows))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the log for the coordinator, which must hold the study's lock; the database is checked first.

        Raises:
            StoreDamaged, StoreTooNew: nothing was written to it.
            UsageError: it is not there, or not writable.
            StudyLocked: something else writes to it.
        """
        return cls(open_to_write(path), path)

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open the log for reading, while a coordinator writes or on read-only media.

        Raises:
            StoreDamaged, StoreTooNew: it cannot be read.
            UsageError: it is not there.
        """
        return cls(open_to_read(path), path)

    def close(self) -> None:
        """Close the database; the log is of no use afterwards. Closing twice is harmless."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All the appends of the block, or none where it raises. A block inside a block is a part of the outer one."""
        with explaining(self.path):
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite itself rolls back on the worst errors
                    self._connection.execute("ROLLBACK")
                raise

    def append_suggestion(self, trial: Trial) -> None:
        """Record a suggestion: number, parameters and seed of ``trial``, before anybody runs it (law 7)."""
        self._append("suggestion", [(trial.number, encode(trial.parameters), trial.seed, _now())])

    def append_start(self, event: Started) -> None:
        """Record that an attempt at a trial began."""
        self._append("start", [(event.number, event.attempt, event.device, event.process_id, _now())])

    def append_epochs(self, events: Sequence[EpochEnded]) -> None:
        """Record epochs, of one trial or of many, in one transaction."""
        rows = [(e.number, e.attempt, e.epoch, e.total_epochs, encode(e.metrics), e.seconds) for e in events]
        self._append("epoch", rows)

    def append_result(self, event: Ended) -> None:
        """Record how a trial ended. Only complete, pruned and failed are ends, and a failure has its kind."""
        end = event.outcome
        row = (
            event.number,
            event.attempt,
            end.state,
            encode(end.score),
            encode(end.metrics),
            end.epochs,
            end.kept_epoch,
            end.seconds,
            end.device,
            encode(asdict(end.failure)) if end.failure else None,
            end.weights_sha256,
            _now(),
        )
        self._append("result", [row])

    def set_fact(self, key: str, value: Any) -> None:
        """Remember ``value``, anything JSON can hold, under ``key``; the one record that may be overwritten."""
        with self.atomic():
            self._connection.execute(
                "INSERT INTO study VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, encode(value)),
            )

    def facts(self) -> dict[str, Any]:
        """Everything the study remembers about itself."""
        with self._reading():
            return {
                key: decode(value) for key, value in self._connection.execute("SELECT key, value FROM study")
            }

    def trials(self) -> list[Trial]:
        """Every trial in the order of numbers, with where it stands.

        Waiting where nobody started it, running where it was started and has no result, else what its result says.
        """
        with self._reading():
            # All rows first: a slow reader must not hold the file while the coordinator wants to commit.
            rows = self._connection.execute(_TRIALS + "ORDER BY s.number").fetchall()
            return [_trial(row) for row in rows]

    def trial(self, number: int) -> Trial:
        """The trial of that number.

        Raises:
            UsageError: there is none.
        """
        with self._reading():
            row = self._connection.execute(_TRIALS + "WHERE s.number = ?", (number,)).fetchone()
            if row is not None:
                return _trial(row)
            (n_trials,) = self._connection.execute("SELECT count(*) FROM suggestion").fetchone()
        raise UsageError(f"there is no trial {number}", hint=f"the study has {n_trials} trials")

    def epochs(self, number: int) -> list[EpochEnded]:
        """The epochs recorded of the last attempt at trial ``number``, in order; empty where there are none."""
        with self._reading():
            return [
                EpochEnded(number, attempt, epoch, total_epochs, decode(metrics), seconds)
                for attempt, epoch, total_epochs, metrics, seconds in self._connection.execute(
                    _EPOCHS, (number,)
                )
            ]

    def attempts(self, number: int) -> int:
        """How often trial ``number`` was started; its next attempt is one more."""
        with self._reading():
            query = "SELECT coalesce(max(attempt), 0) FROM start WHERE number = ?"
            return int(self._connection.execute(query, (number,)).fetchone()[0])

    def counts(self) -> dict[State, int]:
        """How many trials stand where; every state is a key."""
        with self._reading():
            found = {State(state): int(n) for state, n in self._connection.execute(_COUNTS)}
        return {state: found.get(state, 0) for state in State}

    def _append(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        places = ", ".join("?" * len(rows[0]))
        with self.atomic():
            self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with explaining(self.path):
            try:
                yield
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise damaged(self.path, f"a record cannot be understood ({error})") from error


def _trial(row: tuple[Any, ...]) -> Trial:
    number, parameters, seed, state, score, metrics, epochs, kept_epoch, seconds, device, failure, weights = (
        row
    )
    outcome = None
    if score is not None:
        outcome = Outcome(
            state=State(state),
            score=decode(score),
            metrics=decode(metrics),
            epochs=epochs,
            kept_epoch=kept_epoch,
            seconds=seconds,
            device=device,
            failure=None if failure is None else _failure(decode(failure)),
            weights_sha256=weights,
        )
    return Trial(number, decode(parameters), seed, State(state), outcome)


def _failure(record: Mapping[str, str]) -> Failure:
    return Failure(FailureKind(record["kind"]), record["cause"], record["traceback"])


def _now() -> str:
    # For a person to read: order is by number and durations come from monotonic clocks, so clocks may jump.
    return datetime.now(UTC).isoformat(timespec="milliseconds")
