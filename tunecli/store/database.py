"""The event log of a study: suggestions, starts, epochs, checkpoints and ends of trials.

It owns ``study.db``, which is the state of the study (record-is-the-state). Rows are only added, and a trial's state is
computed from them. Every append is durable when the call returns, so the caller can act on it (write-ahead). The
lock of the run folder makes sure that the log has one writer. It does not know the meaning of parameters or metrics.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunecli.errors import StoreFailed, UsageError
from tunecli.messages import Checkpointed, Ended, EpochEnded, Paused, Started
from tunecli.store import confirmation_rows, rows
from tunecli.store.checksums import new_database, with_checksums
from tunecli.store.connection import (
    damaged,
    open_to_read,
    open_to_write,
    require_checksums,
    transaction,
    translated_errors,
)
from tunecli.store.files import write_atomically
from tunecli.store.rows import decode, encode, now
from tunecli.trial import Checkpoint, Confirmation, FailedAttempt, Failure, FreshRun, Outcome, Step, Trial


class Log:
    """An open log, made by `create`, `open` or `open_to_read`. As a context manager, it closes itself at the end.

    Every method raises `StoreDamaged` if the database is damaged. A method that writes also raises `DiskFull`,
    `StoreFailed` for any other failure of the disk, and ValueError if the record would contradict the log: a second
    suggestion of a number, or an event of a trial that was not suggested or started. After `StoreFailed` every write
    raises it again: a later write that succeeds would not prove that the earlier ones are on the disk. Opening the log
    again checks all of it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path
        self._storage_error: StoreFailed | None = None
        self._checked: dict[str, int] = {}  # by checked table, the data version at which it was checked

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, Any]) -> Self:
        """Create the log of a new study, and open it for the coordinator.

        The file is written as a whole, so a kill leaves no partial log.

        Args:
            path: the new database.
            facts: the study's first facts, see :meth:`set_fact`.

        Raises:
            UsageError: the file exists, or its folder is read-only or missing.
            DiskFull, StoreFailed: the file cannot be written.
        """
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} exists already", hint="resume that study, or give this one another name"
            )
        write_atomically(path, new_database((key, encode(value)) for key, value in facts.items()))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, examine_facts: Callable[[Mapping[str, Any]], object] = lambda _: None) -> Self:
        """Check the whole log, and open it for the coordinator, which holds the study's lock.

        A log of an older tunecli is first copied to another file in the same folder, and then migrated.

        Args:
            path: the database.
            examine_facts: called with the facts before anything is written; raises if the study cannot be used.

        Raises:
            StoreDamaged, StoreTooNew: nothing was written. After an error of ``examine_facts``, nothing was either.
            UsageError: it is missing, not writable, or a link.
            StudyLocked: another program writes to it.
            DiskFull, StoreFailed: it cannot be written.
        """

        def examine(connection: sqlite3.Connection, is_older: bool) -> None:
            log = cls(connection, path)
            if is_older:  # its rows had no checksums when they were written
                log._read_all()
            examine_facts(log.facts())

        return cls(open_to_write(path, examine), path)

    @classmethod
    def open_to_read(cls, path: Path, *, is_whole: bool = True) -> Self:
        """Open the log for a reader; a coordinator may write at the same time, and the disk may be read-only.

        Unless ``is_whole``, only the tables that are read are checked, which is faster.

        Raises:
            StoreDamaged, StoreTooNew: it cannot be read.
            UsageError: it is missing.
        """
        return cls(open_to_read(path, is_whole=is_whole), path)

    def close(self) -> None:
        """Close the database. A second call has no effect."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Write the appends of the block in one transaction, or none if it raises; a nested block joins the outer."""
        if self._storage_error is not None:
            raise StoreFailed(self._storage_error.message, hint=self._storage_error.hint)
        try:
            with translated_errors(self.path):
                if self._connection.in_transaction:
                    yield
                    return
                with transaction(self._connection, self.path):
                    yield
        except StoreFailed as error:
            self._storage_error = error
            raise

    def append_session(self, versions: Mapping[str, str]) -> int:
        """Record that this process runs the study from now on.

        Args:
            versions: versions of software and hardware on which results can depend, by name.

        Returns:
            The session's id, which the starts of its attempts refer to.
        """
        with self.atomic():
            [(session,)] = self._rows("SELECT coalesce(max(id), 0) + 1 FROM session")
            self._append("session", [(session, now(), socket.gethostname(), os.getpid(), encode(versions))])
            return int(session)

    def append_suggestion(self, trial: Trial) -> None:
        """Record the number, parameters and seed of a trial before it runs (write-ahead)."""
        self._append("suggestion", [(trial.number, encode(trial.parameters), trial.seed, now())])

    def append_step(self, step: Step) -> None:
        """Record the next step before its trial is started or continued (write-ahead)."""
        self._append("step", [(step.number, step.step, step.rung, step.until_epoch, now())])

    def append_pause(self, event: Paused, step: int) -> None:
        """Record that a trial paused at the end of ``step``."""
        self._append("pause", [rows.of_pause(event, step, now())])

    def append_start(self, event: Started, session: int | None = None) -> None:
        """Record that an attempt started, or continues from an earlier attempt's checkpoint."""
        with self.atomic():
            self._append("start", [rows.of_start(event, session, now())])
            self._append("start_host", [(event.number, event.attempt, event.host)] if event.host else [])

    def append_host(self, session: int, host: str, versions: Mapping[str, str]) -> None:
        """Record the versions on a machine of a session, where they differ from those of the session."""
        self._append("host_versions", [(session, host, encode(versions), now())])

    def append_checkpoint(self, event: Checkpointed) -> None:
        """Record a checkpoint; its epochs must be recorded before it or in the same transaction."""
        self._append("checkpoint", [rows.of_checkpoint(event, now())])

    def append_failed_attempt(self, failed: FailedAttempt) -> None:
        """Record an attempt that failed, or that was ended although it could have gone on; see `FailedAttempt`.

        The attempt need not have a recorded start.
        """
        self._append("setback", [rows.of_failed_attempt(failed, now())])

    def append_epochs(self, events: Sequence[EpochEnded]) -> None:
        """Record epochs of one or several trials in one transaction."""
        self._append("epoch", list(map(rows.of_epoch, events)))

    def append_result(self, event: Ended) -> None:
        """Record the end of a trial; its state is complete, pruned or failed."""
        self._append("result", [rows.of_result(event, now())])

    def append_confirmation(self, confirmation: Confirmation) -> None:
        """Record a confirmation before its first run is recorded (write-ahead)."""
        self._append("confirmation", [confirmation_rows.of_confirmation(confirmation, now())])

    def append_fresh_runs(self, runs: Sequence[FreshRun]) -> None:
        """Record fresh runs before they run (write-ahead); their outcomes are ignored."""
        self._append("confirmed_run", [confirmation_rows.of_run(run, now()) for run in runs])

    def append_fresh_results(self, runs: Sequence[FreshRun]) -> None:
        """Record the outcomes of fresh runs that have ended, and the machines of those that ended elsewhere."""
        with self.atomic():
            self._append("confirmed_result", [confirmation_rows.of_end(run, now()) for run in runs])
            hosts = [confirmation_rows.of_host(run) for run in runs if run.host]
            self._append("confirmed_host", hosts)

    def set_fact(self, key: str, value: Any) -> None:
        """Record a fact of the study under ``key``, any JSON value. Only facts can be overwritten."""
        with self.atomic():
            self._connection.executemany(
                "INSERT INTO study VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
                with_checksums("study", [(key, encode(value))]),
            )

    def facts(self) -> dict[str, Any]:
        """All facts of the study by key."""
        with self._reading("study"):
            return {key: decode(value) for key, value in self._rows("SELECT key, value FROM study")}

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers, each with its state.

        A trial with a result has the state of the result. A trial whose last step ended in a pause is paused, with the
        outcome at that pause. A trial whose last attempt started and has not ended is running. Any other trial is
        waiting.
        """
        with self._reading(*rows.TRIAL_TABLES):
            return rows.trials(self._rows(rows.ALL_TRIALS))

    def trial(self, number: int) -> Trial:
        """The trial ``number``.

        Raises:
            UsageError: the study has no such trial.
        """
        with self._reading(*rows.TRIAL_TABLES):
            if trials := rows.trials(self._rows(rows.ONE_TRIAL, number)):
                return trials[0]
            [(n_trials,)] = self._rows("SELECT count(*) FROM suggestion")
        raise UsageError(f"there is no trial {number}", hint=f"the study has {n_trials} trials")

    def counts(self) -> rows.Counts:
        """The number of trials in each state, 0 included."""
        with self._reading(*rows.TRIAL_TABLES):
            return rows.counts(self._rows(rows.COUNTS))

    def scores(self) -> list[tuple[int, float]]:
        """Number and score of every complete trial with a score, in order; much faster than :meth:`trials`."""
        with self._reading("result"):
            return rows.scores(self._rows(rows.SCORES))

    def epochs(self, number: int) -> list[EpochEnded]:
        """The epochs of trial ``number`` in order, from all its attempts.

        An attempt that continued from an epoch keeps the epochs up to it, and replaces the later ones.
        """
        return self.epochs_of([number])[number]

    def epochs_of(self, numbers: Iterable[int]) -> dict[int, list[EpochEnded]]:
        """The epochs of each of the trials by number, as :meth:`epochs` returns them."""
        unique = list(dict.fromkeys(numbers))
        with self._reading("epoch", "start"):
            return rows.epochs(self._rows(rows.EPOCHS, encode(unique)), unique)

    def require_agreement(self, metric: str) -> None:
        """Check that each score equals its trial's value of ``metric``, where the trial has one.

        This can find rows that were damaged before the migration of an older database. Their checksums are valid,
        because the migration computed them from the damaged rows.

        Raises:
            StoreDamaged: a score differs.
        """
        with self._reading("result", "pause"):
            for number, score, value in (
                *self._rows(rows.DISAGREEING_RESULTS, metric),
                *self._rows(rows.DISAGREEING_PAUSES, metric),
            ):
                raise ValueError(f"trial {number} has the score {score} and the {metric} {value}")

    def steps(self) -> list[Step]:
        """The steps of a study whose trials pause, in order; empty for other studies."""
        with self._reading("step"):
            return rows.steps(self._rows(rows.STEPS))

    def pauses(self) -> dict[int, Outcome]:
        """The outcome at each pause, by the step that ended there."""
        with self._reading("pause"):
            return rows.pauses(self._rows(rows.PAUSES))

    def attempts(self, number: int) -> int:
        """The number of the last recorded attempt at trial ``number``; 0 if there is none."""
        with self._reading("start", "setback"):
            [(attempt,)] = self._rows(rows.ATTEMPTS, number)
            return int(attempt)

    def started(self, number: int) -> set[int]:
        """The attempts at trial ``number`` whose start is recorded."""
        with self._reading("start"):
            return {int(attempt) for (attempt,) in self._rows(rows.STARTS, number)}

    def progress(self) -> rows.Progress:
        """The trials that run, when trials ended, and the failures by kind."""
        with self._reading(*rows.TRIAL_TABLES):
            return rows.progress(self._rows)

    def failed_attempts(self, number: int) -> list[FailedAttempt]:
        """The attempts at trial ``number`` that failed and did not end it, in order."""
        with self._reading("setback"):
            return rows.failed_attempts(self._rows(rows.SETBACKS, number))

    def ended_by(self, number: int) -> Failure | None:
        """The limit or the person that ended trial ``number``; None: it ended by itself, or has not ended."""
        return self.ended_early(number).get(number)

    def ended_early(self, number: int | None = None) -> dict[int, Failure]:
        """By number, the limit or the person that ended a trial which could have gone on; or of trial ``number`` alone.

        It is on record as a failed attempt with the number of the attempt that gave the trial's result.
        """
        with self._reading("setback", "result"):
            return {key: rows.failure(text) for key, text in self._rows(rows.ENDED_EARLY, number)}

    def checkpoints(self, number: int) -> tuple[Checkpoint, ...]:
        """The newest checkpoints of trial ``number``, at most two, the newest first.

        Checkpoints after the epoch from which a later attempt continued are left out.
        """
        with self._reading("checkpoint", "start"):
            return rows.checkpoints(self._rows(rows.CHECKPOINTS, number))

    def all_checkpoint_names(self) -> set[str]:
        """The file names of :meth:`checkpoints` of every trial without a result: the files that a resume may need."""
        with self._reading("checkpoint", "start", "result"):
            return rows.newest_names(self._rows(rows.CHECKPOINTS_OF_UNENDED))

    def confirmations(self) -> list[Confirmation]:
        """The confirmations, by id."""
        with self._reading("confirmation"):
            return confirmation_rows.confirmations(self._rows(confirmation_rows.CONFIRMATIONS))

    def fresh_runs(self) -> list[FreshRun]:
        """The fresh runs of all confirmations, by confirmation, repeat and trial."""
        with self._reading("confirmed_run", "confirmed_result", "confirmed_host"):
            return confirmation_rows.fresh_runs(self._rows(confirmation_rows.FRESH_RUNS))

    def sessions(self) -> list[Mapping[str, Any]]:
        """The sessions in order, each with ``id``, ``at``, ``host``, ``process_id`` and ``versions``."""
        with self._reading("session"):
            return rows.sessions(self._rows(rows.SESSIONS))

    def sessions_of_results(self) -> dict[int, int]:
        """The session in which each trial ended, by number; trials without a recorded session are left out."""
        with self._reading("result", "start"):
            return dict(self._rows(rows.SESSIONS_OF_RESULTS))

    def hosts(self) -> dict[int, str]:
        """The machine of each trial's last attempt, by number, unless it was the coordinator's."""
        with self._reading("start", "start_host"):
            return dict(self._rows(rows.HOSTS))

    def host_versions(self) -> list[tuple[int, str, Mapping[str, str]]]:
        """The session, the machine and its versions, for machines whose versions differ from the session's."""
        with self._reading("host_versions"):
            return [(session, host, decode(text)) for session, host, text in self._rows(rows.HOST_VERSIONS)]

    def _rows(self, query: str, value: Any = None) -> list[rows.Row]:
        """The rows of a query with at most one parameter, ``:value``."""
        # All rows at once: a slow reader must not lock the file while the coordinator wants to commit.
        return self._connection.execute(query, {"value": value}).fetchall()

    def _append(self, table: str, records: Sequence[rows.Row]) -> None:
        if not records:
            return
        places = ", ".join("?" * (1 + len(records[0])))
        with self.atomic():
            rows_to_write = with_checksums(table, records)
            self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows_to_write)

    def _read_all(self) -> None:
        """Decode every record of a database without checksums, so that a malformed record raises now."""
        numbers = [trial.number for trial in self.trials()]
        self.epochs_of(numbers), self.steps(), self.pauses(), self.sessions(), self.all_checkpoint_names()
        for number in numbers:
            self.failed_attempts(number)

    @contextmanager
    def _reading(self, *tables: str) -> Iterator[None]:
        with translated_errors(self.path):
            try:
                # Changes with commits of other connections only.
                [(commit,)] = self._rows("PRAGMA data_version")
                unchecked = [table for table in tables if self._checked.get(table) != commit]
                require_checksums(self._connection, self.path, unchecked)
                self._checked |= dict.fromkeys(unchecked, int(commit))
                yield
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise damaged(self.path, f"a record is malformed ({error})") from error
