"""The tuned threshold is the best one of all, by scikit-learn's metrics, and the trial, its tests and its model use it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
from numpy.typing import NDArray

from tests.support.jobs import change_job, make_job
from tests.train.fused.trials import outcomes_of
from tunecli import load_model
from tunecli.config.objectives import described, spelled
from tunecli.config.schema import TrialConfig
from tunecli.config.study import StudySettings
from tunecli.objective import Objective
from tunecli.train.class_metrics import Classified
from tunecli.train.data.loading import load
from tunecli.train.fused.group import run_group
from tunecli.train.label_metrics import Labelled
from tunecli.train.loop import run
from tunecli.train.requested_metrics import further_metrics
from tunecli.train.thresholds import tuned_threshold

RNG = np.random.default_rng(3)
N = 40
Y = RNG.integers(0, 2, N)
LOGITS = np.stack([np.zeros(N), np.round(RNG.normal(size=N) + Y - 1, 1)], 1)  # rounded, so that scores tie
LABELS = (RNG.uniform(size=(N, 3)) < 0.3).astype(int)
OUTPUTS = np.round(RNG.normal(size=(N, 3)) + LABELS - 1, 1)
WEIGHTS = np.where(np.arange(N) % 7 == 0, 0.0, RNG.uniform(0.2, 3, N))


def all_thresholds(p: NDArray[Any]) -> NDArray[Any]:
    edges = np.concatenate([[0.0], np.unique(p), [1.0]])
    return (edges[1:] + edges[:-1]) / 2


def value_of(name: str, y: NDArray[Any], guess: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """The metric of this name after ``val_`` by scikit-learn; higher is better."""
    base, _, average = name.partition(":")
    w = {"sample_weight": weights}
    match base:
        case "accuracy":
            return float(reference.accuracy_score(y, guess, **w))
        case "hamming_loss":
            return -float(reference.hamming_loss(y, guess, **w))
        case "balanced_accuracy":
            return float(reference.balanced_accuracy_score(y, guess, **w))
        case "mcc":
            return float(reference.matthews_corrcoef(y, guess, **w))
        case "kappa":
            return float(reference.cohen_kappa_score(y, guess, **w))
        case _:
            score = getattr(reference, f"{base}_score")
            return float(score(y, guess, average=average or "macro", zero_division=0, **w))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "balanced_accuracy",
        "f1",
        "f1:binary",
        "f1:weighted",
        "mcc",
        "kappa",
        "precision",
        "recall",
    ],
)
def test_no_other_threshold_of_two_classes_is_better(name: str, weights: NDArray[Any] | None) -> None:
    metric = further_metrics(
        Objective(f"val_{name.replace(':', '_')}", True, tunes_threshold=True), Path()
    ).tuned
    weight = None if weights is None else torch.from_numpy(weights)
    part = Classified(torch.from_numpy(LOGITS), torch.from_numpy(Y), (), weight)
    assert metric is not None
    found = tuned_threshold(part, metric)
    p = part.p_NK[:, 1].numpy()
    values = [value_of(name, Y, (p > t).astype(int), weights) for t in all_thresholds(p)]
    assert value_of(name, Y, (p > found).astype(int), weights) == pytest.approx(max(values))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    "name",
    ["accuracy", "hamming_loss", "f1", "f1:micro", "f1:weighted", "f1:samples", "precision:micro", "recall"],
)
def test_no_other_threshold_of_labels_is_better(name: str, weights: NDArray[Any] | None) -> None:
    maximize = name != "hamming_loss"
    objective = Objective(f"val_{name.replace(':', '_')}", maximize, tunes_threshold=True)
    metric = further_metrics(objective, Path()).tuned
    weight = None if weights is None else torch.from_numpy(weights)
    part = Labelled(torch.from_numpy(OUTPUTS), torch.from_numpy(LABELS), (), weight)
    assert metric is not None
    found = tuned_threshold(part, metric)
    p = part.p_NL.numpy()
    values = [value_of(name, LABELS, (p > t).astype(int), weights) for t in all_thresholds(p)]
    assert value_of(name, LABELS, (p > found).astype(int), weights) == pytest.approx(max(values))


def test_the_threshold_of_one_label_is_best_for_it_and_equal_ones_are_nearest_to_one_half() -> None:
    metric = further_metrics(Objective("val_f1_of_1", True, tunes_threshold=True), Path()).tuned
    assert metric is not None
    part = Labelled(torch.from_numpy(OUTPUTS), torch.from_numpy(LABELS))
    p = part.p_NL.numpy()
    scores = [reference.f1_score(LABELS[:, 1], p[:, 1] > t) for t in all_thresholds(p)]
    found = tuned_threshold(part, metric)
    assert reference.f1_score(LABELS[:, 1], p[:, 1] > found) == pytest.approx(max(scores))
    perfect = Classified(torch.tensor([[0.0, -3], [0, 1], [0, 5]]), torch.tensor([0, 1, 1]))
    two = further_metrics(Objective("val_f1", True, tunes_threshold=True), Path()).tuned
    assert two is not None
    middle = float(torch.sigmoid(torch.tensor([-3.0, 1.0]).double()).mean())
    assert tuned_threshold(perfect, two) == pytest.approx(middle)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("thresholds") / "rare.npz"
    x = RNG.normal(size=(300, 2))
    np.savez(path, x=x, y=(x[:, 0] + RNG.normal(size=300) > 1.5).astype(int))
    return str(path)


def job_of(file: str, metric: str = "val_f1_binary", *, tunes: bool = True, **options: Any) -> Any:
    config = {
        "data": {"source": file, "test": {"fraction": 0.3}},
        "model": "linear",
        "optimizer": {"name": "adam", "lr": 0.05},
        "training": {"epochs": 3, "early_stop": {"patience": 3}},
    }
    objective = Objective(metric, True, also=("val_mcc", "val_f1_binary"), tunes_threshold=tunes)
    return make_job(0, config, objective, device="cpu", **options)


def test_a_trial_records_its_threshold_and_scores_its_decisions_by_it(file: str) -> None:
    tuned, plain = (outcomes_of(run(job_of(file, tunes=tunes, open_test=True)))[0] for tunes in (True, False))
    assert tuned.score is not None
    assert plain.score is not None
    assert tuned.score > plain.score
    assert 0 < tuned.metrics["val_threshold"] < 1
    assert "val_threshold" not in plain.metrics
    assert "test_threshold" not in tuned.metrics
    assert tuned.metrics["val_loss"] == pytest.approx(plain.metrics["val_loss"], rel=0.5)
    assert tuned.metrics["test_f1_binary"] != plain.metrics["test_f1_binary"]
    (fused,) = outcomes_of(run_group([job_of(file, open_test=True)])).values()
    assert fused.metrics == pytest.approx(dict(tuned.metrics), rel=1e-5)


def test_a_trained_model_decides_by_the_recorded_threshold(file: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    outcome = outcomes_of(run(job_of(file, weights_path=str(path))))[0]
    model = load_model(path)
    assert model.facts.threshold == outcome.metrics["val_threshold"]
    table = model.read(file)
    is_second = model.predict_proba(table)[:, 1] > model.facts.threshold
    assert (model.predict(table) == np.where(is_second, "1", "0")).all()
    expected = reference.f1_score(table.y, is_second)
    assert model.metrics(table, model.outputs(table))["test_f1_binary"] == pytest.approx(expected)


def test_a_fixed_threshold_decides_in_validation_in_tests_and_in_the_model(file: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    job = job_of(file, open_test=True, weights_path=str(path))
    fixed = replace(job.task.objective, tunes_threshold=False, threshold=0.3)
    job = change_job(job, objective=fixed)
    outcome = outcomes_of(run(job))[0]
    assert outcome.metrics["val_threshold"] == 0.3
    assert "test_threshold" not in outcome.metrics
    model = load_model(path)
    assert model.facts.threshold == 0.3
    fold = load(
        TrialConfig.model_validate(job.task.config).data, Path(), 1, torch.device("cpu"), open_test=True
    )[0]
    p_N = model.models[0].outputs(fold.x_valid).softmax(1)[:, 1]
    expected = reference.f1_score(fold.y_valid, p_N > 0.3)
    assert outcome.metrics["val_f1_binary"] == pytest.approx(expected)
    (fused,) = outcomes_of(run_group([change_job(job, weights_path=None)])).values()
    assert fused.metrics == pytest.approx(dict(outcome.metrics), rel=1e-5)


def settings_of(objective: dict[str, Any]) -> StudySettings:
    return StudySettings.model_validate({"study": "s", "objective": objective}, context={"own_trial": False})


def test_a_file_asks_for_the_threshold_of_a_metric_that_depends_on_it() -> None:
    assert settings_of({"metric": "val_f1", "threshold": "auto"}).objective.objective.tunes_threshold
    fixed = settings_of({"metric": "val_f1", "threshold": 0.3}).objective
    assert (fixed.objective.tunes_threshold, fixed.objective.threshold) == (False, 0.3)
    assert spelled(fixed.objective)["threshold"] == 0.3
    assert described(fixed.objective).endswith("at the threshold 0.3")
    for threshold in ("auto", 0.3):
        with pytest.raises(ValueError, match="val_auroc does not depend on a threshold"):
            settings_of({"metric": "val_auroc", "threshold": threshold})
    for threshold in (0, 1, "best"):
        with pytest.raises(ValueError, match="threshold"):
            settings_of({"metric": "val_f1", "threshold": threshold})
