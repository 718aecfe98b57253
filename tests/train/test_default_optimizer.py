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
from tunecli.train import default_optimizer
from tunecli.train.data import loading
from tunecli.train.data.sources import facts_of
from tunecli.train.default_optimizer import default_decays, explained_fraction, with_default_decay
from tunecli.train.loop import run
from tunecli.train.validation.notes import trial_notes
from tunecli.train.workload import steps_per_epoch

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


def test_decay_is_strong_only_for_an_mlp_or_a_tabular_resnet_on_a_small_noisy_table_without_an_optimizer() -> (
    None
):
    assert decay({"data": NOISY}) == pytest.approx(1 / (1e-3 * 180))
    assert decay({"data": NOISY}, n_steps=1) == pytest.approx(1 / (1e-3 * 150))
    assert decay({"data": NOISY, "model": "tabular_resnet"}) == pytest.approx(1 / (1e-3 * 180))
    assert decay({"data": CLEAN}) == 0.01
    assert decay({"data": CLEAN, "model": "tabular_resnet"}) == 0.01
    assert decay({"data": NOISY, "optimizer": "adamw"}) == 0.01
    assert decay({"data": NOISY, "model": "tabular_resnet", "optimizer": "adamw"}) == 0.01
    assert decay({"data": NOISY, "model": "linear"}) == 0.01
    assert decay({"data": {**NOISY, "source": "iris"}}) == 0.01


def test_rows_are_judged_once_and_a_bounded_number_of_verdicts_is_kept() -> None:
    default_optimizer._VERDICTS.clear()
    assert decay({"data": NOISY}) == decay({"data": NOISY}) == pytest.approx(1 / (1e-3 * 180))
    assert list(default_optimizer._VERDICTS.values()) == [True]
    assert decay({"data": CLEAN}) == 0.01
    assert list(default_optimizer._VERDICTS.values()) == [True, False]
    rng = np.random.default_rng(0)
    for _ in range(default_optimizer._MOST_VERDICTS + 9):
        x, y = rng.normal(size=(12, 2)), rng.normal(size=12)
        is_noisy = explained_fraction(x, y) < default_optimizer.NOISY_FRACTION
        assert default_optimizer._is_noisy(x, y) is default_optimizer._is_noisy(x, y) is is_noisy
    assert len(default_optimizer._VERDICTS) == default_optimizer._MOST_VERDICTS


def test_trial_trains_with_the_decay_and_no_worse_than_ridge() -> None:
    def score(**trial: Any) -> float:
        objective = Objective("val_r2", maximize=True)
        *_, end = run(make_job(0, {"data": NOISY, **trial}, objective, study_seed=0, seed=1000))
        assert isinstance(end, Ended)
        assert end.outcome.score is not None
        return end.outcome.score

    strong = {"name": "adamw", "weight_decay": 1 / (1e-3 * 180)}
    default = score()
    assert default == score(optimizer=strong)
    assert default > score(optimizer="adamw") + 0.02


@pytest.mark.parametrize("source", [NOISY["source"], CLEAN["source"]])
@pytest.mark.parametrize("validation", [{"fraction": 0.2}, {"folds": 3}])
def test_decays_are_known_before_the_training(source: Any, validation: dict[str, Any]) -> None:
    trial = {"data": {"source": source, "validation": validation, "train_fraction": 0.5}}
    config = TrialConfig.model_validate(trial)
    facts = facts_of(config.data, Path())
    assert facts is not None
    folds = loading.load(config.data, Path(), 0, torch.device("cpu"))
    optimizers = [
        with_default_decay(config, fold, steps_per_epoch(config, len(fold.y_train))).optimizer
        for fold in folds
    ]
    decays = [one.weight_decay for one in optimizers if isinstance(one, AdamW) and one.weight_decay != 0.01]
    assert list(default_decays(config, facts, Path(), 0)) == decays
    assert bool(decays) == (source == "diabetes")
    named = TrialConfig.model_validate({**trial, "optimizer": "adamw"})
    assert default_decays(named, facts, Path(), 0) == ()


def test_check_notes_the_decay_that_the_rule_chooses() -> None:
    def notes(**trial: Any) -> list[str]:
        config = TrialConfig.model_validate({"data": NOISY, **trial})
        return [note.text for note in trial_notes(config, Objective("val_r2", maximize=True), Path())]

    told = "the weight decay 5.56, not 0.01; `optimizer: adamw` takes 0.01"
    assert any(told in text for text in notes())
    assert not any("weight decay" in text for text in notes(optimizer="adamw"))
