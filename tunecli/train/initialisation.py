"""How weights begin: the rules of torch.nn.init, for every linear, convolutional and recurrent layer.

Where a rule is given biases begin at zero, and only the forget gates of an LSTM at one. Norms, embeddings,
positions and learned slopes stay as they were built. Owns no structure; keeps law 3 by a scoped seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tunecli.config.schema.activations import AnyActivation, LeakyRelu, PRelu, RRelu
from tunecli.config.schema.base import UserCode
from tunecli.config.schema.models import AnyModel, Linear, Recurrent
from tunecli.train.determinism import scoped_seed

NONLINEARITIES: dict[str, str] = {
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "prelu": "leaky_relu",
    "rrelu": "leaky_relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "selu": "selu",
    "identity": "linear",
    # torch has no gain for the rest. The other rectifiers pass about what relu passes,
    "relu6": "relu",
    "elu": "relu",
    "celu": "relu",
    "gelu": "relu",
    "silu": "relu",
    "mish": "relu",
    "softplus": "relu",
    "hardswish": "relu",
    "threshold": "relu",
    # the bounded ones bend as tanh and sigmoid do,
    "hardtanh": "tanh",
    "softsign": "tanh",
    "hardsigmoid": "sigmoid",
    "logsigmoid": "sigmoid",
    # and these are the identity but for what is near zero.
    "softshrink": "linear",
    "hardshrink": "linear",
    "tanhshrink": "linear",
}
"""The name under which `torch.nn.init.calculate_gain` knows each activation."""


class Nonlinearity(NamedTuple):
    """What follows a layer: its name for `torch.nn.init`, and its slope below 0 where it is ``leaky_relu``."""

    name: Any
    slope: float = 0.0

    @property
    def gain(self) -> float:
        """By how much weights are larger, so that what passes keeps its variance."""
        return float(nn.init.calculate_gain(self.name, self.slope))


def initialise(module: nn.Module, model: AnyModel, seed: int) -> None:
    """Set the weights of a built model in place, by its ``init`` and with its activation's gain.

    The matrices of a recurrent layer's gates are layers of their own. ``default`` leaves everything as it was
    built, and so does a model of the user's own.

    Args:
        module: what ``model`` was built as, on the CPU.
        model: its knobs.
        seed: names the numbers drawn.

    Raises:
        ValueError: the rule is for matrices, and the model has convolutions.
    """
    if isinstance(model, UserCode) or model.init.name == "default":
        return
    rule, nonlinearity = INITIALISATIONS[model.init.name], nonlinearity_of(model)
    with scoped_seed(seed, torch.device("cpu")), torch.no_grad():
        for layer in module.modules():
            if model.init.name == "dirac" and not isinstance(layer, nn.Conv2d):
                continue
            for weight in _weights(layer):
                rule(model.init, weight, nonlinearity)
            _begin_biases(layer)


def nonlinearity_of(model: AnyModel) -> Nonlinearity:
    """What follows a model's layers; an ``rrelu`` has the mean of its slopes."""
    if isinstance(model, Recurrent):
        return Nonlinearity(model.nonlinearity)
    if isinstance(model, Linear | UserCode):
        return Nonlinearity("linear")
    return Nonlinearity(NONLINEARITIES[model.activation.name], _slope(model.activation))


def _slope(activation: AnyActivation) -> float:
    match activation:
        case LeakyRelu(negative_slope=slope) | PRelu(init=slope):
            return slope
        case RRelu(lower=lower, upper=upper):
            return (lower + upper) / 2
        case _:
            return 0.0


def _weights(layer: nn.Module) -> Iterator[Tensor]:
    """The weights of one layer: one tensor, or one of each gate."""
    match layer:
        case nn.Linear() | nn.Conv2d():
            yield layer.weight
        case nn.RNNBase():
            for name, parameter in layer.named_parameters():
                if name.startswith("weight"):
                    yield from torch.split(parameter, layer.hidden_size)


def _begin_biases(layer: nn.Module) -> None:
    match layer:
        case nn.Linear() | nn.Conv2d():
            if layer.bias is not None:
                layer.bias.zero_()
        case nn.RNNBase():
            for name, parameter in layer.named_parameters():
                if name.startswith("bias"):
                    parameter.zero_()
                # The gates stand in the order input, forget, cell, output. torch adds two biases; one is set.
                if isinstance(layer, nn.LSTM) and name.startswith("bias_ih"):
                    parameter[layer.hidden_size : 2 * layer.hidden_size] = 1.0  # Jozefowicz et al. 2015


INITIALISATIONS: dict[str, Callable[[Any, Tensor, Nonlinearity], object]] = {
    "kaiming_normal": lambda knob, w, kind: nn.init.kaiming_normal_(w, kind.slope, knob.mode, kind.name),
    "kaiming_uniform": lambda knob, w, kind: nn.init.kaiming_uniform_(w, kind.slope, knob.mode, kind.name),
    "xavier_normal": lambda knob, w, kind: nn.init.xavier_normal_(w, knob.gain or kind.gain),
    "xavier_uniform": lambda knob, w, kind: nn.init.xavier_uniform_(w, knob.gain or kind.gain),
    "orthogonal": lambda knob, w, kind: nn.init.orthogonal_(w, knob.gain or kind.gain),
    "normal": lambda knob, w, _: nn.init.normal_(w, knob.mean, knob.std),
    "uniform": lambda knob, w, _: nn.init.uniform_(w, knob.low, knob.high),
    "trunc_normal": lambda knob, w, _: nn.init.trunc_normal_(w, knob.mean, knob.std, *knob.bounds),
    "constant": lambda knob, w, _: nn.init.constant_(w, knob.value),
    "ones": lambda knob, w, _: nn.init.ones_(w),
    "zeros": lambda knob, w, _: nn.init.zeros_(w),
    "eye": lambda knob, w, _: nn.init.eye_(w),
    "dirac": lambda knob, w, _: nn.init.dirac_(w),
    "sparse": lambda knob, w, _: nn.init.sparse_(w, knob.sparsity, knob.std),
}
"""(knob, weight, what follows) → the weight, set in place; every rule but ``default``."""
