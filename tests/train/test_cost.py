"""The cost estimate counts what the model, the loop and the layers really do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tunecli.spec.knobs import TrialConfig
from tunecli.train.cost import SIZES, cost
from tunecli.train.models import build

MODELS: list[tuple[Any, tuple[int, ...]]] = [
    ("linear", (7,)),
    ("linear", (2, 5, 6)),
    ({"name": "mlp", "hidden": []}, (7,)),
    ({"name": "mlp", "hidden": [5, 6], "norm": "batch", "dropout": 0.5}, (7,)),
    ({"name": "mlp", "hidden": [5], "norm": "layer"}, (1, 8, 8)),
    ("cnn", (1, 8, 8)),
    ({"name": "cnn", "channels": [3, 4, 5, 6], "kernel": 4, "norm": "batch"}, (2, 7, 5)),
    ({"name": "cnn", "channels": [3, 4], "pool": "none", "kernel": 5}, (1, 6, 6)),
]


@pytest.mark.parametrize(("model", "input_shape"), MODELS)
def test_parameters_and_multiply_adds_are_the_built_models(model: Any, input_shape: tuple[int, ...]) -> None:
    knob = TrialConfig.model_validate({"data": {"source": "iris"}, "model": model}).model
    module: nn.Module = build(knob, input_shape, 3).eval()
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, *input_shape))
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    assert SIZES[type(knob)](knob, input_shape, 3) == (n_parameters, counter.get_total_flops() // 2)


@pytest.mark.parametrize(
    ("knobs", "steps"),
    [
        ({}, 20 * 2),
        ({"training": {"batch_size": "full", "epochs": 3}}, 3),
        ({"optimizer": "gd", "training": {"batch_size": 7}}, 20),
        ({"training": {"batch_size": 7, "epochs": 1}}, 18),
        ({"training": {"batch_size": 17, "epochs": 1}, "model": {"name": "mlp", "norm": "batch"}}, 7),
    ],
)
def test_steps_are_those_of_the_loop(knobs: dict[str, Any], steps: int) -> None:
    config = TrialConfig.model_validate({"data": {"source": "iris"}, **knobs})
    assert cost(config, Path()).n_steps == steps


def test_folds_cost_a_model_each() -> None:
    one = TrialConfig.model_validate({"data": {"source": "iris"}})
    five = TrialConfig.model_validate({"data": {"source": "iris", "validation": {"folds": 5}}})
    assert cost(five, Path()).n_parameters == 5 * cost(one, Path()).n_parameters
    assert cost(five, Path()).n_multiply_adds == 5 * cost(one, Path()).n_multiply_adds
