"""Metrics that the file names are computed by every kind of trial, and change nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sklearn.metrics as reference

from tests.train.fused.test_oracle import match_plain_loop
from tests.train.fused.trials import ACCURACY, epochs_of, job_of, outcomes_of
from tunecli.config.metric_names import metric_of
from tunecli.config.metrics import METRICS
from tunecli.objective import Constraint, Objective
from tunecli.train.fused.group import run_group
from tunecli.train.fused.signature import signature
from tunecli.train.loop import run

NAMES = (
    *(
        name
        for name, facts in METRICS.items()
        if facts.function and not facts.is_standard and name != "val_top_k"
    ),
    *("val_f1_weighted", "val_f1_micro", "val_precision_weighted", "val_recall_of_virginica"),
    *("val_kappa_linear", "val_kappa_quadratic", "val_top_2", "val_pinball_0.9"),
)
OF_CLASSES = {
    name
    for name in NAMES
    if (metric := metric_of(name)) is not None and "classification" in metric.facts.tasks
}
OF_NUMBERS = {*NAMES} - OF_CLASSES
ALL = replace(ACCURACY, also=NAMES)
R2 = Objective("val_r2", True)
SUGAR: dict[str, Any] = {"data": {"source": "diabetes"}, "training": {"epochs": 3, "batch_size": 64}}


@pytest.mark.parametrize(
    ("config", "plain", "expected"),
    [
        ({}, ACCURACY, OF_CLASSES),
        ({"data": {"source": "iris", "validation": {"folds": 3}}}, ACCURACY, OF_CLASSES),
        ({"training": {"epochs": 2, "average": "ema"}}, ACCURACY, OF_CLASSES),
        (SUGAR, R2, OF_NUMBERS),
        ({**SUGAR, "loss": "log_cosh"}, R2, OF_NUMBERS),
    ],
)
def test_named_metrics_are_added_and_nothing_else_changes(
    config: dict[str, Any], plain: Objective, expected: set[str]
) -> None:
    (before,) = epochs_of(run(job_of(0, config, plain))).values()
    (after,) = epochs_of(run(job_of(0, config, replace(plain, also=NAMES)))).values()
    assert [{name: one[name] for name in one if name not in NAMES} for one in after] == before
    assert all(set(one) & {*NAMES} == expected for one in after)
    assert not any(set(one) & {*NAMES} for one in before)


@pytest.mark.parametrize("config", [{}, {"model": {"name": "mlp", "hidden": [8], "dropout": 0.2}}, SUGAR])
def test_fused_trials_have_the_named_metrics_of_the_plain_loop(config: dict[str, Any]) -> None:
    match_plain_loop(config, objective=replace(R2 if config is SUGAR else ACCURACY, also=NAMES))


def test_trials_with_other_named_metrics_are_not_fused_together() -> None:
    assert signature(job_of(0, {}, ALL)) != signature(job_of(0))


def test_a_goal_and_a_constraint_name_metrics() -> None:
    goal = Objective("val_mcc", True, constraints=(Constraint("val_log_loss", 2.0),))
    outcome = outcomes_of(run(job_of(0, {}, goal)))[0]
    assert outcome.score == outcome.metrics["val_mcc"]
    assert "val_log_loss" in outcome.metrics
    assert "val_brier" not in outcome.metrics


def test_the_deviation_over_folds_is_recorded_for_a_named_goal() -> None:
    config = {"data": {"source": "iris", "validation": {"folds": 3}}}
    outcome = outcomes_of(run(job_of(0, config, Objective("val_kappa_quadratic", True))))[0]
    assert outcome.metrics["val_kappa_quadratic_std"] >= 0


@pytest.mark.parametrize("is_fused", [False, True])
def test_named_metrics_are_measured_on_the_test_part_too(is_fused: bool) -> None:
    config = {"data": {"source": "iris", "test": {"fraction": 0.2}}}
    job = job_of(0, config, replace(ACCURACY, also=("val_mcc", "val_f1_weighted")), open_test=True)
    outcome = outcomes_of(run_group([job]) if is_fused else run(job))[0]
    assert {"test_mcc", "test_f1_weighted", "val_mcc", "test_accuracy"} <= set(outcome.metrics)


def test_a_regression_is_scored_in_the_units_of_its_target(tmp_path: Path) -> None:
    """The metrics equal scikit-learn's of the predictions that a metric of the user's own receives."""
    (tmp_path / "kept_outputs.py").write_text(
        "SEEN = []\n\ndef score(outputs, targets):\n    SEEN.append((outputs.double(), targets.double()))\n    return 0.0\n"
    )
    own = Objective(
        "val_score", False, "kept_outputs:score", also=("val_mape", "val_max_error", "val_pinball_0.9")
    )
    (epochs,) = epochs_of(run(job_of(0, SUGAR, own, base_path=str(tmp_path)))).values()
    guess, y = (values.numpy() for values in sys.modules["kept_outputs"].SEEN[-1])
    found = epochs[-1]
    # The user's function gets float32 numbers.
    assert found["val_mape"] == pytest.approx(reference.mean_absolute_percentage_error(y, guess), rel=1e-5)
    assert found["val_max_error"] == pytest.approx(reference.max_error(y, guess), rel=1e-5)
    assert found["val_pinball_0.9"] == pytest.approx(
        reference.mean_pinball_loss(y, guess, alpha=0.9), rel=1e-5
    )


def test_a_function_of_the_users_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "own_mcc.py").write_text("def mcc(outputs, targets):\n    return 42.0\n")
    own = Objective("val_mcc", True, "own_mcc:mcc", also=("val_mcc",))
    outcome = outcomes_of(run(job_of(0, {}, own, base_path=str(tmp_path))))[0]
    assert outcome.score == 42.0


def test_an_undefined_further_metric_is_absent_and_fails_no_trial(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(40)))
    (tmp_path / "v.csv").write_text("x,y\n1,a\n3,a\n")
    data = {"source": "t.csv", "target": "y", "validation": {"file": "v.csv"}}
    also = replace(ACCURACY, also=("val_mcc", "val_recall_of_b", "val_brier"))
    outcome = outcomes_of(run(job_of(0, {"data": data}, also, base_path=str(tmp_path))))[0]
    assert outcome.score is not None
    assert {name for name in also.also if name in outcome.metrics} == {"val_brier"}
