"""The sets that come with scikit-learn, and those that it generates; it is imported only when one is read.

Owns how each becomes a `Table`; knows neither caches nor splits. Loads no torch.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.config.schema.losses import Task
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


def _bundled(source: Bundled) -> Table:
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


def _generated(make: Callable[[Any, Any, int], Any], task: Task) -> Callable[[Any], Table]:
    """A source whose rows come from a generator of scikit-learn: ``make(datasets, knob, random_state)``."""

    def read(knob: Any) -> Table:
        from sklearn import datasets

        x_NF, raw_N = make(datasets, knob, knob.seed % 2**32)  # as far as scikit-learn's own seeds go
        names = tuple(f"x{number}" for number in range(x_NF.shape[1]))
        if task == "regression":
            return Table(x_NF, raw_N.astype(np.float64), task, (), names)
        n_classes = getattr(knob, "classes", 2)
        return Table(x_NF, raw_N.astype(np.int64), task, tuple(map(str, range(n_classes))), names)

    return read


def _make_classification(datasets: Any, knob: GeneratedClassification, seed: int) -> Any:
    return datasets.make_classification(
        knob.samples,
        knob.features,
        n_informative=knob.informative,
        n_redundant=0,
        n_classes=knob.classes,
        n_clusters_per_class=1,
        flip_y=knob.flip,
        random_state=seed,
    )


def _make_regression(datasets: Any, knob: GeneratedRegression, seed: int) -> Any:
    return datasets.make_regression(
        knob.samples, knob.features, n_informative=knob.informative, noise=knob.noise, random_state=seed
    )


SETS: dict[type[Any], Callable[[Any], Table]] = {
    Bundled: _bundled,
    Blobs: _generated(
        lambda sets, knob, seed: sets.make_blobs(
            knob.samples, knob.features, centers=knob.classes, cluster_std=knob.spread, random_state=seed
        ),
        "classification",
    ),
    Moons: _generated(
        lambda sets, knob, seed: sets.make_moons(knob.samples, noise=knob.noise, random_state=seed),
        "classification",
    ),
    Circles: _generated(
        lambda sets, knob, seed: sets.make_circles(
            knob.samples, noise=knob.noise, factor=knob.factor, random_state=seed
        ),
        "classification",
    ),
    GeneratedClassification: _generated(_make_classification, "classification"),
    GeneratedRegression: _generated(_make_regression, "regression"),
    Friedman1: _generated(
        lambda sets, knob, seed: sets.make_friedman1(
            knob.samples, knob.features, noise=knob.noise, random_state=seed
        ),
        "regression",
    ),
}
"""knob → the set."""
