"""The feed-forward networks over plain features: linear model, perceptron, and the residual network for tables."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tunecli.config.schema.activations import RELU, Activation
from tunecli.config.schema.initialisations import DEFAULT, Initialisation
from tunecli.config.schema.models.base import Dropout, EmbeddingSize, ModelKnob, part_of
from tunecli.knob import Count, Positive, Values


class Linear(ModelKnob):
    """One linear layer: logistic regression or linear regression."""

    implementation: ClassVar[str] = "tunecli.train.models.feedforward:linear"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:linear_size"
    weight_shapes: ClassVar[str] = "tunecli.train.weight_shapes:linear"
    averages_tokens: ClassVar[bool] = True
    slowness: ClassVar[float] = 10.0  # each of its few weights moves by about the learning rate in a step
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image", "tokens", "mixed")
    name: Literal["linear"] = "linear"
    embedding: EmbeddingSize = "auto"
    init: Initialisation = DEFAULT


class Mlp(ModelKnob):
    """A multi-layer perceptron: hidden layers, each linear → norm → activation → dropout.

    Attributes:
        hidden: widths of the hidden layers; by default [64, 64].
        width: width of every hidden layer, together with `depth` instead of `hidden`.
        depth: number of hidden layers, together with `width` instead of `hidden`.
        residual: add a layer's input to its output where both have the same width (He et al. 2016).
        norm: normalisation after each linear layer.
    """

    implementation: ClassVar[str] = "tunecli.train.models.feedforward:mlp"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:mlp_size"
    weight_shapes: ClassVar[str] = "tunecli.train.weight_shapes:mlp"
    averages_tokens: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image", "tokens", "mixed")
    name: Literal["mlp"] = "mlp"
    hidden: list[Count] | None = None
    width: Count | None = None
    depth: Annotated[int, Field(ge=0)] | None = None
    residual: bool = False
    activation: Activation = RELU
    dropout: Dropout = 0.0
    norm: Annotated[
        Literal["none", "batch", "layer", "rms"],
        Values(
            {
                "none": "No normalisation.",
                "batch": "Batch normalisation (Ioffe & Szegedy 2015).",
                "layer": "Layer normalisation (Ba et al. 2016).",
                "rms": "Division by the root mean square (Zhang & Sennrich 2019).",
            }
        ),
    ] = "none"
    embedding: EmbeddingSize = "auto"
    init: Initialisation = DEFAULT

    @property
    def widths(self) -> list[int]:
        """Width of each hidden layer."""
        if self.hidden is not None:
            return self.hidden
        return [64 if self.width is None else self.width] * (2 if self.depth is None else self.depth)

    @model_validator(mode="after")
    def _widths_are_said_once(self) -> Mlp:
        if self.hidden is not None and (self.width is not None or self.depth is not None):
            raise ValueError("write `hidden`, or `width` and `depth`, not both")
        return self


class TabularResNet(ModelKnob):
    """The residual network for tables of Gorishniy et al. 2021, section 3.2: a linear layer, then residual blocks.

    A block is norm → linear → activation → dropout → linear → dropout, and its output is added to its input. The
    default sizes are those of the example in the authors' package `rtdl`.

    Attributes:
        width: size of the vector that passes through the blocks.
        blocks: number of residual blocks.
        feedforward: width of the inner layer of a block, as a multiple of `width`, rounded down.
        norm: normalisation at the beginning of each block, and before the last layer.
        dropout: dropout probability after the activation of each block.
        residual_dropout: dropout probability at the end of each block.
    """

    implementation: ClassVar[str] = "tunecli.train.models.tabular:tabular_resnet"
    size_function: ClassVar[str] = "tunecli.train.model_sizes:tabular_resnet_size"
    weight_shapes: ClassVar[str] = "tunecli.train.weight_shapes:tabular_resnet"
    averages_tokens: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("features", "tokens", "mixed")
    name: Literal["tabular_resnet"] = "tabular_resnet"
    width: Count = 128
    blocks: Count = 2
    feedforward: Positive = 2.0
    norm: Annotated[
        Literal["none", "batch", "layer"],
        Values(
            {
                "none": "No normalisation.",
                "batch": "Batch normalisation (Ioffe & Szegedy 2015).",
                "layer": "Layer normalisation (Ba et al. 2016).",
            }
        ),
    ] = "batch"
    activation: Activation = RELU
    dropout: Dropout = 0.2
    residual_dropout: Dropout = 0.0
    embedding: EmbeddingSize = "auto"
    init: Initialisation = DEFAULT

    @property
    def inner_width(self) -> int:
        """Width of the inner layer of a block."""
        return part_of(self.feedforward, self.width)
