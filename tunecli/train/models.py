"""The models, as plain sequences of torch layers; inputs and outputs follow from the data.

Owns structure only: weights are set by initialisation.py. Every model is one `nn.Sequential` without side
effects beyond batch norm's statistics, so that many of one shape can be trained as one. cost.py counts the
same structure without torch; a test holds the two together.

Axes: B examples of a batch, F features, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from tunecli.spec.knobs.models import AnyModel, Cnn, Linear, Mlp

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "mish": nn.Mish,
    "identity": nn.Identity,
}
_POOLS: dict[str, Callable[[], nn.Module]] = {"max": lambda: nn.MaxPool2d(2), "mean": lambda: nn.AvgPool2d(2)}


class MeanOverImage(nn.Module):
    """Mean over rows and columns: (B, C, H, W) → (B, C).

    `nn.AdaptiveAvgPool2d` is the same number, and its backward pass is not reproducible on CUDA.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.mean((-2, -1))


def build(model: AnyModel, input_shape: tuple[int, ...], n_outputs: int) -> nn.Sequential:
    """Build a model on the CPU, with torch's own initial weights; no global generator is touched.

    Args:
        model: its knobs.
        input_shape: (F,) or (C, H, W).
        n_outputs: classes, or 1 for regression.

    Returns:
        A module from (B, *input_shape) to (B, n_outputs).

    Raises:
        ValueError: a cnn is asked for and the inputs are no images.
    """
    with torch.random.fork_rng(devices=[]):
        return nn.Sequential(*MODELS[type(model)](model, input_shape, n_outputs))


def _linear(knob: Linear, input_shape: tuple[int, ...], n_outputs: int) -> list[nn.Module]:
    return [*_flat(input_shape), nn.Linear(prod(input_shape), n_outputs)]


def _mlp(knob: Mlp, input_shape: tuple[int, ...], n_outputs: int) -> list[nn.Module]:
    layers = _flat(input_shape)
    n_in = prod(input_shape)
    for width in knob.hidden:
        layers.append(nn.Linear(n_in, width))
        if knob.norm != "none":
            layers.append(nn.BatchNorm1d(width) if knob.norm == "batch" else nn.LayerNorm(width))
        layers.append(ACTIVATIONS[knob.activation]())
        if knob.dropout > 0:
            layers.append(nn.Dropout(knob.dropout))
        n_in = width
    return [*layers, nn.Linear(n_in, n_outputs)]


def _cnn(knob: Cnn, input_shape: tuple[int, ...], n_outputs: int) -> list[nn.Module]:
    """Images keep their size in a convolution; dropout stands before the last layer."""
    if len(input_shape) != 3:
        raise ValueError(f"cnn needs images, not inputs of shape {input_shape}")
    n_channels, rows, columns = input_shape
    layers: list[nn.Module] = []
    for n_next in knob.channels:
        before, after = (knob.kernel - 1) // 2, knob.kernel // 2
        if before != after:
            layers.append(nn.ZeroPad2d((before, after, before, after)))
        padding = before if before == after else 0
        layers.append(nn.Conv2d(n_channels, n_next, knob.kernel, padding=padding))
        if knob.norm == "batch":
            layers.append(nn.BatchNorm2d(n_next))
        layers.append(ACTIVATIONS[knob.activation]())
        if knob.pool != "none" and min(rows, columns) >= 2:
            layers.append(_POOLS[knob.pool]())
            rows, columns = rows // 2, columns // 2
        n_channels = n_next
    layers.append(MeanOverImage())
    if knob.dropout > 0:
        layers.append(nn.Dropout(knob.dropout))
    return [*layers, nn.Linear(n_channels, n_outputs)]


def _flat(input_shape: tuple[int, ...]) -> list[nn.Module]:
    return [nn.Flatten()] if len(input_shape) > 1 else []


MODELS: dict[type[Any], Callable[[Any, tuple[int, ...], int], list[nn.Module]]] = {
    Linear: _linear,
    Mlp: _mlp,
    Cnn: _cnn,
}
"""(knob, input shape, outputs) → its layers."""
