"""New rows in any form, read as the training data were: a file, a folder of images, columns, records or an array.

Values in memory follow the rules of a CSV file with the training file's kinds of columns. Loads no torch.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Images
from tunecli.errors import DataError
from tunecli.train.data.array_tables import table_of_inputs
from tunecli.train.data.arrays import as_inputs, as_tokens
from tunecli.train.data.column_tables import table_of_columns
from tunecli.train.data.columns import Columns, Request
from tunecli.train.data.csv_files import add_misfit
from tunecli.train.data.files import read_table, request_for
from tunecli.train.data.images import read_images
from tunecli.train.data.number_text import read_fields
from tunecli.train.data.table import Table, TableSchema
from tunecli.train.data.target import category_name

DATA = "DATA"
"""The name of the new rows in errors."""

_NAME = "the rows"


def table_of_rows(rows: Any, data: Data, known: TableSchema) -> Table:
    """Read new rows; the target may be absent.

    Args:
        rows: the path of a file or of a folder of images; a map of columns or a data frame; a sequence of maps or of
            texts; or an array of inputs, whose columns have the order of the training data's.
        data: the data's configuration of the trial.
        known: the schema of the training table.

    Raises:
        DataError: the rows cannot be read, or differ from the training data.
    """
    if isinstance(rows, str | Path):
        return _checked(_of_path(Path(rows), data, known), known, Path(rows).name)
    if isinstance(rows, np.ndarray) and rows.dtype.kind not in "OUS":
        return _checked(_of_array(rows, data, known), known, _NAME)
    columns = _columns_of(rows, data, known)
    n_rows = {len(values) for values in columns.values()}
    if n_rows in (set(), {0}):
        raise DataError("there are no rows to predict", parameter=DATA)
    if len(n_rows) > 1:
        raise DataError(f"{_NAME} have columns of {min(n_rows)} and of {max(n_rows)} values", parameter=DATA)
    typed = _typed(columns, n_rows.pop(), data, known)
    return _checked(table_of_columns(typed, data, DATA, known, needs_target=False), known, _NAME)


def _of_path(path: Path, data: Data, known: TableSchema) -> Table:
    if not path.is_dir():
        return read_table(path, data, DATA, known, needs_target=False)
    if not isinstance(data.source, Images):
        message = f"{path} is a folder, but the training data are not a folder of images"
        raise DataError(message, hint="name a csv, parquet or npz file", parameter=DATA)
    return read_images(path, data.source, DATA, known, needs_target=False)


def _of_array(x: NDArray[Any], data: Data, known: TableSchema) -> Table:
    if known.prose or known.text:
        message = "an array of numbers lacks the columns of text that the training data has"
        raise DataError(
            message, hint="give columns by name: {'age': [31, 40], 'city': ['Rome', 'Oslo']}", parameter=DATA
        )
    if known.n_tokens:
        return table_of_inputs(as_tokens(x, known.n_tokens, _NAME, DATA), known)
    if x.dtype.kind == "f" and known.kind == "features" and x.ndim == 2:
        return table_of_inputs(_with_gaps(x), known)
    return table_of_inputs(as_inputs(x, data.inputs, _NAME, DATA), known)


def _with_gaps(x_NF: NDArray[Any]) -> NDArray[np.float64]:
    """Features in which NaN is a missing value."""
    x_NF = x_NF.astype(np.float64)
    if np.isinf(x_NF).any():
        row = int(np.isinf(x_NF).any(axis=1).argmax())
        raise DataError(
            f"{_NAME} have infinity in row {row + 1}", hint="replace it by a number", parameter=DATA
        )
    return x_NF


def _checked(table: Table, known: TableSchema, name: str) -> Table:
    """Refuse rows whose examples have another shape than the training data's."""
    shape = tuple(table.x.shape[1:])
    if table.kind != known.kind or (not known.prose and shape != known.shape):
        message = f"{name} has examples of the kind `{table.kind}` and shape {shape}"
        message += f", but the training data `{known.kind}` and {known.shape}"
        hint = (
            ""
            if known.feature_names or known.text
            else "its columns have no names: save the rows as an array, in npz"
        )
        raise DataError(message, hint=hint, parameter=DATA)
    return table


def _columns_of(rows: Any, data: Data, known: TableSchema) -> dict[str, Sequence[Any]]:
    """Rows in memory as columns: a map, a data frame, a list of maps, or a list of texts."""
    if isinstance(rows, Mapping):
        return {str(name): _listed(values) for name, values in rows.items()}
    names = getattr(rows, "columns", None)
    if names is not None and hasattr(rows, "__getitem__"):
        return {str(name): _listed(rows[name]) for name in list(names)}
    if isinstance(rows, Sequence | np.ndarray):
        listed = list(rows)
        if all(isinstance(row, Mapping) for row in listed):
            every = dict.fromkeys(name for row in listed for name in row)
            return {str(name): [row.get(name) for row in listed] for name in every}
        if known.prose and all(isinstance(row, str) for row in listed):
            return {known.prose: listed}
    raise DataError(
        f"rows of the type {type(rows).__name__} cannot be read",
        hint="give a path, a map of columns, a data frame, a list of maps or an array of numbers",
        parameter=DATA,
    )


def _listed(values: Any) -> Sequence[Any]:
    """A column as an array of numbers or truth values, or as a list."""
    array = values.to_numpy() if hasattr(values, "to_numpy") else values
    if isinstance(array, np.ndarray) and array.ndim == 1:
        return array if array.dtype.kind in "biuf" else array.tolist()  # type: ignore[return-value]
    return list(values)


def _typed(columns: Mapping[str, Sequence[Any]], n_rows: int, data: Data, known: TableSchema) -> Columns:
    request = request_for(data, DATA, known, needs_target=False)
    typed = Columns(_NAME, tuple(columns), np.arange(1, n_rows + 1), "row")
    for name, values in columns.items():
        if name == data.text:
            typed.add(name, "text", _objects(["" if _is_missing(one) else str(one) for one in values]))
        elif request.is_wanted(name):
            _add(typed, name, values, request)
    return typed


def _add(columns: Columns, name: str, values: Sequence[Any], request: Request) -> None:
    kind = request.kind_of(name)
    if isinstance(values, np.ndarray) and kind in ("number", "empty"):
        columns.add(name, kind, values.astype(np.float64))
        return
    fields = ["" if _is_missing(one) else _as_field(one) for one in values]
    if kind == "text":  # a category may have a name that means a missing value in a file
        columns.add(name, kind, _objects([field.strip() or None for field in fields]))
        return
    is_written = all(isinstance(one, str) for one in values if not _is_missing(one))
    typed = read_fields(fields, kind, request.format_of(name) if is_written else None)
    if typed.misfit_row is not None:
        add_misfit(columns, name, fields[typed.misfit_row], typed, request)
    else:
        columns.add(name, typed.kind, typed.values)


def _as_field(value: Any) -> str:
    """A value as a CSV file would hold it: ``3.0`` is ``3``, as in the names of categories."""
    plain = value.item() if isinstance(value, np.generic) else value
    return category_name(plain) if isinstance(plain, str | bool | float) else str(plain)


def _is_missing(value: Any) -> bool:
    return value is None or bool(value != value)


def _objects(values: list[Any]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
