"""The multi-layer perceptron equals the composition of its layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tunecli.config.schema.activations import Gelu, PlainActivation
from tunecli.config.schema.models import Mlp
from tunecli.train.data.table import Inputs
from tunecli.train.models import build
from tunecli.train.models.layers import Residual


@pytest.mark.parametrize(
    ("norm", "layer"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm), ("rms", nn.RMSNorm)]
)
def test_a_hidden_layer_is_linear_norm_activation_dropout(norm: str, layer: type[nn.Module]) -> None:
    knob = Mlp.model_validate({"hidden": [4], "norm": norm, "activation": Gelu(), "dropout": 0.1})
    kinds = [type(layer) for layer in build(knob, Inputs((3,)), 2).children()]
    assert kinds == [nn.Linear, layer, nn.GELU, nn.Dropout, nn.Linear]


def test_an_mlp_equals_the_composition_of_its_layers() -> None:
    model = build(Mlp(hidden=[4], activation=PlainActivation(name="tanh")), Inputs((3,)), 2)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    first, _, last = model.children()
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), expected)


def test_a_shortcut_exists_only_between_equal_widths() -> None:
    model = build(Mlp(hidden=[3, 8, 8, 4], residual=True), Inputs((3,)), 2)
    assert [type(layer) for layer in model.children()] == [
        Residual,
        nn.Linear,
        nn.ReLU,
        Residual,
        nn.Linear,
        nn.ReLU,
        nn.Linear,
    ]


def test_a_residual_mlp_of_zeros_is_the_identity_up_to_its_last_layer() -> None:
    module = build(Mlp(width=5, depth=3, residual=True), Inputs((5,)), 2)
    *hidden, last = module.children()
    for parameter in nn.Sequential(*hidden).parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x), last(x))
