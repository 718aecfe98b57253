"""The sets that come with scikit-learn, and those that it generates; it is imported only when one is read.

Owns how each becomes a `Table`; knows neither caches nor splits. Loads no torch.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import (
    Blobs,
    Bundled,
    Circles,
    Friedman1,
    GeneratedClassification,
    GeneratedRegression,
    Moons,
)
from tunecli.train.data.table import Table


def bundled(source: Bundled, data: Data, base_path: Path) -> Table:
    """A set that comes with scikit-learn."""
    if source.name == "digits" and (found := _digits()) is not None:
        return found
    from sklearn import datasets

    bunch: Any = getattr(datasets, f"load_{source.name}")()
    if source.name == "diabetes":
        return Table(
            bunch.data, bunch.target.astype(np.float64), "regression", (), tuple(bunch.feature_names)
        )
    class_names = tuple(str(name) for name in bunch.target_names)
    y_N = bunch.target.astype(np.int64)
    if source.name == "digits":
        return Table(bunch.images[:, None].astype(np.float32), y_N, "classification", class_names)
    return Table(bunch.data, y_N, "classification", class_names, tuple(map(str, bunch.feature_names)))


def _digits() -> Table | None:
    """scikit-learn's digits read from its file, which spares the second that importing it takes; None: no such file."""
    package = find_spec("sklearn")
    folder = Path(package.origin).parent if package is not None and package.origin else Path()
    path = folder / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        return None
    with gzip.open(path, "rt") as file:
        rows = np.fromstring(file.read().strip().replace("\n", ","), sep=",").reshape(-1, 65)
    images = rows[:, :-1].reshape(-1, 1, 8, 8).astype(np.float32)
    return Table(images, rows[:, -1].astype(np.int64), "classification", tuple(map(str, range(10))))


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
    """As far as scikit-learn's own seeds go."""
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
