"""How training examples are varied: a chain, applied in order to each epoch's examples, never to validation's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tunecli.knob import Count, Knob, Positive, link


class Noise(Knob):
    """Add Gaussian noise of deviation ``std`` to every input (after normalisation)."""

    name: Literal["noise"] = "noise"
    std: Positive = 0.1


class Flip(Knob):
    """Mirror an image left to right with probability ``p``."""

    name: Literal["flip"] = "flip"
    p: Annotated[float, Field(gt=0, le=1)] = 0.5


class Crop(Knob):
    """Shift an image by up to ``pixels`` each way, zeros coming in (pad and crop)."""

    name: Literal["crop"] = "crop"
    pixels: Count = 1


class Cutout(Knob):
    """Zero a square of ``size`` pixels at a random place of each image (DeVries & Taylor 2017)."""

    name: Literal["cutout"] = "cutout"
    size: Count = 2


class Mask(Knob):
    """Zero each input with probability ``p`` (after normalisation, so a zero is about the training part's middle)."""

    name: Literal["mask"] = "mask"
    p: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Mixup(Knob):
    """Mix each example with another of its batch, by a share ~ Beta(alpha, alpha) (Zhang et al. 2018)."""

    name: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2


AnyAugmentation = Noise | Flip | Crop | Cutout | Mask | Mixup
Augmentation = Annotated[
    Annotated[AnyAugmentation, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]
