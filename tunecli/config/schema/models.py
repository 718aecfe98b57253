"""The models and their structure; inputs and outputs follow from the data.

``kinds`` says which inputs a model takes: plain features (F), a sequence (T, F), an image (C, H, W) or
tokens (T).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.families import OpenTo
from tunecli.config.schema.activations import GELU, RELU, Activation
from tunecli.config.schema.initialisations import DEFAULT, Initialisation
from tunecli.config.schema.user_code import UserCode
from tunecli.knob import Count, NamedKnob, name_alone

Dropout = Annotated[float, Field(ge=0, lt=1)]
Pixels = Annotated[int, Field(ge=1, le=15)]
Channels = Annotated[list[Count], Field(min_length=1)]


class ModelKnob(NamedKnob):
    """Base of the models.

    Attributes:
        implementation: a function of (knob, inputs, number of outputs) that returns a `torch.nn.Module` from
            (B, *inputs.shape) to (B, number of outputs).
        kinds: the inputs that the model takes.
        size_function: ``module:attribute`` of a function of (knob, inputs, number of outputs) that returns its
            `tunecli.train.workload.Size`; empty: its cost is unknown.
        weight_shapes: ``module:attribute`` of a function of the same that returns the shapes of its tensors of two
            dimensions or more, in order; empty: they are unknown.
        has_convolutions: whether it has convolutions.
        why_not_fused: why several trials with it cannot be trained as one model; empty if they can.
        activation: activation after each layer.
        dropout: dropout probability after each layer.
        init: rule for the initial weights.
    """

    kinds: ClassVar[tuple[str, ...]]
    size_function: ClassVar[str] = ""
    weight_shapes: ClassVar[str] = ""
    has_convolutions: ClassVar[bool] = False
    why_not_fused: ClassVar[str] = ""


class Linear(ModelKnob):
    """One linear layer: logistic regression or linear regression."""

    implementation: ClassVar[str] = "tunecli.train.models.feedforward:linear"
    size_function: ClassVar[str] = "tunecli.train.workload:linear_size"
    weight_shapes: ClassVar[str] = "tunecli.train.validation.chains:linear"
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image")
    name: Literal["linear"] = "linear"
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
    size_function: ClassVar[str] = "tunecli.train.workload:mlp_size"
    weight_shapes: ClassVar[str] = "tunecli.train.validation.chains:mlp"
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image")
    name: Literal["mlp"] = "mlp"
    hidden: list[Count] | None = None
    width: Count | None = None
    depth: Annotated[int, Field(ge=0)] | None = None
    residual: bool = False
    activation: Activation = RELU
    dropout: Dropout = 0.0
    norm: Literal["none", "batch", "layer", "rms"] = "none"
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


class Cnn(ModelKnob):
    """A convolutional network for images.

    Each entry of `channels` is a block convolution → norm → activation → pool; the mean over all pixels feeds a linear
    layer.

    Attributes:
        channels: output channels of each block.
        kernel: side of the convolutions, in pixels.
        stride: stride of the convolutions: the image's sides are divided by it, rounded up.
        pool: pooling, which halves the image's sides while they are at least 2 pixels.
        dropout: dropout probability before the linear layer.
        norm: normalisation after each convolution.
    """

    implementation: ClassVar[str] = "tunecli.train.models.feedforward:cnn"
    size_function: ClassVar[str] = "tunecli.train.workload:cnn_size"
    weight_shapes: ClassVar[str] = "tunecli.train.validation.chains:cnn"
    has_convolutions: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    name: Literal["cnn"] = "cnn"
    channels: Channels = [16, 32]
    kernel: Pixels = 3
    stride: Pixels = 1
    pool: Literal["max", "mean", "none"] = "max"
    activation: Activation = RELU
    dropout: Dropout = 0.0
    norm: Literal["none", "batch", "group", "layer"] = "none"
    init: Initialisation = DEFAULT


class ResNet(ModelKnob):
    """A residual network for small images (He et al. 2016, section 4.2).

    Every stage but the first halves the image while it is at least 2 × 2; a shortcut that changes the shape is a 1 × 1
    convolution (option B).

    Attributes:
        channels: output channels of each stage.
        blocks: residual blocks per stage.
        dropout: dropout probability before the last layer.
        norm: normalisation after each convolution.
    """

    implementation: ClassVar[str] = "tunecli.train.models.feedforward:resnet"
    size_function: ClassVar[str] = "tunecli.train.workload:resnet_size"
    has_convolutions: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    name: Literal["resnet"] = "resnet"
    channels: Channels = [16, 32, 64]
    blocks: Count = 1
    activation: Activation = RELU
    dropout: Dropout = 0.0
    norm: Literal["batch", "group"] = "batch"
    init: Initialisation = DEFAULT


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
    size_function: ClassVar[str] = "tunecli.train.workload:recurrent_size"
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


class Transformer(ModelKnob):
    """A transformer encoder (Vaswani et al. 2017) with the norms first (Xiong et al. 2020).

    It reads the steps of a sequence, tokens, squares of an image, or features, each through its own affine map
    (Gorishniy et al. 2021).

    Attributes:
        width: size of the token vectors; `heads` must divide it.
        layers: number of layers.
        heads: attention heads per layer.
        feedforward: width of the inner layers, as a multiple of `width`.
        positions: position embedding; features need none.
        patch: side of the squares that an image is cut into, in pixels.
        pool: what feeds the last layer: the mean over all tokens, or a token of its own (`cls`).
    """

    implementation: ClassVar[str] = "tunecli.train.models.transformer:transformer"
    size_function: ClassVar[str] = "tunecli.train.workload:transformer_size"
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image", "tokens")
    name: Literal["transformer"] = "transformer"
    width: Count = 64
    layers: Count = 2
    heads: Count = 4
    feedforward: Count = 2
    positions: Literal["learned", "sinusoidal", "none"] = "learned"
    patch: Count = 4
    pool: Literal["mean", "cls"] = "mean"
    activation: Activation = GELU
    dropout: Dropout = 0.0
    init: Initialisation = DEFAULT

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Transformer:
        if self.width % self.heads:
            raise ValueError(f"`heads` must divide `width`: {self.width} is not a multiple of {self.heads}")
        return self


AnyModel = Linear | Mlp | Cnn | ResNet | Recurrent | Transformer | UserCode
Model = Annotated[
    Annotated[AnyModel, Field(discriminator="name")],
    OpenTo("models", ModelKnob),
    BeforeValidator(name_alone),
]
