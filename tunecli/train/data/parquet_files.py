"""Parquet files: columns of numbers, truth values and text, without the index that pandas stores.

pyarrow is imported only when a file is read.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.columns import Columns, Request, check_header, quoted
from tunecli.train.data.csv_files import add_misfit, rounded_note
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import ColumnKind, read_fields
from tunecli.train.data.target import INEXACT, category_name
from tunecli.train.main_memory import require_memory

_NAMELESS_INDEX = re.compile(r"__index_level_[0-9]+__")
"""pandas' name of an index without a name. Other programs keep the column when they copy such a file."""

_FIX_TYPE = (
    "columns may hold numbers, truth values or text: write a time as a number, and nested values as columns"
)


def read_parquet(path: Path, request: Request) -> Columns:
    """Read a Parquet file: numbers, truth values and text, plain or dictionary-encoded.

    Whole numbers and decimals become the nearest float64, as they do from a CSV file. Columns that hold the index of a
    pandas data frame are left out, unless the request names them. The column that the request names as text becomes
    text, regardless of its type.

    Raises:
        DataError: pyarrow is not installed, the file is not Parquet, has no rows, or does not fit into memory.
    """
    parameter = request.parameter
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        hint = "pip install 'tunecli[parquet]'"
        raise DataError(f"reading {path.name} needs pyarrow", hint=hint, parameter=parameter) from error
    try:
        with pq.ParquetFile(path) as file:
            _require_memory(file.metadata, path, parameter)
            table = file.read()
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        message = f"{path.name} is not a readable Parquet file: {_one_line(error)}"
        raise DataError(message, parameter=parameter) from error
    check_header(table.column_names, path.name, parameter)
    if table.num_rows == 0:
        raise DataError(f"{path.name} has no rows", parameter=parameter)
    stored = _stored_index(table) - request.named
    names = tuple(name for name in table.column_names if name not in stored)
    columns = Columns(path.name, names, np.arange(1, table.num_rows + 1), "row")
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in stored or not request.is_wanted(name):
            continue
        try:
            _add(columns, name, column, request, pa)
        except (pa.ArrowException, ValueError, OverflowError, LookupError, ImportError, MemoryError) as error:
            columns.add_problem(name, f"of type {column.type} cannot be read: {_one_line(error)}", _FIX_TYPE)
    if stored and request.kinds is None:
        index = tuple(name for name in table.column_names if name in stored)
        subject = f"column {quoted(index)} holds" if len(index) == 1 else f"columns {quoted(index)} hold"
        message = f"{subject} the index of a pandas data frame: left out (`reset_index()` makes inputs of it)"
        columns.notes.append(DataNote("stored_index", message, index))
    return columns


def _require_memory(metadata: Any, path: Path, parameter: str) -> None:
    """Check the size that the metadata claims: a few bytes can encode any number of equal rows.

    Raises:
        DataError: the table does not fit into memory.
    """
    n_cells = metadata.num_rows * metadata.num_columns
    require_memory(n_cells * np.dtype(np.float64).itemsize, path.name, parameter)


def _stored_index(table: Any) -> set[str]:
    """The columns that hold the index of a pandas data frame: those that its metadata lists, and any without a name.

    A range index is described in the metadata and has no column.
    """
    nameless = {name for name in table.column_names if _NAMELESS_INDEX.fullmatch(name)}
    try:
        listed = json.loads((table.schema.metadata or {})[b"pandas"])["index_columns"]
        return nameless | ({name for name in listed if isinstance(name, str)} & set(table.column_names))
    except (KeyError, TypeError, ValueError, RecursionError):  # no metadata of pandas, or not in its form
        return nameless


def _add(columns: Columns, name: str, column: Any, request: Request, pa: ModuleType) -> None:
    types = pa.types
    kind = column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    training_kind = request.kind_of(name)
    if name == request.text:
        columns.add(
            name, "text", _objects(["" if value is None else str(value) for value in column.to_pylist()])
        )
    elif training_kind == "empty":
        columns.add(name, training_kind, np.full(len(column), math.nan))
    elif types.is_null(kind):
        _add_missing(columns, name, len(column), training_kind)
    elif types.is_boolean(kind):
        _add_truths(columns, name, column, training_kind)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        _add_numbers(columns, name, column, kind, request, pa)
    elif types.is_string(kind) or types.is_large_string(kind) or _is_string_view(kind, types):
        _add_texts(columns, name, column.to_pylist(), request)
    elif _is_moment(kind, types) and training_kind in (None, "text") and name not in request.targets:
        if types.is_timestamp(kind) and kind.unit == "ns":  # Python's times have microseconds
            column = column.cast(pa.timestamp("us", kind.tz), safe=False)
        columns.add(
            name,
            "text",
            _objects([None if value is None else str(value) for value in column.to_pylist()]),
        )
    elif training_kind == "text" and types.is_temporal(kind):
        columns.add(
            name,
            training_kind,
            _objects([None if value is None else str(value) for value in column.to_pylist()]),
        )
    else:
        columns.add_problem(name, f"is of type {column.type}", _FIX_TYPE)


def _add_missing(columns: Columns, name: str, n_rows: int, training_kind: ColumnKind | None) -> None:
    if training_kind == "text":
        columns.add(name, "text", _objects([None] * n_rows))
    else:
        columns.add(name, training_kind or "empty", np.full(n_rows, math.nan))


def _add_truths(columns: Columns, name: str, column: Any, training_kind: ColumnKind | None) -> None:
    values = column.to_pylist()
    if training_kind == "text" or (training_kind is None and column.null_count):
        columns.add(name, "text", _objects([None if value is None else str(value) for value in values]))
    elif column.null_count:
        numbers = [math.nan if value is None else float(value) for value in values]
        columns.add(name, training_kind or "truth", np.array(numbers, dtype=np.float64))
    elif training_kind == "number":
        columns.add(name, training_kind, np.array(values, dtype=np.float64))
    else:
        columns.add(name, "truth", np.array(values, dtype=bool))


def _add_numbers(
    columns: Columns, name: str, column: Any, kind: Any, request: Request, pa: ModuleType
) -> None:
    training_kind = request.kind_of(name)
    if training_kind == "text":
        columns.add(name, training_kind, _objects([_as_text(value) for value in column.to_pylist()]))
        return
    values = _as_float64(column, kind, pa)
    if training_kind == "truth":
        is_other_N = ~np.isin(values, (0.0, 1.0)) & ~np.isnan(values)
        if is_other_N.any():
            row = int(is_other_N.argmax())
            predicate = f"holds {values[row]} in {columns.place(row)}, but {request.reason(name, 'truth')}"
            columns.add_problem(name, predicate, "write true or false there, or leave it empty")
            return
        values = values if np.isnan(values).any() else values.astype(bool)
    kept_kind: ColumnKind = training_kind or ("empty" if bool(np.isnan(values).all()) else "number")
    if (
        columns.add(name, kept_kind, values)
        and pa.types.is_integer(kind)
        and (np.abs(values) > INEXACT).any()
    ):
        row = int((np.abs(values) > INEXACT).argmax())
        columns.notes.append(rounded_note(name, str(column[row]), columns.place(row)))


def _as_float64(column: Any, kind: Any, pa: ModuleType) -> NDArray[np.float64]:
    """Each number as the nearest float64; NaN if missing."""
    if pa.types.is_decimal(kind):
        # Arrow's own cast of decimals does not always round to the nearest.
        return np.array(
            [math.nan if value is None else float(value) for value in column.to_pylist()], dtype=np.float64
        )
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _add_texts(columns: Columns, name: str, texts: list[str | None], request: Request) -> None:
    training_kind = request.kind_of(name)
    if training_kind is None or training_kind == "text":
        columns.add(name, "text", _objects(texts))
        return
    fields = ["" if value is None else value.strip() for value in texts]
    typed = read_fields(fields, training_kind, request.format_of(name))
    if typed.misfit_row is not None:
        add_misfit(columns, name, fields[typed.misfit_row], typed, request)
        return
    columns.add(name, training_kind, typed.values)


def _is_moment(kind: Any, types: ModuleType) -> bool:
    """Whether a type holds dates, with or without a time of the day."""
    return bool(types.is_date(kind) or types.is_timestamp(kind))


def _is_string_view(kind: Any, types: ModuleType) -> bool:
    return bool(getattr(types, "is_string_view", lambda _: False)(kind))


def _as_text(value: Any) -> str | None:
    """A number as text; ``3.0`` becomes ``3``."""
    if value is None or value != value:
        return None
    return category_name(value) if isinstance(value, float) else str(value)


def _objects(values: list[str | None]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
