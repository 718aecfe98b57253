"""The simple models on the data of a trial, compared with scikit-learn's own pipelines on the same rows."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
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
    goal = Objective("val_f1_binary", maximize=True, threshold=0.3)
    fixed = next(fitted_models(make_job(0, {"data": data}, goal, study_seed=SEED))).metrics
    guess = model.predict_proba(x[valid])[:, 1] > 0.3
    expected = f1_score(y[valid], guess, sample_weight=weight[valid])
    assert fixed["val_f1_binary"] == pytest.approx(expected)


def test_each_target_has_a_model_and_the_metrics_are_means_over_the_targets(tmp_path):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(90, 3)), rng.uniform(0.1, 3, 90)
    y = x @ rng.normal(size=(3, 2)) * [1, 100] + rng.normal(size=(90, 2))
    np.savez(tmp_path / "two.npz", x=x, y=y, weight=weight)
    data = {"source": str(tmp_path / "two.npz"), "task": "regression"}
    linear, trees = fitted_models(
        make_job(0, {"data": data}, Objective("val_r2", maximize=True), study_seed=SEED)
    )
    [part] = parts_of(data)
    train, valid = part.train_indices, part.valid_indices
    guesses = [
        make_pipeline(StandardScaler(), Ridge())
        .fit(x[train], target[train], ridge__sample_weight=weight[train])
        .predict(x[valid])
        for target in y.T
    ]
    guess = np.stack(guesses, axis=1)
    errors = mean_absolute_error(y[valid], guess, sample_weight=weight[valid])
    assert linear.metrics["val_mae"] == pytest.approx(errors, rel=1e-4)
    expected = r2_score(y[valid], guess, sample_weight=weight[valid])
    assert linear.metrics["val_r2"] == pytest.approx(expected, abs=1e-4)
    assert {"val_loss", "val_r2"} <= trees.metrics.keys()


def test_each_label_has_a_classifier_and_a_label_of_no_training_example_is_never_predicted(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 3))
    y = (x + rng.normal(size=(120, 3)) > [0, 1, 9]).astype(int)
    names = ["a", "b", "c", "l0", "l1", "l2"]
    rows = [
        ",".join(names),
        *(",".join(map(repr, [*a, *b])) for a, b in zip(x.tolist(), y.tolist(), strict=True)),
    ]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    data = {"source": str(tmp_path / "labels.csv"), "target": names[3:], "task": "multilabel"}
    found = linear_metrics(data, "val_f1")
    [part] = parts_of(data)
    train, valid = part.train_indices, part.valid_indices
    scaled = StandardScaler().fit(x[train])
    guess, losses = np.zeros_like(y[valid]), []
    for label in range(2):
        model = LogisticRegression(max_iter=1000).fit(scaled.transform(x[train]), y[train, label])
        guess[:, label] = model.predict(scaled.transform(x[valid]))
        losses.append(log_loss(y[valid, label], model.predict_proba(scaled.transform(x[valid]))))
    assert found["val_f1"] == pytest.approx(f1_score(y[valid], guess, average="macro", zero_division=0))
    assert found["val_loss"] == pytest.approx(sum(losses) / 3, rel=1e-4)


def test_a_series_has_the_last_value_and_a_ridge_regression_of_the_windows(tmp_path):
    rng = np.random.default_rng(2)
    values = np.cumsum(rng.normal(size=100))
    (tmp_path / "s.csv").write_text(
        "\n".join(["t,y", *(f"{t},{y!r}" for t, y in enumerate(values.tolist()))])
    )
    data = {
        "source": str(tmp_path / "s.csv"),
        "target": "y",
        "columns": {"time": "t"},
        "series": {"window": 4, "horizon": 2},
        "validation": {"fraction": 0.2, "by": "time"},
    }
    job = make_job(0, {"data": data}, Objective("val_rmse", maximize=False), study_seed=SEED)
    last, ridge = (one for one, _ in zip(fitted_models(job), range(2), strict=False))
    assert (last.model, ridge.model) == ("repeating the last value", "ridge regression")
    rmse = np.sqrt(np.mean((values[80:] - values[78:98]) ** 2))
    assert last.metrics["val_rmse"] == pytest.approx(rmse, rel=1e-5)
    # a ridge penalty depends on the scale, so the reference is standardised as one block
    windows, targets = np.lib.stride_tricks.sliding_window_view(values, 4)[:-2], values[5:]
    [part] = parts_of(data)
    train, valid = part.train_indices, part.valid_indices
    rows = np.unique(train[:, None] + np.arange(4))
    scaled = (windows - values[rows].mean()) / values[rows].std()
    center, scale = targets[train].mean(), targets[train].std()
    model = Ridge().fit(scaled[train], (targets[train] - center) / scale)
    guess = model.predict(scaled[valid]) * scale + center
    rmse = np.sqrt(np.mean((targets[valid] - guess) ** 2))
    assert ridge.metrics["val_rmse"] == pytest.approx(rmse, rel=1e-4)


@pytest.mark.parametrize("with_columns", [False, True])
def test_texts_are_read_by_words_whatever_the_tokens_of_the_trials(tmp_path, with_columns):
    rng = np.random.default_rng(3)
    words = np.array(["good", "bad", "film", "the", "a", "plot"])
    texts = [" ".join(rng.choice(words, 6)) for _ in range(90)]
    stars = rng.normal(size=90)
    y = [
        "yes" if text.count("good") + star > text.count("bad") else "no"
        for text, star in zip(texts, stars, strict=True)
    ]
    rows = zip(texts, stars.tolist(), y, strict=True)
    (tmp_path / "t.csv").write_text("\n".join(["text,stars,y", *(f"{t},{s!r},{c}" for t, s, c in rows)]))
    data = {
        "source": str(tmp_path / "t.csv"),
        "target": "y",
        "text": "text",
        "tokens": "characters",
        "max_tokens": 8,
        "text_with_columns": with_columns,
    }
    job = make_job(0, {"data": data}, Objective("val_accuracy", maximize=True), study_seed=SEED)
    [found] = fitted_models(job)
    [part] = parts_of(data)
    train, valid = part.train_indices, part.valid_indices
    weights = TfidfVectorizer(token_pattern=r"\w+").fit([texts[row] for row in train])
    x = weights.transform(texts).toarray()
    if with_columns:
        x = np.column_stack([(stars - stars[train].mean()) / stars[train].std(), x])
    model = LogisticRegression(max_iter=1000).fit(x[train], np.array(y)[train])
    loss = log_loss(np.array(y)[valid], model.predict_proba(x[valid]))
    assert found.metrics["val_loss"] == pytest.approx(loss, rel=1e-3)


def test_images_have_no_baseline():
    with pytest.raises(UsageError, match="a table of features"):
        linear_metrics({"source": "digits"}, "val_accuracy")
