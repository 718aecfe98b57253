"""The data's knobs: where it comes from, how much of it is used, how it is prepared, what validates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tunecli.spec.knobs.base import Count, Fraction, Knob, NonNegative, Positive, link, name_alone

BUNDLED_SOURCES = ("digits", "iris", "wine", "breast_cancer", "diabetes")
FILE_SUFFIXES = (".csv", ".npz", ".parquet")


class Bundled(Knob):
    """A real data set that comes with scikit-learn."""

    name: Literal["digits", "iris", "wine", "breast_cancer", "diabetes"]


class FileSource(Knob):
    """A table in a file (csv, npz, parquet); its target column is ``data.target``."""

    name: Literal["file"] = "file"
    path: Annotated[str, Field(min_length=1)]


class Blobs(Knob):
    """Gaussian clusters, one a class (`sklearn.datasets.make_blobs`)."""

    name: Literal["blobs"]
    samples: Count = 1000
    features: Count = 2
    classes: Annotated[int, Field(ge=2)] = 3
    spread: Positive = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


class Moons(Knob):
    """Two interleaved half circles (`sklearn.datasets.make_moons`)."""

    name: Literal["moons"]
    samples: Count = 1000
    noise: NonNegative = 0.1
    seed: Annotated[int, Field(ge=0)] = 0


class Circles(Knob):
    """Two concentric circles (`sklearn.datasets.make_circles`)."""

    name: Literal["circles"]
    samples: Count = 1000
    noise: NonNegative = 0.05
    factor: Fraction = 0.5
    seed: Annotated[int, Field(ge=0)] = 0


class GeneratedClassification(Knob):
    """Classes on a hypercube's corners (`sklearn.datasets.make_classification`)."""

    name: Literal["classification"]
    samples: Count = 1000
    features: Annotated[int, Field(ge=2)] = 20
    informative: Annotated[int, Field(ge=1)] = 5
    classes: Annotated[int, Field(ge=2)] = 2
    flip: Annotated[float, Field(ge=0, lt=1)] = 0.01
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _room_for_classes(self) -> GeneratedClassification:
        if self.informative > self.features:
            raise ValueError(f"{self.informative} informative features of {self.features} in all")
        if self.classes > 2**self.informative:
            raise ValueError(f"{self.classes} classes need more than {self.informative} informative features")
        return self


class GeneratedRegression(Knob):
    """A linear target with noise (`sklearn.datasets.make_regression`)."""

    name: Literal["regression"]
    samples: Count = 1000
    features: Count = 10
    informative: Count = 5
    noise: NonNegative = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


class Friedman1(Knob):
    """Friedman's first problem, five useful features (`sklearn.datasets.make_friedman1`)."""

    name: Literal["friedman1"]
    samples: Count = 1000
    features: Annotated[int, Field(ge=5)] = 10
    noise: NonNegative = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


def _source(value: Any) -> Any:
    """A name alone is a registry name, unless it reads as a file: a known ending, or a slash."""
    if isinstance(value, str) and ("/" in value or "." in value):
        return {"name": "file", "path": value}
    return name_alone(value)


AnySource = (
    Bundled | FileSource | Blobs | Moons | Circles | GeneratedClassification | GeneratedRegression | Friedman1
)
Source = Annotated[
    Annotated[AnySource, Field(discriminator="name", json_schema_extra={"x-file": True})],
    BeforeValidator(_source),
]


class Validation(Knob):
    """What validates: a fraction set apart, or each of ``folds`` parts in turn, or a file of its own."""

    fraction: Fraction | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Validation:
        if sum(way is not None for way in (self.fraction, self.folds, self.file)) != 1:
            raise ValueError("say one of `fraction`, `folds` or `file`")
        return self


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


AnyAugmentation = Noise | Flip | Crop | Cutout
Augmentation = Annotated[
    Annotated[AnyAugmentation, Field(discriminator="name", json_schema_extra={"x-chain": True})],
    BeforeValidator(link),
]


class Data(Knob):
    """Training and validation data. Numbers are fitted (normalisation, encodings) on the training part only."""

    source: Source
    target: str | None = None
    task: Literal["auto", "classification", "regression"] = "auto"
    validation: Validation = Validation(fraction=0.2)
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    normalize: Literal["standard", "minmax", "none"] = "standard"
    balance: Literal["none", "weight", "sample"] = "none"
    augment: list[Augmentation] = []


def with_absolute_paths(config: dict[str, Any], base_path: Path) -> dict[str, Any]:
    """A concrete trial whose files are named from the root, so that it can be run from anywhere."""
    data = dict(config["data"])
    source, validation = data["source"], data.get("validation")
    if isinstance(found := _source(source), dict) and found.get("name") == "file":
        data["source"] = str((base_path / str(found["path"])).resolve())
    if isinstance(validation, dict) and validation.get("file"):
        data["validation"] = {"file": str((base_path / str(validation["file"])).resolve())}
    return {**config, "data": data}
