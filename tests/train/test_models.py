"""The models: shapes, structure, and no trace left in torch's generators."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from tunecli.spec.knobs import TrialConfig
from tunecli.spec.knobs.models import Activation, AnyModel, Cnn, Mlp
from tunecli.train.models import ACTIVATIONS, MODELS, build


def model_of(value: Any) -> AnyModel:
    return TrialConfig.model_validate({"data": {"source": "iris"}, "model": value}).model


@pytest.mark.parametrize("input_shape", [(5,), (2, 6, 7)])
@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_flat_models_take_features_and_images(name: str, input_shape: tuple[int, ...]) -> None:
    assert build(model_of(name), input_shape, 3)(torch.zeros(4, *input_shape)).shape == (4, 3)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("pool", ["max", "mean", "none"])
def test_a_cnn_takes_images_down_to_one_pixel(kernel: int, pool: str) -> None:
    knob = model_of({"name": "cnn", "channels": [3, 4, 5], "kernel": kernel, "pool": pool, "norm": "batch"})
    for side in (1, 2, 9):
        assert build(knob, (2, side, side), 1)(torch.zeros(4, 2, side, side)).shape == (4, 1)


def test_a_cnn_refuses_plain_features() -> None:
    with pytest.raises(ValueError, match="needs images"):
        build(Cnn(), (5,), 2)


def test_a_hidden_layer_is_linear_norm_activation_dropout() -> None:
    knob = Mlp(hidden=[4], norm="layer", activation="gelu", dropout=0.1)
    kinds = [type(layer) for layer in build(knob, (3,), 2)]
    assert kinds == [nn.Linear, nn.LayerNorm, nn.GELU, nn.Dropout, nn.Linear]


def test_a_mlp_is_the_composition_it_says() -> None:
    model = build(Mlp(hidden=[4], activation="tanh"), (3,), 2)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    first, last = model[0], model[-1]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), expected)


def test_every_activation_and_model_of_the_spec_can_be_built() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))
    assert set(MODELS) == set(get_args(AnyModel))


def test_building_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    build(Mlp(), (3,), 2)
    assert torch.equal(before, torch.get_rng_state())
