"""The event log: what was suggested, started, measured and how it ended, in the order of trial numbers.

Owns ``study.db``, the truth of a study. Rows are only ever added; where a trial stands is read off them. Every append
is durable when the call returns, so what is recorded can be acted on. Knows nothing of what parameters or metrics
mean. Keeps law 1 (the record is the state) and, with the lock, law 2 (one writer).
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunecli.errors import StoreFailed, UsageError
from tunecli.messages import Checkpointed, Ended, EpochEnded, Paused, Started
from tunecli.store import rows
from tunecli.store.checksums import new_database, with_checksums
from tunecli.store.connection import (
    damaged,
    explaining,
    open_to_read,
    open_to_write,
    require_true,
    transaction,
)
from tunecli.store.files import write_atomically
from tunecli.store.rows import decode, encode
from tunecli.trial import Checkpoint, FailedAttempt, Outcome, State, Step, Trial


class Log:
    """One study's log, open. Make it with `create`, `open` or `open_to_read`; close it, or use it in a ``with``.

    Every method raises `StoreDamaged` where the database cannot be read as what it should be; every method that writes
    raises also `DiskFull` where there is no room, `StoreFailed` where the disk refuses otherwise, and ValueError where
    the record would contradict the log: a number that is there already, an event of a trial nobody suggested or
    started. After `StoreFailed` nothing more is written, for a disk that failed once proves nothing by a second try:
    open the log anew, which checks all of it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path
        self._refusal: StoreFailed | None = None
        self._true: dict[str, int] = {}  # tables whose rows were checked, and of which commit of another's

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, Any]) -> Self:
        """Begin the log of a new study with ``facts`` in it, and open it for the coordinator.

        The file appears whole: killed in the middle, there is none.

        Raises:
            UsageError: there is a file already, or its folder is read-only or missing.
            DiskFull, StoreFailed: no room, or the disk refuses otherwise.
        """
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} is there already", hint="resume that study, or give this one another name"
            )
        write_atomically(path, new_database((key, encode(value)) for key, value in facts.items()))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, understand: Callable[[Mapping[str, Any]], object] = lambda _: None) -> Self:
        """Open the log for the coordinator, which must hold the study's lock; all of it is checked first.

        What an older tunecli wrote is copied beside itself and brought to today's tables.

        Args:
            path: the database.
            understand: is given the facts before anything is written, and raises where they cannot be used.

        Raises:
            StoreDamaged, StoreTooNew: nothing was written to it; or what ``understand`` raises.
            UsageError: it is not there, not writable, or a link.
            StudyLocked: something else writes to it.
            DiskFull, StoreFailed: the disk refuses to be written to.
        """

        def examine(connection: sqlite3.Connection, is_older: bool) -> None:
            log = cls(connection, path)
            if is_older:  # its rows had no checksums when they were written
                log._read_all()
            understand(log.facts())

        return cls(open_to_write(path, examine), path)

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
        if self._refusal is not None:
            raise StoreFailed(self._refusal.message, hint=self._refusal.hint)
        try:
            with explaining(self.path):
                if self._connection.in_transaction:
                    yield
                    return
                with transaction(self._connection, self.path):
                    yield
        except StoreFailed as refusal:
            self._refusal = refusal
            raise

    def append_session(self, versions: Mapping[str, str]) -> int:
        """Record that this process holds the study from now on, with what its results may depend on.

        Returns:
            The session's id, to be named by the attempts that start in it.
        """
        with self.atomic():
            [(session,)] = self._rows("SELECT coalesce(max(id), 0) + 1 FROM session")
            self._append("session", [(session, _now(), socket.gethostname(), os.getpid(), encode(versions))])
            return int(session)

    def append_suggestion(self, trial: Trial) -> None:
        """Record a suggestion: number, parameters and seed of ``trial``, before anybody runs it (law 7)."""
        self._append("suggestion", [(trial.number, encode(trial.parameters), trial.seed, _now())])

    def append_step(self, step: Step) -> None:
        """Record what is done next, before anybody does it (law 7): its trial is begun, or continued."""
        self._append("step", [(step.number, step.step, step.level, step.until_epoch, _now())])

    def append_pause(self, event: Paused, step: int) -> None:
        """Record that a step ended and its trial did not."""
        self._append("pause", [rows.of_pause(event, step, _now())])

    def append_start(self, event: Started, session: int | None = None) -> None:
        """Record that an attempt at a trial began, or goes on from where an earlier one came to."""
        number, attempt = event.number, event.attempt
        row = (number, attempt, event.device, event.process_id, _now(), session, event.from_epoch)
        self._append("start", [row])

    def append_checkpoint(self, event: Checkpointed) -> None:
        """Record where a trial can go on from; together with the epochs up to it, or those would be lost."""
        at = event.checkpoint
        self._append("checkpoint", [(event.number, event.attempt, at.epoch, at.name, at.sha256, _now())])

    def append_failed_attempt(self, setback: FailedAttempt) -> None:
        """Record that an attempt ended without ending its trial; it need not have started."""
        failure = encode(asdict(setback.failure))
        self._append("setback", [(setback.number, setback.attempt, failure, _now())])

    def append_epochs(self, events: Sequence[EpochEnded]) -> None:
        """Record epochs, of one trial or of many, in one transaction."""
        self._append("epoch", list(map(rows.of_epoch, events)))

    def append_result(self, event: Ended) -> None:
        """Record how a trial ended. Only complete, pruned and failed are ends, and a failure has its kind."""
        self._append("result", [rows.of_result(event, _now())])

    def set_fact(self, key: str, value: Any) -> None:
        """Remember ``value``, anything JSON can hold, under ``key``; the one record that may be overwritten."""
        with self.atomic():
            self._connection.executemany(
                "INSERT INTO study VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
                with_checksums("study", [(key, encode(value))]),
            )

    def facts(self) -> dict[str, Any]:
        """Everything the study remembers about itself."""
        with self._reading("study"):
            return {
                key: decode(value) for key, value in self._connection.execute("SELECT key, value FROM study")
            }

    def trials(self) -> list[Trial]:
        """Every trial in the order of numbers, with where it stands.

        Running where an attempt was started and nothing is recorded of its end, waiting where none was since the last
        that ended, else what the trial's result says; where it paused and was not continued, what its pause says.
        """
        with self._reading(*rows.TRIAL_TABLES):
            return rows.trials(self._rows(rows.ALL_TRIALS))

    def trial(self, number: int) -> Trial:
        """The trial of that number.

        Raises:
            UsageError: there is none.
        """
        with self._reading(*rows.TRIAL_TABLES):
            if found := rows.trials(self._rows(rows.ONE_TRIAL, number)):
                return found[0]
            [(n_trials,)] = self._rows("SELECT count(*) FROM suggestion")
        raise UsageError(f"there is no trial {number}", hint=f"the study has {n_trials} trials")

    def counts(self) -> dict[State, int]:
        """How many trials stand where; every state is a key."""
        with self._reading(*rows.TRIAL_TABLES):
            found = {State(state): int(n) for state, n in self._rows(rows.COUNTS)}
        return {state: found.get(state, 0) for state in State}

    def scores(self) -> list[tuple[int, float]]:
        """Number and score of every complete trial that has one, by number; much cheaper than its trial."""
        with self._reading("result"):
            return rows.scores(self._rows(rows.SCORES))

    def epochs(self, number: int) -> list[EpochEnded]:
        """The epochs of trial ``number``, in order, whichever attempt trained them; empty where there are none.

        An attempt that went on from an epoch keeps those up to it and replaces those after it.
        """
        return self.epochs_of([number])[number]

    def epochs_of(self, numbers: Iterable[int]) -> dict[int, list[EpochEnded]]:
        """The epochs of each of those trials, as :meth:`epochs` has them."""
        asked = list(dict.fromkeys(numbers))
        with self._reading("epoch", "start"):
            return rows.epochs(self._rows(rows.EPOCHS, encode(asked)), asked)

    def require_agreement(self, metric: str) -> None:
        """Make sure that each score is what its trial's metrics say of ``metric``, where they say it.

        Checksums tell nothing of rows that were damaged before an older database was migrated; this tells something.

        Raises:
            StoreDamaged: one is not.
        """
        with self._reading("result", "pause"):
            for number, score, value in (
                *self._rows(rows.DISAGREEING_RESULTS, metric),
                *self._rows(rows.DISAGREEING_PAUSES, metric),
            ):
                raise ValueError(f"trial {number} has the score {score} and the {metric} {value}")

    def steps(self) -> list[Step]:
        """What was done of a study whose trials pause, in order; empty where they do not."""
        with self._reading("step"):
            return rows.steps(self._rows(rows.STEPS))

    def pauses(self) -> dict[int, Outcome]:
        """By step, what its trial had come to when it paused there."""
        with self._reading("pause"):
            return rows.pauses(self._rows(rows.PAUSES))

    def attempts(self, number: int) -> int:
        """How often trial ``number`` was begun, as far as is known; its next attempt is one more."""
        with self._reading("start", "setback"):
            [(attempt,)] = self._rows(rows.ATTEMPTS, number)
            return int(attempt)

    def started(self, number: int) -> set[int]:
        """The attempts at trial ``number`` whose start is on record."""
        with self._reading("start"):
            return {int(attempt) for (attempt,) in self._rows(rows.STARTS, number)}

    def failed_attempts(self, number: int) -> list[FailedAttempt]:
        """The attempts at trial ``number`` that ended without ending it, in order."""
        with self._reading("setback"):
            return [
                FailedAttempt(number, attempt, rows.failure(failure))
                for number, attempt, failure in self._rows(rows.SETBACKS, number)
            ]

    def checkpoints(self, number: int) -> tuple[Checkpoint, ...]:
        """Where trial ``number`` can go on from, the newest first, two at most.

        What an attempt that started from an earlier epoch has passed over does not count.
        """
        with self._reading("checkpoint", "start"):
            return rows.checkpoints(self._rows(rows.CHECKPOINTS, number))

    def all_checkpoint_names(self) -> set[str]:
        """The names of :meth:`checkpoints` of every trial without a result: the files that may be needed."""
        with self._reading("checkpoint", "start", "result"):
            return rows.newest_names(self._rows(rows.CHECKPOINTS_OF_UNENDED))

    def sessions(self) -> list[Mapping[str, Any]]:
        """Each time that a process held the study, in order: ``id``, ``at``, ``host``, ``process_id``, ``versions``."""
        with self._reading("session"):
            return rows.sessions(self._rows(rows.SESSIONS))

    def sessions_of_results(self) -> dict[int, int]:
        """By trial, the session of the attempt that ended it; without those that are on record of none."""
        with self._reading("result", "start"):
            return dict(self._rows(rows.SESSIONS_OF_RESULTS))

    def _rows(self, query: str, *values: Any) -> list[rows.Row]:
        # All rows at once: a slow reader must not hold the file while the coordinator wants to commit.
        return self._connection.execute(query, values).fetchall()

    def _append(self, table: str, records: Sequence[rows.Row]) -> None:
        if not records:
            return
        places = ", ".join("?" * (1 + len(records[0])))
        with self.atomic():
            rows_to_write = with_checksums(table, records)
            self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows_to_write)

    def _read_all(self) -> None:
        """Make sure that all of it can be understood, as checksums tell where there are some."""
        numbers = [trial.number for trial in self.trials()]
        self.epochs_of(numbers), self.steps(), self.pauses(), self.sessions(), self.all_checkpoint_names()
        for number in numbers:
            self.failed_attempts(number)

    @contextmanager
    def _reading(self, *tables: str) -> Iterator[None]:
        with explaining(self.path):
            try:
                [(commit,)] = self._rows("PRAGMA data_version")  # of other connections: own rows are known
                unchecked = [table for table in tables if self._true.get(table) != commit]
                require_true(self._connection, self.path, unchecked)
                self._true |= dict.fromkeys(unchecked, int(commit))
                yield
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise damaged(self.path, f"a record cannot be understood ({error})") from error


def _now() -> str:
    # For a person to read: order is by number and durations come from monotonic clocks, so clocks may jump.
    return datetime.now(UTC).isoformat(timespec="milliseconds")
