"""The data sets that scikit-learn carries, read from its files without importing it.

The import takes more than a second of a processor in each process that trains on such a set; the files take
milliseconds. The arrays are those of `sklearn.datasets.load_*` to the last bit.

Axes: N examples, F features.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.train.data.table import Table

_CELL_MEASURES = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points"),
    *("symmetry", "fractal dimension"),
)
_FEATURES = {
    "iris": ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"),
    "wine": (
        *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
        *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue"),
        *("od280/od315_of_diluted_wines", "proline"),
    ),
    "breast_cancer": (
        *(f"mean {measure}" for measure in _CELL_MEASURES),
        *(f"{measure} error" for measure in _CELL_MEASURES),
        *(f"worst {measure}" for measure in _CELL_MEASURES),
    ),
    "diabetes": ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"),
}
_FILES = {
    "digits": ("digits.csv.gz",),
    "iris": ("iris.csv",),
    "wine": ("wine_data.csv",),
    "breast_cancer": ("breast_cancer.csv",),
    "diabetes": ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
}


def bundled_table(name: str) -> Table:
    """Read a data set of scikit-learn; the library is imported only if it lacks the set's files.

    Args:
        name: of the set, such as "iris" for `sklearn.datasets.load_iris`.
    """
    texts = _texts(name)
    if texts is None:
        return _loaded(name)
    if name == "digits":
        rows = np.fromstring(texts[0].strip().replace("\n", ","), sep=",").reshape(-1, 65)
        images = rows[:, :-1].reshape(-1, 1, 8, 8).astype(np.float32)
        return Table(images, rows[:, -1].astype(np.int64), "classification", tuple(map(str, range(10))))
    if name == "diabetes":
        x_NF, y_N = (_numbers(text, " ") for text in texts)
        return Table(_scaled(x_NF), y_N[:, 0], "regression", (), _FEATURES[name])
    head, _, text = texts[0].partition("\n")
    rows = _numbers(text, ",")
    class_names = tuple(head.strip().split(",")[2:])
    return Table(
        np.ascontiguousarray(rows[:, :-1]),
        rows[:, -1].astype(np.int64),
        "classification",
        class_names,
        _FEATURES[name],
    )


def _texts(name: str) -> list[str] | None:
    """The texts of the set's files; None if scikit-learn keeps it in other files."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        return None
    paths = [Path(package.origin).parent / "datasets" / "data" / file for file in _FILES[name]]
    if not all(path.is_file() for path in paths):
        return None
    contents = (
        gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw for raw in map(Path.read_bytes, paths)
    )
    return [content.decode("utf-8") for content in contents]


def _numbers(text: str, separator: str) -> Any:
    """The rows of a text as numbers (N, columns)."""
    lines = text.split("\n")
    n_columns = len(lines[0].split(separator))
    return np.fromstring(text.strip().replace("\n", separator), sep=separator).reshape(-1, n_columns)


def _scaled(x_NF: Any) -> Any:
    """Centred features of length 1, as `load_diabetes` makes them by `sklearn.preprocessing.scale`."""
    deviation_F = x_NF.std(axis=0)  # before the mean is subtracted: the order decides the last bit
    x_NF = (x_NF - x_NF.mean(axis=0)) / deviation_F
    return x_NF / len(x_NF) ** 0.5


def _loaded(name: str) -> Table:
    """The set, from scikit-learn's own function."""
    from sklearn import datasets

    bunch: Any = getattr(datasets, f"load_{name}")()
    if name == "diabetes":
        return Table(
            bunch.data, bunch.target.astype(np.float64), "regression", (), tuple(bunch.feature_names)
        )
    class_names = tuple(str(label) for label in bunch.target_names)
    y_N = bunch.target.astype(np.int64)
    if name == "digits":
        return Table(bunch.images[:, None].astype(np.float32), y_N, "classification", class_names)
    return Table(bunch.data, y_N, "classification", class_names, tuple(map(str, bunch.feature_names)))
