"""Rescoring: a trial gets a new score only if its record contains it."""

from __future__ import annotations

from typing import Any

import pytest

from tunecli.messages import EpochEnded
from tunecli.objective import Constraint, Objective
from tunecli.study.record.fork import rescored
from tunecli.trial import Failure, FailureKind, Outcome, State

ACCURACY, LOSS = Objective("val_accuracy", True), Objective("val_loss", False)
METRICS = {"val_accuracy": 0.9, "val_loss": 0.3, "n_parameters": 10.0}
EPOCHS = [EpochEnded(0, 1, 1, 1, METRICS, 0.1)]
PLAIN: dict[str, Any] = {"data": {"source": "iris"}}
COMPLETE = Outcome(State.COMPLETE, 0.9, METRICS, 1, 1)


def test_the_same_objective_changes_nothing() -> None:
    assert rescored(COMPLETE, EPOCHS, PLAIN, ACCURACY, ACCURACY) == (COMPLETE, EPOCHS)


def test_another_recorded_metric_becomes_the_score() -> None:
    rescored_trial = rescored(COMPLETE, EPOCHS, PLAIN, ACCURACY, LOSS)
    assert rescored_trial is not None
    assert (rescored_trial[0].score, rescored_trial[0].metrics) == (0.3, METRICS)


def test_metrics_that_are_no_longer_measured_are_dropped_from_every_epoch() -> None:
    costly = Objective("val_accuracy", True, further_objectives=(Objective("n_parameters", False),))
    rescored_trial = rescored(COMPLETE, EPOCHS, PLAIN, costly, LOSS)
    assert rescored_trial is not None
    assert {*rescored_trial[0].metrics} == {*rescored_trial[1][0].metrics} == {"val_accuracy", "val_loss"}


@pytest.mark.parametrize(
    ("outcome", "config", "old", "new"),
    [
        (COMPLETE, PLAIN, ACCURACY, Objective("val_f1", True)),
        (
            COMPLETE,
            PLAIN,
            ACCURACY,
            Objective("val_accuracy", True, constraints=(Constraint("latency_ms", 1.0),)),
        ),
        (COMPLETE, {**PLAIN, "training": {"early_stop": {"patience": 1}}}, ACCURACY, LOSS),
        (COMPLETE, {"command": ["a"], "metrics": {"val_loss": "(.)"}}, ACCURACY, LOSS),
        (Outcome(State.COMPLETE, 0.9, {**METRICS, "val_accuracy_std": 0.1}), PLAIN, ACCURACY, LOSS),
        (Outcome(State.PRUNED, 0.9, METRICS), PLAIN, ACCURACY, LOSS),
        (
            Outcome(State.FAILED, failure=Failure(FailureKind.ERROR, "val_accuracy is not defined")),
            PLAIN,
            ACCURACY,
            LOSS,
        ),
        (
            Outcome(State.COMPLETE, 0.9, {**METRICS, "val_mine": 0.5}),
            PLAIN,
            Objective("val_mine", True, "mine:mine", {"at": 1}),
            Objective("val_mine", True, "mine:mine", {"at": 2}),
        ),
        (COMPLETE, PLAIN, ACCURACY, Objective("val_accuracy", True, score_rule="best")),
        (COMPLETE, PLAIN, Objective("val_accuracy", True, score_rule="best"), ACCURACY),
        (
            COMPLETE,
            PLAIN,
            Objective("val_accuracy", True, score_rule="best"),
            Objective("val_loss", False, score_rule="best"),
        ),
        (
            COMPLETE,
            PLAIN,
            Objective("val_accuracy", True, score_rule="mean_of_last", n_averaged=2),
            Objective(
                "val_accuracy",
                True,
                constraints=(Constraint("val_loss", 1.0),),
                score_rule="mean_of_last",
                n_averaged=2,
            ),
        ),
    ],
)
def test_there_is_no_new_score_if_the_record_lacks_it(
    outcome: Outcome, config: dict[str, Any], old: Objective, new: Objective
) -> None:
    assert rescored(outcome, EPOCHS, config, old, new) is None


def test_a_failure_of_the_machine_and_a_pruning_by_the_same_metric_are_kept() -> None:
    full = Outcome(State.FAILED, failure=Failure(FailureKind.OOM, "full"))
    assert rescored(full, [], PLAIN, ACCURACY, LOSS) == (full, [])
    bounded = Objective("val_accuracy", True, constraints=(Constraint("val_f1", 0.5, True),))
    pruned = Outcome(State.PRUNED, 0.9, METRICS)
    rescored_trial = rescored(pruned, EPOCHS, PLAIN, ACCURACY, bounded)
    assert rescored_trial is not None and rescored_trial[0].state is State.PRUNED
