"""The columns of predictions: their position, their names, and the trial that is predicted to be best."""

from __future__ import annotations

import json

from tunecli.objective import Objective
from tunecli.results.columns import (
    PredictedBest,
    Prediction,
    predicted_best,
    predicted_columns,
    with_predictions,
)
from tunecli.results.ranking import rank
from tunecli.results.table import results_table, to_csv, to_json, to_markdown
from tunecli.trial import Outcome, State, Trial

ACCURACY = Objective("val_accuracy", maximize=True)
TRIALS = [
    *(
        Trial(n, {"lr": 0.1}, 5, State.COMPLETE, Outcome(State.COMPLETE, score))
        for n, score in enumerate((0.9, 0.8, 0.7))
    ),
    Trial(3, {"lr": 0.2}, 5, State.PRUNED, Outcome(State.PRUNED, 0.6)),
]
TABLE = results_table(rank(TRIALS, ACCURACY), ACCURACY, ("lr",))
LUCKY = {0: Prediction(0.71, 0.05), 1: Prediction(0.79, 0.01), 2: Prediction(0.7, 0.01)}


def test_predictions_follow_the_score_and_may_be_absent():
    table = with_predictions(TABLE, "val_accuracy", LUCKY)
    assert table.columns[:7] == ("rank", "trial", "status", "val_accuracy", "predicted", "uncertainty", "lr")
    assert table.columns[6:] == TABLE.columns[4:]
    assert [row[4:6] for row in table.rows] == [(0.71, 0.05), (0.79, 0.01), (0.7, 0.01), (None, None)]
    assert [(*row[:4], *row[6:]) for row in table.rows] == list(TABLE.rows)


def test_every_format_has_the_predictions():
    table = with_predictions(TABLE, "val_accuracy", LUCKY)
    assert to_csv(table).splitlines()[1].split(",")[:6] == ["1", "0", "complete", "0.9", "0.71", "0.05"]
    assert json.loads(to_json(table))[0]["predicted"] == 0.71
    assert "| predicted | uncertainty |" in to_markdown(table)


def test_no_two_columns_share_a_name():
    objective = Objective("predicted", maximize=False)
    table = results_table(rank(TRIALS, objective), objective, ("uncertainty_",))
    assert predicted_columns(table.columns) == ("predicted__", "uncertainty__")
    columns = with_predictions(table, "predicted", LUCKY).columns
    assert len(set(columns)) == len(columns)


def test_a_predicted_best_that_is_not_the_scored_best_is_returned():
    assert predicted_best(TABLE, LUCKY, ACCURACY.sign) == PredictedBest(1, 0)
    assert predicted_best(TABLE, {**LUCKY, 0: Prediction(0.79, 0.01)}, ACCURACY.sign) is None, "a tie is none"
    assert predicted_best(TABLE, {0: Prediction(0.9, 0.1)}, ACCURACY.sign) is None
    assert predicted_best(TABLE, {}, ACCURACY.sign) is None
    assert predicted_best(results_table([], ACCURACY, ()), {}, ACCURACY.sign) is None
