"""Sources of data: bundled and generated data sets, files, folders of images, and the user's own code.

Paths are relative to the user's file; `with_absolute_path` makes them absolute. The `train` package reads the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from tunecli.config.families import OpenTo
from tunecli.config.schema.user_code import UserCode
from tunecli.config.secrets import escaped, names_in
from tunecli.knob import Count, Fraction, NamedKnob, NonNegative, Positive, Values, name_alone, pair

Side = Annotated[int, Field(ge=1, le=1024)]
"""Pixels along one side of an image."""


class SourceKnob(NamedKnob):
    """Base of the sources.

    Attributes:
        implementation: a function of (knob, the data's knobs, base path) that returns the training data: a
            `tunecli.train.data.table.Table`, or a value that the user's own function may return.
        n_rows: the number of rows by name, of built-in sets that always have the same ones; without an own test part.
        samples: number of examples.
        features: number of features.
        classes: number of classes.
        noise: standard deviation of the noise.
        seed: seed of the data.
    """

    n_rows: ClassVar[Mapping[str, int]] = MappingProxyType({})


class Bundled(SourceKnob):
    """A real data set that comes with scikit-learn."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:bundled"
    n_rows: ClassVar[Mapping[str, int]] = MappingProxyType(
        {"digits": 1797, "iris": 150, "wine": 178, "breast_cancer": 569, "diabetes": 442}
    )
    name: Annotated[
        Literal["digits", "iris", "wine", "breast_cancer", "diabetes"],
        Values(
            {
                "digits": "1,797 images of handwritten digits, 8 × 8 pixels, 10 classes.",
                "iris": "150 flowers with 4 measures, 3 species.",
                "wine": "178 wines with 13 measures, 3 growers.",
                "breast_cancer": "569 tumours with 30 measures, 2 classes.",
                "diabetes": "442 patients with 10 measures; the target is the progression after a year.",
            }
        ),
    ]


class FileSource(SourceKnob):
    """A table in a file (csv, tsv, txt, parquet or npz); its target column is `data.target`.

    A text file may be compressed: `mine.csv.gz`, also bz2, xz, zst and zip.

    Attributes:
        path: path of the file, relative to the configuration file. `*` matches any characters of a name:
            `parts/*.csv` reads all such files as one table.
    """

    implementation: ClassVar[str] = "tunecli.train.data.files:read_file"
    name: Literal["file"] = "file"
    path: Annotated[str, Field(min_length=1)]


class Images(SourceKnob):
    """A folder of images with one sub-folder per class.

    EXIF orientation is applied, and transparent pixels become white.

    Attributes:
        path: path of the folder, relative to the configuration file.
        size: size to which images are scaled, in pixels: one side, or [height, width].
        mode: read images in colour or in grey.
    """

    implementation: ClassVar[str] = "tunecli.train.data.images:read_folder"
    name: Literal["images"] = "images"
    path: Annotated[str, Field(min_length=1)]
    size: Side | Annotated[tuple[Side, Side], BeforeValidator(pair)] = 32
    mode: Annotated[
        Literal["rgb", "gray"],
        Values(
            {
                "rgb": "In colour, with three channels.",
                "gray": "In grey, with one channel.",
            }
        ),
    ] = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one image."""
        rows, columns = (self.size, self.size) if isinstance(self.size, int) else self.size
        return (3 if self.mode == "rgb" else 1, rows, columns)


class Torchvision(SourceKnob):
    """A data set of torchvision, downloaded if it is missing.

    Attributes:
        root: folder for the download, relative to the configuration file.
    """

    implementation: ClassVar[str] = "tunecli.train.data.datasets:torchvision_training"
    n_rows: ClassVar[Mapping[str, int]] = MappingProxyType(
        {
            **dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), 60_000),
            **dict.fromkeys(("cifar10", "cifar100"), 50_000),
            "svhn": 73_257,
        }
    )
    name: Annotated[
        Literal["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"],
        Values(
            {
                "mnist": "70,000 handwritten digits, 28 × 28 pixels, grey.",
                "fashion_mnist": "70,000 pieces of clothing, 28 × 28 pixels, grey, 10 classes.",
                "kmnist": "70,000 Japanese characters, 28 × 28 pixels, grey, 10 classes.",
                "cifar10": "60,000 photos, 32 × 32 pixels, in colour, 10 classes.",
                "cifar100": "60,000 photos, 32 × 32 pixels, in colour, 100 classes.",
                "svhn": "99,289 house numbers, 32 × 32 pixels, in colour, 10 digits.",
            }
        ),
    ]
    root: Annotated[str, Field(min_length=1)] = "data"


class Blobs(SourceKnob):
    """Gaussian clusters, one per class (`sklearn.datasets.make_blobs`).

    Attributes:
        spread: standard deviation of a cluster.
    """

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
    """Two concentric circles (`sklearn.datasets.make_circles`).

    Attributes:
        factor: radius of the inner circle, as a fraction of the outer one.
    """

    implementation: ClassVar[str] = "tunecli.train.data.datasets:circles"
    name: Literal["circles"]
    samples: Count = 1000
    noise: NonNegative = 0.05
    factor: Fraction = 0.5
    seed: Annotated[int, Field(ge=0)] = 0


class GeneratedClassification(SourceKnob):
    """Classes on the corners of a hypercube (`sklearn.datasets.make_classification`).

    Attributes:
        informative: number of features that tell the classes apart.
        flip: fraction of examples whose class is random.
    """

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
            raise ValueError(
                f"`informative` must be at most `features`: {self.informative} is above {self.features}"
            )
        if self.classes > 2**self.informative:
            raise ValueError(
                f"{self.classes} classes need more than {self.informative} `informative` features"
            )
        return self


class GeneratedRegression(SourceKnob):
    """A linear target with noise (`sklearn.datasets.make_regression`).

    Attributes:
        informative: number of features that the target depends on.
    """

    implementation: ClassVar[str] = "tunecli.train.data.datasets:regression"
    name: Literal["regression"]
    samples: Count = 1000
    features: Count = 10
    informative: Count = 5
    noise: NonNegative = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


class Friedman1(SourceKnob):
    """Friedman's first problem, with five useful features (`sklearn.datasets.make_friedman1`)."""

    implementation: ClassVar[str] = "tunecli.train.data.datasets:friedman1"
    name: Literal["friedman1"]
    samples: Count = 1000
    features: Annotated[int, Field(ge=5)] = 10
    noise: NonNegative = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


def _named(value: Any) -> Any:
    """A text as a source: a folder if it ends in a slash, a file if it contains a slash or a dot, else a name.

    A text with an environment variable is a file, or a folder if it ends in a slash.
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
BUILT_IN: Mapping[str, type[SourceKnob]] = MappingProxyType(
    {
        name: kind
        for kind in get_args(AnySource)
        if issubclass(kind, SourceKnob)
        for name in get_args(kind.model_fields["name"].annotation)
    }
)
"""The sources that come with tunecli, by name."""
Source = Annotated[
    Annotated[AnySource, Field(discriminator="name", json_schema_extra={"x-file": True})],
    OpenTo("data", SourceKnob),
    BeforeValidator(_named),
]


def with_absolute_path(source: Any, base_path: Path) -> Any:
    """A source as the file writes it, with an absolute path if it contains a path."""
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
    """The absolute path of a file or folder; one that starts with ``${env:…}`` counts as absolute already."""
    if name.startswith("${env:"):
        return name
    folder = base_path.resolve()
    if names_in(name) or escaped(str(folder)) != str(
        folder
    ):  # the folder's own name must not name a variable
        return str(Path(escaped(str(folder))) / name)
    return str((base_path / name).resolve())
