"""The board of a sweep follows the events, and its best trials are those of the whole record."""

import random

import pytest

from tunecli.console.board import N_BEST, Board
from tunecli.messages import Ended, EpochEnded, Origins, Paused, Started, SweepInfo
from tunecli.objective import Constraint, Objective
from tunecli.results.ranking import rank
from tunecli.trial import FailedAttempt, Failure, FailureKind, Outcome, State, Trial

LOSS = Objective("loss", False)
GOALS = {
    "one goal": LOSS,
    "constrained": Objective("loss", False, constraints=(Constraint("size", 0.3),)),
    "two goals": Objective("loss", False, further_objectives=(Objective("size", False),)),
    "two goals, constrained": Objective(
        "loss", True, further_objectives=(Objective("size", False),), constraints=(Constraint("more", 0.2),)
    ),
}


@pytest.mark.parametrize("name", GOALS)
def test_the_best_trials_have_the_ranks_that_they_have_among_all_trials(name):
    draw, objective = random.Random(7), GOALS[name]
    board = Board(SweepInfo("s", objective, 200, 1), {})
    for number in range(80):
        values = [draw.choice([0.1, 0.5, draw.random()]) for _ in range(3)]
        metrics = dict(zip(("loss", "size", "more"), values, strict=True))
        board.suggested(Trial(number, {}, 0))
        board.happened(Ended(number, 1, Outcome(State.COMPLETE, metrics["loss"], metrics)))
        if draw.random() < 0.4 or number == 79:
            assert board.ranked == rank(board.trials.values(), objective)[:N_BEST]


def running(board, number=0):
    return board.running[number]


def test_a_retry_names_the_failure_and_the_epoch_that_it_goes_on_from():
    board = Board(SweepInfo("s", LOSS, 3, 1, origins=Origins(draws="random")), {})
    trial = Trial(0, {}, 0)
    board.suggested(trial)
    board.happened(Started(0, 1, "cpu", 1))
    assert running(board).why == "random"
    for epoch in (1, 2, 3):
        board.happened(EpochEnded(0, 1, epoch, 9, {"loss": 1.0 / epoch}, 0.1))
    board.happened(FailedAttempt(0, 1, Failure(FailureKind.LOST, "the worker died")))
    assert not board.running
    board.suggested(trial)
    board.happened(Started(0, 2, "cpu", 1, from_epoch=2))
    assert running(board).why == "retry (lost) from epoch 2"
    assert list(running(board).curve) == [1, 2], "epochs beyond it are trained again"


def test_a_paused_trial_continues_its_curve():
    board = Board(SweepInfo("s", LOSS, 3, 1), {})
    trial = Trial(0, {}, 0)
    board.suggested(trial)
    board.happened(Started(0, 1, "cpu", 1))
    board.happened(EpochEnded(0, 1, 1, 9, {"loss": 0.5}, 0.1))
    board.happened(Paused(0, 1, Outcome(State.PAUSED, 0.5, {"loss": 0.5}, 1, 1)))
    board.suggested(trial)
    board.happened(Started(0, 2, "cpu", 1, from_epoch=1))
    board.happened(EpochEnded(0, 2, 2, 9, {"loss": 0.4}, 0.1))
    assert running(board).why == "continues from epoch 1"
    assert list(running(board).curve.values()) == [0.5, 0.4]


def test_a_trial_that_was_on_record_when_the_session_began_begins_again():
    board = Board(SweepInfo("s", LOSS, 3, 1), {0: Trial(0, {}, 0, State.RUNNING)})
    board.suggested(Trial(0, {}, 0, State.RUNNING))
    assert running(board).why == "begins again"


def test_failures_of_this_session_and_of_those_before_are_counted_by_kind():
    failed = Outcome(State.FAILED, failure=Failure(FailureKind.OOM, "no memory"))
    board = Board(SweepInfo("s", LOSS, 3, 1), {0: Trial(0, {}, 0, State.FAILED, failed)})
    board.suggested(Trial(1, {}, 0))
    board.happened(Ended(1, 1, Outcome(State.FAILED, failure=Failure(FailureKind.ERROR, "it broke"))))
    assert board.failures == {FailureKind.OOM: 1, FailureKind.ERROR: 1}


def test_the_rate_counts_the_trials_of_this_session_alone():
    done = {0: Trial(0, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, 0.5))}
    board = Board(SweepInfo("s", LOSS, 3, 1), done)
    assert str(board.pace) == ""
    board.suggested(Trial(1, {}, 0))
    board.happened(Ended(1, 1, Outcome(State.COMPLETE, 0.25)))
    assert board.n_ended - board.n_before == 1
    assert board.pace.overall is not None and board.pace.recent is None
