"""Columns of metrics beside the objective's, and all metrics of each trial as JSON data."""

import json
import math

import pytest

from tunecli.errors import UsageError
from tunecli.objective import Constraint, Objective
from tunecli.results.metric_columns import (
    data_of,
    metric_names,
    metrics_named,
    metrics_of,
    with_metric_columns,
    with_metrics,
)
from tunecli.results.table import Table
from tunecli.trial import Outcome, State, Trial

LOSS = Objective("val_loss", False)
TABLE = Table(
    ("rank", "trial", "status", "val_loss", "a.lr", "epochs"),
    ((1, 4, "complete", 0.1, 3, 9), (2, 0, "complete", 0.2, 1, 9), (None, 2, "failed", None, 2, 0)),
)


def trial(number, **metrics):
    return Trial(number, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, metrics.get("val_loss"), metrics))


TRIALS = [
    trial(4, val_loss=0.1, f1=0.9, epochs=7.0),
    trial(0, val_loss=0.2, **{"eval/acc": 0.5, "a.lr": 0.3}),
    Trial(2, {}, 0),
]
NAMES = ["a.lr", "epochs", "eval/acc", "f1", "val_loss"]


def test_a_selected_metric_without_a_column_gets_one_at_the_end():
    table = with_metrics(TABLE, TRIALS, ["f1", "val_loss", "nothing"])
    assert table.columns == (*TABLE.columns, "f1")
    assert [row[-1] for row in table.rows] == [0.9, None, None]
    assert with_metrics(TABLE, TRIALS, []) is TABLE


def test_a_metric_with_the_name_of_a_column_is_selected_by_its_prefix():
    table = with_metrics(TABLE, TRIALS, ["metric.epochs", "metric.nothing"])
    assert table.columns == (*TABLE.columns, "metric.epochs")
    assert [row[-1] for row in table.rows] == [7.0, None, None]


def test_metrics_follow_the_objective_and_never_replace_a_column():
    table = with_metric_columns(TABLE, TRIALS, metric_names(TRIALS), LOSS)
    added = ("metric.a.lr", "metric.epochs", "eval/acc", "f1")
    assert table.columns == (*TABLE.columns[:4], *added, *TABLE.columns[4:])
    assert table.n_leading == TABLE.n_leading + 4
    assert [row[4:8] for row in table.rows] == [
        (None, 7.0, None, 0.9),
        (0.3, None, 0.5, None),
        (None, None, None, None),
    ]
    assert [(*row[:4], *row[8:]) for row in table.rows] == [*TABLE.rows]


def test_a_named_metric_has_a_column_before_any_trial_reports_it():
    table = with_metric_columns(TABLE, [], ["late", "late"], LOSS)
    assert table.columns[4] == "late"
    assert [row[4] for row in table.rows] == [None, None, None]


def test_the_metrics_of_constraints_have_their_columns_already():
    bounded = Objective("val_loss", False, constraints=(Constraint("f1", 0.5, True),))
    assert "f1" not in with_metric_columns(TABLE, TRIALS, ["f1"], bounded).columns


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (["all"], NAMES),
        (["f1", "f1"], ["f1"]),
        (["acc"], ["eval/acc"]),
        (["lr", "eval/acc"], ["a.lr", "eval/acc"]),
    ],
)
def test_metrics_are_named_in_full_by_a_unique_end_or_all_at_once(asked, names):
    assert metrics_named(asked, NAMES, "--metrics") == names


@pytest.mark.parametrize(
    ("asked", "known", "words"),
    [
        ("acc", ["eval/acc", "train/acc"], "`acc` is ambiguous: eval/acc or train/acc"),
        ("accuracy", ["train_accuracy", "eval_accuracy"], "did you mean `eval_accuracy`?"),
        ("x", ["eval_accuracy"], "the metrics are eval_accuracy"),
        ("x", [f"m{n}" for n in range(4096)], "m11 and 4084 more"),
        ("x", [], "no trial has reported a metric yet"),
    ],
)
def test_an_unknown_or_ambiguous_metric_is_an_error_with_a_hint(asked, known, words):
    with pytest.raises(UsageError) as caught:
        metrics_named([asked], known, "--metrics")
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_json_data_hold_all_metrics_of_each_trial():
    metrics = metrics_of([*TRIALS, trial(5, x=math.inf)])
    table = Table(("trial", "metrics"), ((4, 0.5), (5, 1.5)))
    data = data_of(table, [metrics[4], metrics[5]])
    assert json.loads(json.dumps(data, allow_nan=False)) == {
        "columns": ["trial", "trial.metrics"],
        "trials": [
            {"trial": 4, "trial.metrics": 0.5, "metrics": {"epochs": 7.0, "f1": 0.9, "val_loss": 0.1}},
            {"trial": 5, "trial.metrics": 1.5, "metrics": {"x": None}},
        ],
    }


def test_lr_names_the_parameter_and_not_the_recorded_learning_rate():
    trials = [trial(4, val_loss=0.1, lr=0.5), trial(0, val_loss=0.2, lr=0.6)]
    assert with_metrics(TABLE, trials, ["lr"]) == TABLE
    assert with_metric_columns(TABLE, trials, ["lr"], LOSS).columns[4] == "lr"
    without = Table(("rank", "trial"), ((1, 4), (2, 0)))
    assert with_metrics(without, trials, ["lr"]).rows == ((1, 4, 0.5), (2, 0, 0.6))
