"""The networks of torchvision for images, with a new head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from tunecli.config.schema.models.base import Dropout, ModelKnob
from tunecli.knob import Auto, Count, Values

Architecture = Literal[
    "resnet101", "resnet152", "resnet18", "resnet34", "resnet50",
    "resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d",
    "wide_resnet101_2", "wide_resnet50_2",
    "convnext_base", "convnext_large", "convnext_small", "convnext_tiny",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4",
    "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l", "efficientnet_v2_m",
    "efficientnet_v2_s",
    "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3",
    "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
    "regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf",
    "regnet_x_800mf", "regnet_x_8gf", "regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf",
    "regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf",
    "densenet121", "densenet161", "densenet169", "densenet201",
    "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
    "alexnet",
    "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32",
    "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t",
    "maxvit_t",
]  # fmt: skip

_FAMILIES = {
    "resnet": "Residual network (He et al. 2016)",
    "resnext": "Residual network with grouped convolutions (Xie et al. 2017)",
    "wide_resnet": "Residual network with twice the channels (Zagoruyko & Komodakis 2016)",
    "convnext": "Convolutional network with the layout of a transformer (Liu et al. 2022)",
    "efficientnet": "Network whose depth, width and resolution grow together (Tan & Le 2019)",
    "mobilenet": "Small network for mobile devices (Sandler et al. 2018, Howard et al. 2019)",
    "mnasnet": "Small network that an automatic search found (Tan et al. 2019)",
    "shufflenet": "Small network that shuffles its channels (Ma et al. 2018)",
    "regnet": "Residual network of a regular design (Radosavovic et al. 2020)",
    "densenet": "Network whose layers read all layers before them (Huang et al. 2017)",
    "vgg": "Plain stack of 3 × 3 convolutions (Simonyan & Zisserman 2015)",
    "alexnet": "The network that won ImageNet in 2012 (Krizhevsky et al. 2012)",
    "vit": "Vision transformer over squares of the image (Dosovitskiy et al. 2021)",
    "swin": "Transformer over shifted windows (Liu et al. 2021)",
    "maxvit": "Transformer with attention in blocks and grids (Tu et al. 2022)",
}
_ARCHITECTURES = {
    name: next(
        f"{text}: torchvision's `{name}`." for start, text in _FAMILIES.items() if name.startswith(start)
    )
    for name in get_args(Architecture)
}
_NOT_FILES = ("none", "default")
_LEAST_SIDE = 64  # alexnet, the network that needs most, reads images of at least 63 pixels
_FIXED_SIDE = 224  # the size of the images that torchvision trained these on
_OF_FIXED_SIZE = ("vit_", "maxvit")
_WITHOUT_BATCH_NORM = ("alexnet", "convnext", "swin", "vit_")


class Backbone(ModelKnob):
    """A network of torchvision for images, whose last layer is replaced by a new head.

    It needs the package `torchvision`. Grey images get three equal channels. Three networks are left out:
    googlenet and inception have several outputs in training, and squeezenet has no linear layer.

    Attributes:
        architecture: name of the network.
        weights: initial weights of the network without its head: `none` draws them, `default` downloads those that
            torchvision recommends, and a path names a file of safetensors or of torch.save.
        freeze: train only the head. The rest stays as it is, with its batch norms in evaluation mode.
        unfreeze_at: epoch after which the rest is trained, too.
        resize: shorter side that images are scaled to, in pixels; both sides for vit and maxvit. `auto` scales images
            of fewer than 64 pixels to 64, and for vit and maxvit to 224.
        hidden: widths of hidden layers in the head, each with relu.
        dropout: dropout probability before each layer of the head.
    """

    implementation: ClassVar[str] = "tunecli.train.models.backbone:backbone"
    size_function: ClassVar[str] = "tunecli.train.backbone_sizes:backbone_size"
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    has_convolutions: ClassVar[bool] = True
    why_not_fused: ClassVar[str] = "a backbone fills the device by itself"
    name: Literal["backbone"] = "backbone"
    architecture: Annotated[Architecture, Values(_ARCHITECTURES)] = "resnet18"
    weights: Annotated[str, Field(min_length=1)] = "none"
    freeze: bool = False
    unfreeze_at: Count | None = None
    resize: Auto | Count = "auto"
    hidden: list[Count] = []
    dropout: Dropout = 0.0

    @property
    def has_batch_norm(self) -> bool:
        """Whether batch norms take statistics in training."""
        is_plain_vgg = self.architecture.startswith("vgg") and not self.architecture.endswith("_bn")
        has_norm = not (is_plain_vgg or self.architecture.startswith(_WITHOUT_BATCH_NORM))
        return has_norm and not (self.freeze and self.unfreeze_at is None)

    @property
    def weights_file(self) -> str | None:
        """The file of the weights, if they are in one."""
        return None if self.weights in _NOT_FILES else self.weights

    @property
    def fixed_side(self) -> int | None:
        """The side of the squares that the network reads, in pixels; None if it reads images of any size."""
        if not self.architecture.startswith(_OF_FIXED_SIZE):
            return None
        return _FIXED_SIDE if self.resize == "auto" else self.resize

    @property
    def side_unit(self) -> int:
        """The sides of an image must be multiples of this: the side of the patches of a vision transformer."""
        if self.has_positions:
            return int(self.architecture.rpartition("_")[2])
        return 32 if self.architecture.startswith("maxvit") else 1

    @property
    def has_positions(self) -> bool:
        """Whether the network has a learned vector for each patch of an image."""
        return self.architecture.startswith("vit_")

    def image_size(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns that images of this size are scaled to.

        With ``resize``, the shorter side has this many pixels; by default images are scaled only if they are smaller
        than the networks can read. A network of fixed size gets squares.
        """
        if self.fixed_side is not None:
            return self.fixed_side, self.fixed_side
        shorter = min(rows, columns)
        side = max(shorter, _LEAST_SIDE) if self.resize == "auto" else self.resize
        return max(1, round(rows * side / shorter)), max(1, round(columns * side / shorter))

    @model_validator(mode="after")
    def _only_a_frozen_body_can_be_unfrozen(self) -> Backbone:
        if self.unfreeze_at is not None and not self.freeze:
            raise ValueError("`unfreeze_at` needs `freeze: true`")
        if self.fixed_side is not None and self.fixed_side % self.side_unit:
            sides = f"sides that are multiples of {self.side_unit}"
            raise ValueError(f"{self.architecture} reads {sides}, not {self.fixed_side}")
        return self


def weights_file_of(model: Any) -> str | None:
    """The file of trained weights that a concrete trial's ``model`` names; None if it names none."""
    if not isinstance(model, Mapping) or model.get("name") != Backbone.model_fields["name"].default:
        return None
    weights = model.get("weights", "none")
    return None if weights in _NOT_FILES else str(weights)
