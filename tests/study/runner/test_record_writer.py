"""Commits of the record writer, and the files that it removes."""

from __future__ import annotations

import errno
import os

import pytest

from tunecli import failpoints
from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.runner.record_writer import RecordWriter
from tunecli.trial import Outcome, State, Trial


@pytest.fixture
def log(tmp_path):
    with Log.create(tmp_path / "study.db", {"elapsed_s": 0.0}) as log:
        yield log


@pytest.fixture
def ledger(log, tmp_path):
    return RecordWriter(log, RunFolder(tmp_path), log.append_session({}), 0.0)


@pytest.fixture
def commits(tmp_path, monkeypatch):
    """The failpoints reached so far, in order."""
    path = tmp_path / "points.txt"
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setitem(os.environ, failpoints.VARIABLE, "")
    failpoints.arm("count", 0, path)
    return lambda: path.read_text().splitlines().count("commit done") if path.exists() else 0


def trial(number):
    return Trial(number, {"x": float(number)}, number)


def test_a_block_commits_buffered_events_and_nested_blocks_at_once(ledger, log, commits):
    with ledger.atomic():
        ledger.log_to_write().append_suggestion(trial(0))
        with ledger.atomic():
            ledger.log_to_write().append_suggestion(trial(1))
    ledger.start(Started(0, 1, "cpu", 1, 0))
    ledger.epoch(EpochEnded(0, 1, 1, 2, {"val_loss": 0.5}, 0.1))
    assert commits() == 1
    assert log.epochs(0) == []
    with ledger.atomic():
        ledger.log_to_write().append_result(Ended(0, 1, Outcome(State.COMPLETE, score=0.5)))
    assert commits() == 2
    assert [epoch.metrics for epoch in log.epochs(0)] == [{"val_loss": 0.5}]
    assert log.attempts(0) == 1
    assert [each.state for each in log.trials()] == [State.COMPLETE, State.WAITING]


def test_a_block_that_writes_nothing_commits_nothing(ledger, commits):
    ledger.start(Started(0, 1, "cpu", 1, 0))
    with ledger.atomic():
        pass
    assert commits() == 0
    assert not ledger.is_torn


def test_files_are_removed_and_the_journal_is_written_after_the_commit(ledger, tmp_path):
    surpassed, journal = tmp_path / "weights", RunFolder(tmp_path).log_path
    surpassed.write_text("old")
    with ledger.atomic():
        ledger.log_to_write().append_suggestion(trial(0))
        ledger.drop(surpassed)
        ledger.note({"trial": 0})
        assert surpassed.exists()
        assert not journal.exists()
    assert not surpassed.exists()
    assert journal.read_text() == '{"trial":0}\n'


def test_a_refused_block_has_no_later_effect(ledger, tmp_path):
    surpassed, journal = tmp_path / "weights", RunFolder(tmp_path).log_path
    surpassed.write_text("old")
    with pytest.raises(DiskFull), ledger.atomic():
        ledger.log_to_write().append_suggestion(trial(0))
        ledger.drop(surpassed)
        ledger.note({"trial": 0})
        raise DiskFull("no room is left")
    with ledger.atomic():
        ledger.log_to_write().append_suggestion(trial(1))
    assert surpassed.exists()
    assert not journal.exists()
    assert ledger.is_torn, "a later commit does not restore the lost events"


def test_a_failed_commit_removes_no_file_and_marks_the_writer_as_torn(ledger, log, tmp_path, monkeypatch):
    surpassed = tmp_path / "weights"
    surpassed.write_text("old")

    def refuse(name: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(failpoints, "reach", refuse)
    with pytest.raises(StoreFailed), ledger.atomic():
        ledger.log_to_write().append_suggestion(trial(0))
        ledger.drop(surpassed)
    assert surpassed.exists()
    assert ledger.is_torn
    assert log.trials() == []
