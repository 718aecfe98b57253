"""From an activation's knob to torch's module. Owns the names; the mathematics is torch's."""

from __future__ import annotations

from torch import nn

from tunecli.config.schema.activations import AnyActivation

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "rrelu": nn.RReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "softshrink": nn.Softshrink,
    "hardshrink": nn.Hardshrink,
    "tanhshrink": nn.Tanhshrink,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "sigmoid": nn.Sigmoid,
    "logsigmoid": nn.LogSigmoid,
    "tanh": nn.Tanh,
    "threshold": nn.Threshold,
    "identity": nn.Identity,
}
"""Every element-wise activation of torch.nn, by the name that `torch.nn.functional` has for it."""


def build_activation(knob: AnyActivation) -> nn.Module:
    """A new module for every place, since some of them learn."""
    return ACTIVATIONS[knob.name](**knob.model_dump(exclude={"name"}))
