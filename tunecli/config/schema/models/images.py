"""The networks for images."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from tunecli.config.schema.activations import RELU, Activation
from tunecli.config.schema.initialisations import DEFAULT, Initialisation
from tunecli.config.schema.models.base import Channels, Dropout, ModelKnob, Pixels
from tunecli.knob import Count, Values


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
    size_function: ClassVar[str] = "tunecli.train.model_sizes:cnn_size"
    weight_shapes: ClassVar[str] = "tunecli.train.weight_shapes:cnn"
    has_convolutions: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    name: Literal["cnn"] = "cnn"
    channels: Channels = [16, 32]
    kernel: Pixels = 3
    stride: Pixels = 1
    pool: Annotated[
        Literal["max", "mean", "none"],
        Values(
            {
                "max": "The largest of four pixels.",
                "mean": "The mean of four pixels.",
                "none": "No pooling.",
            }
        ),
    ] = "max"
    activation: Activation = RELU
    dropout: Dropout = 0.0
    norm: Annotated[
        Literal["none", "batch", "group", "layer"],
        Values(
            {
                "none": "No normalisation.",
                "batch": "Batch normalisation (Ioffe & Szegedy 2015).",
                "group": "Group normalisation (Wu & He 2018).",
                "layer": "Layer normalisation (Ba et al. 2016).",
            }
        ),
    ] = "group"
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
    size_function: ClassVar[str] = "tunecli.train.model_sizes:resnet_size"
    has_convolutions: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    name: Literal["resnet"] = "resnet"
    channels: Channels = [16, 32, 64]
    blocks: Count = 1
    activation: Activation = RELU
    dropout: Dropout = 0.0
    norm: Annotated[
        Literal["batch", "group"],
        Values(
            {
                "batch": "Batch normalisation (Ioffe & Szegedy 2015).",
                "group": "Group normalisation (Wu & He 2018).",
            }
        ),
    ] = "batch"
    init: Initialisation = DEFAULT
