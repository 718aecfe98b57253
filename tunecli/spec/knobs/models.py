"""The models and their structure; inputs and outputs follow from the data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tunecli.spec.knobs.base import Count, Knob, name_alone

Activation = Literal[
    "relu", "gelu", "tanh", "sigmoid", "silu", "elu", "selu", "leaky_relu", "softplus", "mish", "identity"
]
Initialisation = Literal[
    "default",
    "kaiming_normal",
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    "orthogonal",
    "normal",
    "uniform",
    "trunc_normal",
    "zeros",
]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Linear(Knob):
    """One linear layer: logistic regression, or linear regression."""

    name: Literal["linear"] = "linear"
    init: Initialisation = "default"


class Mlp(Knob):
    """A multi-layer perceptron: ``hidden`` layers, each linear → norm → activation → dropout."""

    name: Literal["mlp"] = "mlp"
    hidden: list[Count] = [64, 64]
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    norm: Literal["none", "batch", "layer"] = "none"
    init: Initialisation = "default"


class Cnn(Knob):
    """A convolutional net for images: per entry of ``channels`` a block convolution → norm → activation → pool.

    Each block halves the image while it is at least 2 × 2; the mean over what is left feeds a linear layer.
    """

    name: Literal["cnn"] = "cnn"
    channels: Annotated[list[Count], Field(min_length=1)] = [16, 32]
    kernel: Annotated[int, Field(ge=1, le=15)] = 3
    pool: Literal["max", "mean", "none"] = "max"
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    norm: Literal["none", "batch"] = "none"
    init: Initialisation = "default"


AnyModel = Linear | Mlp | Cnn
Model = Annotated[Annotated[AnyModel, Field(discriminator="name")], BeforeValidator(name_alone)]
