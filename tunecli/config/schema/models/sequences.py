"""The networks that read a sequence or tokens in order."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import model_validator

from tunecli.config.schema.activations import RELU, Activation
from tunecli.config.schema.initialisations import DEFAULT, Initialisation
from tunecli.config.schema.models.base import Channels, Dropout, ModelKnob, Pixels
from tunecli.knob import Count, Values

Pool = Annotated[
    Literal["last", "mean", "max"],
    Values(
        {
            "last": "The last step.",
            "mean": "The mean over all steps.",
            "max": "The maximum over all steps.",
        }
    ),
]


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
    kinds: ClassVar[tuple[str, ...]] = ("sequence", "image", "tokens", "mixed")
    name: Annotated[
        Literal["rnn", "lstm", "gru"],
        Values(
            {
                "rnn": "A simple recurrent network (Elman 1990).",
                "lstm": "Long short-term memory (Hochreiter & Schmidhuber 1997).",
                "gru": "Gated recurrent units (Cho et al. 2014).",
            }
        ),
    ]
    width: Count = 64
    layers: Count = 1
    bidirectional: bool = False
    nonlinearity: Annotated[
        Literal["tanh", "relu"],
        Values(
            {
                "tanh": "Hyperbolic tangent.",
                "relu": "Rectified linear unit.",
            }
        ),
    ] = "tanh"
    embedding: Count = 32
    pool: Pool = "last"
    dropout: Dropout = 0.0
    init: Initialisation = DEFAULT

    @property
    def text_width(self) -> int:
        """Number of values that stand for a text beside columns."""
        return self.width

    @model_validator(mode="after")
    def _gates_have_their_own_nonlinearity(self) -> Recurrent:
        if self.name != "rnn" and self.nonlinearity != "tanh":
            raise ValueError(f"only `rnn` has a `nonlinearity`; {self.name} always uses tanh")
        return self


class Tcn(ModelKnob):
    """A temporal convolutional network (Bai, Kolter & Koltun 2018): a step sees itself and the steps before it.

    A block is twice convolution → activation → dropout, with a shortcut around it and an activation after it. The
    distance between the steps that a kernel reads doubles from block to block.

    Attributes:
        channels: output channels of each block.
        kernel: number of steps that a convolution reads.
        norm: `weight` divides each filter by its length, and gives it a learned one.
        embedding: size of the token vectors.
        pool: which steps feed the linear layer: the last one, or the mean or maximum of all. Padding is left out.
        dropout: dropout probability after each convolution; of single numbers, as in the authors' code.
    """

    implementation: ClassVar[str] = "tunecli.train.models.convolutional_sequences:tcn"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:tcn_size"
    weight_shapes: ClassVar[str] = "tunecli.train.weight_shapes:tcn"
    has_convolutions: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("sequence", "tokens", "mixed")
    name: Literal["tcn"] = "tcn"
    channels: Channels = [32, 32, 32, 32]
    kernel: Pixels = 3
    norm: Annotated[
        Literal["weight", "none"],
        Values(
            {
                "weight": "Divides each filter by its length, and gives it a learned one.",
                "none": "No normalisation.",
            }
        ),
    ] = "weight"
    embedding: Count = 32
    pool: Pool = "last"
    activation: Activation = RELU
    dropout: Dropout = 0.2
    init: Initialisation = DEFAULT

    @property
    def text_width(self) -> int:
        """Number of values that stand for a text beside columns."""
        return self.channels[-1]

    @property
    def n_steps_seen(self) -> int:
        """Number of steps that the last step sees, itself included."""
        return 1 + 2 * (self.kernel - 1) * ((1 << len(self.channels)) - 1)
