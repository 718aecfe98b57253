"""The shape of one example, as models see it. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

InputKind = Literal["features", "sequence", "image", "tokens"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a data set.

    Attributes:
        shape: the shape of one example: (F,) features, (T, F) a sequence, (C, H, W) an image, or (T,) tokens.
        n_tokens: number of different tokens, padding (token 0) included; 0 if inputs are numbers.
    """

    shape: tuple[int, ...]
    n_tokens: int = 0

    @property
    def kind(self) -> InputKind:
        """The kind of inputs: one of four."""
        if self.n_tokens:
            return "tokens"
        kinds: dict[int, InputKind] = {1: "features", 2: "sequence", 3: "image"}
        return kinds[len(self.shape)]

    @property
    def n_values(self) -> int:
        """Number of values in one example."""
        return prod(self.shape)
