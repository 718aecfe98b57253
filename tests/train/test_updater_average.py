"""Averages of weights against those of torch.optim.swa_utils."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from tunecli.config.schema.training import Ema, Swa
from tunecli.train.updater import WeightAverage

BATCHES = [torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(5)]


def model_of() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(model(x).square().mean())
    optimizer.step()


def test_the_exponential_average_equals_torchs_after_every_step() -> None:
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    average = WeightAverage(Ema(decay=0.8), model, n_epochs=1)
    reference = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    for x in BATCHES:
        step(model, optimizer, x)
        average.after_step()
        reference.update_parameters(model)
        with average.applied():
            for found, expected in zip(model.parameters(), reference.module.parameters(), strict=True):
                assert torch.equal(found, expected)


def test_the_stochastic_average_and_its_batch_statistics_equal_torchs() -> None:
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    average = WeightAverage(Swa(start_fraction=0.5), model, n_epochs=4)
    reference = AveragedModel(model)
    for epoch in range(1, 5):
        for x in BATCHES:
            step(model, optimizer, x)
            average.after_step()
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        average.after_epoch(epoch, BATCHES)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, own[name])
        if epoch > 2:
            reference.update_parameters(model)
    update_bn(BATCHES, reference)
    with average.applied():
        for name, expected in reference.module.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], expected)


def test_the_models_weights_are_used_before_the_average_starts() -> None:
    model = model_of()
    average = WeightAverage(Swa(start_fraction=0.5), model, n_epochs=10)
    average.after_epoch(5, BATCHES)
    before = [parameter.clone() for parameter in model.parameters()]
    with average.applied():
        for found, expected in zip(model.parameters(), before, strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize(("fraction", "n_epochs", "first"), [(0.29, 100, 30), (0.75, 4, 4), (0.0, 3, 1)])
def test_the_stochastic_average_begins_once_its_fraction_of_the_epochs_is_done(
    fraction: float, n_epochs: int, first: int
) -> None:
    model = model_of()
    average = WeightAverage(Swa(start_fraction=fraction), model, n_epochs)
    average.after_epoch(first - 1, BATCHES)
    assert not average.averages
    average.after_epoch(first, BATCHES)
    assert average.averages


def test_the_models_own_weights_are_restored_after_an_error() -> None:
    model = model_of()
    average = WeightAverage(Ema(decay=0.5), model, n_epochs=1)
    average.after_step()
    step(model, torch.optim.SGD(model.parameters(), lr=1.0), BATCHES[0])
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ZeroDivisionError), average.applied():
        assert not torch.equal(next(model.parameters()), before[0])
        raise ZeroDivisionError
    for found, expected in zip(model.parameters(), before, strict=True):
        assert torch.equal(found, expected)
