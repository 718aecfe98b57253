"""The transformer encoder; tokens.py makes its tokens of each kind of input.

Pre-norm blocks (Xiong et al. 2020, figure 1b) of multi-head attention and a feed-forward net (Vaswani et al.
2017, section 3), a last norm, a pool, a linear layer. `torch.func.vmap` has no rule for the CPU's fused
attention: run it under ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)``.

Axes: B examples, T tokens, D units, N heads.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as fn
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunecli.config.schema.models import Transformer
from tunecli.train.inputs import Inputs
from tunecli.train.models.activations import build_activation
from tunecli.train.models.layers import Residual, dropout, is_read, mean_over_steps
from tunecli.train.models.tokens import positions_of, tokens_of


def transformer(knob: Transformer, inputs: Inputs, n_outputs: int) -> nn.Module:
    """The encoder over an example's tokens.

    Raises:
        ValueError: the patches do not tile the image.
    """
    return TransformerNet(knob, inputs, n_outputs)


class TransformerNet(nn.Module):
    """(B, *inputs.shape) → (B, n_outputs)."""

    def __init__(self, knob: Transformer, inputs: Inputs, n_outputs: int) -> None:
        super().__init__()
        self._has_padding = inputs.kind == "tokens"
        self.tokens, n_tokens = tokens_of(knob, inputs)
        self.positions = positions_of(knob, inputs, n_tokens)
        self.pooled = nn.Parameter(torch.randn(knob.width)) if knob.pool == "cls" else None
        self.dropout = nn.Sequential(*dropout(knob.dropout))
        self.blocks = nn.ModuleList(Block(knob) for _ in range(knob.layers))
        self.norm = nn.LayerNorm(knob.width)
        self.output = nn.Linear(knob.width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden_BTD = self.positions(self.tokens(x))
        is_read_BT = is_read(x) if self._has_padding else None
        if self.pooled is not None:
            hidden_BTD = torch.cat([self.pooled.expand(len(x), 1, -1), hidden_BTD], 1)
            if is_read_BT is not None:
                is_read_BT = torch.cat([is_read_BT[:, :1], is_read_BT], 1)  # the first is always read
        hidden_BTD = self.dropout(hidden_BTD)
        mask_B11T = None if is_read_BT is None else is_read_BT[:, None, None]
        for block in self.blocks:
            hidden_BTD = block(hidden_BTD, mask_B11T)
        hidden_BTD = self.norm(hidden_BTD)
        pooled_BD = hidden_BTD[:, 0] if self.pooled is not None else mean_over_steps(hidden_BTD, is_read_BT)
        return self.output(pooled_BD)  # type: ignore[no-any-return]


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + feedforward(norm(x))``: (B, T, D) → (B, T, D)."""

    def __init__(self, knob: Transformer) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(knob.width)
        self.attention = Attention(knob.width, knob.heads)
        self.dropout = nn.Sequential(*dropout(knob.dropout))
        n_inner = knob.feedforward * knob.width
        self.feedforward = Residual(
            nn.Sequential(
                nn.LayerNorm(knob.width),
                nn.Linear(knob.width, n_inner),
                build_activation(knob.activation),
                nn.Linear(n_inner, knob.width),
                *dropout(knob.dropout),
            )
        )

    def forward(self, x_BTD: Tensor, mask_B11T: Tensor | None) -> Tensor:
        x_BTD = x_BTD + self.dropout(self.attention(self.norm(x_BTD), mask_B11T))
        return self.feedforward(x_BTD)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Multi-head self-attention: (B, T, D) → (B, T, D), over the tokens whose mask is true.

    Its projections are layers of their own, so that each begins by the rule of a layer of its size.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self._n_heads = n_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor, mask_B11T: Tensor | None) -> Tensor:
        query_BNTD, key_BNTD, value_BNTD = (
            project(x_BTD).unflatten(-1, (self._n_heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        # Off the CPU the fused kernels' backward passes may add in any order, and a trial is the same bits again.
        with nullcontext() if x_BTD.is_cpu else sdpa_kernel(SDPBackend.MATH):
            mixed_BNTD = fn.scaled_dot_product_attention(query_BNTD, key_BNTD, value_BNTD, mask_B11T)
        return self.output(mixed_BNTD.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
