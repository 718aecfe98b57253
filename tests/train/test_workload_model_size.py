"""The computed sizes equal those of the built modules, in parameters and in multiply-adds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.models import AnyModel
from tunecli.train.data.table import Inputs
from tunecli.train.model_sizes import size_of
from tunecli.train.models import build
from tunecli.train.workload import has_batch_norm

FEATURES, SEQUENCE, IMAGE, TOKENS = Inputs((7,)), Inputs((5, 3)), Inputs((2, 7, 5)), Inputs((6,), 11)
CODES = Inputs((7,), categories=(4, 30))
MIXED = Inputs((11,), 13, categories=(4, 30), text_length=6)
KINDS = (FEATURES, SEQUENCE, Inputs((1, 8, 4)), TOKENS)
FORMS: list[tuple[Any, Inputs]] = [
    *(("linear", inputs) for inputs in (FEATURES, SEQUENCE, IMAGE)),
    *(("mlp", inputs) for inputs in (FEATURES, SEQUENCE, IMAGE)),
    ({"name": "mlp", "hidden": []}, FEATURES),
    ({"name": "mlp", "hidden": [5, 6], "activation": "prelu"}, FEATURES),
    *(
        ({"name": "mlp", "width": 7, "depth": 3, "residual": True, "norm": norm, "dropout": 0.5}, FEATURES)
        for norm in ("batch", "layer", "rms")
    ),
    ("cnn", Inputs((1, 8, 8))),
    *(
        ({"name": "cnn", "channels": [3, 4, 5, 6], "kernel": 4, "norm": norm, "activation": "prelu"}, IMAGE)
        for norm in ("batch", "group", "layer")
    ),
    *(
        ({"name": "cnn", "channels": [3, 4], "pool": pool, "kernel": kernel, "stride": stride}, IMAGE)
        for pool in ("none", "mean")
        for kernel, stride in ((5, 1), (2, 2), (3, 3))
    ),
    ("resnet", Inputs((3, 8, 8))),
    ({"name": "resnet", "channels": [3, 3, 5], "blocks": 2, "norm": "group", "activation": "prelu"}, IMAGE),
    ({"name": "resnet", "channels": [3, 4, 5, 6]}, Inputs((1, 3, 2))),
    *((name, inputs) for name in ("rnn", "lstm", "gru") for inputs in KINDS[1:]),
    *(
        ({"name": name, "layers": 2, "bidirectional": True, "width": 5, "embedding": 3}, inputs)
        for name in ("rnn", "lstm", "gru")
        for inputs in KINDS[1:]
    ),
    *(
        ({"name": "transformer", "width": 6, "heads": 3, "pool": pool, "positions": positions}, inputs)
        for inputs in KINDS
        for pool, positions in (("mean", "learned"), ("cls", "sinusoidal"), ("cls", "none"))
    ),
    (
        {"name": "transformer", "width": 4, "layers": 1, "feedforward": 3, "patch": 2, "activation": "prelu"},
        Inputs((3, 4, 6)),
    ),
    *(("tcn", inputs) for inputs in (SEQUENCE, TOKENS)),
    (
        {"name": "tcn", "channels": [3, 3, 5], "kernel": 2, "norm": "none", "activation": "prelu"},
        Inputs((5, 3)),
    ),
    *((name, CODES) for name in ("linear", "mlp", "tabular_resnet", "ft_transformer", "transformer")),
    *((name, FEATURES) for name in ("tabular_resnet", "ft_transformer")),
    ({"name": "mlp", "embedding": 3}, CODES),
    *((name, inputs) for name in ("linear", "mlp", "tabular_resnet") for inputs in (TOKENS, MIXED)),
    *((name, MIXED) for name in ("gru", "transformer", "tcn")),
    (
        {
            "name": "tabular_resnet",
            "width": 5,
            "blocks": 3,
            "feedforward": 1.5,
            "norm": "layer",
            "activation": "prelu",
        },
        CODES,
    ),
    ({"name": "tabular_resnet", "width": 5, "norm": "none"}, Inputs((2,), categories=(4, 3))),
    ({"name": "ft_transformer", "width": 6, "heads": 3, "layers": 1}, Inputs((2,), categories=(4, 3))),
]


def model_of(value: Any) -> AnyModel:
    return TrialConfig.model_validate({"data": {"source": "iris"}, "model": value}).model


@pytest.mark.parametrize(("value", "inputs"), FORMS)
def test_parameters_and_multiply_adds_equal_those_of_the_built_model(value: Any, inputs: Inputs) -> None:
    knob = model_of(value)
    # torch's counter knows neither the fused attention nor the fused LSTM: doubles have no such LSTM.
    module: nn.Module = build(knob, inputs, 3).eval().double()
    x = torch.zeros(1, *inputs.shape, dtype=torch.int64 if inputs.kind == "tokens" else torch.float64)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(x)
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    assert size_of(knob, inputs, 3) == (n_parameters, counter.get_total_flops() // 2)


def test_the_size_of_the_users_own_model_is_unknown() -> None:
    knob = model_of({"python": "mine:Net"})
    assert size_of(knob, FEATURES, 3) is None
    assert not has_batch_norm(knob)


@pytest.mark.parametrize(("value", "inputs"), FORMS)
def test_batch_norm_is_found_in_the_setting(value: Any, inputs: Inputs) -> None:
    modules = build(model_of(value), inputs, 3).modules()
    found = any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in modules)
    assert has_batch_norm(model_of(value)) == found
