"""The temporal convolutional network of Bai, Kolter & Koltun 2018, section 3.

A convolution is causal: it pads the beginning of a sequence with zeros, so a step sees itself and earlier steps only.
Padding of texts follows the tokens, so it changes none of them.

Axes: B examples, T steps, F numbers of a step, I and O input and output channels, K steps of a kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tunecli.config.schema.models import Tcn
from tunecli.train.data.table import Inputs
from tunecli.train.models.layers import Residual, build_activation, dropout, is_read, mean_over_steps


def tcn(knob: Tcn, inputs: Inputs, n_outputs: int) -> nn.Module:
    """Blocks of causal convolutions over the steps of an example, a pool over the steps, and a linear layer."""
    return TcnNet(knob, inputs, n_outputs)


class TcnNet(nn.Module):
    """(B, T, F) or tokens (B, T) → (B, n_outputs)."""

    def __init__(self, knob: Tcn, inputs: Inputs, n_outputs: int) -> None:
        super().__init__()
        self._is_text, self._pool = inputs.kind == "tokens", knob.pool
        n_in = knob.embedding if self._is_text else inputs.shape[1]
        self.steps = nn.Embedding(inputs.n_tokens, n_in, padding_idx=0) if self._is_text else nn.Identity()
        layers: list[nn.Module] = []
        for number, n_out in enumerate(knob.channels):
            layers += [_block(knob, n_in, n_out, 2**number), build_activation(knob.activation)]
            n_in = n_out
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(n_in, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden_BTO = self.layers(self.steps(x).transpose(1, 2)).transpose(1, 2)
        is_read_BT = is_read(x) if self._is_text else None
        return self.output(self._pooled(hidden_BTO, is_read_BT))  # type: ignore[no-any-return]

    def _pooled(self, hidden_BTO: Tensor, is_read_BT: Tensor | None) -> Tensor:
        """The pool over the steps, (B, O)."""
        if self._pool == "mean":
            return mean_over_steps(hidden_BTO, is_read_BT)
        if is_read_BT is None:
            return hidden_BTO.amax(1) if self._pool == "max" else hidden_BTO[:, -1]
        if self._pool == "max":
            return hidden_BTO.masked_fill(~is_read_BT[..., None], -torch.inf).amax(1)
        last_B11 = (is_read_BT.sum(1) - 1)[:, None, None]
        return hidden_BTO.gather(1, last_B11.expand(-1, 1, hidden_BTO.shape[2]))[:, 0]


def _block(knob: Tcn, n_in: int, n_out: int, dilation: int) -> nn.Module:
    """Two convolutions with a shortcut, which is a convolution of one step if the channels differ (figure 1b)."""
    layers: list[nn.Module] = []
    for n_before in (n_in, n_out):
        layers += [
            CausalConvolution(n_before, n_out, knob.kernel, dilation, has_lengths=knob.norm == "weight"),
            build_activation(knob.activation),
            *dropout(knob.dropout),
        ]
    shortcut = None if n_in == n_out else CausalConvolution(n_in, n_out, 1, 1, has_lengths=False)
    return Residual(nn.Sequential(*layers), shortcut)


class CausalConvolution(nn.Module):
    """A dilated causal convolution: (B, I, T) → (B, O, T), optionally with weight norm (Salimans & Kingma 2016).

    With weight norm, filter o is ``lengths[o] · weight[o] / ‖weight[o]‖``. At first the lengths are those of the
    weights, so the layer begins as it would without the norm. The weights begin as those of torch's convolutions.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, dilation: int, *, has_lengths: bool) -> None:
        super().__init__()
        self._dilation = dilation
        plain = nn.Conv1d(n_in, n_out, kernel)
        self.weight, self.bias = plain.weight, plain.bias
        self.lengths = nn.Parameter(torch.ones(n_out)) if has_lengths else None
        with torch.no_grad():
            self.match_lengths()

    def match_lengths(self) -> None:
        """Set the lengths to those of the weights. Called without autograd."""
        if self.lengths is not None:
            self.lengths.copy_(_lengths(self.weight))

    def forward(self, x_BIT: Tensor) -> Tensor:
        weight_OIK = self.weight
        if self.lengths is not None:
            weight_OIK = weight_OIK * (self.lengths / _lengths(weight_OIK))[:, None, None]
        n_before = (weight_OIK.shape[2] - 1) * self._dilation
        return fn.conv1d(fn.pad(x_BIT, (n_before, 0)), weight_OIK, self.bias, dilation=self._dilation)


def _lengths(weight_OIK: Tensor) -> Tensor:
    """The Euclidean length of each filter, (O,)."""
    return weight_OIK.square().sum((1, 2)).sqrt()
