"""Initial weights follow the rules of torch.nn.init and the seed that names them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from tunecli.spec.knobs.models import Activation, Initialisation
from tunecli.train.initialisation import INITIALISATIONS, NONLINEARITIES, initialise


def layer(name: Initialisation, activation: Activation = "relu", seed: int = 5) -> nn.Linear:
    module = nn.Linear(400, 300)
    initialise(module, name, activation, seed)
    return module


def test_every_rule_and_activation_of_the_spec_is_known() -> None:
    assert {"default", *INITIALISATIONS} == set(get_args(Initialisation))
    assert set(NONLINEARITIES) == set(get_args(Activation))


@pytest.mark.parametrize("name", get_args(Initialisation))
def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_generator_alone(name: Initialisation) -> None:
    first = layer(name)
    before = torch.get_rng_state()
    module = nn.Linear(400, 300, device="meta").to_empty(device="cpu")
    initialise(module, name, "relu", 5)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.weight, module.weight)
    if name != "zeros":
        assert not torch.equal(first.weight, layer(name, seed=6).weight)
    if name != "default":
        assert not first.bias.any()


@pytest.mark.parametrize(
    ("name", "activation", "deviation"),
    [
        ("kaiming_normal", "relu", (2 / 400) ** 0.5),
        ("kaiming_uniform", "gelu", (2 / 400) ** 0.5),
        ("kaiming_normal", "identity", (1 / 400) ** 0.5),
        ("xavier_normal", "tanh", 5 / 3 * (2 / 700) ** 0.5),
        ("xavier_uniform", "sigmoid", (2 / 700) ** 0.5),
        ("normal", "relu", 0.05),
        ("uniform", "relu", 0.05 / 3**0.5),
        ("trunc_normal", "relu", 0.05 * 0.8796),
        ("default", "relu", (1 / 3 / 400) ** 0.5),
    ],
)
def test_the_deviation_is_the_papers(name: Initialisation, activation: Activation, deviation: float) -> None:
    assert layer(name, activation).weight.std().item() == pytest.approx(deviation, rel=0.02)


def test_orthogonal_rows_have_the_activations_gain() -> None:
    weight = layer("orthogonal", "leaky_relu").weight.detach()
    gain = 2 / (1 + 0.01**2)
    torch.testing.assert_close(weight @ weight.T, gain * torch.eye(300), atol=1e-4, rtol=1e-4)


def test_default_is_torchs_own() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        reference = nn.Linear(400, 300)
    torch.testing.assert_close(layer("default").weight, reference.weight, rtol=0, atol=0)
    torch.testing.assert_close(layer("default").bias, reference.bias, rtol=0, atol=0)


def test_norm_layers_are_left_as_the_identity() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    initialise(module, "zeros", "relu", 0)
    convolution, norm = module
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert not convolution.weight.any()
    assert norm.weight.eq(1).all()
