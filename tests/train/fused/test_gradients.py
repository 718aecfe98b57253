"""All three ways to compute many models' gradients equal autograd for each model alone, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.train.data.table import Inputs
from tunecli.train.fused.gradients import (
    PerceptronGradients,
    SequentialGradients,
    VectorisedGradients,
    is_perceptron,
)
from tunecli.train.fused.scores import criterion
from tunecli.train.fused.stack import Stack
from tunecli.train.losses import build_loss
from tunecli.train.models import build

N_MODELS, N, N_CLASSES = 3, 11, 4
IMAGE = Inputs((1, 8, 8))
LOSS = build_loss(None, "classification")
MODELS: list[dict[str, Any]] = [
    {"name": "mlp", "hidden": [13, 6], "activation": "tanh", "dropout": 0.3},
    *({"name": "mlp", "hidden": [13, 6], "norm": norm, "dropout": 0.3} for norm in ("batch", "layer", "rms")),
    {"name": "mlp", "hidden": [13, 13], "residual": True, "norm": "batch", "dropout": 0.3},
    {"name": "mlp", "hidden": [13], "activation": "prelu"},
    {"name": "cnn", "channels": [3, 5], "norm": "batch", "dropout": 0.3},
    {"name": "resnet", "channels": [4, 6]},
    {"name": "transformer", "width": 8, "layers": 2, "heads": 2, "dropout": 0.3},
]
Make = Callable[[Stack, Sequence[nn.Module]], Any]


def perceptrons(stack: Stack, models: Sequence[nn.Module]) -> PerceptronGradients:
    return PerceptronGradients(stack, models, criterion(None, "classification", None, LOSS))


def built(knob: dict[str, Any]) -> list[nn.Module]:
    config = TrialConfig.model_validate({"data": {"source": "digits"}, "model": knob})
    return [build(config.model, IMAGE, N_CLASSES, seed=seed).double() for seed in range(N_MODELS)]


def gradients(
    make: Make, models: Sequence[nn.Module], seeds: Sequence[int]
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Each model's gradient on the first examples of a padded batch, its buffers after, and its loss."""
    stack = Stack(models, [[name for name, _ in models[0].named_parameters()]])
    way = make(stack, models)
    generator = torch.Generator().manual_seed(1)
    n_rows = -(-N // way.unit) * way.unit
    x = torch.randn(N_MODELS + 1, N, *IMAGE.shape, generator=generator, dtype=torch.float64)
    y = torch.randint(0, N_CLASSES, (N_MODELS + 1, N), generator=generator)
    places = torch.arange(n_rows) % N
    x_TB, y_TB = (each[: N_MODELS + way.n_spare, places].contiguous() for each in (x, y))
    way.begin_epoch(seeds)
    with torch.no_grad():
        way.gradient(x_TB, y_TB, N, 0.25, adds=False)
        loss_T = way.gradient(x_TB, y_TB, N, 0.75, adds=True)
    buffers = {name: buffer[:N_MODELS].clone() for name, buffer in stack.buffers.items()}
    return stack.gradients_TP.clone(), buffers, loss_T


@pytest.mark.parametrize("knob", MODELS, ids=str)
def test_all_three_ways_give_the_same_gradients_losses_and_statistics(knob: dict[str, Any]) -> None:
    models = built(knob)
    ways: list[Make] = [lambda stack, each: VectorisedGradients(stack, each, LOSS)]
    if is_perceptron(models[0]):
        ways.append(perceptrons)
    by_itself = gradients(
        lambda stack, each: SequentialGradients(stack, each, LOSS), copy.deepcopy(models), [5, 6, 7]
    )
    for make in ways:
        found = gradients(make, copy.deepcopy(models), [5, 6, 7])
        torch.testing.assert_close(found, by_itself, rtol=1e-9, atol=1e-12)


def test_dropout_depends_on_a_models_seed_and_not_on_its_row() -> None:
    models = built(MODELS[0])
    first, _, _ = gradients(perceptrons, copy.deepcopy(models), [5, 6, 7])
    turned, _, _ = gradients(perceptrons, copy.deepcopy(models[1:] + models[:1]), [6, 7, 5])
    again, _, _ = gradients(perceptrons, copy.deepcopy(models), [5, 6, 8])
    assert torch.equal(first[:2], again[:2])
    assert not torch.equal(first[2], again[2])
    assert turned.shape == first.shape
