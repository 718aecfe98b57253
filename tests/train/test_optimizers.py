"""The optimizers' knobs agree with torch's constructors, and each of them trains."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from tunecli.spec.knobs.optimizers import Gd, Rprop, Sgd
from tunecli.train.optimizers import OPTIMIZERS, build_optimizer

OF_TORCH = [knob for knob in OPTIMIZERS if knob is not Gd]
NOT_KNOBS = {"self", "params", "maximize", "foreach", "differentiable", "fused", "capturable"}
LEFT_OUT = {"Adam": {"decoupled_weight_decay"}, "Adafactor": {"eps"}}
"""AdamW is Adam's other decay; Adafactor's eps is a pair that may hold None."""


@pytest.mark.parametrize("knob", OF_TORCH)
def test_a_knobs_arguments_and_defaults_are_the_constructors(knob: Any) -> None:
    constructor: Any = OPTIMIZERS[knob]
    expected = {
        name: parameter.default
        for name, parameter in inspect.signature(constructor).parameters.items()
        if name not in NOT_KNOBS | LEFT_OUT.get(constructor.__name__, set())
    }
    assert knob(name=knob.model_fields["name"].default).model_dump(exclude={"name"}) == expected


@pytest.mark.parametrize("knob", list(OPTIMIZERS))
def test_every_optimizer_lowers_a_parabola(knob: Any) -> None:
    x = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = build_optimizer(knob(), [x], torch.device("cpu"))
    start = x.detach().square().sum().item()
    for _ in range(50):
        optimizer.zero_grad()
        torch.autograd.backward(x.square().sum())
        optimizer.step()
    assert x.detach().square().sum().item() < start


def test_arguments_reach_the_optimizer() -> None:
    x = nn.Parameter(torch.zeros(1))
    sgd = build_optimizer(Sgd(lr=0.5, momentum=0.9, nesterov=True), [x], torch.device("cpu"))
    assert sgd.defaults["lr"] == 0.5
    assert sgd.defaults["nesterov"] is True
    rprop = build_optimizer(Rprop(etas=(0.4, 1.3)), [x], torch.device("cpu"))
    assert rprop.defaults["etas"] == (0.4, 1.3)
