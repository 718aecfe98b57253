"""The feed-forward networks: linear model, perceptron, plain convolutional network, and ResNet for small images.

Axes: B examples, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tunecli.config.schema.models import Cnn, Linear, Mlp, ResNet
from tunecli.train.data.table import Inputs
from tunecli.train.models.layers import (
    MeanOverImage,
    Residual,
    build_activation,
    channel_norm,
    dropout,
    flat,
    unit_norm,
)

_POOLS: dict[str, Callable[[], nn.Module]] = {"max": lambda: nn.MaxPool2d(2), "mean": lambda: nn.AvgPool2d(2)}


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


def cnn(knob: Cnn, inputs: Inputs, n_outputs: int) -> nn.Module:
    """Blocks convolution → norm → activation → pool, the mean over the image, a linear layer."""
    n_channels, rows, columns = inputs.shape
    layers: list[nn.Module] = []
    for n_next in knob.channels:
        layers += _convolution(n_channels, n_next, knob.kernel, knob.stride)
        layers += [*channel_norm(knob.norm, n_next), build_activation(knob.activation)]
        rows, columns = -(-rows // knob.stride), -(-columns // knob.stride)
        if knob.pool != "none" and min(rows, columns) >= 2:
            layers.append(_POOLS[knob.pool]())
            rows, columns = rows // 2, columns // 2
        n_channels = n_next
    return nn.Sequential(*layers, MeanOverImage(), *dropout(knob.dropout), nn.Linear(n_channels, n_outputs))


def resnet(knob: ResNet, inputs: Inputs, n_outputs: int) -> nn.Module:
    """He et al. 2016, section 4.2, with any number of stages, and projections for shortcuts (option B)."""
    n_channels, rows, columns = inputs.shape
    n_first = knob.channels[0]
    layers: list[nn.Module] = [
        nn.Conv2d(n_channels, n_first, 3, padding=1, bias=False),
        *channel_norm(knob.norm, n_first),
        build_activation(knob.activation),
    ]
    n_channels = n_first
    for stage, n_next in enumerate(knob.channels):
        for block in range(knob.blocks):
            stride = 2 if stage > 0 and block == 0 and min(rows, columns) >= 2 else 1
            rows, columns = -(-rows // stride), -(-columns // stride)
            layers += [_residual_block(knob, n_channels, n_next, stride), build_activation(knob.activation)]
            n_channels = n_next
    return nn.Sequential(*layers, MeanOverImage(), *dropout(knob.dropout), nn.Linear(n_channels, n_outputs))


def _convolution(n_in: int, n_out: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution with one output for every ``stride``-th pixel: kernel - 1 pixels of padding in total."""
    before, after = (kernel - 1) // 2, kernel // 2
    if before == after:
        return [nn.Conv2d(n_in, n_out, kernel, stride, before)]
    return [nn.ZeroPad2d((before, after, before, after)), nn.Conv2d(n_in, n_out, kernel, stride)]


def _residual_block(knob: ResNet, n_in: int, n_out: int, stride: int) -> nn.Module:
    """Two 3 × 3 convolutions with a shortcut. They have no biases: the norms have biases."""
    block = nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
        *channel_norm(knob.norm, n_out),
        build_activation(knob.activation),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        *channel_norm(knob.norm, n_out),
    )
    if stride == 1 and n_in == n_out:
        return Residual(block)
    projection = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
    return Residual(block, nn.Sequential(projection, *channel_norm(knob.norm, n_out)))
