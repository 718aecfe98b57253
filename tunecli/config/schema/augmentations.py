"""How training examples are varied: a chain, applied in order to each epoch's examples, never to validation's."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tunecli.knob import Count, NamedKnob, Positive, link


class AugmentationKnob(NamedKnob):
    """Base of the augmentations.

    Attributes:
        implementation: a function of (knob, inputs (N, ...), generator on the CPU) that returns the new inputs. Empty:
            it changes targets too, and the loop does it.
        needs_images: whether inputs have to be (N, C, H, W).
    """

    needs_images: ClassVar[bool] = False


class Noise(AugmentationKnob):
    """Add Gaussian noise of deviation ``std`` to every input (after normalisation)."""

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:noise"
    name: Literal["noise"] = "noise"
    std: Positive = 0.1


class Flip(AugmentationKnob):
    """Mirror an image left to right with probability ``p``."""

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:flip"
    needs_images: ClassVar[bool] = True
    name: Literal["flip"] = "flip"
    p: Annotated[float, Field(gt=0, le=1)] = 0.5


class Crop(AugmentationKnob):
    """Shift an image by up to ``pixels`` each way, zeros coming in (pad and crop)."""

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:crop"
    needs_images: ClassVar[bool] = True
    name: Literal["crop"] = "crop"
    pixels: Count = 1


class Cutout(AugmentationKnob):
    """Zero a square of ``size`` pixels at a random place of each image (DeVries & Taylor 2017)."""

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:cutout"
    needs_images: ClassVar[bool] = True
    name: Literal["cutout"] = "cutout"
    size: Count = 2


class Mask(AugmentationKnob):
    """Zero each input with probability ``p`` (after normalisation, so a zero is about the training part's middle)."""

    implementation: ClassVar[str] = "tunecli.train.data.augmentation:mask"
    name: Literal["mask"] = "mask"
    p: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Mixup(AugmentationKnob):
    """Mix each example with another of its batch, by a share ~ Beta(alpha, alpha) (Zhang et al. 2018)."""

    name: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2


AnyAugmentation = Noise | Flip | Crop | Cutout | Mask | Mixup
Augmentation = Annotated[
    Annotated[AnyAugmentation, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
