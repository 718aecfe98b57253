"""The layers that `tunecli.train.models.build` places around a model: vectors of categories and tokens. No torch.

A model that reads plain numbers gets the vectors of the categories, and the mean of the vectors of a text's tokens. A
model that reads texts gets the text alone; its outputs and the columns are joined behind it.
"""

from __future__ import annotations

from typing import NamedTuple

from tunecli.config.schema.models import AnyModel
from tunecli.config.schema.user_code import UserCode
from tunecli.train.data.table import Inputs

_MOST_VALUES = 50


class Vectors(NamedTuple):
    """A table of vectors: the number of codes or tokens, and the size of a vector."""

    n_codes: int
    size: int


class Front(NamedTuple):
    """The layers around a model.

    Attributes:
        codes: the vectors of each column of codes.
        tokens: the vectors of the tokens, whose mean the model gets; None if there are no tokens or the model reads
            them.
        inputs: the inputs that the model gets.
        joined_width: number of outputs of a model that reads the text alone, which are joined with the columns; 0 if
            nothing is joined.
    """

    codes: tuple[Vectors, ...]
    tokens: Vectors | None
    inputs: Inputs
    joined_width: int = 0

    @property
    def has_tables(self) -> bool:
        """Whether there are vectors at all."""
        return bool(self.codes) or self.tokens is not None

    @property
    def tables(self) -> list[tuple[int, int]]:
        """The shapes of the tables of vectors, in order."""
        return [*self.codes, *([] if self.tokens is None else [self.tokens])]


def front_of(model: AnyModel, inputs: Inputs) -> Front:
    """The layers around a model; none for the user's own one."""
    if isinstance(model, UserCode):
        return Front((), None, inputs)
    if inputs.kind == "mixed" and model.text_width:
        return Front(_codes(inputs, "auto"), None, inputs.texts, model.text_width)
    size: int | str = getattr(model, "embedding", "auto")
    averages = bool(inputs.n_tokens) and model.averages_tokens
    tokens = Vectors(inputs.n_tokens, _size(inputs.n_tokens, size)) if averages else None
    codes = () if model.reads_codes or (inputs.n_tokens and not averages) else _codes(inputs, size)
    if not codes and tokens is None:
        return Front((), None, inputs)
    n_values = inputs.n_numbers + sum(one.size for one in codes) + (tokens.size if tokens else 0)
    return Front(codes, tokens, Inputs((n_values,)))


def n_joined(front: Front, inputs: Inputs) -> int:
    """Number of values that are joined: the outputs of the text's model, the numbers, and the codes' vectors."""
    return front.joined_width + inputs.n_numbers + sum(one.size for one in front.codes)


def _codes(inputs: Inputs, size: int | str) -> tuple[Vectors, ...]:
    return tuple(Vectors(n_codes, _size(n_codes, size)) for n_codes in inputs.categories)


def _size(n_codes: int, size: int | str) -> int:
    """The size of vectors. Auto is half the number of codes, rounded up, and at most 50.

    This is the first rule of fast.ai's library (Howard & Gugger 2018).
    """
    return size if isinstance(size, int) else min(_MOST_VALUES, (n_codes + 1) // 2)
