"""The simple models on the data of a trial, compared with scikit-learn's own pipelines on the same rows."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.jobs import make_job
from tunecli.config.schema.data import Data
from tunecli.errors import UsageError
from tunecli.objective import Objective
from tunecli.train.baseline import fitted_models
from tunecli.train.data.sources import read_source
from tunecli.train.data.splits import split

SEED = 3


def parts_of(data):
    knob = Data.model_validate(data)
    return split(read_source(knob, Path()), knob, SEED, None, None)


def linear_metrics(data, metric, **config):
    job = make_job(0, {"data": data, **config}, Objective(metric, maximize=True), study_seed=SEED)
    return next(fitted_models(job)).metrics


def test_linear_model_scores_as_a_pipeline_of_scikit_learn_on_the_rows_of_each_fold():
    data = {"source": "iris", "validation": {"folds": 3}}
    found = linear_metrics(data, "val_mcc")
    x, y = load_iris(return_X_y=True)
    scores, losses = [], []
    for part in parts_of(data):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(x[part.train_indices], y[part.train_indices])
        scores.append(balanced_accuracy_score(y[part.valid_indices], model.predict(x[part.valid_indices])))
        losses.append(log_loss(y[part.valid_indices], model.predict_proba(x[part.valid_indices])))
    assert found["val_balanced_accuracy"] == pytest.approx(sum(scores) / 3)
    assert found["val_loss"] == pytest.approx(sum(losses) / 3, rel=1e-4)
    assert "val_mcc" in found


def test_errors_of_a_regression_are_in_the_units_of_the_target():
    data = {"source": "diabetes", "validation": {"fraction": 0.25}, "normalize": "minmax"}
    found = linear_metrics(data, "val_r2", loss={"name": "poisson"})
    x, y = load_diabetes(return_X_y=True, scaled=False)
    [part] = parts_of(data)
    model = make_pipeline(StandardScaler(), Ridge()).fit(x[part.train_indices], y[part.train_indices])
    guess = model.predict(x[part.valid_indices])
    assert found["val_r2"] == pytest.approx(r2_score(y[part.valid_indices], guess), abs=1e-4)
    assert found["val_mae"] == pytest.approx(mean_absolute_error(y[part.valid_indices], guess), rel=1e-4)
    assert "val_loss" not in found  # outputs of the trial's loss are logs of rates


def test_weights_of_the_examples_count_in_the_fit_and_in_the_metrics(tmp_path):
    generator = np.random.default_rng(0)
    x, weights = generator.normal(size=(80, 1)), generator.uniform(0, 5, size=80)
    y = x[:, 0] ** 2 + x[:, 0] + generator.normal(size=80)
    rows = (
        f"{a!r},{b!r},{w!r}" for a, b, w in zip(x[:, 0].tolist(), y.tolist(), weights.tolist(), strict=True)
    )
    (tmp_path / "table.csv").write_text("\n".join(["x,y,w", *rows]))
    data = {"source": str(tmp_path / "table.csv"), "target": "y", "columns": {"weight": "w"}}
    found = linear_metrics(data, "val_r2")
    [part] = parts_of(data)
    train, valid = part.train_indices, part.valid_indices
    scaled = (x - x[train].mean()) / x[train].std()
    guess = Ridge().fit(scaled[train], y[train], weights[train]).predict(scaled[valid])
    assert found["val_r2"] == pytest.approx(r2_score(y[valid], guess, sample_weight=weights[valid]), abs=1e-4)


def test_the_threshold_and_the_weights_are_those_of_the_trials(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y, weight = (x[:, 0] + rng.normal(size=200) > 1.2).astype(int), rng.uniform(0.1, 3, 200)
    np.savez(tmp_path / "w.npz", x=x, y=y, weight=weight)
    data = {"source": str(tmp_path / "w.npz")}
    goals = [Objective("val_f1_binary", maximize=True, tunes_threshold=tunes) for tunes in (True, False)]
    tuned, plain = (
        next(fitted_models(make_job(0, {"data": data}, goal, study_seed=SEED))).metrics for goal in goals
    )
    [part] = parts_of(data)
    train, valid = part.train_indices, part.valid_indices
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(x[train], y[train], logisticregression__sample_weight=weight[train])
    expected = f1_score(y[valid], model.predict(x[valid]), sample_weight=weight[valid])
    assert plain["val_f1_binary"] == pytest.approx(expected)
    assert tuned["val_f1_binary"] > plain["val_f1_binary"]


def test_images_have_no_baseline():
    with pytest.raises(UsageError, match="a table of features"):
        linear_metrics({"source": "digits"}, "val_accuracy")
