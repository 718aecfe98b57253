"""An epoch of training against the same epoch written out by hand in plain torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunecli.seeding import seed_for
from tunecli.spec.knobs import TrialConfig
from tunecli.train.determinism import cpu_generator
from tunecli.train.learner import Learner
from tunecli.train.loading import Fold, load

CPU = torch.device("cpu")


def learner_of(config: dict[str, Any], seed: int = 5) -> tuple[Learner, Fold, TrialConfig]:
    concrete = TrialConfig.model_validate({"data": {"source": "iris"}, **config})
    (fold,) = load(concrete.data, Path(), 7, CPU)
    return Learner(concrete, fold, seed), fold, concrete


def test_epochs_are_the_plain_torch_loop() -> None:
    config = {
        "model": {"name": "mlp", "hidden": [8]},
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "learning_rate": ["cosine"],
        "training": {"epochs": 3, "batch_size": 50, "grad_clip": {"norm": 0.5, "value": 0.1}},
    }
    learner, fold, _ = learner_of(config)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model.load_state_dict(learner.weights())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9)
    for epoch in (1, 2, 3):
        found = learner.train_epoch(epoch)
        order = torch.randperm(120, generator=cpu_generator(seed_for(5, "shuffle", epoch)))
        total = 0.0
        for rows in torch.split(order, 50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(fold.x_train[rows]), fold.y_train[rows])
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            nn.utils.clip_grad_value_(model.parameters(), 0.1)
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(rows)
        assert found == pytest.approx(total / 120, rel=1e-5)
    for name, tensor in learner.weights().items():
        torch.testing.assert_close(tensor, model.state_dict()[name])


@pytest.mark.parametrize("balance", ["none", "weight"])
@pytest.mark.parametrize("batch_size", [7, 50])
def test_gradient_descent_is_the_same_whatever_the_batch(batch_size: int, balance: str) -> None:
    config = {"optimizer": {"name": "gd", "lr": 0.5}, "data": {"source": "wine", "balance": balance}}
    whole, _, _ = learner_of({**config, "training": {"batch_size": "full"}})
    parts, _, _ = learner_of({**config, "training": {"batch_size": batch_size}})
    for epoch in (1, 2, 3):
        assert parts.train_epoch(epoch) == pytest.approx(whole.train_epoch(epoch), rel=1e-5)
    for name, tensor in whole.weights().items():
        torch.testing.assert_close(parts.weights()[name], tensor, rtol=1e-4, atol=1e-6)


def test_an_epoch_is_a_function_of_its_names() -> None:
    config = {
        "data": {"source": "digits", "augment": ["noise", "crop"], "balance": "sample"},
        "model": {"name": "cnn", "channels": [4], "dropout": 0.3},
        "optimizer": {"name": "sgd", "lr": 0.1},
    }
    straight, _, _ = learner_of(config)
    straight.train_epoch(1)
    resumed, _, _ = learner_of(config)
    resumed.model.load_state_dict(straight.weights())
    torch.rand(17)  # whatever else draws from torch's generator in between
    assert straight.train_epoch(2) == resumed.train_epoch(2)
    assert all(torch.equal(one, resumed.weights()[name]) for name, one in straight.weights().items())


def test_sampling_makes_the_classes_equally_likely() -> None:
    learner, fold, _ = learner_of({"data": {"source": "breast_cancer", "balance": "sample"}})
    drawn = torch.cat([learner._examples(epoch)[1] for epoch in range(1, 11)])
    assert drawn.double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert fold.y_train.double().mean().item() > 0.6


def test_class_weights_have_mean_one_over_the_training_examples() -> None:
    learner, fold, _ = learner_of({"data": {"source": "breast_cancer", "balance": "weight"}})
    weights = learner._class_weights()
    assert weights[fold.y_train].mean().item() == pytest.approx(1.0, rel=1e-5)
    assert (weights * torch.tensor(fold.class_counts)).std().item() == pytest.approx(0.0, abs=1e-3)


def test_batch_norm_survives_a_last_batch_of_one() -> None:
    learner, _, _ = learner_of({"model": {"name": "mlp", "norm": "batch"}, "training": {"batch_size": 17}})
    assert learner.train_epoch(1) > 0


def test_validation_is_in_chunks_and_the_loss_has_no_class_weights() -> None:
    learner, fold, _ = learner_of({"data": {"source": "wine", "balance": "weight"}})
    with torch.no_grad():
        expected = nn.functional.cross_entropy(learner.model.eval()(fold.x_valid), fold.y_valid).item()
    assert learner.validate()["val_loss"] == pytest.approx(expected)
