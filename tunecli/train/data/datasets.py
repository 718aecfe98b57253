"""The data sets of scikit-learn and torchvision, read into a `Table`.

Both libraries are imported only when they make one of their sets; `bundled` reads the files of scikit-learn. The facts
about torchvision's sets are constants here, so that a check neither downloads nor imports anything. Loads no torch,
except through torchvision.

Axes: N examples, F features, C channels, H rows, W columns.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import (
    Blobs,
    Bundled,
    Circles,
    Friedman1,
    GeneratedClassification,
    GeneratedRegression,
    Moons,
    Torchvision,
)
from tunecli.errors import DataError
from tunecli.registry.packages import install_command
from tunecli.train.data.bundled import bundled_table
from tunecli.train.data.table import Table


def bundled(source: Bundled, data: Data, base_path: Path) -> Table:
    """A data set of scikit-learn (`sklearn.datasets.load_*`)."""
    return bundled_table(source.name)


def blobs(knob: Blobs, data: Data, base_path: Path) -> Table:
    """`sklearn.datasets.make_blobs`."""
    from sklearn import datasets

    made = datasets.make_blobs(
        knob.samples, knob.features, centers=knob.classes, cluster_std=knob.spread, random_state=_seed(knob)
    )
    return _of_classes(made, knob.classes)


def moons(knob: Moons, data: Data, base_path: Path) -> Table:
    """`sklearn.datasets.make_moons`."""
    from sklearn import datasets

    return _of_classes(datasets.make_moons(knob.samples, noise=knob.noise, random_state=_seed(knob)), 2)


def circles(knob: Circles, data: Data, base_path: Path) -> Table:
    """`sklearn.datasets.make_circles`."""
    from sklearn import datasets

    made = datasets.make_circles(knob.samples, noise=knob.noise, factor=knob.factor, random_state=_seed(knob))
    return _of_classes(made, 2)


def classification(knob: GeneratedClassification, data: Data, base_path: Path) -> Table:
    """`sklearn.datasets.make_classification`."""
    from sklearn import datasets

    made = datasets.make_classification(
        knob.samples,
        knob.features,
        n_informative=knob.informative,
        n_redundant=0,
        n_classes=knob.classes,
        n_clusters_per_class=1,
        flip_y=knob.flip,
        random_state=_seed(knob),
    )
    return _of_classes(made, knob.classes)


def regression(knob: GeneratedRegression, data: Data, base_path: Path) -> Table:
    """`sklearn.datasets.make_regression`."""
    from sklearn import datasets

    return _of_numbers(
        datasets.make_regression(
            knob.samples,
            knob.features,
            n_informative=knob.informative,
            noise=knob.noise,
            random_state=_seed(knob),
        )
    )


def friedman1(knob: Friedman1, data: Data, base_path: Path) -> Table:
    """`sklearn.datasets.make_friedman1`."""
    from sklearn import datasets

    return _of_numbers(
        datasets.make_friedman1(knob.samples, knob.features, noise=knob.noise, random_state=_seed(knob))
    )


def _seed(knob: Any) -> int:
    """The knob's seed in the range of scikit-learn's seeds."""
    return int(knob.seed % 2**32)


def _of_classes(made: Any, n_classes: int) -> Table:
    x_NF, raw_N = made
    class_names = tuple(map(str, range(n_classes)))
    return Table(x_NF, raw_N.astype(np.int64), "classification", class_names, _names(x_NF))


def _of_numbers(made: Any) -> Table:
    x_NF, raw_N = made
    return Table(x_NF, raw_N.astype(np.float64), "regression", (), _names(x_NF))


def _names(x_NF: Any) -> tuple[str, ...]:
    return tuple(f"x{number}" for number in range(x_NF.shape[1]))


CLASS_COUNTS: dict[str, tuple[int, ...]] = {
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "fashion_mnist": (6000,) * 10,
    "kmnist": (6000,) * 10,
    "cifar10": (5000,) * 10,
    "cifar100": (500,) * 100,
    "svhn": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
}
"""By torchvision set, the training examples of each class."""

SHAPES: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), (1, 28, 28)),
    **dict.fromkeys(("cifar10", "cifar100", "svhn"), (3, 32, 32)),
}
"""By torchvision set, channels, rows and columns of one image."""

_CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}


def require_torchvision(knob: Torchvision) -> None:
    """Check that torchvision is installed, without importing it.

    Raises:
        DataError: it is not installed.
    """
    if find_spec("torchvision") is None:
        hint = install_command("torchvision", "torchvision")
        raise DataError(f"{knob.name} comes with torchvision, which is not installed", hint=hint)


def torchvision_training(source: Torchvision, data: Data, base_path: Path) -> Table:
    """The training part of a data set of torchvision."""
    return read_torchvision(source, base_path)


def read_torchvision(knob: Torchvision, base_path: Path, *, is_test: bool = False) -> Table:
    """Read the training or test part of a set, as images in [0, 1]. No test runs this: it needs the network.

    Args:
        knob: the set, and the folder that holds it or that it is downloaded to.
        base_path: the folder that a relative ``root`` starts from.
        is_test: whether to read the test part.

    Raises:
        DataError: torchvision is not installed, or the set can be neither found nor downloaded.
    """
    require_torchvision(knob)
    from torchvision import datasets

    root = base_path / knob.root
    part = {"split": "test" if is_test else "train"} if knob.name == "svhn" else {"train": not is_test}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{knob.name}.lock"):  # only one of the workers downloads
            dataset: Any = getattr(datasets, _CLASSES[knob.name])(str(root), download=True, **part)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{knob.name} can be neither found nor downloaded: {error}") from error
    pixels = np.asarray(dataset.data)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif knob.name != "svhn":  # only svhn has its channels first
        pixels = pixels.transpose(0, 3, 1, 2)
    y_N = np.array(dataset.labels if knob.name == "svhn" else dataset.targets, dtype=np.int64)
    class_names = tuple(getattr(dataset, "classes", map(str, range(len(CLASS_COUNTS[knob.name])))))
    x_NCHW = np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255.0)
    return Table(x_NCHW, y_N, "classification", class_names)
