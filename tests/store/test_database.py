from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.log_records import (
    begin,
    checkpointed,
    complete,
    epoch,
    everything,
    failed,
    filled,
    setback,
    trial,
)
from tunecli.errors import StudyLocked, UsageError
from tunecli.messages import Ended, EpochEnded
from tunecli.store import connection, rows
from tunecli.store.database import Log
from tunecli.trial import Checkpoint, Failure, FailureKind, Outcome, State, Trial

TEXT = st.text(st.characters(), max_size=20)  # lone surrogates and NUL too
REAL = st.floats()
METRICS = st.dictionaries(TEXT, REAL, max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | REAL | TEXT
PARAMETERS = st.dictionaries(TEXT, SCALARS, max_size=4)
COUNTS = st.integers(0, 10**6)
SECONDS = st.floats(0, 1e9)
FAILURES = st.builds(Failure, st.sampled_from(FailureKind), TEXT, TEXT)
DEVICES = st.sampled_from(["cpu", "cuda:0"])


def outcomes() -> st.SearchStrategy[Outcome]:
    facts: dict[str, st.SearchStrategy[Any]] = {
        "metrics": METRICS,
        "epochs": COUNTS,
        "kept_epoch": COUNTS,
        "seconds": SECONDS,
        "device": DEVICES,
        "weights_sha256": st.sampled_from(["", "ab" * 32]),
    }
    ended = st.builds(Outcome, st.sampled_from([State.COMPLETE, State.PRUNED]), st.none() | REAL, **facts)
    failed = st.builds(Outcome, st.just(State.FAILED), st.none() | REAL, failure=FAILURES, **facts)
    return ended | failed


class TestRoundTrip:
    @given(
        st.lists(st.tuples(PARAMETERS, st.integers(0, 2**63 - 1), st.none() | outcomes()), max_size=4),
        st.lists(METRICS, max_size=4),
        st.dictionaries(TEXT.filter(str.isprintable), SCALARS, max_size=3),
    )
    def test_a_reopened_log_returns_all_that_was_appended(
        self,
        rows: list[tuple[dict[str, Any], int, Outcome | None]],
        curve: list[dict[str, float]],
        facts: dict[str, Any],
    ) -> None:
        expected = [
            Trial(number, parameters, seed, outcome.state if outcome else State.WAITING, outcome)
            for number, (parameters, seed, outcome) in enumerate(rows)
        ]
        epochs = [
            EpochEnded(0, 1, i, len(curve), metrics, 0.5 * i) for i, metrics in enumerate(curve, start=1)
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.db"
            with Log.create(path, facts) as log, log.atomic():
                for row in expected:
                    log.append_suggestion(Trial(row.number, row.parameters, row.seed))
                    begin(log, row.number)
                    if row.outcome:
                        log.append_result(Ended(row.number, 1, row.outcome))
                if expected:
                    log.append_epochs(epochs)
            expected = [replace(t, state=State.RUNNING) if t.outcome is None else t for t in expected]
            with Log.open_to_read(path) as log:
                # repr distinguishes NaN from None, 1 from True and 0.0 from -0.0, unlike ==; it keeps the order of maps
                assert repr(log.trials()) == repr(expected)
                assert [repr(log.trial(t.number)) for t in expected] == [repr(t) for t in expected]
                assert repr(sorted(log.facts().items())) == repr(sorted(facts.items()))
                if expected:
                    assert repr(log.epochs(0)) == repr(epochs)

    def test_a_score_of_nan_is_restored_as_nan(self, log: Log) -> None:
        for number, score in enumerate([math.nan, math.inf, -math.inf]):
            log.append_suggestion(trial(number))
            log.append_result(complete(number, score))
        scores = [t.outcome.score for t in log.trials() if t.outcome]
        assert repr(scores) == "[nan, inf, -inf]"


class TestStates:
    def test_a_trial_is_waiting_then_running_then_has_the_state_of_its_result(self, log: Log) -> None:
        for number in range(5):
            log.append_suggestion(trial(number))
        for number in range(1, 5):
            begin(log, number)
        failure = Failure(FailureKind.OOM, "no memory", "Traceback …")
        log.append_result(complete(2))
        log.append_result(Ended(3, 1, Outcome(State.PRUNED, 0.7)))
        log.append_result(Ended(4, 1, Outcome(State.FAILED, failure=failure)))
        states = [State.WAITING, State.RUNNING, State.COMPLETE, State.PRUNED, State.FAILED]
        assert [t.state for t in log.trials()] == states
        assert log.counts() == {**dict.fromkeys(states, 1), State.PAUSED: 0}
        assert log.trial(4).outcome == Outcome(State.FAILED, failure=failure)

    def test_a_trial_can_fail_without_having_started(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        log.append_result(
            Ended(0, 1, Outcome(State.FAILED, failure=Failure(FailureKind.LOST, "the node went away")))
        )
        assert log.trial(0).state is State.FAILED

    def test_trials_are_ordered_by_number(self, log: Log) -> None:
        for number in (2, 0, 1):
            log.append_suggestion(trial(number))
        assert [t.number for t in log.trials()] == [0, 1, 2]

    def test_an_empty_study_counts_zero_for_every_state(self, log: Log) -> None:
        assert log.trials() == []
        assert log.counts() == dict.fromkeys(State, 0)

    def test_an_unknown_trial_number_is_a_usage_error(self, log: Log) -> None:
        with pytest.raises(UsageError, match="no trial 3"):
            log.trial(3)

    def test_a_fact_can_be_overwritten(self, log: Log) -> None:
        log.set_fact("lookahead", 4)
        log.set_fact("seed", {"any": ["json", None, math.inf]})
        assert log.facts() == {"lookahead": 4, "seed": {"any": ["json", None, math.inf]}}


class TestAttempts:
    def test_an_attempt_from_the_start_replaces_all_epochs(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        assert log.attempts(0) == 0
        begin(log, 0, 1)
        log.append_epochs([epoch(0, 1), epoch(0, 2)])
        assert [e.epoch for e in log.epochs(0)] == [1, 2]
        begin(log, 0, 2)
        assert log.epochs(0) == []
        log.append_epochs([epoch(0, 1, attempt=2, loss=0.1)])
        assert log.epochs(0) == [epoch(0, 1, attempt=2, loss=0.1)]
        assert log.attempts(0) == 2

    def test_a_continued_attempt_keeps_earlier_epochs_and_replaces_later_ones(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        begin(log, 0, 1)
        log.append_epochs([epoch(0, i) for i in range(1, 6)])
        begin(log, 0, 2, from_epoch=3)
        assert log.epochs(0) == [epoch(0, 1), epoch(0, 2), epoch(0, 3)]
        log.append_epochs([epoch(0, 4, attempt=2, loss=0.4)])
        assert log.epochs(0) == [epoch(0, 1), epoch(0, 2), epoch(0, 3), epoch(0, 4, 2, 0.4)]
        begin(log, 0, 3, from_epoch=1)
        log.append_epochs([epoch(0, 2, attempt=3)])
        assert log.epochs(0) == [epoch(0, 1), epoch(0, 2, 3)]

    @given(
        st.lists(
            st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=5), max_size=4
        )
    )
    def test_epochs_equal_a_list_that_each_attempt_truncates_at_its_start(
        self, trials: list[list[tuple[int, int]]]
    ) -> None:
        courses: dict[int, list[EpochEnded]] = {}
        checkpoints: dict[int, list[Checkpoint]] = {}
        with tempfile.TemporaryDirectory() as folder, Log.create(Path(folder) / "study.db", {}) as log:
            with log.atomic():
                for number, attempts in enumerate(trials):
                    log.append_suggestion(trial(number))
                    course: list[EpochEnded] = []
                    kept: list[Checkpoint] = []
                    for attempt, (wanted, n_epochs) in enumerate(attempts, start=1):
                        from_epoch = min(wanted, len(course))
                        begin(log, number, attempt, from_epoch)
                        own = [epoch(number, from_epoch + i, attempt, 1 / i) for i in range(1, n_epochs + 1)]
                        log.append_epochs(own)
                        course = course[:from_epoch] + own
                        events = [checkpointed(number, each.epoch, attempt) for each in own if each.epoch % 2]
                        for event in events:
                            log.append_checkpoint(event)
                        kept = [each for each in kept if each.epoch <= from_epoch]
                        kept += [event.checkpoint for event in events]
                    courses[number], checkpoints[number] = course, kept
            assert log.epochs_of(courses) == courses
            assert [log.epochs(number) for number in courses] == list(courses.values())
            newest = {number: tuple(kept[:-3:-1]) for number, kept in checkpoints.items()}
            assert {number: log.checkpoints(number) for number in courses} == newest
            assert log.all_checkpoint_names() == {each.name for kept in newest.values() for each in kept}

    def test_epochs_of_several_trials_are_read_at_once_and_may_be_empty(self, log: Log) -> None:
        for number in range(3):
            log.append_suggestion(trial(number))
            begin(log, number)
        log.append_epochs([epoch(0, 1), epoch(2, 1)])
        assert log.epochs_of([2, 1, 2, 99]) == {2: [epoch(2, 1)], 1: [], 99: []}
        assert log.epochs_of([]) == {}

    def test_a_failed_attempt_leaves_its_trial_waiting_until_the_next_starts(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        for attempt in (1, 2):
            begin(log, 0, attempt)
            assert log.trial(0).state is State.RUNNING
            log.append_failed_attempt(setback(0, attempt))
            assert log.trial(0).state is State.WAITING
            assert log.counts()[State.WAITING] == 1
        log.append_result(complete(0, attempt=2))
        assert log.trial(0).state is State.COMPLETE
        assert log.failed_attempts(0) == [setback(0, 1), setback(0, 2)]

    def test_an_attempt_that_failed_before_its_start_is_counted(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        log.append_failed_attempt(setback(0, 1, FailureKind.LOST, "the node went away"))
        assert log.trial(0).state is State.WAITING
        assert log.attempts(0) == 1
        begin(log, 0, 2)
        assert log.trial(0).state is State.RUNNING
        assert log.failed_attempts(0) == [setback(0, 1, FailureKind.LOST, "the node went away")]

    def test_the_newest_two_checkpoints_of_an_unfinished_trial_are_returned(self, log: Log) -> None:
        for number in range(3):
            log.append_suggestion(trial(number))
            begin(log, number)
        for number, at in ((0, 2), (0, 4), (0, 6), (1, 3), (2, 5)):
            log.append_checkpoint(checkpointed(number, at))
        log.append_result(complete(2))
        assert log.checkpoints(0) == (checkpointed(0, 6).checkpoint, checkpointed(0, 4).checkpoint)
        assert log.checkpoints(1) == (checkpointed(1, 3).checkpoint,)
        needed = [checkpointed(0, 6), checkpointed(0, 4), checkpointed(1, 3)]
        assert log.all_checkpoint_names() == {event.checkpoint.name for event in needed}

    def test_a_checkpoint_after_a_later_attempts_start_is_left_out(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        begin(log, 0, 1)
        for at in (2, 4):
            log.append_checkpoint(checkpointed(0, at))
        begin(log, 0, 2, from_epoch=2)
        assert log.checkpoints(0) == (checkpointed(0, 2).checkpoint,)
        log.append_checkpoint(checkpointed(0, 4, attempt=2))
        assert log.checkpoints(0) == (checkpointed(0, 4, 2).checkpoint, checkpointed(0, 2).checkpoint)


class TestSessions:
    def test_sessions_are_returned_with_their_versions(self, log: Log) -> None:
        versions = {"tunecli": "0.1.0", "torch": "2.13.0"}
        assert [log.append_session(versions), log.append_session({})] == [1, 2]
        first, second = log.sessions()
        assert first["versions"] == versions
        assert (second["id"], second["host"], second["process_id"]) == (2, socket.gethostname(), os.getpid())
        assert datetime.fromisoformat(first["at"]) <= datetime.fromisoformat(second["at"])

    def test_a_result_belongs_to_the_session_of_its_last_attempt(self, log: Log) -> None:
        first, second = log.append_session({}), log.append_session({})
        for number in range(5):
            log.append_suggestion(trial(number))
        begin(log, 0, session=first)
        log.append_result(complete(0))
        begin(log, 1, session=first)
        begin(log, 1, 2, session=second)
        log.append_result(complete(1, attempt=2))
        begin(log, 2)
        log.append_result(complete(2))
        begin(log, 3, session=first)
        log.append_result(failed(4))
        assert log.sessions_of_results() == {0: first, 1: second}

    def test_a_start_in_an_unknown_session_contradicts_the_log(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        with pytest.raises(ValueError, match="contradicts"):
            begin(log, 0, session=7)


def test_scores_are_of_complete_trials_in_order(log: Log) -> None:
    for number in range(6):
        log.append_suggestion(trial(number))
    for number, score in ((4, 0.1), (0, math.nan), (2, 1e300)):
        log.append_result(complete(number, score))
    log.append_result(Ended(1, 1, Outcome(State.PRUNED, 0.7)))
    log.append_result(failed(3))
    log.append_result(Ended(5, 1, Outcome(State.COMPLETE, None)))
    assert repr(log.scores()) == "[(0, nan), (2, 1e+300), (4, 0.1)]"
    by_trial = [(t.number, t.outcome.score) for t in log.trials() if t.outcome and t.state is State.COMPLETE]
    assert repr(log.scores()) == repr([pair for pair in by_trial if pair[1] is not None])


class TestContradictions:
    def test_a_second_suggestion_start_epoch_or_result_is_rejected(self, log: Log) -> None:
        log.append_suggestion(trial(0, lr=0.1))
        begin(log, 0)
        log.append_epochs([epoch(0, 1)])
        log.append_checkpoint(checkpointed(0, 1))
        log.append_failed_attempt(setback(0))
        log.append_result(complete(0, 0.25))
        before = everything(log)
        agains: list[Callable[[], None]] = [
            lambda: log.append_suggestion(trial(0, lr=0.2)),
            lambda: begin(log, 0),
            lambda: log.append_epochs([epoch(0, 2), epoch(0, 1)]),
            lambda: log.append_checkpoint(checkpointed(0, 1)),
            lambda: log.append_failed_attempt(setback(0, cause="another")),
            lambda: log.append_result(complete(0, 0.75)),
        ]
        for again in agains:
            with pytest.raises(ValueError, match="contradicts the log"):
                again()
        assert everything(log) == before

    def test_an_event_of_an_unknown_or_unstarted_trial_is_rejected(self, log: Log) -> None:
        with pytest.raises(ValueError, match="contradicts"):
            begin(log, 0)
        with pytest.raises(ValueError, match="contradicts"):
            log.append_result(complete(0))
        log.append_suggestion(trial(0))
        with pytest.raises(ValueError, match="contradicts"):
            log.append_epochs([epoch(0, 1)])
        with pytest.raises(ValueError, match="contradicts"):
            log.append_checkpoint(checkpointed(0, 1))
        with pytest.raises(ValueError, match="contradicts"):
            log.append_failed_attempt(setback(1))

    @pytest.mark.parametrize(
        "outcome",
        [
            Outcome(State.RUNNING),
            Outcome(State.FAILED),
            Outcome(State.COMPLETE, 0.5, failure=Failure(FailureKind.OOM, "")),
        ],
        ids=["not an end", "no kind", "a success with a failure"],
    )
    def test_a_result_in_a_state_that_is_not_an_end_is_rejected(self, log: Log, outcome: Outcome) -> None:
        log.append_suggestion(trial(0))
        with pytest.raises(ValueError, match="contradicts"):
            log.append_result(Ended(0, 1, outcome))
        assert log.trial(0).state is State.WAITING


class TestAtomic:
    def test_a_block_is_written_as_a_whole_or_not_at_all(self, log: Log) -> None:
        with pytest.raises(ZeroDivisionError), log.atomic():
            log.append_suggestion(trial(0))
            with log.atomic():
                begin(log, 0)
            raise ZeroDivisionError
        assert log.trials() == []
        with log.atomic():
            log.append_suggestion(trial(0))
            begin(log, 0)
            with pytest.raises(ValueError, match="contradicts"):
                begin(log, 0)
        assert log.trial(0).state is State.RUNNING

    def test_readers_do_not_see_an_open_block(self, log: Log) -> None:
        with log.atomic():
            log.append_suggestion(trial(0))
            with Log.open_to_read(log.path) as reader:
                assert reader.trials() == []
        with Log.open_to_read(log.path) as reader:
            assert len(reader.trials()) == 1

    def test_a_reader_cannot_write(self, log: Log) -> None:
        with Log.open_to_read(log.path) as reader, pytest.raises(UsageError, match="write"):
            reader.append_suggestion(trial(0))


class TestCreation:
    def test_create_does_not_overwrite_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        path.write_text("precious")
        with pytest.raises(UsageError, match="exists already"):
            Log.create(path, {})
        assert path.read_text() == "precious"

    def test_create_does_not_write_through_a_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "study.db").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="exists already"):
            Log.create(tmp_path / "study.db", {})

    def test_an_interruption_leaves_no_database(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "fsync", fail)
            Log.create(tmp_path / "study.db", {})
        assert list(tmp_path.iterdir()) == []

    def test_special_characters_of_a_uri_are_allowed_in_a_path(self, tmp_path: Path) -> None:
        folder = tmp_path / "a?mode=memory#b%20c ü"
        folder.mkdir()
        with Log.create(folder / "study.db", {"x": 1}):
            pass
        with Log.open(folder / "study.db") as log:
            assert log.facts() == {"x": 1}

    def test_the_database_has_a_rollback_journal_and_extra_synchronous_commits(self, log: Log) -> None:
        assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert log._connection.execute("PRAGMA synchronous").fetchone() == (3,)
        assert log._connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


KILLED_WHILE_COMMITTING = """
import os, signal, sys
from pathlib import Path
from tunecli.store.database import Log
from tunecli.trial import Trial
log = Log.open(Path(sys.argv[1]))
log._connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
with log.atomic():
    for number in range(1000, 3000):
        log.append_suggestion(Trial(number, {"lr": 0.5}, 1))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(open_path: Path) -> Path:
    """A database whose writer was killed between writing its pages and committing them."""
    path = open_path / "study.db"
    filled(path)
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_COMMITTING, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{path}-journal").stat().st_size > 0
    return path


class TestAfterAKill:
    def test_the_coordinator_finds_exactly_the_committed_rows(self, killed: Path) -> None:
        with Log.open(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))

    def test_a_reader_finds_all_trials_of_a_killed_writer(self, killed: Path) -> None:
        with Log.open_to_read(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))

    def test_a_reader_without_write_permission_finds_all_trials_of_a_killed_writer(
        self, killed: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        before = {item.name: item.read_bytes() for item in killed.parent.iterdir()}
        for item in killed.parent.iterdir():
            item.chmod(0o444)
        with read_only(killed.parent), Log.open_to_read(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))
            assert log.counts()[State.COMPLETE] == 120
        assert {item.name: item.read_bytes() for item in killed.parent.iterdir()} == before

    def test_a_reader_that_cannot_write_the_folder_finds_all_trials_of_a_killed_writer(
        self, killed: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        for item in killed.parent.iterdir():
            item.chmod(0o666)
        with read_only(killed.parent), Log.open_to_read(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))


class TestReadOnlyFolder:
    def test_a_reader_opens_a_database_in_a_read_only_folder(
        self, open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        path = open_path / "study.db"
        filled(path, 3)
        path.chmod(0o444)
        with read_only(open_path), Log.open_to_read(path) as log:
            assert len(log.trials()) == 3

    @pytest.mark.parametrize("mode", [0o444, 0o666], ids=["file and folder", "folder"])
    def test_the_coordinator_fails_at_once_with_the_path(
        self, open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]], mode: int
    ) -> None:
        path = open_path / "study.db"
        filled(path, 3)
        path.chmod(mode)
        with read_only(open_path), pytest.raises(UsageError, match=str(path)):
            Log.open(path)


def test_a_writer_that_keeps_its_lock_is_reported(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_S", 0.01)
    with log.atomic():
        log.append_suggestion(trial(0))
        with pytest.raises(StudyLocked):
            Log.open(log.path)


def test_readers_and_the_coordinator_wait_for_each_other(log: Log) -> None:
    def read() -> list[int]:
        with Log.open_to_read(log.path) as reader:
            return [len(reader.trials()), sum(reader.counts().values())]

    with ThreadPoolExecutor(20) as pool:
        readings = []
        for number in range(20):
            readings += [pool.submit(read) for _ in range(5)]
            log.append_suggestion(trial(number))
        found = [n for reading in readings for n in reading.result()]
    assert set(found) <= set(range(21))
    assert [len(log.trials())] * 2 == read()


def test_a_copied_folder_is_a_copied_study(log: Log, tmp_path: Path) -> None:
    log.append_suggestion(trial(0))
    shutil.copy(log.path, tmp_path / "copy.db")
    with Log.open(tmp_path / "copy.db") as copy:
        assert copy.trials() == log.trials()


def test_a_hundred_thousand_trials_are_listed_and_counted_fast(log: Log) -> None:
    rows = [(n, '{"optimizer.lr":0.001}', n, "") for n in range(100_000)]
    results = [
        (n, 1, "complete", "0.5", '{"val_loss":0.5}', 3, 3, 1.0, "cpu", None, "", "") for n in range(90_000)
    ]
    with log.atomic():
        log._append("suggestion", rows)
        log._append("result", results)
    assert len(log.trials()) == 100_000
    assert log.counts() == {**dict.fromkeys(State, 0), State.COMPLETE: 90_000, State.WAITING: 10_000}


QUERIES = sorted(
    name for name, value in vars(rows).items() if name.isupper() and "SELECT" in str(value) and name[0] != "_"
)


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_scans_a_table_for_each_row_of_another(log: Log, name: str) -> None:
    query: str = getattr(rows, name)
    plan = [row[3] for row in log._connection.execute("EXPLAIN QUERY PLAN " + query, {"value": "[0]"})]
    # a virtual table holds the JSON of one row
    scans = [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
    assert len(scans) <= 1, plan
