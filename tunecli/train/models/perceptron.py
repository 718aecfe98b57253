"""The linear model and the multi-layer perceptron, as sequences of torch's layers."""

from __future__ import annotations

from torch import nn

from tunecli.config.schema.models import Linear, Mlp
from tunecli.train.inputs import Inputs
from tunecli.train.models.layers import Residual, build_activation, dropout, flat, unit_norm


def linear(knob: Linear, inputs: Inputs, n_outputs: int) -> nn.Module:
    """One linear layer over all the numbers of an example."""
    return nn.Sequential(*flat(inputs), nn.Linear(inputs.n_values, n_outputs))


def mlp(knob: Mlp, inputs: Inputs, n_outputs: int) -> nn.Module:
    """Hidden layers, then a linear one. With ``residual``, each hidden layer as wide as its input has a shortcut."""
    layers = flat(inputs)
    n_in = inputs.n_values
    for width in knob.widths:
        block = [
            nn.Linear(n_in, width),
            *unit_norm(knob.norm, width),
            build_activation(knob.activation),
            *dropout(knob.dropout),
        ]
        layers += [Residual(nn.Sequential(*block))] if knob.residual and n_in == width else block
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_outputs))
