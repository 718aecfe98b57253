"""Migration of ``assets/study-v1.db``, which the first release wrote: six trials in all states."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from tests.support.log_records import (
    ASSETS,
    begin,
    checkpointed,
    complete,
    everything,
    record_confirmation,
    record_hosts,
    record_hosts_of_fresh_runs,
    without_clocks,
)
from tests.support.older_logs import FACTS as EARLIER_FACTS
from tests.support.older_logs import record_v2, record_v3, record_v4, record_v5, record_v6
from tunecli.errors import StoreTooNew
from tunecli.messages import EpochEnded
from tunecli.store import schema
from tunecli.store.database import Log
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

OLD = ASSETS / "study-v1.db"
FACTS = {
    "config": "study: digits-mlp\nseed: 7\nobjective: {metric: val_accuracy, direction: maximize}\n"
    + "# a comment that makes the text long enough to leave its page\n" * 40,
    "overrides": ["search.trials=6"],
    "base_path": "/home/ana/digits",
    "plan": {
        "n_trials": 6,
        "lookahead": 2,
        "n_workers": 2,
        "threads": 1,
        "device": "auto",
        "engine": "local",
    },
    "versions": {"tunecli": "0.1.0", "python": "3.11.2", "torch": "2.13.0"},
    "code": {},
    "data": {},
    "elapsed_s": 12.25,
}
OUTCOMES = {
    0: Outcome(
        State.COMPLETE, 0.8, {"val_accuracy": 0.8, "val_loss": 1 / 3}, 3, 3, 0.75, "cpu", None, "ab" * 32
    ),
    1: Outcome(State.COMPLETE, 0.65, {"val_accuracy": 0.65, "val_loss": 0.25}, 3, 3, 0.75, "cpu"),
    2: Outcome(State.PRUNED, 0.5 + 0.1 / 3, {"val_accuracy": 0.5 + 0.1 / 3}, 1, 1, 0.125, "cuda:0"),
    3: Outcome(
        State.FAILED,
        None,
        {"train_loss": math.nan},
        2,
        0,
        0.375,
        "cpu",
        Failure(FailureKind.DIVERGED, "the loss is nan", "Traceback …\n" * 500),
    ),
}
STATES = {4: State.RUNNING, 5: State.WAITING}
LAST_EPOCHS = {0: (1, 3), 1: (2, 3), 2: (1, 1), 3: (1, 2), 4: (1, 2), 5: (1, 0)}


def parameters(number: int) -> dict[str, object]:
    return {
        "optimizer.name": "adamw",
        "optimizer.lr": 0.1 / (number + 3),
        "training.batch_size": 32,
        "model.hidden.0": 16 + number,
        "loss": "cross_entropy",
        "augment": None,
    }


def trials() -> list[Trial]:
    return [
        Trial(n, parameters(n), 2**62 + n, OUTCOMES[n].state if n in OUTCOMES else STATES[n], OUTCOMES.get(n))  # type: ignore[arg-type]
        for n in range(6)
    ]


def epochs(number: int) -> list[EpochEnded]:
    attempt, n_epochs = LAST_EPOCHS[number]
    return [
        EpochEnded(
            number,
            attempt,
            i,
            3,
            {
                "val_accuracy": 0.5 + 0.1 * i / (number + 1),
                "val_loss": 1.0 / (i + number),
                "train_loss": math.nan if (number, i) == (3, 2) else 0.75 / i,
            },
            0.125 * i,
        )
        for i in range(1, n_epochs + 1)
    ]


def require_all_there(log: Log) -> None:
    assert log.facts() == FACTS
    assert repr(log.trials()) == repr(trials())
    assert repr(log.epochs_of(range(6))) == repr({number: epochs(number) for number in range(6)})
    assert [log.attempts(number) for number in range(6)] == [1, 2, 1, 1, 1, 0]
    assert (log.sessions(), log.sessions_of_results(), log.all_checkpoint_names()) == ([], {}, set())
    assert (log.steps(), log.pauses()) == ([], {})


@pytest.fixture
def old(open_path: Path) -> Path:
    """A database of schema version 1 in its own folder."""
    return Path(shutil.copy(OLD, open_path / "study.db"))


def test_the_asset_has_schema_version_1() -> None:
    with closing(sqlite3.connect(f"{OLD.as_uri()}?mode=ro", uri=True)) as connection:
        assert schema.version(connection) == 1


def test_opening_for_writing_keeps_a_copy_and_migrates(old: Path) -> None:
    with Log.open(old) as log:
        require_all_there(log)
        assert schema.version(log._connection) == schema.SCHEMA_VERSION
    assert sorted(item.name for item in old.parent.iterdir()) == ["study.db", "study.db.v1"]
    assert (old.parent / "study.db.v1").read_bytes() == OLD.read_bytes()


def test_a_migrated_study_continues(old: Path) -> None:
    with Log.open(old) as log:
        session = log.append_session({"tunecli": "0.2.0"})
        begin(log, 4, attempt=2, session=session)
        log.append_checkpoint(checkpointed(4, 1, attempt=2))
        assert log.checkpoints(4) == (checkpointed(4, 1, 2).checkpoint,)
        assert log.epochs(4) == []
        log.append_result(complete(4, attempt=2))
        assert log.sessions_of_results() == {4: session}
        before = everything(log)
    with Log.open(old) as log:
        assert everything(log) == before


def test_migrated_tables_equal_new_tables(old: Path, tmp_path: Path) -> None:
    query = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    with Log.open(old) as migrated, Log.create(tmp_path / "new.db", {}) as new:
        assert migrated._rows(query) == new._rows(query)
        for pragma in ("application_id", "user_version", "page_size", "encoding"):
            assert migrated._rows(f"PRAGMA {pragma}") == new._rows(f"PRAGMA {pragma}")
        assert migrated._rows("PRAGMA integrity_check") == [("ok",)]
        assert migrated._rows("PRAGMA foreign_key_check") == []


def test_a_reader_changes_nothing(old: Path) -> None:
    with Log.open_to_read(old) as log:
        require_all_there(log)
        assert log.counts() == {**dict.fromkeys(State, 1), State.COMPLETE: 2, State.PAUSED: 0}
    assert old.read_bytes() == OLD.read_bytes()
    assert list(old.parent.iterdir()) == [old]


def test_a_reader_needs_no_write_permission(
    old: Path, read_only: Callable[[Path], AbstractContextManager[None]]
) -> None:
    old.chmod(0o444)
    with read_only(old.parent), Log.open_to_read(old) as log:
        require_all_there(log)


def test_an_existing_copy_is_not_written_again(old: Path) -> None:
    copy = Path(shutil.copy(OLD, old.parent / "study.db.v1"))
    before = copy.stat()
    Log.open(old).close()
    assert (copy.stat().st_ino, copy.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(item.name for item in old.parent.iterdir()) == ["study.db", "study.db.v1"]


@pytest.mark.parametrize("kind", ["another file", "folder", "dangling link"])
def test_another_file_with_the_copys_name_stays_and_the_copy_gets_another_name(old: Path, kind: str) -> None:
    taken = old.parent / "study.db.v1"
    if kind == "folder":
        taken.mkdir()
    elif kind == "dangling link":
        taken.symlink_to(old.parent / "elsewhere")
    else:
        taken.write_text("precious")
    Log.open(old).close()
    assert taken.is_dir() or taken.is_symlink() or taken.read_text() == "precious"
    assert (old.parent / "study.db.v1-2").read_bytes() == OLD.read_bytes()
    assert not (old.parent / "elsewhere").exists()


def test_a_newer_database_is_rejected_unchanged(log: Log) -> None:
    log.close()
    with closing(sqlite3.connect(log.path)) as later:
        later.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    before = log.path.read_bytes()
    for opening in (Log.open, Log.open_to_read):
        with pytest.raises(StoreTooNew, match="later tunecli") as caught:
            opening(log.path)
        assert caught.value.exit_code == 5
    assert log.path.read_bytes() == before
    assert list(log.path.parent.iterdir()) == [log.path]


RECORDERS = {2: record_v2, 3: record_v3, 4: record_v4, 5: record_v5, 6: record_v6}


@pytest.mark.parametrize("schema_version", RECORDERS)
class TestLaterVersions:
    """The functions `record_v2` to `record_v6` of `older_logs` wrote the assets."""

    @pytest.fixture
    def path(self, tmp_path: Path, schema_version: int) -> Path:
        return Path(shutil.copy(ASSETS / f"study-v{schema_version}.db", tmp_path / "study.db"))

    @pytest.fixture
    def contents(self, tmp_path: Path, schema_version: int) -> str:
        """The contents of a database in which the current code records the same."""
        with Log.create(tmp_path / "new.db", EARLIER_FACTS) as log:
            RECORDERS[schema_version](log)
            return without_clocks(log)

    def test_the_asset_has_its_schema_version(self, path: Path, schema_version: int) -> None:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            assert schema.version(connection) == schema_version

    def test_a_reader_reads_everything_and_changes_nothing(self, path: Path, contents: str) -> None:
        before = path.read_bytes()
        with Log.open_to_read(path) as log:
            assert without_clocks(log) == contents
        assert path.read_bytes() == before
        assert sorted(item.name for item in path.parent.iterdir()) == ["new.db", "study.db"]

    def test_a_writer_keeps_a_copy_and_continues(
        self, path: Path, contents: str, schema_version: int
    ) -> None:
        before = path.read_bytes()
        with Log.open(path) as log:
            assert without_clocks(log) == contents
            log.append_epochs([EpochEnded(4, 2, 9, 0, {"val_loss": 0.5}, 0.25, epoch_offset=1)])
        assert path.with_name(f"study.db.v{schema_version}").read_bytes() == before

    def test_migrated_tables_equal_new_tables(self, path: Path, tmp_path: Path) -> None:
        query = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
        with Log.open(path) as migrated, Log.create(tmp_path / "empty.db", {}) as new:
            assert migrated._rows(query) == new._rows(query)
            assert migrated._rows("PRAGMA foreign_key_check") == []


def test_a_migrated_study_can_be_confirmed(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "study-v4.db", tmp_path / "study.db"))
    with Log.open(path) as log:
        assert (log.confirmations(), log.fresh_runs()) == ([], [])
        record_confirmation(log)
        before = everything(log)
    with Log.open(path) as log:
        assert everything(log) == before


def test_an_epochs_offset_is_recorded_and_is_0_for_old_epochs(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "study-v3.db", tmp_path / "study.db"))
    event = EpochEnded(4, 3, 4, 0, {"val_loss": 0.5}, 0.25, epoch_offset=1)
    with Log.open(path) as log:
        log.append_epochs([event])
        *before, last = log.epochs(4)
    assert {each.epoch_offset for each in before} == {0}
    assert last == event


def test_a_migrated_study_names_the_machines_of_later_trials(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "study-v5.db", tmp_path / "study.db"))
    with Log.open(path) as log:
        assert (log.hosts(), log.host_versions()) == ({}, [])
        record_hosts(log)
    with Log.open_to_read(path) as log:
        assert log.hosts() == {90: "n1", 91: "n2"}
        assert [(host, versions) for _, host, versions in log.host_versions()] == [
            ("n2", {"torch": "2.12.0"})
        ]


def test_a_migrated_study_names_the_machines_of_later_fresh_runs(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "study-v6.db", tmp_path / "study.db"))
    with Log.open(path) as log:
        assert {run.host for run in log.fresh_runs()} == {""}
        record_hosts_of_fresh_runs(log)
    with Log.open_to_read(path) as log:
        runs = log.fresh_runs()
        assert [run.host for run in runs] == ["", "", "n1", ""]
        assert runs[2].outcome is not None and runs[2].outcome.score == 0.25
