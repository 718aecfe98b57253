"""Confirmations on record: their plan, their fresh runs, and what no other part of the log sees of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.log_records import everything, filled, record_confirmation
from tunecli.errors import StoreDamaged
from tunecli.store.database import Log
from tunecli.trial import Confirmation, FailureKind, FreshRun, Outcome, Stage, State


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "study.db"
    filled(path, 3)
    return path


def test_a_confirmation_is_read_as_it_was_recorded(path: Path) -> None:
    with Log.open(path) as log:
        record_confirmation(log)
    with Log.open_to_read(path) as log:
        assert log.confirmations() == [Confirmation(1, (1, 0), {"trials": [1]}, False, 6)]
        first, failed, *missing, quoted = log.fresh_runs()
        assert (first.number, first.repeat, first.stage, first.seed) == (0, 0, Stage.RACE, 2**53 - 1)
        assert first.outcome is not None and first.outcome.score == 0.1 + 0.2
        assert math.isnan(first.outcome.metrics["acc"])
        assert failed.outcome is not None and failed.outcome.failure is not None
        assert (failed.split_seed, failed.outcome.failure.kind) == (3, FailureKind.DIVERGED)
        assert [run.outcome for run in (*missing, quoted)] == [None, None]
        assert (quoted.stage, quoted.opening) == (Stage.QUOTE, 1)


def test_no_other_record_changes_with_a_confirmation(path: Path) -> None:
    with Log.open(path) as log:
        before = everything(log).removesuffix("[], [])")
        record_confirmation(log)
        assert everything(log).startswith(before)


def test_a_run_of_an_unknown_trial_or_without_a_plan_is_a_contradiction(path: Path) -> None:
    end = Outcome(State.COMPLETE, 0.5, {"val_loss": 0.5}, 3, 3, 0.1, "cpu")
    with Log.open(path) as log:
        record_confirmation(log)
        with pytest.raises(ValueError, match="contradicts"):
            log.append_fresh_runs([FreshRun(1, 77, 0, Stage.RACE, 1)])
        with pytest.raises(ValueError, match="contradicts"):
            log.append_fresh_runs([FreshRun(1, 0, 0, Stage.QUOTE, 1)])
        with pytest.raises(ValueError, match="contradicts"):
            log.append_fresh_results([FreshRun(1, 0, 9, Stage.RACE, 1, outcome=end)])
        ended = replace(log.fresh_runs()[0], outcome=end)
        with pytest.raises(ValueError, match="contradicts"):
            log.append_fresh_results([ended])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE confirmation SET candidates = '[0, 1]'",
        "UPDATE confirmed_run SET seed = seed + 1 WHERE repeat = 1",
        "UPDATE confirmed_run SET split_seed = NULL WHERE split_seed = 3",
        "UPDATE confirmed_result SET score = '0.31' WHERE number = 0",
    ],
)
def test_a_changed_row_of_a_confirmation_is_damage(path: Path, change: str) -> None:
    with Log.open(path) as log:
        record_confirmation(log)
        log._connection.execute(change)
    with pytest.raises(StoreDamaged, match="checksum"):
        Log.open(path)
    with Log.open_to_read(path) as log, pytest.raises(StoreDamaged, match="checksum"):
        log.confirmations(), log.fresh_runs()
