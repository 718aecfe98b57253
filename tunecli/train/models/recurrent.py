"""The recurrent networks, on torch's kernels: one kernel a layer and direction.

On whole sequences, torch's own networks of several layers and directions give the same numbers (a test compares them).
For padded sequences torch needs lengths on the CPU. Here the reverse direction reads each example backwards from its
last token instead, so nothing waits for the device. `torch.func.vmap` does not support these kernels.

Axes: B examples, T steps, F numbers of a step, D units, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunecli.config.schema.models import Recurrent
from tunecli.train.data.table import Inputs
from tunecli.train.models.layers import dropout, is_read, mean_over_steps


def recurrent(knob: Recurrent, inputs: Inputs, n_outputs: int) -> nn.Module:
    """Recurrent layers over the steps of an example, a pool over the steps, and a linear layer."""
    return RecurrentNet(knob, inputs, n_outputs)


class RowsAsSteps(nn.Module):
    """An image's rows as steps, top to bottom: (B, C, H, W) → (B, H, C · W)."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.transpose(1, 2).flatten(2)


class RecurrentNet(nn.Module):
    """(B, T, F), (B, C, H, W) or tokens (B, T) → (B, n_outputs)."""

    def __init__(self, knob: Recurrent, inputs: Inputs, n_outputs: int) -> None:
        super().__init__()
        self._has_padding = inputs.kind == "tokens"
        self._width, self._pool = knob.width, knob.pool
        self.steps, n_in = _steps(knob, inputs)
        n_out = knob.width * (2 if knob.bidirectional else 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(knob, n_in if layer == 0 else n_out) for layer in range(knob.layers)
        )
        self.dropout = nn.Sequential(*dropout(knob.dropout))
        self.output = nn.Linear(n_out, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden_BTD = self.steps(x)
        place_T = torch.arange(hidden_BTD.shape[1], device=x.device)
        is_read_BT = (
            is_read(x) if self._has_padding else torch.ones_like(hidden_BTD[..., 0], dtype=torch.bool)
        )
        length_B1 = (is_read_BT * (place_T + 1)).amax(1, keepdim=True)
        reversal_BT = torch.where(place_T < length_B1, length_B1 - 1 - place_T, place_T)
        for layer in self.layers:
            hidden_BTD = self.dropout(layer(hidden_BTD, reversal_BT))
        return self.output(self._pooled(hidden_BTD, is_read_BT, length_B1))  # type: ignore[no-any-return]

    def _pooled(self, hidden_BTD: Tensor, is_read_BT: Tensor, length_B1: Tensor) -> Tensor:
        """Pool over the steps, (B, n_out). ``last`` is the last step forward, and the first step in reverse."""
        if self._pool == "mean":
            return mean_over_steps(hidden_BTD, is_read_BT)
        if self._pool == "max":
            return hidden_BTD.masked_fill(~is_read_BT[..., None], -torch.inf).amax(1)
        onward_BTD, reverse_BTD = hidden_BTD.tensor_split([self._width], dim=2)
        return torch.cat([_taken(onward_BTD, length_B1 - 1)[:, 0], reverse_BTD[:, 0]], 1)


class RecurrentLayer(nn.Module):
    """One layer, forward and, if bidirectional, in reverse: (B, T, F) → (B, T, D) or (B, T, 2 D)."""

    def __init__(self, knob: Recurrent, n_in: int) -> None:
        super().__init__()
        self.onward = _kernel(knob, n_in)
        self.reverse = _kernel(knob, n_in) if knob.bidirectional else None

    def forward(self, x_BTF: Tensor, reversal_BT: Tensor) -> Tensor:
        onward_BTD: Tensor = self.onward(x_BTF)[0]
        if self.reverse is None:
            return onward_BTD
        reverse_BTD = self.reverse(_taken(x_BTF, reversal_BT))[0]
        return torch.cat([onward_BTD, _taken(reverse_BTD, reversal_BT)], 2)


def _steps(knob: Recurrent, inputs: Inputs) -> tuple[nn.Module, int]:
    """The layer that turns an example into steps, and the number of values in a step."""
    match inputs.kind:
        case "tokens":
            return nn.Embedding(inputs.n_tokens, knob.embedding, padding_idx=0), knob.embedding
        case "image":
            n_channels, _, columns = inputs.shape
            return RowsAsSteps(), n_channels * columns
        case _:
            return nn.Identity(), inputs.shape[1]


def _kernel(knob: Recurrent, n_in: int) -> nn.Module:
    match knob.name:
        case "lstm":
            return nn.LSTM(n_in, knob.width, batch_first=True)
        case "gru":
            return nn.GRU(n_in, knob.width, batch_first=True)
        case "rnn":
            return nn.RNN(n_in, knob.width, batch_first=True, nonlinearity=knob.nonlinearity)


def _taken(x_BTF: Tensor, place_BS: Tensor) -> Tensor:
    """The steps at each example's own indices: (B, S, F)."""
    return x_BTF.gather(1, place_BS[..., None].expand(-1, -1, x_BTF.shape[2]))
