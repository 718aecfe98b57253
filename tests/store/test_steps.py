"""Recorded steps and pauses: a paused trial counts as pruned until it continues."""

from __future__ import annotations

import math

import pytest

from tests.support.log_records import (
    begin,
    checkpointed,
    complete,
    everything,
    failed,
    paused,
    setback,
    trial,
)
from tunecli.store.database import Log
from tunecli.trial import Outcome, State, Step


@pytest.fixture
def log(tmp_path):
    with Log.create(tmp_path / "study.db", {"seed": 7}) as log:
        yield log


def started(log: Log, number: int, step: int, until: int | None = 3) -> None:
    log.append_suggestion(trial(number))
    log.append_step(Step(step, number, 0, until))
    begin(log, number)


def states(log: Log) -> list[State]:
    found = [each.state for each in log.trials()]
    assert {state: found.count(state) for state in State} == log.counts()
    return found


def test_steps_are_returned_in_order(log):
    for number in (0, 1):
        started(log, number, number)
        log.append_pause(paused(number), number)
    steps = [Step(0, 0, 0, 3), Step(1, 1, 0, 3), Step(2, 1, 1, 9), Step(3, 0, 1, None)]
    for step in steps[2:]:
        log.append_step(step)
    assert log.steps() == steps


def test_a_paused_trial_is_pruned_until_it_continues(log):
    started(log, 0, 0)
    assert states(log) == [State.RUNNING]
    log.append_checkpoint(checkpointed(0, 3))
    log.append_pause(paused(0, 0.25), 0)
    assert states(log) == [State.PAUSED]
    assert log.trial(0).outcome == paused(0, 0.25).outcome
    log.append_step(Step(1, 0, 1, None))
    assert states(log) == [State.WAITING]
    assert log.trial(0).outcome is None
    assert log.checkpoints(0) == (checkpointed(0, 3).checkpoint,)
    begin(log, 0, 2, from_epoch=3)
    assert states(log) == [State.RUNNING]
    log.append_failed_attempt(setback(0, 2))
    assert states(log) == [State.WAITING]
    begin(log, 0, 3, from_epoch=3)
    log.append_result(complete(0, 0.125, 3))
    assert states(log) == [State.COMPLETE]
    assert log.trial(0).outcome == complete(0, 0.125).outcome
    assert log.pauses() == {0: paused(0, 0.25).outcome}


def test_a_continued_trial_may_fail(log):
    started(log, 0, 0)
    log.append_pause(paused(0), 0)
    log.append_step(Step(1, 0, 1, None))
    begin(log, 0, 2)
    log.append_result(failed(0, attempt=2))
    assert states(log) == [State.FAILED]
    assert log.trial(0).outcome == failed(0).outcome


@pytest.mark.parametrize("score", [None, math.inf, -0.0, 0.1])
def test_a_score_is_restored_to_the_bit(log, score):
    started(log, 0, 0)
    event = paused(0)
    outcome = Outcome(State.PAUSED, score, {"val_loss": 0.1 + 0.2}, 4, 2, 0.5, "cuda:1")
    log.append_pause(type(event)(0, 1, outcome), 0)
    assert repr(log.trial(0).outcome) == repr(outcome) == repr(log.pauses()[0])


def test_a_contradicting_step_or_pause_is_rejected(log):
    started(log, 0, 0)
    log.append_pause(paused(0), 0)
    before = everything(log)
    with pytest.raises(ValueError, match="contradicts"):
        log.append_pause(paused(0), 0)
    with pytest.raises(ValueError, match="contradicts"):
        log.append_pause(paused(0), 7)
    with pytest.raises(ValueError, match="contradicts"):
        log.append_step(Step(1, 9, 0, None))
    assert everything(log) == before


def test_running_trials_their_starts_and_the_times_of_ends_are_read_from_the_record(log):
    for number in range(3):
        started(log, number, number)
    log.append_pause(paused(0), 0)
    log.append_result(complete(1))
    assert list(log.progress().starts) == [2]
    assert (
        len(log.progress().end_times)
        == 2
        == len([state for state in states(log) if state is not State.RUNNING])
    )
    log.append_step(Step(3, 0, 1, None))
    begin(log, 0, attempt=2, from_epoch=3)

    assert len(log.progress().end_times) == 1, "a trial that continues has not ended"
    assert {number: start[:2] for number, start in log.progress().starts.items()} == {0: (2, 3), 2: (1, 0)}
    log.append_result(failed(2))
    assert sum(log.progress().failures.values()) == 1
