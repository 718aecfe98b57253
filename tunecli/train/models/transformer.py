"""The transformer encoder, with the tokens of each kind of input.

Pre-norm blocks (Xiong et al. 2020, figure 1b) of multi-head attention and a feed-forward network (Vaswani et al. 2017,
section 3), then a norm, a pool over tokens and a linear layer. `torch.func.vmap` has no rule for the CPU's fused
attention: use it under ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)``.

Axes: B examples, T tokens, D units, N heads, F features, C channels, H rows, W columns.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as fn
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunecli.config.schema.models import Transformer
from tunecli.train.data.table import Inputs
from tunecli.train.models.columns import ColumnTokens
from tunecli.train.models.layers import Residual, build_activation, dropout, is_read, mean_over_steps


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
            hidden_BTD = torch.cat([self.pooled.expand(x.shape[0], 1, -1), hidden_BTD], 1)
            if is_read_BT is not None:
                is_read_BT = torch.cat([is_read_BT[:, :1], is_read_BT], 1)  # the pooled token is always read
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
    """Multi-head attention: (B, T, D) → (B, T, D), over the tokens whose mask is true.

    Its projections are separate layers, so that each is initialised as a layer of its size.
    """

    def __init__(self, width: int, n_heads: int, dropout_p: float = 0.0) -> None:
        super().__init__()
        self._n_heads = n_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dropout = nn.Sequential(*dropout(dropout_p))
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor, mask_B11T: Tensor | None, asking_BTD: Tensor | None = None) -> Tensor:
        """Read the tokens ``x_BTD``; those that ask are the same ones, or ``asking_BTD``."""
        asking_BTD = x_BTD if asking_BTD is None else asking_BTD
        query_BNTD, key_BNTD, value_BNTD = (
            project(tokens_BTD).unflatten(-1, (self._n_heads, -1)).transpose(1, 2)
            for project, tokens_BTD in (
                (self.query, asking_BTD),
                (self.key, x_BTD),
                (self.value, x_BTD),
            )
        )
        if self.training and len(self.dropout):
            # torch's fused attention draws its dropout by itself, and not from a layer that a group can seed
            logits_BNTT = query_BNTD @ key_BNTD.transpose(2, 3) / query_BNTD.shape[-1] ** 0.5
            if mask_B11T is not None:
                logits_BNTT = logits_BNTT.masked_fill(~mask_B11T, -torch.inf)
            mixed_BNTD = self.dropout(logits_BNTT.softmax(-1)) @ value_BNTD
            return self.output(mixed_BNTD.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
        # On other devices the backward passes of fused kernels may add in any order; a trial must give the same bits.
        with nullcontext() if x_BTD.is_cpu else sdpa_kernel(SDPBackend.MATH):
            mixed_BNTD = fn.scaled_dot_product_attention(query_BNTD, key_BNTD, value_BNTD, mask_B11T)
        return self.output(mixed_BNTD.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeatureTokens(nn.Module):
    """One affine map for each feature: (B, F) → (B, F, D) (Gorishniy et al. 2021, section 3.3)."""

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5  # as in the paper's own implementation
        self.weight = nn.Parameter(torch.empty(n_features, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_features, width).uniform_(-bound, bound))

    def forward(self, x_BF: Tensor) -> Tensor:
        return x_BF[..., None] * self.weight + self.bias


class PatchTokens(nn.Module):
    """One linear layer over each square patch of an image: (B, C, H, W) → (B, T, D) (Dosovitskiy et al. 2021)."""

    def __init__(self, n_channels: int, patch: int, width: int) -> None:
        super().__init__()
        self._patch = patch
        self.linear = nn.Linear(n_channels * patch**2, width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        n_channels, rows, columns = x_BCHW.shape[1:]
        patch = self._patch
        squares = x_BCHW.reshape(-1, n_channels, rows // patch, patch, columns // patch, patch)
        return self.linear(squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))  # type: ignore[no-any-return]


class LearnedPositions(nn.Module):
    """Adds a learned vector to the token at each position: (B, T, D) → (B, T, D).

    The initial standard deviation is 1, as in torch's embeddings. With the 0.02 of Devlin et al. 2019, a short run
    hardly
    learns positions: after 10 epochs on digits with patches of 2, the accuracy is 0.88 instead of 0.97.
    """

    def __init__(self, n_positions: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_positions, width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD + self.weight[: x_BTD.shape[1]]


class SinusoidalPositions(nn.Module):
    """Adds sines and cosines of each position, of wavelengths 2π to 20 000π (Vaswani et al. 2017, section 3.5)."""

    table: Tensor

    def __init__(self, n_positions: int, width: int) -> None:
        super().__init__()
        rate_D = 10_000.0 ** (-torch.arange(0, width, 2) / width)
        angle_TD = torch.arange(n_positions)[:, None] * rate_D
        table_TD = torch.stack([angle_TD.sin(), angle_TD.cos()], 2).flatten(1)[:, :width]
        self.register_buffer("table", table_TD, persistent=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD + self.table[: x_BTD.shape[1]]


def tokens_of(knob: Transformer, inputs: Inputs) -> tuple[nn.Module, int]:
    """The layer that turns an example into tokens, and the number of tokens.

    Raises:
        ValueError: the patches do not tile the image.
    """
    match inputs.kind:
        case "tokens":
            return nn.Embedding(inputs.n_tokens, knob.width, padding_idx=0), inputs.shape[0]
        case "sequence":
            return nn.Linear(inputs.shape[1], knob.width), inputs.shape[0]
        case "features":
            if inputs.categories:
                return ColumnTokens(inputs, knob.width), inputs.shape[0]
            return FeatureTokens(inputs.shape[0], knob.width), inputs.shape[0]
        case _:
            n_channels, rows, columns = inputs.shape
            if rows % knob.patch or columns % knob.patch:
                raise ValueError(f"a patch of {knob.patch} does not divide an image of {rows} × {columns}")
            n_patches = (rows // knob.patch) * (columns // knob.patch)
            return PatchTokens(n_channels, knob.patch, knob.width), n_patches


def positions_of(knob: Transformer, inputs: Inputs, n_tokens: int) -> nn.Module:
    """The layer that adds positions. Features need none: each has its own affine map."""
    if knob.positions == "none" or inputs.kind == "features":
        return nn.Identity()
    kind = LearnedPositions if knob.positions == "learned" else SinusoidalPositions
    return kind(n_tokens, knob.width)
