from __future__ import annotations

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.errors import DiskFull, StoreDamaged, StoreTooNew, StudyLocked, UsageError
from tunecli.store import connection, database
from tunecli.store.database import Log
from tunecli.trial import Ended, EpochEnded, Failure, FailureKind, Outcome, Started, State, Trial

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


def trial(number: int, **parameters: Any) -> Trial:
    return Trial(number, parameters, seed=1000 + number)


def begin(log: Log, number: int, attempt: int = 1) -> None:
    log.append_start(Started(number, attempt, "cpu", 4711))


def epoch(number: int, epoch: int, attempt: int = 1, loss: float = 0.5) -> EpochEnded:
    return EpochEnded(number, attempt, epoch, 10, {"val_loss": loss}, 0.25)


def complete(number: int, score: float = 0.5, attempt: int = 1) -> Ended:
    return Ended(number, attempt, Outcome(State.COMPLETE, score, {"val_loss": score}, 3, 2, 1.5, "cpu"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with Log.create(tmp_path / "study.db", {"seed": 7}) as log:
        yield log


class TestRoundTrip:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(PARAMETERS, st.integers(0, 2**63 - 1), st.none() | outcomes()), max_size=4),
        st.lists(METRICS, max_size=4),
        st.dictionaries(TEXT.filter(str.isprintable), SCALARS, max_size=3),
    )
    def test_whatever_goes_in_comes_out_of_a_file_opened_anew(
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
            with Log.create(path, facts) as log:
                for row in expected:
                    log.append_suggestion(Trial(row.number, row.parameters, row.seed))
                    begin(log, row.number)
                    if row.outcome:
                        log.append_result(Ended(row.number, 1, row.outcome))
                if expected:
                    log.append_epochs(epochs)
            expected = [replace(t, state=State.RUNNING) if t.outcome is None else t for t in expected]
            with Log.open_to_read(path) as log:
                # repr tells NaN from None, 1 from True and 0.0 from -0.0, as == does not; map order is kept
                assert repr(log.trials()) == repr(expected)
                assert [repr(log.trial(t.number)) for t in expected] == [repr(t) for t in expected]
                assert repr(sorted(log.facts().items())) == repr(sorted(facts.items()))
                if expected:
                    assert repr(log.epochs(0)) == repr(epochs)

    def test_a_score_of_nan_is_neither_none_nor_null(self, log: Log) -> None:
        for number, score in enumerate([math.nan, math.inf, -math.inf]):
            log.append_suggestion(trial(number))
            log.append_result(complete(number, score))
        scores = [t.outcome.score for t in log.trials() if t.outcome]
        assert repr(scores) == "[nan, inf, -inf]"


class TestWhereATrialStands:
    def test_waiting_then_running_then_what_its_result_says(self, log: Log) -> None:
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
        assert log.counts() == dict.fromkeys(states, 1)
        assert log.trial(4).outcome == Outcome(State.FAILED, failure=failure)

    def test_a_trial_can_fail_without_having_started(self, log: Log) -> None:
        log.append_suggestion(trial(0))
        log.append_result(
            Ended(0, 1, Outcome(State.FAILED, failure=Failure(FailureKind.LOST, "the node went away")))
        )
        assert log.trial(0).state is State.FAILED

    def test_trials_come_by_number_in_whatever_order_they_were_written(self, log: Log) -> None:
        for number in (2, 0, 1):
            log.append_suggestion(trial(number))
        assert [t.number for t in log.trials()] == [0, 1, 2]

    def test_epochs_are_those_of_the_last_attempt(self, log: Log) -> None:
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

    def test_an_empty_study_has_every_state_counted_zero(self, log: Log) -> None:
        assert log.trials() == []
        assert log.counts() == dict.fromkeys(State, 0)

    def test_a_number_nobody_suggested_is_a_usage_error(self, log: Log) -> None:
        with pytest.raises(UsageError, match="no trial 3"):
            log.trial(3)

    def test_facts_can_be_set_again(self, log: Log) -> None:
        log.set_fact("lookahead", 4)
        log.set_fact("seed", {"any": ["json", None, math.inf]})
        assert log.facts() == {"lookahead": 4, "seed": {"any": ["json", None, math.inf]}}


class TestTheLogRefusesWhatContradictsIt:
    def test_a_second_suggestion_start_epoch_or_result(self, log: Log) -> None:
        log.append_suggestion(trial(0, lr=0.1))
        begin(log, 0)
        log.append_epochs([epoch(0, 1)])
        log.append_result(complete(0, 0.25))
        before = (log.trials(), log.epochs(0), log.attempts(0))
        agains: list[Callable[[], None]] = [
            lambda: log.append_suggestion(trial(0, lr=0.2)),
            lambda: begin(log, 0),
            lambda: log.append_epochs([epoch(0, 2), epoch(0, 1)]),
            lambda: log.append_result(complete(0, 0.75)),
        ]
        for again in agains:
            with pytest.raises(ValueError, match="contradicts the log"):
                again()
        assert (log.trials(), log.epochs(0), log.attempts(0)) == before

    def test_events_of_a_trial_that_was_never_suggested_or_started(self, log: Log) -> None:
        with pytest.raises(ValueError, match="contradicts"):
            begin(log, 0)
        with pytest.raises(ValueError, match="contradicts"):
            log.append_result(complete(0))
        log.append_suggestion(trial(0))
        with pytest.raises(ValueError, match="contradicts"):
            log.append_epochs([epoch(0, 1)])

    @pytest.mark.parametrize(
        "outcome",
        [
            Outcome(State.RUNNING),
            Outcome(State.FAILED),
            Outcome(State.COMPLETE, 0.5, failure=Failure(FailureKind.OOM, "")),
        ],
        ids=["not an end", "no kind", "a success with a failure"],
    )
    def test_an_end_that_is_none(self, log: Log, outcome: Outcome) -> None:
        log.append_suggestion(trial(0))
        with pytest.raises(ValueError, match="contradicts"):
            log.append_result(Ended(0, 1, outcome))
        assert log.trial(0).state is State.WAITING


class TestAtomic:
    def test_all_of_a_block_or_nothing(self, log: Log) -> None:
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

    def test_readers_see_nothing_of_an_open_block(self, log: Log) -> None:
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
    def test_never_over_a_file_that_is_there(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        path.write_text("precious")
        with pytest.raises(UsageError, match="there already"):
            Log.create(path, {})
        assert path.read_text() == "precious"

    def test_never_through_a_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "study.db").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="there already"):
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

    def test_names_that_mean_something_in_a_uri_are_only_names(self, tmp_path: Path) -> None:
        folder = tmp_path / "a?mode=memory#b%20c ü"
        folder.mkdir()
        with Log.create(folder / "study.db", {"x": 1}):
            pass
        with Log.open(folder / "study.db") as log:
            assert log.facts() == {"x": 1}

    def test_the_journal_is_a_rollback_journal_and_every_commit_reaches_the_disk(self, log: Log) -> None:
        assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert log._connection.execute("PRAGMA synchronous").fetchone() == (3,)
        assert log._connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def filled(path: Path, n_trials: int = 120) -> None:
    with Log.create(path, {"seed": 7}) as log, log.atomic():
        for number in range(n_trials):
            log.append_suggestion(trial(number, lr=0.1 / (1 + number), name="x" * 60))
            begin(log, number)
            log.append_epochs([epoch(number, i) for i in range(1, 4)])
            log.append_result(complete(number))


class TestDamage:
    @pytest.mark.parametrize("filling", [b"\x00", b"\xff"])
    def test_damage_to_any_page_is_found_on_opening_and_nothing_is_written(
        self, tmp_path: Path, filling: bytes
    ) -> None:
        path = tmp_path / "study.db"
        filled(path)
        sound = path.read_bytes()
        for start in range(0, len(sound), 4096):
            bad = sound[:start] + filling * 4096 + sound[start + 4096 :]
            path.write_bytes(bad)
            with pytest.raises(StoreDamaged) as caught:
                Log.open(path)
            assert caught.value.exit_code == 5
            assert str(path) in str(caught.value)
            assert path.read_bytes() == bad
            assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        "content",
        [b"", b"not a database, by far " * 100, b"SQLite format 3\x00"],
        ids=["empty", "text", "header"],
    )
    def test_what_is_no_database_of_ours_is_damaged(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "study.db"
        path.write_bytes(content)
        for opening in (Log.open, Log.open_to_read):
            with pytest.raises(StoreDamaged):
                opening(path)

    def test_a_database_of_another_program_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE a (b)")
        for opening in (Log.open, Log.open_to_read):
            with pytest.raises(StoreDamaged, match="not a database of tunecli's"):
                opening(path)

    def test_a_truncated_database_is_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        filled(path)
        path.write_bytes(path.read_bytes()[:-4096])
        with pytest.raises(StoreDamaged):
            Log.open(path)

    def test_a_newer_database_is_refused_and_left_alone(self, log: Log) -> None:
        log.close()
        with closing(sqlite3.connect(log.path)) as later:
            later.execute(f"PRAGMA user_version = {connection.SCHEMA_VERSION + 1}")
        before = log.path.read_bytes()
        for opening in (Log.open, Log.open_to_read):
            with pytest.raises(StoreTooNew, match="later tunecli"):
                opening(log.path)
        assert log.path.read_bytes() == before

    @pytest.mark.parametrize("damage", ["parameters = '{'", "parameters = CAST(x'ff' AS TEXT)"])
    def test_a_record_that_cannot_be_understood_is_damage(self, log: Log, damage: str) -> None:
        log.append_suggestion(trial(0))
        log._connection.execute(f"UPDATE suggestion SET {damage}")
        with pytest.raises(StoreDamaged):
            log.trials()

    def test_a_missing_database_is_a_usage_error(self, tmp_path: Path) -> None:
        for opening in (Log.open, Log.open_to_read):
            with pytest.raises(UsageError, match=r"there is no .*study\.db"):
                opening(tmp_path / "study.db")
        assert list(tmp_path.iterdir()) == []


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
    def test_the_coordinator_finds_what_was_committed_and_nothing_else(self, killed: Path) -> None:
        with Log.open(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))

    def test_so_does_a_reader(self, killed: Path) -> None:
        with Log.open_to_read(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))

    def test_so_does_a_reader_where_nothing_can_be_written(
        self, killed: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        before = {item.name: item.read_bytes() for item in killed.parent.iterdir()}
        for item in killed.parent.iterdir():
            item.chmod(0o444)
        with read_only(killed.parent), Log.open_to_read(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))
            assert log.counts()[State.COMPLETE] == 120
        assert {item.name: item.read_bytes() for item in killed.parent.iterdir()} == before

    def test_so_does_a_reader_that_may_write_the_file_and_not_the_folder(
        self, killed: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        for item in killed.parent.iterdir():
            item.chmod(0o666)
        with read_only(killed.parent), Log.open_to_read(killed) as log:
            assert [t.number for t in log.trials()] == list(range(120))


class TestWhereOnlyReadingIsAllowed:
    def test_readers_work(
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


class TestNoRoom:
    def test_a_full_disk_stops_the_append_and_leaves_the_log_sound(self, log: Log) -> None:
        (pages,) = log._connection.execute("PRAGMA page_count").fetchone()
        log._connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own way to run out of room
        with pytest.raises(DiskFull) as caught:
            for number in range(1000):
                log.append_suggestion(trial(number, text="x" * 500))
        assert caught.value.exit_code == 6
        n_kept = len(log.trials())
        assert 0 < n_kept < 1000
        log.close()
        with Log.open(log.path) as again:
            again.append_suggestion(trial(n_kept))
            assert len(again.trials()) == n_kept + 1

    def test_a_limit_on_file_sizes_is_no_room_either(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        filled(path, 3)
        code = """
import resource, signal, sys
from pathlib import Path
from tunecli.errors import DiskFull
from tunecli.store.database import Log
from tunecli.trial import Trial
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = Log.open(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 8192,) * 2)
try:
    for number in range(3, 1000):
        log.append_suggestion(Trial(number, {"text": "x" * 500}, 1))
except DiskFull:
    sys.exit(6)
"""
        assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 6
        with Log.open(path) as log:
            numbers = [t.number for t in log.trials()]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > 3


def test_a_writer_that_will_not_let_go_is_named_as_such(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_S", 0.01)
    with log.atomic():
        log.append_suggestion(trial(0))
        with pytest.raises(StudyLocked):
            Log.open(log.path)


def test_a_copy_of_the_folder_is_a_copy_of_the_study(log: Log, tmp_path: Path) -> None:
    log.append_suggestion(trial(0))
    shutil.copy(log.path, tmp_path / "copy.db")
    with Log.open(tmp_path / "copy.db") as copy:
        assert copy.trials() == log.trials()


def test_a_hundred_thousand_trials_can_be_listed_and_counted(log: Log) -> None:
    rows = [(n, '{"optimizer.lr":0.001}', n, "") for n in range(100_000)]
    results = [
        (n, 1, "complete", "0.5", '{"val_loss":0.5}', 3, 3, 1.0, "cpu", None, "", "") for n in range(90_000)
    ]
    with log.atomic():
        log._append("suggestion", rows)
        log._append("result", results)
    assert len(log.trials()) == 100_000
    assert log.counts() == {**dict.fromkeys(State, 0), State.COMPLETE: 90_000, State.WAITING: 10_000}


@pytest.mark.parametrize(
    "query", [database._TRIALS + "ORDER BY s.number", database._COUNTS, database._EPOCHS]
)
def test_no_query_scans_a_table_inside_the_scan_of_another(log: Log, query: str) -> None:
    arguments = (0,) if "?1" in query else ()
    plan = [row[3] for row in log._connection.execute("EXPLAIN QUERY PLAN " + query, arguments)]
    scans = [step for step in plan if step.startswith("SCAN")]
    assert len(scans) <= 1, plan
