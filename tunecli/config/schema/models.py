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
            `tunecli.train.model_size.Size`; empty: its cost is unknown.
        weight_shapes: ``module:attribute`` of a function of the same that returns the shapes of its tensors of two
            dimensions or more, in order; empty: they are unknown.
        has_convolutions: whether it has convolutions.
        why_not_fused: why several trials with it cannot be trained as one model; empty: they can.
    """

    kinds: ClassVar[tuple[str, ...]]
    size_function: ClassVar[str] = ""
    weight_shapes: ClassVar[str] = ""
    has_convolutions: ClassVar[bool] = False
    why_not_fused: ClassVar[str] = ""


class Linear(ModelKnob):
    """One linear layer: logistic regression, or linear regression."""

    implementation: ClassVar[str] = "tunecli.train.models.perceptron:linear"
    size_function: ClassVar[str] = "tunecli.train.model_size:linear"
    weight_shapes: ClassVar[str] = "tunecli.train.validation.chains:linear"
    kinds: ClassVar[tuple[str, ...]] = ("features", "sequence", "image")
    name: Literal["linear"] = "linear"
    init: Initialisation = DEFAULT


class Mlp(ModelKnob):
    """A multi-layer perceptron: hidden layers, each linear → norm → activation → dropout.

    ``hidden`` lists their widths; ``depth`` layers of one ``width`` are its short form. None of them is
    [64, 64]. ``residual`` adds a layer's input to its output wherever both are equally wide (He et al. 2016),
    and leaves the other layers as they are.
    """

    implementation: ClassVar[str] = "tunecli.train.models.perceptron:mlp"
    size_function: ClassVar[str] = "tunecli.train.model_size:mlp"
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
        """How wide each hidden layer is."""
        if self.hidden is not None:
            return self.hidden
        return [64 if self.width is None else self.width] * (2 if self.depth is None else self.depth)

    @model_validator(mode="after")
    def _widths_are_said_once(self) -> Mlp:
        if self.hidden is not None and (self.width is not None or self.depth is not None):
            raise ValueError("`width` and `depth` are short for `hidden`: write it, or them")
        return self


class Cnn(ModelKnob):
    """A convolutional net for images: per entry of ``channels`` a block convolution → norm → activation → pool.

    A convolution divides the image's sides by ``stride``, rounded up; a pool halves them while they are at
    least 2. The mean over what is left feeds a linear layer, with ``dropout`` before it.
    """

    implementation: ClassVar[str] = "tunecli.train.models.convolutional:cnn"
    size_function: ClassVar[str] = "tunecli.train.model_size:cnn"
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
    """A residual net for small images (He et al. 2016, section 4.2): a stage of ``blocks`` per entry of ``channels``.

    Every stage but the first halves the image while it is at least 2 × 2. Where a block changes the shape its
    shortcut is a 1 × 1 convolution (the paper's option B). ``dropout`` stands before the last layer.
    """

    implementation: ClassVar[str] = "tunecli.train.models.convolutional:resnet"
    size_function: ClassVar[str] = "tunecli.train.model_size:resnet"
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
    """A recurrent net: Elman 1990 (``rnn``), Hochreiter & Schmidhuber 1997 (``lstm``), Cho et al. 2014 (``gru``).

    It reads a sequence step by step, an image row by row, tokens through an ``embedding`` of that width.
    ``pool`` says what of its steps feeds the linear layer; padding is left out. ``dropout`` follows each layer.
    """

    implementation: ClassVar[str] = "tunecli.train.models.recurrent:recurrent"
    size_function: ClassVar[str] = "tunecli.train.model_size:recurrent"
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
            raise ValueError(f"only rnn has a `nonlinearity` to choose; {self.name}'s is tanh")
        return self


class Transformer(ModelKnob):
    """A transformer encoder (Vaswani et al. 2017) with its norms first (Xiong et al. 2020).

    It reads the steps of a sequence, tokens, the ``patch`` × ``patch`` squares of an image, or features, each
    through an affine map of its own (Gorishniy et al. 2021), which need no ``positions``. ``feedforward`` is
    how many times ``width`` its inner layers are; ``pool`` is the mean over what is read, or a token of its own.
    """

    implementation: ClassVar[str] = "tunecli.train.models.transformer:transformer"
    size_function: ClassVar[str] = "tunecli.train.model_size:transformer"
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
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")
        return self


AnyModel = Linear | Mlp | Cnn | ResNet | Recurrent | Transformer | UserCode
Model = Annotated[
    Annotated[AnyModel, Field(discriminator="name")],
    OpenTo("models", ModelKnob),
    BeforeValidator(name_alone),
]
