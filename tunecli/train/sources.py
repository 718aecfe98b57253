"""Where data comes from: each source of the file, read into a `Table`; and its facts without training.

Owns the registry of sources and the cache that reads each of them once a process. Knows nothing of splits
or models; loads no torch, and scikit-learn only when one of its sets is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.errors import DataError
from tunecli.spec.knobs.data import (
    AnySource,
    Blobs,
    Bundled,
    Circles,
    Data,
    FileSource,
    Friedman1,
    GeneratedClassification,
    GeneratedRegression,
    Moons,
)
from tunecli.spec.knobs.losses import Task
from tunecli.train.reading import read_table
from tunecli.train.table import Table, TaskKnob

Stamp = tuple[str, int, int]
"""A file's full path, modification time in nanoseconds, and size in bytes: what a cache may hold on to."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a data set before any training.

    Attributes:
        n_examples: rows in all, before validation is set apart.
        input_shape: (F,) or (C, H, W). Text columns count with all their values; one that only validation
            has is not encoded, so a model may see a little less.
        task: classification or regression.
        n_classes: 0 for regression.
        class_counts: examples of each class; empty for regression.
        notes: what a person should know about how the data was understood.
    """

    n_examples: int
    input_shape: tuple[int, ...]
    task: Task
    n_classes: int
    class_counts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


BUNDLED_FACTS: dict[str, DataFacts] = {
    "digits": DataFacts(
        1797, (1, 8, 8), "classification", 10, (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    ),
    "iris": DataFacts(150, (4,), "classification", 3, (50, 50, 50)),
    "wine": DataFacts(178, (13,), "classification", 3, (59, 71, 48)),
    "breast_cancer": DataFacts(569, (30,), "classification", 2, (212, 357)),
    "diabetes": DataFacts(442, (10,), "regression", 0),
}
"""Kept here so that checking a file costs no import of scikit-learn; a test holds it to the sets themselves."""


def read_source(data: Data, base_path: Path) -> Table:
    """Read the training data; a source is read once a process, until its file changes.

    Args:
        data: the data's knobs.
        base_path: the folder that relative file names start from.

    Raises:
        DataError: the file or its target is missing, unreadable or not what the knobs say.
    """
    return _table_or_raise(_read(*_identity(data, base_path)))


def read_validation(data: Data, base_path: Path) -> Table | None:
    """Read the validation file, in the training data's columns and classes; None where there is none.

    Raises:
        DataError: as `read_source`; or a column or class differs from the training data's.
    """
    if data.validation.file is None:
        return None
    if not isinstance(data.source, FileSource):
        message = f"a validation file goes with a training file, and the source is {data.source.name}"
        raise DataError(message, hint="use `fraction` or `folds`", parameter="data.validation")
    stamp = stamp_of(data.source.path, base_path, "data.source")
    validation_stamp = stamp_of(data.validation.file, base_path, "data.validation")
    return _table_or_raise(_read_validation(data.source, data.target, data.task, stamp, validation_stamp))


def stamp_of(file: str, base_path: Path, parameter: str) -> Stamp:
    """Name a file and its state.

    Raises:
        DataError: there is no such file.
    """
    path = base_path / file
    try:
        status = path.stat()
    except OSError as error:
        hint = f"relative names start from {base_path.resolve()}"
        raise DataError(f"there is no file {file}", hint=hint, parameter=parameter) from error
    if not path.is_file():
        raise DataError(f"{file} is not a file", parameter=parameter)
    return str(path.resolve()), status.st_mtime_ns, status.st_size


def facts_of(data: Data, base_path: Path) -> DataFacts:
    """What is known of a data set before any training; cached like `read_source`.

    Raises:
        DataError: as `read_source`.
    """
    if isinstance(data.source, Bundled):
        facts = BUNDLED_FACTS[data.source.name]
        _refuse_other_target(data.source, data.target, data.task, facts.task)
        return facts
    return _facts(*_identity(data, base_path))


def _identity(data: Data, base_path: Path) -> tuple[AnySource, str | None, TaskKnob, Stamp | None]:
    """What a table is a function of."""
    source = data.source
    stamp = stamp_of(source.path, base_path, "data.source") if isinstance(source, FileSource) else None
    return source, data.target, data.task, stamp


@lru_cache(maxsize=8)
def _read(source: AnySource, target: str | None, task: TaskKnob, stamp: Stamp | None) -> Table | DataError:
    """A table; or what is wrong, as a value, so that a bad file too is read once and not for every trial."""
    try:
        if stamp is not None:
            return read_table(Path(stamp[0]), target, task)
        table = SOURCES[type(source)](source)
        _refuse_other_target(source, target, task, table.task)
    except DataError as error:
        return error
    if table.task == "classification" and min(table.class_counts) == 0:
        return DataError(f"{source.name}: too few samples to have every class", hint="raise `samples`")
    return table


@lru_cache(maxsize=8)
def _read_validation(
    source: AnySource, target: str | None, task: TaskKnob, stamp: Stamp, validation_stamp: Stamp
) -> Table | DataError:
    known = _read(source, target, task, stamp)
    if isinstance(known, DataError):
        return known
    try:
        return read_table(Path(validation_stamp[0]), target, task, "data.validation", known)
    except DataError as error:
        return error


@lru_cache(maxsize=64)
def _facts(source: AnySource, target: str | None, task: TaskKnob, stamp: Stamp | None) -> DataFacts:
    table = _table_or_raise(_read(source, target, task, stamp))
    n_encoded = sum(len(column.categories) for column in table.text)
    input_shape = table.x.shape[1:] if table.is_image else (table.x.shape[1] + n_encoded,)
    return DataFacts(
        len(table.x), input_shape, table.task, len(table.class_names), table.class_counts, table.notes
    )


def _table_or_raise(found: Table | DataError) -> Table:
    if isinstance(found, DataError):
        raise DataError(found.message, hint=found.hint, parameter=found.parameter)
    return found


def _refuse_other_target(source: AnySource, target: str | None, task: TaskKnob, own_task: Task) -> None:
    if target is not None:
        raise DataError(f"{source.name} brings its own target", hint="drop `target`", parameter="data.target")
    if task not in ("auto", own_task):
        raise DataError(f"{source.name} is a {own_task} task", hint="drop `task`", parameter="data.task")


def _bundled(source: Bundled) -> Table:
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


SOURCES: dict[type[Any], Callable[[Any], Table]] = {
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
"""The sources that are not files."""
