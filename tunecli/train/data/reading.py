"""From a file to a `Table`: which columns are numbers, which are text, and what a validation file must share.

Owns how raw columns become features; knows neither the formats (files.py) nor what a target asks for
(table.py). Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.spec.knobs.data import Data
from tunecli.spec.knobs.losses import Task
from tunecli.train.data.files import Columns, no_such_column, read_csv, read_npz, read_parquet
from tunecli.train.data.notes import DataNote
from tunecli.train.data.table import MAX_CATEGORIES, Table, TextColumn, category_name, encode_target

READERS: dict[str, Callable[[Path, str, str | None], Columns]] = {".csv": read_csv, ".parquet": read_parquet}
"""(path, key to blame, text column) → columns, by the file's ending. NPZ holds arrays and has its own way."""

_MAX_SHOWN = 20

_Target = tuple[NDArray[Any], Task, tuple[str, ...]]
"""A target, its task and its class names."""


def read_table(path: Path, data: Data, parameter: str = "data.source", known: Table | None = None) -> Table:
    """Read a file.

    Args:
        path: the file.
        data: the knobs: which column is the target, what it asks for, how inputs are to be read.
        parameter: the key to blame for what is wrong with the file.
        known: the training table, whose columns and classes a validation or test file must follow; further
            columns of the file are left out.

    Raises:
        DataError: the file or its target is missing, unreadable, or not what the knobs say.
    """
    if path.suffix.lower() == ".npz":
        return _table_of_arrays(path, data, parameter, known)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        hint = "csv, npz and parquet are read; the name of a folder of images ends with a slash"
        raise DataError(f"{path.name} ends in no known format", hint=hint, parameter=parameter)
    columns = reader(path, parameter, data.text)
    if data.target is None:
        names = ", ".join(list(columns.values)[:20])
        hint = f"name one of its columns: {names}"
        raise DataError(f"which column of {columns.name} is the target?", hint=hint, parameter="data.target")
    if data.target not in columns.values:
        raise no_such_column(data.target, list(columns.values), columns.name)
    blamed = parameter if known else "data.target"
    target = encode_target(columns.values[data.target], data.task, columns.place, known, blamed)
    features = {name: values for name, values in columns.values.items() if name != data.target}
    if not features:
        raise DataError(f"{columns.name} has no column beside the target", parameter=parameter)
    if data.text is not None:
        return _table_of_text(
            features, target, columns, data.text, "data.text" if known is None else parameter
        )
    return _table_of_columns(features, target, columns, parameter, known)


def _table_of_arrays(path: Path, data: Data, parameter: str, known: Table | None) -> Table:
    if data.text is not None:
        raise DataError(f"{path.name} has arrays and no columns", hint="drop `text`", parameter="data.text")
    x, raw_N = read_npz(path, data.target, parameter, data.inputs)
    blamed = parameter if known else "data.target"
    y_N, task, classes = encode_target(
        raw_N, data.task, lambda row: f"example {row} of {path.name}", known, blamed
    )
    if known and known.x.shape[1:] != x.shape[1:]:
        message = f"{path.name} has examples of shape {x.shape[1:]}, the training data {known.x.shape[1:]}"
        raise DataError(message, parameter=parameter)
    names = tuple(f"x{number}" for number in range(x.shape[1])) if x.ndim == 2 else ()
    return Table(x, y_N, task, classes, names)


def _table_of_text(
    features: Mapping[str, NDArray[Any]], target: _Target, columns: Columns, text: str, parameter: str
) -> Table:
    if text not in features:
        raise no_such_column(text, list(features), columns.name, parameter=parameter)
    notes = [DataNote("characters", f"column '{text}' is read character by character", (text,))]
    others = tuple(name for name in features if name != text)
    if others:
        notes.append(DataNote("left_out", f"beside it these are left out: {_quoted(others)}", others))
    y_N, task, classes = target
    prose = TextColumn(text, features[text])
    return Table(np.zeros((len(y_N), 0)), y_N, task, classes, data_notes=tuple(notes), prose=prose)


def _table_of_columns(
    features: Mapping[str, NDArray[Any]],
    target: _Target,
    columns: Columns,
    parameter: str,
    known: Table | None,
) -> Table:
    if known:
        features = _like(features, known, columns, parameter)
    numeric = {name: values for name, values in features.items() if values.dtype != object}
    text = tuple(TextColumn(name, values) for name, values in features.items() if values.dtype == object)
    for column in text:
        n_values = len(column.categories)
        if n_values > MAX_CATEGORIES and known is None:
            message = f"column `{column.name}` of {columns.name} is text with {n_values} distinct values"
            hint = f"drop it, encode it, or have its characters read: `text: {column.name}`"
            raise DataError(message, hint=hint, parameter=parameter)
    y_N, task, classes = target
    x_NF = np.zeros((len(y_N), 0))
    if numeric:
        x_NF = np.stack([values.astype(np.float64) for values in numeric.values()], axis=1)
    notes = [
        DataNote("one_hot", f"column '{column.name}' is text: encoded one-hot", (column.name,))
        for column in text
    ]
    has_gaps_F = np.isnan(x_NF).any(axis=0)
    gaps = tuple(name for name, has_gaps in zip(numeric, has_gaps_F.tolist(), strict=True) if has_gaps)
    if gaps:
        message = f"missing numbers in {_quoted(gaps)}: the training part's median stands in"
        notes.append(DataNote("imputed", message, gaps))
    return Table(x_NF, y_N, task, classes, tuple(numeric), text, tuple(notes))


def _like(
    features: Mapping[str, NDArray[Any]], known: Table, columns: Columns, parameter: str
) -> dict[str, NDArray[Any]]:
    """The file's columns, as the training data has them; further columns are left out."""
    text_names = {column.name for column in known.text}
    ordered: dict[str, NDArray[Any]] = {}
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


def _quoted(names: Sequence[str]) -> str:
    """Columns as a note lists them; of many, the first."""
    shown = ", ".join(f"'{name}'" for name in names[:_MAX_SHOWN])
    return shown + (f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else "")
