"""Parquet files: columns of numbers, truth values and text; the index that pandas stores is no input.

Loads pyarrow only when such a file is read.
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
from tunecli.train.data.table import INEXACT, category_name
from tunecli.train.machine import require_memory

_NAMELESS_INDEX = re.compile(r"__index_level_[0-9]+__")
"""What pandas calls an index without a name; other programs keep the column when they copy such a file."""

_TYPES = "keep numbers, truth values and text: write a time as a number, and one column for each nested value"


def read_parquet(path: Path, request: Request) -> Columns:
    """Read a Parquet file: numbers, truth values and text, plain or dictionary-encoded.

    Whole numbers and decimals become the nearest float64, as they would from a CSV file. Columns that pandas takes back
    as the index of its data frame are left out, unless the request names them. The column that the request names as
    text is text, whatever its type.

    Raises:
        DataError: pyarrow is not installed, the file is not Parquet, has no rows, or does not fit into memory.
    """
    parameter = request.parameter
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        hint = "pip install 'tunecli[parquet]'"
        raise DataError(f"{path.name} needs pyarrow to be read", hint=hint, parameter=parameter) from error
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
            columns.add_problem(name, f"of type {column.type} cannot be read: {_one_line(error)}", _TYPES)
    if stored and request.kinds is None:
        index = tuple(name for name in table.column_names if name in stored)
        what = f"column {quoted(index)} holds" if len(index) == 1 else f"columns {quoted(index)} hold"
        message = f"{what} the index of a pandas data frame: left out (`reset_index()` makes inputs of it)"
        columns.notes.append(DataNote("stored_index", message, index))
    return columns


def _require_memory(metadata: Any, path: Path, parameter: str) -> None:
    """A few bytes can claim any number of rows: encodings repeat one value at no cost."""
    n_cells = metadata.num_rows * metadata.num_columns
    require_memory(n_cells * np.dtype(np.float64).itemsize, path.name, parameter)


def _stored_index(table: Any) -> set[str]:
    """The columns that pandas takes back as its index: those its metadata lists, and any nameless one.

    An index that is a range is described there and has no column.
    """
    nameless = {name for name in table.column_names if _NAMELESS_INDEX.fullmatch(name)}
    try:
        listed = json.loads((table.schema.metadata or {})[b"pandas"])["index_columns"]
        return nameless | ({name for name in listed if isinstance(name, str)} & set(table.column_names))
    except (KeyError, TypeError, ValueError, RecursionError):  # written without pandas, or not as pandas does
        return nameless


def _add(columns: Columns, name: str, column: Any, request: Request, pa: ModuleType) -> None:
    types = pa.types
    kind = column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    asked = (request.kinds or {}).get(name)
    if name == request.text:
        columns.add(
            name, "text", _objects(["" if each is None else str(each) for each in column.to_pylist()])
        )
    elif asked == "empty":
        columns.add(name, asked, np.full(len(column), math.nan))
    elif types.is_null(kind):
        _add_missing(columns, name, len(column), asked)
    elif types.is_boolean(kind):
        _add_truths(columns, name, column, asked)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        _add_numbers(columns, name, column, kind, asked, pa)
    elif types.is_string(kind) or types.is_large_string(kind) or _is_string_view(kind, types):
        _add_texts(columns, name, column.to_pylist(), asked)
    elif asked == "text" and types.is_temporal(kind):
        columns.add(
            name, asked, _objects([None if each is None else str(each) for each in column.to_pylist()])
        )
    else:
        columns.add_problem(name, f"is of type {column.type}", _TYPES)


def _add_missing(columns: Columns, name: str, n_rows: int, asked: ColumnKind | None) -> None:
    if asked == "text":
        columns.add(name, "text", _objects([None] * n_rows))
    else:
        columns.add(name, asked or "empty", np.full(n_rows, math.nan))


def _add_truths(columns: Columns, name: str, column: Any, asked: ColumnKind | None) -> None:
    values = column.to_pylist()
    if asked == "text" or (asked is None and column.null_count):
        columns.add(name, "text", _objects([None if each is None else str(each) for each in values]))
    elif column.null_count:
        numbers = [math.nan if each is None else float(each) for each in values]
        columns.add(name, asked or "truth", np.array(numbers, dtype=np.float64))
    elif asked == "number":
        columns.add(name, asked, np.array(values, dtype=np.float64))
    else:
        columns.add(name, "truth", np.array(values, dtype=bool))


def _add_numbers(
    columns: Columns, name: str, column: Any, kind: Any, asked: ColumnKind | None, pa: ModuleType
) -> None:
    if asked == "text":
        columns.add(name, asked, _objects([_as_text(each) for each in column.to_pylist()]))
        return
    values = _as_float64(column, kind, pa)
    if asked == "truth":
        is_other_N = ~np.isin(values, (0.0, 1.0)) & ~np.isnan(values)
        if is_other_N.any():
            row = int(is_other_N.argmax())
            what = f"holds {values[row]} in {columns.place(row)}, and truth values in the training data"
            columns.add_problem(name, what, "write true or false there, or leave it empty")
            return
        values = values if np.isnan(values).any() else values.astype(bool)
    found = "empty" if asked is None and bool(np.isnan(values).all()) else asked or "number"
    if columns.add(name, found, values) and pa.types.is_integer(kind) and (np.abs(values) > INEXACT).any():
        row = int((np.abs(values) > INEXACT).argmax())
        columns.notes.append(rounded_note(name, str(column[row]), columns.place(row)))


def _as_float64(column: Any, kind: Any, pa: ModuleType) -> NDArray[np.float64]:
    """Each number as the nearest float64, NaN where missing."""
    if pa.types.is_decimal(kind):
        # Arrow's own cast of decimals is not always to the nearest.
        return np.array(
            [math.nan if each is None else float(each) for each in column.to_pylist()], dtype=np.float64
        )
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _add_texts(columns: Columns, name: str, texts: list[str | None], asked: ColumnKind | None) -> None:
    if asked is None or asked == "text":
        columns.add(name, "text", _objects(texts))
        return
    fields = ["" if each is None else each.strip() for each in texts]
    found = read_fields(fields, asked)
    if found.misfit_row is not None:
        add_misfit(columns, name, fields[found.misfit_row], found)
        return
    columns.add(name, asked, found.values)


def _is_string_view(kind: Any, types: ModuleType) -> bool:
    return bool(getattr(types, "is_string_view", lambda _: False)(kind))


def _as_text(value: Any) -> str | None:
    """A number as a person writes it; a float that is whole as a whole number."""
    if value is None or value != value:
        return None
    return category_name(value) if isinstance(value, float) else str(value)


def _objects(values: list[str | None]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
