"""Settings of activations agree with torch's constructors, and the modules with torch's functions."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as fn

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.activations import AnyActivation, Gelu, PRelu, Shrink
from tunecli.train.models.layers import build_activation

NOT_KNOBS = {"args", "kwargs", "inplace", "device", "dtype", "num_parameters", "min_value", "max_value"}
"""num_parameters is always one a layer; min_value and max_value are old names of min_val and max_val."""
NEEDED = {"threshold": {"threshold": 0.1, "value": -2.0}}
X = torch.linspace(-25.0, 25.0, 1001)
NAMES = {
    name: knob for knob in get_args(AnyActivation) for name in get_args(knob.model_fields["name"].annotation)
}


def knob_of(value: Any) -> Any:
    config = {"data": {"source": "iris"}, "model": {"name": "mlp", "activation": value}}
    return TrialConfig.model_validate(config).model.activation  # type: ignore[union-attr]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults_equal_those_of_torchs_constructor(name: str) -> None:
    expected = {
        argument: parameter.default
        for argument, parameter in inspect.signature(
            type(build_activation(knob_of({"name": name, **NEEDED.get(name, {})})))
        ).parameters.items()
        if argument not in NOT_KNOBS
    }
    found = {argument: field for argument, field in NAMES[name].model_fields.items() if argument != "name"}
    assert list(found) == list(expected)
    for argument, default in expected.items():
        assert found[argument].is_required() == (default is inspect.Parameter.empty)
        assert found[argument].is_required() or found[argument].default == default


@pytest.mark.parametrize("name", NAMES)
def test_a_name_alone_gives_torchs_function_with_its_defaults(name: str) -> None:
    module = build_activation(knob_of({"name": name, **NEEDED.get(name, {})})).eval()
    if name == "prelu":
        expected = fn.prelu(X, torch.tensor([0.25]))
    elif name == "identity":
        expected = X
    else:
        expected = getattr(fn, name)(X, **NEEDED.get(name, {}))
    torch.testing.assert_close(module(X), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "leaky_relu", "negative_slope": 0.2}, torch.where(X > 0, X, 0.2 * X)),
        ({"name": "celu", "alpha": 2.0}, torch.where(X > 0, X, 2 * (X / 2).expm1())),
        ({"name": "elu", "alpha": 2.0}, torch.where(X > 0, X, 2 * X.expm1())),
        ({"name": "rrelu", "lower": 0.1, "upper": 0.3}, torch.where(X > 0, X, 0.2 * X)),
        ({"name": "softplus", "beta": 0.5}, 2 * (X / 2).exp().log1p()),
        ({"name": "hardtanh", "min_val": -2.0, "max_val": 3.0}, X.clamp(-2, 3)),
        ({"name": "threshold", "threshold": 1.0, "value": 7.0}, torch.where(X > 1, X, 7.0)),
    ],
)
def test_arguments_reach_the_closed_form(value: dict[str, Any], expected: torch.Tensor) -> None:
    torch.testing.assert_close(build_activation(knob_of(value)).eval()(X), expected)


def test_arguments_reach_the_module() -> None:
    torch.testing.assert_close(build_activation(Gelu(approximate="tanh"))(X), fn.gelu(X, approximate="tanh"))
    shrink = Shrink(name="hardshrink", lambd=2.0)
    torch.testing.assert_close(build_activation(shrink)(X), torch.where(X.abs() > 2, X, 0.0))
    assert build_activation(PRelu(init=0.5)).state_dict()["weight"].item() == 0.5
