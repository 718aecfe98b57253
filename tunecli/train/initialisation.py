"""Initial weights: the rules of torch.nn.init for every linear, convolutional and recurrent layer.

With a rule, biases start at zero, except those of an LSTM's forget gates, which start at one. Norms, embeddings,
positions and learned slopes keep the values that they were built with. Draws come from a scoped seed (seeds-by-name).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tunecli.config.schema.activations import ActivationKnob
from tunecli.config.schema.initialisations import (
    DEFAULT,
    ConstantWeights,
    InitialisationKnob,
    Kaiming,
    NormalWeights,
    Orthogonal,
    PlainInitialisation,
    SparseWeights,
    TruncatedNormalWeights,
    UniformWeights,
    Xavier,
)
from tunecli.config.schema.models import AnyModel
from tunecli.registry.implementations import implementation_of
from tunecli.train.models.convolutional_sequences import CausalConvolution
from tunecli.train.torch_state import scoped_seed


class Nonlinearity(NamedTuple):
    """The nonlinearity after a layer: its name for `torch.nn.init`, and for ``leaky_relu`` its slope below 0."""

    name: Any
    slope: float = 0.0

    @property
    def gain(self) -> float:
        """The factor of the weights that preserves the variance through the nonlinearity."""
        return float(nn.init.calculate_gain(self.name, self.slope))


def initialise(module: nn.Module, model: AnyModel, seed: int) -> None:
    """Set the weights of a built model in place, by the rule of its ``init`` and with the gain of its activation.

    Each gate of a recurrent layer counts as a layer. With ``default``, and for the user's own model, nothing changes.

    Args:
        module: the built model, on the CPU.
        model: its setting.
        seed: seed of the draws.

    Raises:
        ValueError: the rule is for matrices, and the model has convolutions.
    """
    init: InitialisationKnob = getattr(model, "init", DEFAULT)
    if init.name == DEFAULT.name:
        return
    rule, nonlinearity = implementation_of(init), nonlinearity_of(model)
    with scoped_seed(seed, torch.device("cpu")), torch.no_grad():
        for layer in module.modules():
            if init.name == "dirac" and not isinstance(layer, nn.Conv2d | CausalConvolution):
                continue
            for weight in _weights(layer):
                rule(init, weight, nonlinearity)
            _set_biases(layer)


def nonlinearity_of(model: AnyModel) -> Nonlinearity:
    """The nonlinearity after a model's layers; for ``rrelu`` with the mean of its slopes."""
    own: str | None = getattr(model, "nonlinearity", None)
    activation: ActivationKnob | None = getattr(model, "activation", None)
    if activation is not None:
        return Nonlinearity(activation.gain_name, activation.slope)
    return Nonlinearity(own or "linear")


def _weights(layer: nn.Module) -> Iterator[Tensor]:
    """The weights of one layer: one tensor, or one for each gate."""
    match layer:
        case nn.Linear() | nn.Conv2d():
            yield layer.weight
        case CausalConvolution():
            yield layer.weight
            layer.match_lengths()
        case nn.RNNBase():
            for name, parameter in layer.named_parameters():
                if name.startswith("weight"):
                    yield from torch.split(parameter, layer.hidden_size)


def _set_biases(layer: nn.Module) -> None:
    match layer:
        case nn.Linear() | nn.Conv2d() | CausalConvolution():
            if layer.bias is not None:
                layer.bias.zero_()
        case nn.RNNBase():
            for name, parameter in layer.named_parameters():
                if name.startswith("bias"):
                    parameter.zero_()
                # torch orders the gates input, forget, cell, output, and adds two biases; only one is set.
                if isinstance(layer, nn.LSTM) and name.startswith("bias_ih"):
                    parameter[layer.hidden_size : 2 * layer.hidden_size] = 1.0  # Jozefowicz et al. 2015


def kaiming_normal(knob: Kaiming, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.kaiming_normal_`."""
    nn.init.kaiming_normal_(weight, kind.slope, knob.mode, kind.name)


def kaiming_uniform(knob: Kaiming, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.kaiming_uniform_`."""
    nn.init.kaiming_uniform_(weight, kind.slope, knob.mode, kind.name)


def xavier_normal(knob: Xavier, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.xavier_normal_`."""
    nn.init.xavier_normal_(weight, knob.gain or kind.gain)


def xavier_uniform(knob: Xavier, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.xavier_uniform_`."""
    nn.init.xavier_uniform_(weight, knob.gain or kind.gain)


def orthogonal(knob: Orthogonal, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.orthogonal_`."""
    nn.init.orthogonal_(weight, knob.gain or kind.gain)


def normal(knob: NormalWeights, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.normal_`."""
    nn.init.normal_(weight, knob.mean, knob.std)


def uniform(knob: UniformWeights, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.uniform_`."""
    nn.init.uniform_(weight, knob.low, knob.high)


def trunc_normal(knob: TruncatedNormalWeights, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.trunc_normal_`."""
    nn.init.trunc_normal_(weight, knob.mean, knob.std, *knob.bounds)


def constant(knob: ConstantWeights, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.constant_`."""
    nn.init.constant_(weight, knob.value)


def ones(knob: PlainInitialisation, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.ones_`."""
    nn.init.ones_(weight)


def zeros(knob: PlainInitialisation, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.zeros_`."""
    nn.init.zeros_(weight)


def eye(knob: PlainInitialisation, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.eye_`."""
    nn.init.eye_(weight)


def dirac(knob: PlainInitialisation, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.dirac_`."""
    nn.init.dirac_(weight)


def sparse(knob: SparseWeights, weight: Tensor, kind: Nonlinearity) -> None:
    """`torch.nn.init.sparse_`."""
    nn.init.sparse_(weight, knob.sparsity, knob.std)
