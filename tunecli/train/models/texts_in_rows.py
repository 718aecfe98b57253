"""Layers that read texts as a whole: the mean of a text's vectors, and a text beside the columns of its row.

A row of a text with columns holds the columns, then the tokens as floats (`Inputs.text_length`).

Axes: B examples, F values of a row, T tokens, D units of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunecli.train.data.table import Inputs
from tunecli.train.model_fronts import Front, Vectors, n_joined
from tunecli.train.models.columns import EmbeddedCodes
from tunecli.train.models.layers import is_read, mean_over_steps


class MeanOfTokens(nn.Module):
    """The mean vector of a text's tokens: (B, T) → (B, D) (Joulin et al. 2017, section 2). Padding is left out.

    The vector of a text without tokens is 0.
    """

    def __init__(self, vectors: Vectors) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vectors.n_codes, vectors.size, padding_idx=0)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return mean_over_steps(self.vectors(tokens_BT), is_read(tokens_BT))


class ColumnsAndMean(nn.Module):
    """The numbers, the vectors of the codes, and the mean vector of the text: (B, F) → (B, …)."""

    def __init__(self, front: Front, vectors: Vectors, inputs: Inputs) -> None:
        super().__init__()
        self._text_length = inputs.text_length
        self.columns = columns_of(front, inputs)
        self.text = MeanOfTokens(vectors)

    def forward(self, x_BF: Tensor) -> Tensor:
        columns_BF, tokens_BT = split_row(x_BF, self._text_length)
        return torch.cat([self.columns(columns_BF), self.text(tokens_BT)], 1)


class TextBesideColumns(nn.Module):
    """A model of the text, joined with the columns by one hidden layer: (B, F) → (B, n_outputs)."""

    def __init__(self, front: Front, inputs: Inputs, text: nn.Module, n_outputs: int) -> None:
        """Build the layers around a model of the text.

        Args:
            front: the vectors of the codes, and the number of outputs of ``text``.
            inputs: the inputs of a whole row.
            text: from (B, T) tokens to (B, front.joined_width).
            n_outputs: number of outputs.
        """
        super().__init__()
        self._text_length = inputs.text_length
        self.columns = columns_of(front, inputs)
        self.text = text
        self.joint = nn.Sequential(
            nn.Linear(n_joined(front, inputs), front.joined_width),
            nn.ReLU(),
            nn.Linear(front.joined_width, n_outputs),
        )

    def forward(self, x_BF: Tensor) -> Tensor:
        columns_BF, tokens_BT = split_row(x_BF, self._text_length)
        values = torch.cat([self.columns(columns_BF), self.text(tokens_BT)], 1)
        return self.joint(values)  # type: ignore[no-any-return]


def columns_of(front: Front, inputs: Inputs) -> nn.Module:
    """The layer that replaces codes by vectors; it passes numbers on."""
    return EmbeddedCodes(inputs.n_numbers, front.codes) if front.codes else nn.Identity()


def split_row(x_BF: Tensor, text_length: int) -> tuple[Tensor, Tensor]:
    """The columns of a row, and its tokens as whole numbers."""
    return x_BF[:, :-text_length], x_BF[:, -text_length:].long()
