"""How weights begin: the rules of torch.nn.init, applied to every linear and convolutional layer.

Biases begin at zero, and so torch's own layers do not: ``default`` leaves a layer wholly to torch. Norm
layers always begin as the identity. Owns no structure; keeps law 3 by a scoped seed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tunecli.spec.knobs.models import Activation, Initialisation
from tunecli.train.determinism import scoped_seed

NONLINEARITIES: dict[Activation, str] = {
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "selu": "selu",
    "identity": "linear",
    # torch has no gain for the smooth rectifiers; they pass about what relu passes.
    "gelu": "relu",
    "silu": "relu",
    "elu": "relu",
    "softplus": "relu",
    "mish": "relu",
}
"""The name under which `torch.nn.init.calculate_gain` knows each activation."""

_LEAK = 0.01  # torch.nn.LeakyReLU's slope
_DEVIATION = 0.05  # what Keras' RandomNormal, RandomUniform and TruncatedNormal begin with


def initialise(module: nn.Module, name: Initialisation, activation: Activation, generator_seed: int) -> None:
    """Set the weights of every linear and convolutional layer in place.

    ``kaiming_*`` (He et al. 2015, fan in), ``xavier_*`` (Glorot & Bengio 2010) and ``orthogonal`` (Saxe et
    al. 2014) take the activation's gain. ``normal`` has deviation 0.05, ``uniform`` lies within ±0.05,
    ``trunc_normal`` is cut at two deviations. ``default`` is torch's own, biases too.

    Args:
        module: a model on the CPU.
        name: the rule.
        activation: what follows the layers.
        generator_seed: names the numbers drawn.
    """
    nonlinearity = NONLINEARITIES[activation]
    with scoped_seed(generator_seed, torch.device("cpu")), torch.no_grad():
        for layer in module.modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            if name == "default":
                layer.reset_parameters()
                continue
            INITIALISATIONS[name](layer.weight, nonlinearity)
            if layer.bias is not None:
                layer.bias.zero_()


def _gain(nonlinearity: str) -> float:
    return float(nn.init.calculate_gain(nonlinearity, _LEAK))  # type: ignore[arg-type]


INITIALISATIONS: dict[str, Callable[[Tensor, str], object]] = {
    "kaiming_normal": lambda w, kind: nn.init.kaiming_normal_(w, _LEAK, nonlinearity=kind),  # type: ignore[arg-type]
    "kaiming_uniform": lambda w, kind: nn.init.kaiming_uniform_(w, _LEAK, nonlinearity=kind),  # type: ignore[arg-type]
    "xavier_normal": lambda w, kind: nn.init.xavier_normal_(w, _gain(kind)),
    "xavier_uniform": lambda w, kind: nn.init.xavier_uniform_(w, _gain(kind)),
    "orthogonal": lambda w, kind: nn.init.orthogonal_(w, _gain(kind)),
    "normal": lambda w, kind: nn.init.normal_(w, 0.0, _DEVIATION),
    "uniform": lambda w, kind: nn.init.uniform_(w, -_DEVIATION, _DEVIATION),
    "trunc_normal": lambda w, kind: nn.init.trunc_normal_(
        w, 0.0, _DEVIATION, -2 * _DEVIATION, 2 * _DEVIATION
    ),
    "zeros": lambda w, kind: nn.init.zeros_(w),
}
"""(weight, nonlinearity) → the weight, set in place."""
