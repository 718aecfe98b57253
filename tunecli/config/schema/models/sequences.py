"""The networks that read a sequence or tokens in order."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from tunecli.config.schema.initialisations import DEFAULT, Initialisation
from tunecli.config.schema.models.base import Dropout, ModelKnob
from tunecli.knob import Count


class Recurrent(ModelKnob):
    """A recurrent network: `rnn` (Elman 1990), `lstm` (Hochreiter & Schmidhuber 1997) or `gru` (Cho et al. 2014).

    It reads a sequence step by step, an image row by row, and tokens through an embedding.

    Attributes:
        width: size of the hidden state.
        layers: number of layers.
        bidirectional: read the sequence in both directions.
        nonlinearity: activation of an `rnn`; lstm and gru have tanh.
        embedding: size of the token vectors.
        pool: which steps feed the linear layer: the last one, or the mean or maximum of all. Padding is left out.
        dropout: dropout probability after each layer.
    """

    implementation: ClassVar[str] = "tunecli.train.models.recurrent:recurrent"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:recurrent_size"
    why_not_fused: ClassVar[str] = "a recurrent net's kernels take one model at a time"
    kinds: ClassVar[tuple[str, ...]] = ("sequence", "image", "tokens")
    name: Literal["rnn", "lstm", "gru"]
    width: Count = 64
    layers: Count = 1
    bidirectional: bool = False
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    embedding: Count = 32
    pool: Literal["last", "mean", "max"] = "last"
    dropout: Dropout = 0.0
    init: Initialisation = DEFAULT

    @model_validator(mode="after")
    def _gates_have_their_own_nonlinearity(self) -> Recurrent:
        if self.name != "rnn" and self.nonlinearity != "tanh":
            raise ValueError(f"only `rnn` has a `nonlinearity`; {self.name} always uses tanh")
        return self
