"""What can be known to be wrong with a trial before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.spec.knobs import TrialConfig
from tunecli.spec.metrics import METRICS
from tunecli.train.inspection import complaints
from tunecli.trial import Objective


def parameters(config: dict[str, Any], metric: str = "val_loss", folder: Path = Path()) -> list[str]:
    objective = Objective(metric, METRICS[metric].maximize if metric in METRICS else True)
    found = complaints(TrialConfig.model_validate(config), objective, folder)
    return [complaint.parameter for complaint in found]


@pytest.mark.parametrize(
    "config",
    [
        {"data": {"source": "digits"}},
        {"data": {"source": "diabetes"}, "loss": "huber"},
        {"data": {"source": "digits", "augment": ["flip", "crop", {"cutout": {"size": 8}}]}, "model": "cnn"},
        {"data": {"source": "iris", "augment": ["noise"], "validation": {"folds": 50}, "balance": "sample"}},
        {
            "data": {"source": "iris"},
            "model": {"name": "mlp", "norm": "batch"},
            "training": {"batch_size": 7},
        },
        {
            "data": {"source": "iris"},
            "model": {"name": "mlp", "norm": "layer"},
            "training": {"batch_size": 1},
        },
        {
            "data": {"source": "iris"},
            "learning_rate": [{"cut": {"at": [19], "factor": 0.5}}, {"cut": {"floor": 1e-5}}],
        },
    ],
)
def test_a_sound_trial_has_no_complaints(config: dict[str, Any]) -> None:
    assert parameters(config) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"data": {"source": "iris", "target": "y"}}, ["data.target"]),
        ({"data": {"source": "iris", "validation": {"folds": 51}}}, ["data.validation"]),
        ({"data": {"source": "nowhere.csv"}}, ["data.source"]),
        ({"data": {"source": "iris", "validation": {"file": "v.csv"}}}, ["data.validation"]),
        ({"data": {"source": "iris"}, "loss": "mse"}, ["loss"]),
        ({"data": {"source": "diabetes"}, "loss": "focal"}, ["loss"]),
        ({"data": {"source": "iris"}, "model": "cnn"}, ["model"]),
        ({"data": {"source": "iris", "augment": ["noise", "flip"]}}, ["data.augment.1"]),
        ({"data": {"source": "digits", "augment": [{"crop": {"pixels": 8}}]}}, ["data.augment.0.pixels"]),
        ({"data": {"source": "digits", "augment": [{"cutout": {"size": 9}}]}}, ["data.augment.0.size"]),
        ({"data": {"source": "diabetes", "balance": "weight"}}, ["data.balance"]),
        (
            {
                "data": {"source": "iris"},
                "model": {"name": "mlp", "norm": "batch"},
                "training": {"batch_size": 1},
            },
            ["training.batch_size"],
        ),
        (
            {
                "data": {"source": "iris"},
                "training": {"epochs": 5},
                "learning_rate": ["cosine", {"cut": {"at": [2, 5], "factor": 0.5}}],
            },
            ["learning_rate.1.cut.at"],
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_key_to_blame(config: dict[str, Any], expected: list[str]) -> None:
    assert parameters(config) == expected


@pytest.mark.parametrize(
    ("source", "metric"), [("iris", "val_rmse"), ("diabetes", "val_accuracy"), ("iris", "val_acuracy")]
)
def test_a_metric_that_the_task_has_not_is_refused(source: str, metric: str) -> None:
    assert parameters({"data": {"source": source}}, metric) == ["objective.metric"]


def test_all_complaints_come_at_once() -> None:
    config = {"data": {"source": "iris", "augment": ["flip"]}, "model": "cnn", "loss": "mse"}
    assert parameters(config, "val_r2") == ["loss", "model", "data.augment.0", "objective.metric"]


def test_one_training_example_is_too_few_for_batch_norm(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,0.5\n2,1.5\n")
    config = {"data": {"source": "t.csv", "target": "y"}, "model": {"name": "mlp", "norm": "batch"}}
    assert parameters(config, folder=tmp_path) == ["model.norm"]
