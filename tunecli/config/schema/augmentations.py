"""The augmentations: changes to the training examples of each epoch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.knob import Count, NamedKnob, Positive, link


class AugmentationKnob(NamedKnob):
    """Base of the augmentations.

    Attributes:
        implementation: a function of (knob, inputs (N, ...), generator on the CPU) that returns the new inputs; empty
            if it changes targets too, and the training loop applies it.
        needs_images: whether inputs must be (N, C, H, W).
        needs_range: whether the function also gets the smallest and the largest value of each channel.
    """

    needs_images: ClassVar[bool] = False
    needs_range: ClassVar[bool] = False


class Noise(AugmentationKnob):
    """Add Gaussian noise to every input, after normalisation.

    Attributes:
        std: standard deviation of the noise.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:noise"
    name: Literal["noise"] = "noise"
    std: Positive = 0.1


class Flip(AugmentationKnob):
    """Mirror images left to right.

    Attributes:
        p: probability.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:flip"
    needs_images: ClassVar[bool] = True
    name: Literal["flip"] = "flip"
    p: Annotated[float, Field(gt=0, le=1)] = 0.5


class Crop(AugmentationKnob):
    """Shift images by a random number of pixels each way, padded with zeros (pad and crop).

    Attributes:
        pixels: largest shift, in pixels.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:crop"
    needs_images: ClassVar[bool] = True
    name: Literal["crop"] = "crop"
    pixels: Count = 1


class Cutout(AugmentationKnob):
    """Zero a square at a random place of each image (DeVries & Taylor 2017).

    Attributes:
        size: side of the square, in pixels.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:cutout"
    needs_images: ClassVar[bool] = True
    name: Literal["cutout"] = "cutout"
    size: Count = 2


class Rotation(AugmentationKnob):
    """Turn images about their centre, with linear interpolation and zeros outside.

    Attributes:
        degrees: largest angle in either direction, in degrees.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:rotation"
    needs_images: ClassVar[bool] = True
    name: Literal["rotation"] = "rotation"
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0


class Jitter(AugmentationKnob):
    """Change brightness, then contrast, then saturation of images by random factors between 1 - value and 1 + value.

    Values are bounded by the smallest and the largest value of the channel in the training images. Saturation changes
    images of three channels only.

    Attributes:
        brightness: largest change of the brightness.
        contrast: largest change of the contrast.
        saturation: largest change of the saturation.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:jitter"
    needs_images: ClassVar[bool] = True
    needs_range: ClassVar[bool] = True
    name: Literal["jitter"] = "jitter"
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.2
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.2
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.2

    @model_validator(mode="after")
    def _something_changes(self) -> Jitter:
        if not (self.brightness or self.contrast or self.saturation):
            raise ValueError("one of `brightness`, `contrast` and `saturation` must be above 0")
        return self


class RandAugment(AugmentationKnob):
    """Apply random operations of one strength to each image (Cubuk et al. 2020).

    The 14 operations and their ranges are those of torchvision. They turn, shear and shift images, and change their
    colours within the smallest and the largest value of the channel in the training images.

    Attributes:
        operations: number of operations for each image.
        magnitude: strength of the operations, from 0 to 30.
    """

    implementation: ClassVar[str] = "tunecli.train.data.randaugment:randaugment"
    needs_images: ClassVar[bool] = True
    needs_range: ClassVar[bool] = True
    name: Literal["randaugment"] = "randaugment"
    operations: Count = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class Mask(AugmentationKnob):
    """Set inputs to zero at random, after normalisation.

    Attributes:
        p: probability for each input.
    """

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:mask"
    name: Literal["mask"] = "mask"
    p: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Mixup(AugmentationKnob):
    """Mix each example with another one of its batch, with a weight drawn from Beta(alpha, alpha) (Zhang et al. 2018).

    Attributes:
        alpha: parameter of the Beta distribution.
    """

    name: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2


AnyAugmentation = Noise | Flip | Crop | Cutout | Rotation | Jitter | RandAugment | Mask | Mixup
Augmentation = Annotated[
    Annotated[AnyAugmentation, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
