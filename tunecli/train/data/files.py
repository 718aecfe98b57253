"""Reading tables from files: CSV, Parquet and NPZ become raw arrays with the row each value came from.

Owns the formats and what can be wrong with a file; knows neither tasks nor models (see table.py). Nothing is
ever unpickled. Loads no torch, and pyarrow only for a Parquet file.
"""

from __future__ import annotations

import csv
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.spec.wording import nearest
from tunecli.train.data.arrays import InputsKnob, as_inputs, as_target

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A table as its file has it.

    Attributes:
        name: the file's name, for messages.
        values: per column, in the file's order: float64 (NaN where missing), bool, or object (str or None).
        row_numbers: (N,) where each row stands in the file, counting from 1.
        row_word: what such a number counts: ``line`` or ``row``.
    """

    name: str
    values: dict[str, NDArray[Any]]
    row_numbers: NDArray[np.int64]
    row_word: str

    def place(self, row: int) -> str:
        """Where a row stands, in words: ``line 7 of wine.csv``."""
        return f"{self.row_word} {self.row_numbers[row]} of {self.name}"


def read_csv(path: Path, parameter: str, text: str | None = None) -> Columns:
    """Read a CSV file with a header; the separator is the comma, semicolon or tab its header uses most.

    A column is numeric where every value that is there reads as a number. Empty fields and ``NA``, ``NaN``,
    ``null``, ``None``, ``?`` in any case are missing. The column named ``text`` is text as it stands: nothing
    in it is a number, and nothing missing.

    Raises:
        DataError: the file is empty, not UTF-8, has a ragged row, an infinite number, or columns that have
            no name or the same one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            header = [field.strip() for field in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not UTF-8 text", hint="save it as UTF-8", parameter=parameter
        ) from error
    except csv.Error as error:
        raise DataError(f"{path.name} is not a readable CSV file: {error}", parameter=parameter) from error
    _check_header(header, path.name, parameter)
    if not rows:
        raise DataError(f"{path.name} has no rows", parameter=parameter)
    for line, row in rows:
        if len(row) != len(header):
            message = f"line {line} of {path.name} has {len(row)} fields, and the header has {len(header)}"
            raise DataError(message, parameter=parameter)
    row_numbers = np.array([line for line, _ in rows], dtype=np.int64)
    fields = zip(*(row for _, row in rows), strict=True)
    values: dict[str, NDArray[Any]] = {}
    for name, column in zip(header, fields, strict=True):
        stripped = [field.strip() for field in column]
        values[name] = _objects([*stripped]) if name == text else _parse(stripped)
    return _checked(Columns(path.name, values, row_numbers, "line"), parameter)


def read_parquet(path: Path, parameter: str, text: str | None = None) -> Columns:
    """Read a Parquet file: numbers, truth values and text. The column named ``text`` is text, whatever its type.

    Raises:
        DataError: pyarrow is not installed, the file is not Parquet or has no rows, or a column is of a
            type that is neither number, truth value nor text.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        hint = "pip install 'tunecli[parquet]'"
        raise DataError(f"{path.name} needs pyarrow to be read", hint=hint, parameter=parameter) from error
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path.name} is not a readable Parquet file: {error}", parameter=parameter
        ) from error
    _check_header(table.column_names, path.name, parameter)
    if table.num_rows == 0:
        raise DataError(f"{path.name} has no rows", parameter=parameter)
    values: dict[str, NDArray[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if name == text:
            texts = column.to_pylist()
            values[name] = _objects(["" if each is None else str(each) for each in texts])
        elif pa.types.is_boolean(kind) and column.null_count == 0:
            values[name] = column.to_numpy().astype(bool)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            numbers = column.cast(pa.float64()).to_pylist()
            values[name] = np.array(
                [math.nan if number is None else number for number in numbers], dtype=np.float64
            )
        elif pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts = column.to_pylist()
            values[name] = _objects([None if each is None else str(each) for each in texts])
        else:
            message = f"column `{name}` of {path.name} is of type {column.type}"
            raise DataError(message, hint="keep numbers, truth values and text", parameter=parameter)
    return _checked(Columns(path.name, values, np.arange(1, table.num_rows + 1), "row"), parameter)


def read_npz(
    path: Path, target: str | None, parameter: str, inputs: InputsKnob = "auto"
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read inputs and target from an NPZ file.

    Args:
        path: the file.
        target: the target's array; None: ``y``. The inputs are ``x``, or the one other array.
        parameter: the key to blame for what is wrong with the file.
        inputs: how the inputs' array is to be read.

    Returns:
        The inputs as of `as_inputs`, the target as of `as_target`.

    Raises:
        DataError: not an NPZ file; no such arrays; shapes that do not fit; objects, NaN or infinity inside.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path.name} is no NPZ archive of plain numbers", hint="np.savez writes one", parameter=parameter
        ) from error
    target_name = target or "y"
    if target_name not in arrays:
        raise no_such_column(target_name, list(arrays), path.name, kind="array")
    others = [name for name in arrays if name != target_name]
    input_name = "x" if "x" in others else others[0] if len(others) == 1 else None
    if input_name is None:
        hint = "name the inputs `x`"
        raise DataError(
            f"{path.name} has {len(others)} arrays beside `{target_name}`", hint=hint, parameter=parameter
        )
    x = as_inputs(arrays[input_name], inputs, f"`{input_name}` in {path.name}", parameter)
    target_is = f"`{target_name}` in {path.name}"
    return x, as_target(arrays[target_name], len(x), target_is, "data.target")


def no_such_column(
    name: str, known: list[str], file: str, *, kind: str = "column", parameter: str = "data.target"
) -> DataError:
    """The error for a column that is not there, with the nearest name and the list."""
    shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    hint = "; ".join(part for part in (nearest(name, known), f"it has {shown}") if part)
    return DataError(f"{file} has no {kind} `{name}`", hint=hint, parameter=parameter)


def _check_header(header: list[str], file: str, parameter: str) -> None:
    if not any(header):
        raise DataError(f"{file} is empty", parameter=parameter)
    if "" in header:
        message = f"column {header.index('') + 1} of {file} has no name"
        raise DataError(message, hint="name it in the header, or drop it", parameter=parameter)
    twice = next((name for position, name in enumerate(header) if name in header[:position]), None)
    if twice is not None:
        raise DataError(f"{file} has two columns named `{twice}`", parameter=parameter)


def _parse(fields: list[str]) -> NDArray[Any]:
    try:
        numbers = [math.nan if field.lower() in _MISSING else float(field) for field in fields]
        return np.array(numbers, dtype=np.float64)
    except ValueError:
        return _objects([None if field.lower() in _MISSING else field for field in fields])


def _objects(values: list[str | None]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _checked(columns: Columns, parameter: str) -> Columns:
    for name, values in columns.values.items():
        if values.dtype == np.float64 and np.isinf(values).any():
            where = columns.place(int(np.isinf(values).argmax()))
            raise DataError(f"column `{name}` is infinite in {where}", parameter=parameter)
    return columns
