"""From a file to a `Table`: which columns are numbers, which are text, and what a validation file must share.

Owns how raw columns become features; knows neither the formats (files.py) nor what a target asks for
(table.py). Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.errors import DataError
from tunecli.train.files import Columns, no_such_column, read_csv, read_npz, read_parquet
from tunecli.train.table import MAX_CATEGORIES, Table, TaskKnob, TextColumn, category_name, encode_target

READERS: dict[str, Callable[[Path, str], Columns]] = {".csv": read_csv, ".parquet": read_parquet}
"""(path, key to blame) → columns, by the file's ending. NPZ holds arrays and has its own way."""


def read_table(
    path: Path, target: str | None, task: TaskKnob, parameter: str = "data.source", known: Table | None = None
) -> Table:
    """Read a file.

    Args:
        path: the file.
        target: the target's column or array.
        task: what the target asks for.
        parameter: the key to blame for what is wrong with the file.
        known: the training table, whose columns and classes a validation file must follow; further columns
            of the file are left out.

    Raises:
        DataError: the file or its target is missing, unreadable, or not what the knobs say.
    """
    if path.suffix.lower() == ".npz":
        x, raw_N = read_npz(path, target, parameter)
        blamed = parameter if known else "data.target"
        y_N, found, classes = encode_target(
            raw_N, task, lambda row: f"example {row} of {path.name}", known, blamed
        )
        if known and known.x.shape[1:] != x.shape[1:]:
            message = (
                f"{path.name} has examples of shape {x.shape[1:]}, the training data {known.x.shape[1:]}"
            )
            raise DataError(message, parameter=parameter)
        names = tuple(f"x{number}" for number in range(x.shape[1])) if x.ndim == 2 else ()
        return Table(x, y_N, found, classes, names)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        hint = "csv, npz and parquet are read"
        raise DataError(f"{path.name} ends in no known format", hint=hint, parameter=parameter)
    columns = reader(path, parameter)
    return _table_from(columns, target, task, parameter, known)


def _table_from(
    columns: Columns, target: str | None, task: TaskKnob, parameter: str, known: Table | None
) -> Table:
    if target is None:
        names = ", ".join(list(columns.values)[:20])
        hint = f"name one of its columns: {names}"
        raise DataError(f"which column of {columns.name} is the target?", hint=hint, parameter="data.target")
    if target not in columns.values:
        raise no_such_column(target, list(columns.values), columns.name)
    blamed = parameter if known else "data.target"
    y_N, found, classes = encode_target(columns.values[target], task, columns.place, known, blamed)
    features = {name: values for name, values in columns.values.items() if name != target}
    if known:
        features = _like(features, known, columns, parameter)
    numeric = {name: values for name, values in features.items() if values.dtype != object}
    text = tuple(TextColumn(name, values) for name, values in features.items() if values.dtype == object)
    if not features:
        raise DataError(f"{columns.name} has no column beside the target", parameter=parameter)
    for column in text:
        n_values = len(column.categories)
        if n_values > MAX_CATEGORIES and known is None:
            message = f"column `{column.name}` of {columns.name} is text with {n_values} distinct values"
            raise DataError(message, hint="drop it or encode it", parameter=parameter)
    x_NF = (
        np.stack([v.astype(np.float64) for v in numeric.values()], axis=1)
        if numeric
        else np.zeros((len(y_N), 0))
    )
    notes = [f"column '{column.name}' is text: encoded one-hot" for column in text]
    gaps = ", ".join(
        f"'{name}'" for name, values in numeric.items() if np.isnan(values.astype(np.float64)).any()
    )
    if gaps:
        notes.append(f"missing numbers in {gaps}: the training part's median stands in")
    return Table(x_NF, y_N, found, classes, tuple(numeric), text, tuple(notes))


def _like(features: dict[str, Any], known: Table, columns: Columns, parameter: str) -> dict[str, Any]:
    """The validation file's columns, as the training data has them; further columns are left out."""
    text_names = {column.name for column in known.text}
    ordered: dict[str, Any] = {}
    for name in (*known.feature_names, *(column.name for column in known.text)):
        if name not in features:
            raise DataError(
                f"{columns.name} has no column `{name}`, the training data has", parameter=parameter
            )
        values = features[name]
        if name in text_names and values.dtype != object:
            texts = [None if value != value else category_name(value) for value in values.tolist()]
            values = np.array(texts, dtype=object)
        elif name not in text_names and values.dtype == object:
            message = f"column `{name}` of {columns.name} is text, in the training data it holds numbers"
            raise DataError(message, parameter=parameter)
        ordered[name] = values
    return ordered
