"""The default weight decay: strong for a small table with a noisy target, and what the file names everywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from tests.support.jobs import make_job
from tunecli.config.schema import TrialConfig
from tunecli.config.schema.optimizers import AdamW
from tunecli.messages import Ended
from tunecli.objective import Objective
from tunecli.train.data import loading
from tunecli.train.default_optimizer import explained_fraction, with_default_decay
from tunecli.train.loop import run

NOISY = {"source": "diabetes", "validation": {"fraction": 0.2}}
CLEAN = {"source": {"name": "friedman1", "samples": 300, "noise": 0.5}, "validation": {"fraction": 0.2}}


def decay(trial: dict[str, Any], n_steps: int = 6) -> float:
    config = TrialConfig.model_validate(trial)
    (fold,) = loading.load(config.data, Path(), 0, torch.device("cpu"))
    optimizer = with_default_decay(config, fold, n_steps).optimizer
    assert isinstance(optimizer, AdamW)
    return optimizer.weight_decay


def test_explained_fraction_is_that_of_examples_left_out_one_by_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = np.sin(2 * x[:, 0]) + x[:, 1] + 0.3 * rng.normal(size=40)
    y -= y.mean()
    errors = []
    for alpha in 10.0 ** np.arange(-3, 3.5, 0.5):
        model = KernelRidge(alpha=alpha, kernel="rbf", gamma=0.1 / 3)
        errors.append(((y - cross_val_predict(model, x, y, cv=LeaveOneOut())) ** 2).sum())
    assert explained_fraction(x, y) == pytest.approx(1 - min(errors) / (y**2).sum(), rel=1e-9)
    assert explained_fraction(x, rng.normal(size=40)) < 0.2
    assert explained_fraction(x, np.zeros(40)) == 0


def test_decay_is_strong_only_for_an_mlp_on_a_small_noisy_table_without_an_optimizer() -> None:
    assert decay({"data": NOISY}) == pytest.approx(1 / (1e-3 * 180))
    assert decay({"data": NOISY}, n_steps=1) == pytest.approx(1 / (1e-3 * 150))
    assert decay({"data": CLEAN}) == 0.01
    assert decay({"data": NOISY, "optimizer": "adamw"}) == 0.01
    assert decay({"data": NOISY, "model": "linear"}) == 0.01
    assert decay({"data": {**NOISY, "source": "iris"}}) == 0.01


def test_trial_trains_with_the_decay_and_no_worse_than_ridge() -> None:
    def score(**trial: Any) -> float:
        objective = Objective("val_r2", maximize=True)
        *_, end = run(make_job(0, {"data": NOISY, **trial}, objective, study_seed=0, seed=1000))
        assert isinstance(end, Ended)
        assert end.outcome.score is not None
        return end.outcome.score

    strong = {"name": "adamw", "weight_decay": 1 / (1e-3 * 180)}
    assert score() == score(optimizer=strong)
    assert score() > score(optimizer="adamw") + 0.02
