"""A trial with several targets or labels trains, validates with scikit-learn's metrics, and matches a fused one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
import torch

from tests.train.fused.test_oracle import match_plain_loop
from tests.train.fused.trials import epochs_of, job_of
from tunecli.config.schema import TrialConfig
from tunecli.objective import Objective
from tunecli.train.data import loading
from tunecli.train.learner import Learner
from tunecli.train.loop import run
from tunecli.train.requested_metrics import FurtherMetrics, requested_metrics
from tunecli.train.validation import trial_problems

CPU = torch.device("cpu")
R2 = Objective("val_r2", True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    y = np.stack([3 * x[:, 0] + 100, 1000 * x[:, 1] - x[:, 2]], 1)
    np.savez(folder / "numbers.npz", x=x, y=y)
    np.savez(folder / "labels.npz", x=x, y=x > 0.3)
    return folder


def config(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    return {"data": {"source": str(folder / f"{name}.npz"), **changes.pop("data", {})}, **changes}


def test_metrics_are_the_mean_of_each_targets_in_its_own_units(files: Path) -> None:
    trial = TrialConfig.model_validate(
        {**config(files, "numbers"), "model": "mlp", "training": {"epochs": 1}}
    )
    (fold,) = loading.load(trial.data, Path(), 7, CPU)
    learner = Learner(trial, fold, 1)
    learner.train_epoch(1)
    also = ("val_mae_of_y1", "val_r2_of_y0", "val_median_absolute_error", "val_max_error_of_y1")
    found = learner.validate(
        FurtherMetrics(requested=requested_metrics(Objective("val_r2", True, also=also)))
    )
    center, scale = (np.asarray(one) for one in (fold.target_center, fold.target_scale))
    y = fold.y_valid.numpy().astype(float) * scale + center
    guess = learner.outputs(fold.x_valid).detach().numpy().astype(float) * scale + center
    assert guess.shape == (18, 2)
    assert found["val_mae"] == pytest.approx(reference.mean_absolute_error(y, guess))
    assert found["val_rmse"] == pytest.approx(reference.root_mean_squared_error(y, guess))
    assert found["val_r2"] == pytest.approx(reference.r2_score(y, guess))
    assert found["val_mae_of_y1"] == pytest.approx(reference.mean_absolute_error(y[:, 1], guess[:, 1]))
    assert found["val_r2_of_y0"] == pytest.approx(reference.r2_score(y[:, 0], guess[:, 0]))
    assert found["val_max_error_of_y1"] == pytest.approx(np.abs(y - guess)[:, 1].max())
    assert found["val_median_absolute_error"] == pytest.approx(reference.median_absolute_error(y, guess))
    error = fold.y_valid.numpy() - learner.outputs(fold.x_valid).detach().numpy()
    assert found["val_loss"] == pytest.approx(float((error**2).mean()))


def test_poisson_predicts_rates_in_each_targets_own_units(files: Path, tmp_path: Path) -> None:
    counts = np.random.default_rng(1).poisson([2, 50], (60, 2))
    np.savez(tmp_path / "counts.npz", x=np.zeros((60, 2)) + counts[:, :1], y=counts.astype(float))
    trial = {**config(tmp_path, "counts"), "loss": "poisson"}
    (epochs,) = epochs_of(run(job_of(0, trial, R2))).values()
    assert epochs[-1]["val_mae"] < 100


@pytest.mark.parametrize(
    ("name", "changes", "metric"),
    [
        ("numbers", {"loss": {"name": "huber", "delta": 0.5}}, "val_r2"),
        ("labels", {"data": {"balance": "weight"}}, "val_f1"),
        ("labels", {"loss": {"name": "focal", "gamma": 1.5}, "model": "linear"}, "val_auroc"),
    ],
)
def test_fused_trials_match_the_plain_loop(
    files: Path, name: str, changes: dict[str, Any], metric: str
) -> None:
    also = ("val_f1_samples", "val_mae_of_y0")
    match_plain_loop(config(files, name, **changes), objective=Objective(metric, True, also=also))


@pytest.mark.parametrize(
    ("name", "changes", "objective", "expected"),
    [
        ("labels", {"loss": "cross_entropy"}, Objective("val_f1", True), ["loss"]),
        ("labels", {"data": {"balance": "sample"}}, Objective("val_f1", True), ["data.balance"]),
        ("labels", {}, Objective("val_balanced_accuracy", True), ["objective.metric"]),
        ("labels", {}, Objective("val_f1_binary", True), ["objective.metric"]),
        ("labels", {}, Objective("val_f1_of_y9", True), ["objective.metric"]),
        (
            "labels",
            {"loss": {"name": "bce", "class_weights": [1, 1]}},
            Objective("val_f1", True),
            ["loss.class_weights"],
        ),
        ("numbers", {"loss": "bce"}, R2, ["loss"]),
        ("numbers", {"data": {"balance": "weight"}}, R2, ["data.balance"]),
        ("numbers", {}, Objective("val_mae_of_price", False), ["objective.metric"]),
        ("numbers", {}, Objective("val_hamming_loss", False), ["objective.metric"]),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    files: Path, name: str, changes: dict[str, Any], objective: Objective, expected: list[str]
) -> None:
    trial = TrialConfig.model_validate({**config(files, name, **changes), "model": {"name": "mlp"}})
    assert [problem.parameter for problem in trial_problems(trial, objective, Path())] == expected
