"""The data's knobs: how much of it is used, how it is read and prepared, what validates and what tests.

Where it comes from is sources.py's, how it is varied augmentations.py's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.schema.sources import Source, absolute, with_absolute_path
from tunecli.knob import Count, Fraction, Knob, NamedKnob, Positive, link

FileName = Annotated[str, Field(min_length=1)]


class Validation(Knob):
    """What validates: a fraction set apart, or each of ``folds`` parts in turn, or a file of its own."""

    fraction: Fraction | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    file: FileName | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Validation:
        if sum(way is not None for way in (self.fraction, self.folds, self.file)) != 1:
            raise ValueError("say one of `fraction`, `folds` or `file`")
        return self


class Test(Knob):
    """What is set apart before validation is, and read by no trial of a search.

    A fraction, validation's share being one of the rest; a file (or folder of images) of its own; or what the
    source itself keeps for testing (``own``).
    """

    fraction: Fraction | None = None
    file: FileName | None = None
    own: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Test:
        if sum(way is not None for way in (self.fraction, self.file, self.own)) != 1:
            raise ValueError("say one of `fraction`, `file` or `own`")
        return self


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


class Data(Knob):
    """Training, validation and test data. Whatever is fitted (scales, categories, tokens) sees the training part only.

    ``inputs`` says what arrays hold: ``auto`` reads (N, F) as features, (N, H, W) and (N, C, H, W) as images;
    ``sequence`` reads (N, T, F). ``text`` names a column whose characters become tokens, at most ``max_length`` an
    example and at most ``max_tokens`` different ones, padding and "unknown" among them.
    """

    source: Source
    target: str | None = None
    task: Literal["auto", "classification", "regression"] = "auto"
    inputs: Literal["auto", "features", "sequence", "image"] = "auto"
    text: str | None = None
    max_length: Annotated[int, Field(ge=1, le=100_000)] = 256
    max_tokens: Annotated[int, Field(ge=3)] = 256
    validation: Validation = Validation(fraction=0.2)
    test: Test | None = None
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    normalize: Literal["standard", "minmax", "robust", "none"] = "standard"
    balance: Literal["none", "weight", "sample"] = "none"
    augment: list[Augmentation] = []


def with_absolute_paths(config: dict[str, Any], base_path: Path) -> dict[str, Any]:
    """A concrete trial whose files and folders are named from the root, so that it can be run from anywhere."""
    data = dict(config["data"])
    data["source"] = with_absolute_path(data["source"], base_path)
    for key in ("validation", "test"):
        part = data.get(key)
        if isinstance(part, dict) and part.get("file"):
            data[key] = {"file": absolute(str(part["file"]), base_path)}
    return {**config, "data": data}
