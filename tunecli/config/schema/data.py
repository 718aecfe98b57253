"""The settings under ``data``: preparation, augmentation, validation and test data. Sources are in `sources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.schema.sources import Source, absolute, with_absolute_path
from tunecli.knob import Count, Fraction, Knob, NamedKnob, Positive, link

FileName = Annotated[str, Field(min_length=1)]


class Validation(Knob):
    """Validation data: a fraction of the data, each of several folds in turn, or a file.

    Attributes:
        fraction: fraction of the data; stratified by class for classification.
        folds: number of folds; each one validates a training on the others, and the score is the mean.
        file: file or folder of validation data.
    """

    fraction: Fraction | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    file: FileName | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Validation:
        if sum(way is not None for way in (self.fraction, self.folds, self.file)) != 1:
            raise ValueError("write exactly one of `fraction`, `folds` and `file`")
        return self


class Test(Knob):
    """Test data, set apart before the validation data; no trial of a search reads it.

    Attributes:
        fraction: fraction of the data; the validation fraction is taken from the rest.
        file: file or folder of test data.
        own: use the test set that comes with the source.
    """

    fraction: Fraction | None = None
    file: FileName | None = None
    own: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Test:
        if sum(way is not None for way in (self.fraction, self.file, self.own)) != 1:
            raise ValueError("write exactly one of `fraction`, `file` and `own`")
        return self


class AugmentationKnob(NamedKnob):
    """Base of the augmentations.

    Attributes:
        implementation: a function of (knob, inputs (N, ...), generator on the CPU) that returns the new inputs; empty
        if
            it changes targets too, and the training loop applies it.
        needs_images: whether inputs must be (N, C, H, W).
    """

    needs_images: ClassVar[bool] = False


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


AnyAugmentation = Noise | Flip | Crop | Cutout | Mask | Mixup
Augmentation = Annotated[
    Annotated[AnyAugmentation, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]


class Data(Knob):
    """Training, validation and test data. Scales, categories and tokens are fitted on the training part only.

    Attributes:
        source: where the data comes from: a bundled data set, a file, a folder of images, or your own code.
        target: column that is predicted.
        task: classification or regression; `auto` decides by the target.
        inputs: what arrays contain; `auto` reads (N, F) as features, (N, H, W) and (N, C, H, W) as images. `sequence`
            reads (N, T, F).
        text: column whose characters become tokens.
        max_length: largest number of tokens per example.
        max_tokens: largest number of different tokens, including padding and "unknown".
        validation: validation data.
        test: test data, which no trial of a search reads.
        train_fraction: fraction of the training data that is used.
        normalize: scaling of the inputs, fitted on the training part.
        balance: balance of the classes in training: weight the loss, or sample rare classes more often.
        augment: chain of augmentations, applied in order to the training examples of each epoch.
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
    """A concrete trial with absolute paths, so that it can run from any folder."""
    data = dict(config["data"])
    data["source"] = with_absolute_path(data["source"], base_path)
    for key in ("validation", "test"):
        part = data.get(key)
        if isinstance(part, dict) and part.get("file"):
            data[key] = {"file": absolute(str(part["file"]), base_path)}
    return {**config, "data": data}
