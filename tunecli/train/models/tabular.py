"""The networks for tables of Gorishniy et al. 2021, "Revisiting Deep Learning Models for Tabular Data", section 3.

Axes: B examples, F columns, T tokens, D units of a token, I units of an inner layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunecli.config.schema.models import FtTransformer, TabularResNet
from tunecli.train.data.table import Inputs
from tunecli.train.models.columns import ClsToken, ColumnTokens
from tunecli.train.models.layers import Residual, build_activation, dropout, unit_norm
from tunecli.train.models.transformer import Attention


def tabular_resnet(knob: TabularResNet, inputs: Inputs, n_outputs: int) -> nn.Module:
    """Section 3.2: Linear, then blocks x + Dropout(Linear(Dropout(ReLU(Linear(BatchNorm(x)))))), then the prediction.

    The prediction is Linear(ReLU(BatchNorm(x))).
    """
    width, n_inner = knob.width, knob.inner_width
    layers: list[nn.Module] = [nn.Linear(inputs.n_values, width)]
    for _ in range(knob.blocks):
        block = nn.Sequential(
            *unit_norm(knob.norm, width),
            nn.Linear(width, n_inner),
            build_activation(knob.activation),
            *dropout(knob.dropout),
            nn.Linear(n_inner, width),
            *dropout(knob.residual_dropout),
        )
        layers.append(Residual(block))
    layers += [*unit_norm(knob.norm, width), build_activation(knob.activation), nn.Linear(width, n_outputs)]
    return nn.Sequential(*layers)


def ft_transformer(knob: FtTransformer, inputs: Inputs, n_outputs: int) -> nn.Module:
    """Section 3.3: tokens of the columns and a token of its own, blocks, and Linear(ReLU(LayerNorm(own token)))."""
    return FtTransformerNet(knob, inputs, n_outputs)


class FtTransformerNet(nn.Module):
    """(B, F) → (B, n_outputs)."""

    def __init__(self, knob: FtTransformer, inputs: Inputs, n_outputs: int) -> None:
        super().__init__()
        self.tokens = nn.Sequential(ColumnTokens(inputs, knob.width), ClsToken(knob.width))
        self.blocks = nn.ModuleList(FtBlock(knob, has_norm=layer > 0) for layer in range(knob.layers))
        self.output = nn.Sequential(nn.LayerNorm(knob.width), nn.ReLU(), nn.Linear(knob.width, n_outputs))

    def forward(self, x_BF: Tensor) -> Tensor:
        hidden_BTD = self.tokens(x_BF)
        for block in self.blocks[:-1]:
            hidden_BTD = block(hidden_BTD, hidden_BTD)
        # only the model's own token is used after the last block, so only it asks there
        own_B1D = self.blocks[-1](hidden_BTD[:, -1:], hidden_BTD)
        return self.output(own_B1D[:, 0])  # type: ignore[no-any-return]


class FtBlock(nn.Module):
    """``x + Dropout(attention(norm(x)))``, then ``x + Dropout(feedforward(norm(x)))``, for the tokens that ask.

    Without ``has_norm`` the attention has no norm: so it is in the first block of the paper's model.
    """

    def __init__(self, knob: FtTransformer, *, has_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(knob.width) if has_norm else nn.Identity()
        self.attention = Attention(knob.width, knob.heads, knob.attention_dropout)
        for layer in (self.attention.query, self.attention.key, self.attention.value, self.attention.output):
            nn.init.zeros_(layer.bias)  # as in the paper's own implementation
        self.dropout = nn.Sequential(*dropout(knob.residual_dropout))
        self.feedforward = Residual(
            nn.Sequential(
                nn.LayerNorm(knob.width),
                nn.Linear(knob.width, 2 * knob.inner_width),
                ReGlu(),
                *dropout(knob.dropout),
                nn.Linear(knob.inner_width, knob.width),
                *dropout(knob.residual_dropout),
            )
        )

    def forward(self, asking_BTD: Tensor, read_BTD: Tensor) -> Tensor:
        normed_BTD = self.norm(read_BTD)
        asked_BTD = normed_BTD if asking_BTD is read_BTD else self.norm(asking_BTD)
        asking_BTD = asking_BTD + self.dropout(self.attention(normed_BTD, None, asked_BTD))
        return self.feedforward(asking_BTD)  # type: ignore[no-any-return]


class ReGlu(nn.Module):
    """``a · relu(b)`` for the two halves of a layer's units: (…, 2 I) → (…, I) (Shazeer 2020)."""

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, -1)
        return value * torch.relu(gate)
