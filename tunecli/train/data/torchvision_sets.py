"""torchvision's data sets: their own training and test parts, downloaded where they are not there yet.

What is known of them stands here, so that a check neither downloads nor imports anything. torchvision is imported only
when a set is read. Its readers are exercised by no test: they need the network.

Axes: N examples, C channels, H rows, W columns.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Torchvision
from tunecli.errors import DataError
from tunecli.train.data.table import Table

CLASS_COUNTS: dict[str, tuple[int, ...]] = {
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "fashion_mnist": (6000,) * 10,
    "kmnist": (6000,) * 10,
    "cifar10": (5000,) * 10,
    "cifar100": (500,) * 100,
    "svhn": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
}
"""Training examples of each class."""

SHAPES: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), (1, 28, 28)),
    **dict.fromkeys(("cifar10", "cifar100", "svhn"), (3, 32, 32)),
}
"""Channels, rows and columns of one image."""

_CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}


def require_torchvision(knob: Torchvision) -> None:
    """Make sure that torchvision is installed, without importing it.

    Raises:
        DataError: it is not.
    """
    if importlib.util.find_spec("torchvision") is None:
        hint = "pip install 'tunecli[torchvision]'"
        raise DataError(f"{knob.name} comes with torchvision, which is not installed", hint=hint)


def read_torchvision(knob: Torchvision, base_path: Path, *, is_test: bool = False) -> Table:
    """Read a set's training or test part, in [0, 1].

    Args:
        knob: which set, and where it lies.
        base_path: the folder that a relative ``root`` starts from.
        is_test: whether the test part is wanted.

    Raises:
        DataError: torchvision is not installed, or the set can be neither found nor downloaded.
    """
    require_torchvision(knob)
    from torchvision import datasets

    root = base_path / knob.root
    part = {"split": "test" if is_test else "train"} if knob.name == "svhn" else {"train": not is_test}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{knob.name}.lock"):  # workers begin together, and one download is enough
            found: Any = getattr(datasets, _CLASSES[knob.name])(str(root), download=True, **part)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{knob.name} can be neither found nor downloaded: {error}") from error
    pixels = np.asarray(found.data)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif knob.name != "svhn":  # which alone has its channels first
        pixels = pixels.transpose(0, 3, 1, 2)
    y_N = np.array(found.labels if knob.name == "svhn" else found.targets, dtype=np.int64)
    class_names = tuple(getattr(found, "classes", map(str, range(len(CLASS_COUNTS[knob.name])))))
    x_NCHW = np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255.0)
    return Table(x_NCHW, y_N, "classification", class_names)


def read_training(source: Torchvision, data: Data, base_path: Path) -> Table:
    """The training part of a set of torchvision's."""
    return read_torchvision(source, base_path)
