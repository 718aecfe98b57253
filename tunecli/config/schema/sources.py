"""Where data comes from: bundled and generated sets, files, folders of images, and the user's own code.

Files and folders are named relative to the user's file; `with_absolute_path` undoes that. Knows only what each source
is called and what it takes: reading them is train's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.families import OpenTo
from tunecli.config.schema.user_code import UserCode
from tunecli.config.secrets import escaped, names_in
from tunecli.knob import Count, Fraction, NamedKnob, NonNegative, Positive, name_alone, pair

Side = Annotated[int, Field(ge=1, le=1024)]
"""Pixels along one side of an image."""


class SourceKnob(NamedKnob):
    """Base of the sources.

    Attributes:
        implementation: a function of (knob, the data's knobs, base path) that returns the training data: a
            `tunecli.train.data.table.Table`, or what the user's own function may return.
    """


class Bundled(SourceKnob):
    """A real data set that comes with scikit-learn."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:bundled"
    name: Literal["digits", "iris", "wine", "breast_cancer", "diabetes"]


class FileSource(SourceKnob):
    """A table in a file (csv, npz, parquet); its target column is ``data.target``."""

    implementation: ClassVar[str] = "tunecli.train.data.files:read_file"
    name: Literal["file"] = "file"
    path: Annotated[str, Field(min_length=1)]


class Images(SourceKnob):
    """A folder of images, a sub-folder for each class; they are brought to ``size`` pixels, or [height, width].

    Each is read as a viewer shows it: turned as its EXIF orientation says, and over white where it is transparent.
    """

    implementation: ClassVar[str] = "tunecli.train.data.images:read_folder"
    name: Literal["images"] = "images"
    path: Annotated[str, Field(min_length=1)]
    size: Side | Annotated[tuple[Side, Side], BeforeValidator(pair)] = 32
    mode: Literal["rgb", "gray"] = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        rows, columns = (self.size, self.size) if isinstance(self.size, int) else self.size
        return (3 if self.mode == "rgb" else 1, rows, columns)


class Torchvision(SourceKnob):
    """A data set of torchvision's, downloaded into ``root`` where it is not there yet."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:torchvision_training"
    name: Literal["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"]
    root: Annotated[str, Field(min_length=1)] = "data"


class Blobs(SourceKnob):
    """Gaussian clusters, one a class (`sklearn.datasets.make_blobs`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:blobs"
    name: Literal["blobs"]
    samples: Count = 1000
    features: Count = 2
    classes: Annotated[int, Field(ge=2)] = 3
    spread: Positive = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


class Moons(SourceKnob):
    """Two interleaved half circles (`sklearn.datasets.make_moons`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:moons"
    name: Literal["moons"]
    samples: Count = 1000
    noise: NonNegative = 0.1
    seed: Annotated[int, Field(ge=0)] = 0


class Circles(SourceKnob):
    """Two concentric circles (`sklearn.datasets.make_circles`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:circles"
    name: Literal["circles"]
    samples: Count = 1000
    noise: NonNegative = 0.05
    factor: Fraction = 0.5
    seed: Annotated[int, Field(ge=0)] = 0


class GeneratedClassification(SourceKnob):
    """Classes on a hypercube's corners (`sklearn.datasets.make_classification`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:classification"
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


class GeneratedRegression(SourceKnob):
    """A linear target with noise (`sklearn.datasets.make_regression`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:regression"
    name: Literal["regression"]
    samples: Count = 1000
    features: Count = 10
    informative: Count = 5
    noise: NonNegative = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


class Friedman1(SourceKnob):
    """Friedman's first problem, five useful features (`sklearn.datasets.make_friedman1`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:friedman1"
    name: Literal["friedman1"]
    samples: Count = 1000
    features: Annotated[int, Field(ge=5)] = 10
    noise: NonNegative = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


def _named(value: Any) -> Any:
    """A name alone is a registry name, unless it reads as a folder (a slash at its end) or a file (slash or dot).

    What the environment is to tell is a file, or the folder that a slash after it makes it.
    """
    if isinstance(value, str) and value.endswith("/"):
        return {"name": "images", "path": value}
    if isinstance(value, str) and ("/" in value or "." in value or names_in(value)):
        return {"name": "file", "path": value}
    return name_alone(value)


AnySource = (
    Bundled
    | FileSource
    | Images
    | Torchvision
    | UserCode
    | Blobs
    | Moons
    | Circles
    | GeneratedClassification
    | GeneratedRegression
    | Friedman1
)
Source = Annotated[
    Annotated[AnySource, Field(discriminator="name", json_schema_extra={"x-file": True})],
    OpenTo("data", SourceKnob),
    BeforeValidator(_named),
]


def with_absolute_path(source: Any, base_path: Path) -> Any:
    """A source as a file says it, with its file or folder named from the root; the others as they are."""
    named = _named(source)
    if not isinstance(named, dict):
        return source
    name = named.get("name")
    if name == "file":
        return absolute(str(named["path"]), base_path)
    if name == "images":
        return {**named, "path": absolute(str(named["path"]), base_path)}
    if name in get_args(Torchvision.model_fields["name"].annotation):
        root = str(named.get("root", Torchvision.model_fields["root"].default))
        return {**named, "root": absolute(root, base_path)}
    return source


def absolute(name: str, base_path: Path) -> str:
    """A file's or folder's name from the root; one that begins with an ``${env:…}`` is taken to be so already."""
    if name.startswith("${env:"):
        return name
    place = base_path.resolve()
    if names_in(name) or escaped(str(place)) != str(place):  # the folder's own name names no variable
        return str(Path(escaped(str(place))) / name)
    return str((base_path / name).resolve())
