"""Layers that read the columns of a table: numbers, and the codes of categories.

A row holds its numbers, then its codes as floats (`Inputs.categories`). Code 0 is a missing or unknown category, and
has a vector like any other code.

Axes: B examples, F columns, C columns of codes, D units of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tunecli.train.data.table import Inputs


class EmbeddedCodes(nn.Module):
    """Replaces each code by a learned vector: (B, F) → (B, numbers + sizes of the vectors) (Guo & Berkhahn 2016).

    The initial vectors are uniform in ±1 / √size, as in the code of Gorishniy et al. 2021.
    """

    def __init__(self, n_numbers: int, shapes: Sequence[tuple[int, int]]) -> None:
        """Build one table of vectors for each column of codes.

        Args:
            n_numbers: the number of columns before the codes.
            shapes: by column of codes, its number of codes and the size of its vectors.
        """
        super().__init__()
        self._n_numbers = n_numbers
        self.tables = nn.ModuleList(
            nn.Embedding(n_codes, size, _weight=_uniform(n_codes, size)) for n_codes, size in shapes
        )

    def forward(self, x_BF: Tensor) -> Tensor:
        codes = x_BF[:, self._n_numbers :].long().unbind(1)
        vectors = [table(codes_B) for table, codes_B in zip(self.tables, codes, strict=True)]
        return torch.cat([x_BF[:, : self._n_numbers], *vectors], 1)


class ColumnTokens(nn.Module):
    """One token for each column: (B, F) → (B, F, D) (Gorishniy et al. 2021, section 3.3).

    A number's token is its own affine map, and a code's is its own vector plus the bias of its column. All of these are
    uniform in ±1 / √D at first.
    """

    first_codes: Tensor  # (C,)

    def __init__(self, inputs: Inputs, width: int) -> None:
        """Build the maps and vectors.

        Args:
            inputs: the numbers and codes of an example.
            width: size of the tokens.
        """
        super().__init__()
        self._n_numbers = inputs.n_numbers
        first = [0, *accumulate(inputs.categories)][:-1]
        self.register_buffer("first_codes", torch.tensor(first, dtype=torch.int64), persistent=False)
        self.weight = _uniform(inputs.n_numbers, width) if inputs.n_numbers else None
        self.vectors = _uniform(sum(inputs.categories), width) if inputs.categories else None
        self.bias = _uniform(inputs.shape[0], width)

    def forward(self, x_BF: Tensor) -> Tensor:
        parts = []
        if self.weight is not None:
            parts.append(x_BF[:, : self._n_numbers, None] * self.weight)
        if self.vectors is not None:
            place_BC = x_BF[:, self._n_numbers :].long() + self.first_codes
            parts.append(fn.embedding(place_BC, self.vectors))
        return torch.cat(parts, 1) + self.bias


class ClsToken(nn.Module):
    """Appends a learned token: (B, F, D) → (B, F + 1, D) (Devlin et al. 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = _uniform(width)

    def forward(self, x_BFD: Tensor) -> Tensor:
        return torch.cat([x_BFD, self.weight.expand(x_BFD.shape[0], 1, -1)], 1)


def _uniform(*shape: int) -> nn.Parameter:
    """A parameter that is uniform in ±1 / √width; the width is the last size."""
    bound = shape[-1] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
