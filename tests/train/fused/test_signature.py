"""Trials that can be fused have equal signatures; the others give a reason."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.support.jobs import change_job, make_job
from tests.train.fused.trials import ACCURACY, job_of
from tunecli.messages import Job
from tunecli.objective import Objective
from tunecli.train.fused.signature import signature, why_not

NET = {"name": "mlp", "hidden": [8], "dropout": 0.1}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model": {"python": "mine:Net"}}, "its model is your own code"),
        ({"loss": {"python": "mine:loss"}}, "its loss is your own code"),
        ({"optimizer": {"python": "mine:make"}}, "its optimizer is your own code"),
        ({"model": {"name": "lstm"}}, "a recurrent net's kernels take one model at a time"),
        (
            {"model": {"name": "mlp", "activation": "rrelu"}},
            "rrelu draws random slopes for each model separately",
        ),
        ({"optimizer": "lbfgs"}, "lbfgs evaluates the loss as often as each model needs"),
        ({"optimizer": "muon"}, "muon treats each matrix as a whole"),
        ({"optimizer": "adafactor"}, "adafactor treats each matrix as a whole"),
        ({"data": {"source": "iris", "validation": {"folds": 3}}}, "it is trained on several folds"),
        (
            {"data": {"source": "iris", "augment": ["mixup"]}},
            "mixup mixes the targets of each trial's own batches",
        ),
        ({"training": {"average": "swa"}}, "swa recomputes the statistics of batch norm for each model"),
        ({"training": {"precision": "bf16"}}, "it computes in bf16"),
        ({"training": {"compile": True}}, "compiled models run separately"),
        ({"training": {"compile": "cuda_graphs"}}, "compiled models run separately"),
        ({"training": {"channels_last": True}}, "its images are stored channels last"),
    ],
    ids=str,
)
def test_a_setting_that_rules_out_fusing_gives_the_reason(config: dict[str, Any], reason: str) -> None:
    assert why_not(job_of(0, config)) == reason


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (job_of(0, objective=Objective("val_mine", True, "mine:score")), "its metric is your own code"),
        (job_of(0, repeats=2), "it is repeated over several seeds"),
        (job_of(0, micro_batches=2), "its batches are split to fit into memory"),
        (job_of(0, code={"mine.py": "0"}), "part of it is your own code"),
        (make_job(0, {"python": "mine:train"}, ACCURACY, 0, 0), "it is trained by your own code"),
        (make_job(0, {"command": ["train"]}, ACCURACY, 0, 0), "it is trained by your own code"),
    ],
)
def test_a_job_that_rules_out_fusing_gives_the_reason(job: Job, reason: str) -> None:
    assert why_not(job) == reason


ALIKE: list[dict[str, Any]] = [
    {},
    {"model": {**NET, "dropout": 0.4, "init": "orthogonal"}},
    {"optimizer": {"name": "adam", "lr": 0.1, "betas": [0.5, 0.9], "amsgrad": True, "weight_decay": 0.1}},
    {"learning_rate": ["cosine"]},
    {"weights": [{"clip": {"norm": 1.0}}]},
    {
        "training": {
            "epochs": 9,
            "batch_size": 32,
            "grad_clip": {"norm": 1.0},
            "early_stop": {},
            "average": "ema",
        }
    },
]
UNLIKE: list[dict[str, Any]] = [
    {"model": {**NET, "dropout": 0.0}},
    {"model": {**NET, "hidden": [9]}},
    {"model": {**NET, "activation": "tanh"}},
    {"model": {**NET, "norm": "layer"}},
    {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    {"optimizer": "adamw"},
    {"optimizer": {"name": "adam", "decay_exclude": ["bias"]}},
    {"training": {"batch_size": 16}},
    {"training": {"batch_size": 32, "accumulate": 2}},
    {"data": {"source": "wine"}},
    {"data": {"source": "iris", "train_fraction": 0.5}},
]


@pytest.mark.parametrize("config", ALIKE, ids=str)
def test_settings_of_each_trials_own_do_not_change_the_signature(config: dict[str, Any]) -> None:
    assert signature(job_of(1, {"model": NET, **config})) == signature(job_of(0, {"model": NET}))


@pytest.mark.parametrize("config", UNLIKE, ids=str)
def test_another_shape_gives_another_signature(config: dict[str, Any]) -> None:
    assert signature(job_of(0, {"model": NET, **config})) != signature(job_of(0, {"model": NET}))


@pytest.mark.parametrize(
    "other", [{"study_seed": 8}, {"device": "cuda"}, {"open_test": True}, {"threads": 2}], ids=str
)
def test_another_device_or_folder_gives_another_signature(other: dict[str, Any]) -> None:
    assert signature(change_job(job_of(0), **other)) != signature(job_of(0))


def test_the_signature_needs_no_torch() -> None:
    program = "import sys; import tunecli.train.fused.signature; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
