"""Parquet files: columns of numbers, truth values and text, without the index that pandas stores.

Files are read batch by batch, and only the columns that are needed. pyarrow is imported only when a file is read.

Axes: N rows, F numeric columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.registry.packages import install_command
from tunecli.train.data.columns import Columns, Request, check_header, quoted
from tunecli.train.data.csv_files import add_misfit, rounded_note
from tunecli.train.data.csv_tables import same_columns
from tunecli.train.data.file_patterns import files_of, shown_names
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import read_fields
from tunecli.train.data.parquet_columns import Store, empty_store, mode_of, take, truths_of, value_type
from tunecli.train.main_memory import require_memory

_NAMELESS_INDEX = re.compile(r"__index_level_[0-9]+__")
"""pandas' name of an index without a name. Other programs keep the column when they copy such a file."""

_FIX_TYPE = (
    "columns may hold numbers, truth values or text: write a time as a number, and nested values as columns"
)
_CELLS_PER_BATCH = 2**22
_BUFFER_BYTES = 2**26  # of all columns of a file together
_MIN_SUSPICIOUS_BYTES = 2**29
_MAX_EXPANSION = 1_000
"""A file whose arrays take more than 512 MiB and 1000 times its own size holds next to nothing."""


_Block = tuple[tuple[str, ...], NDArray[np.float64]]
"""The names of the inputs that are numbers, and the array (N, F) of their values."""


@dataclass(frozen=True, slots=True)
class _File:
    """An open file: its name for messages, pyarrow's reader, and the schema of its columns."""

    name: str
    reader: Any
    schema: Any

    @property
    def n_rows(self) -> int:
        return int(self.reader.metadata.num_rows)


def read_parquet(path: Path, request: Request) -> Columns:
    """Read a Parquet file: numbers, truth values and text, plain or dictionary-encoded.

    Whole numbers and decimals become the nearest float64, as they do from a CSV file. Columns that hold the index of a
    pandas data frame are left out, unless the request names them. The column that the request names as text becomes
    text, regardless of its type.

    Args:
        path: the file, or a pattern of several files with the same columns.
        request: the columns to read.

    Raises:
        DataError: pyarrow is not installed; a file is not Parquet, has no rows, or other columns than the first; or
            the columns do not fit into memory.
    """
    parameter = request.parameter
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        hint = install_command("pyarrow", "parquet")
        raise DataError(f"reading {path.name} needs pyarrow", hint=hint, parameter=parameter) from error
    paths = files_of(path, parameter)
    files: list[_File] = []
    with ExitStack() as stack:
        for one, name in zip(paths, shown_names(paths), strict=True):
            try:
                # Buffered reading keeps a whole row group, which may be the whole file, out of memory.
                metadata = pq.read_metadata(one)
                buffer_bytes = min(2**20, max(2**12, _BUFFER_BYTES // max(1, metadata.num_columns)))
                reader = pq.ParquetFile(one, metadata=metadata, pre_buffer=False, buffer_size=buffer_bytes)
                files.append(_File(name, stack.enter_context(reader), reader.schema_arrow))
            except _errors(pa) as error:
                raise _unreadable(name, error, parameter) from error
        for file in files:
            check_header(file.schema.names, file.name, parameter)
            same_columns(files[0].schema.names, file.schema.names, files[0].name, file.name, parameter)
            if file.n_rows < 1:
                raise DataError(f"{file.name} has no rows", parameter=parameter)
        return _columns(files, paths, path.name, request, pa)


def _errors(pa: ModuleType) -> tuple[type[BaseException], ...]:
    return (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, LookupError)


def _unreadable(name: str, error: BaseException, parameter: str) -> DataError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return DataError(f"{name} is not a readable Parquet file: {reason}", parameter=parameter)


def _columns(
    files: Sequence[_File], paths: Sequence[Path], pattern: str, request: Request, pa: ModuleType
) -> Columns:
    schema, is_several = files[0].schema, len(files) > 1
    stored = _stored_index(schema) - request.named
    names = tuple(name for name in schema.names if name not in stored)
    wanted = request.wanted(names)
    n_rows = sum(file.n_rows for file in files)
    name = pattern if is_several else files[0].name
    n_bytes = n_rows * len(wanted) * np.dtype(np.float64).itemsize
    file_bytes = sum(path.stat().st_size for path in paths)
    if n_bytes > _MIN_SUSPICIOUS_BYTES and n_bytes > _MAX_EXPANSION * file_bytes:
        message = f"{name} unpacks from {file_bytes} to {n_bytes} bytes, which looks malicious"
        raise DataError(message, hint="if the file is right, save it as NPZ", parameter=request.parameter)
    require_memory(n_bytes, name, request.parameter)
    starts = np.cumsum([0, *(file.n_rows for file in files)]).tolist()
    row_numbers = np.concatenate([np.arange(1, file.n_rows + 1) for file in files])
    places = tuple(zip(starts, (file.name for file in files), strict=False)) if is_several else ()
    stores, block = _empty_stores(files, wanted, n_rows, request, pa)
    columns = Columns(name, names, row_numbers, "row", files=places, block=block)
    for start, file in zip(starts, files, strict=False):
        _read_rows(file, start, stores, request.parameter, pa)
    for store in stores.values():
        _finish(columns, store, request)
    if stored and request.kinds is None:
        index = tuple(one for one in schema.names if one in stored)
        subject = f"column {quoted(index)} holds" if len(index) == 1 else f"columns {quoted(index)} hold"
        message = f"{subject} the index of a pandas data frame: left out (`reset_index()` makes inputs of it)"
        columns.notes.append(DataNote("stored_index", message, index))
    return columns


def _stored_index(schema: Any) -> set[str]:
    """The columns that hold the index of a pandas data frame: those that its metadata lists, and any without a name.

    A range index is described in the metadata and has no column.
    """
    nameless = {name for name in schema.names if _NAMELESS_INDEX.fullmatch(name)}
    try:
        listed = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        return nameless | ({name for name in listed if isinstance(name, str)} & set(schema.names))
    except (KeyError, TypeError, ValueError, RecursionError):  # no metadata of pandas, or not in its form
        return nameless


def _empty_stores(
    files: Sequence[_File], wanted: Sequence[str], n_rows: int, request: Request, pa: ModuleType
) -> tuple[dict[str, Store], _Block]:
    """A store for each column. The numbers of all inputs have one block, which becomes the table without a copy."""
    modes, types = {}, {}
    for name in wanted:
        kinds = [file.schema.field(name).type for file in files]
        of_files = [mode_of(value_type(kind, pa.types), name, request, pa.types) for kind in kinds]
        place = next((place for place, mode in enumerate(of_files) if mode != "nothing"), 0)
        modes[name], types[name] = of_files[place], str(kinds[place])
        other = next(
            (at for at, mode in enumerate(of_files) if mode not in ("nothing", of_files[place])), None
        )
        if other is not None:
            modes[name] = "other"
            types[name] += f" in {files[place].name} and {kinds[other]} in {files[other].name}"
    in_block = [
        name
        for name, mode in modes.items()
        if mode in ("number", "truth") and name not in request.targets and name not in request.columns.roles
    ]
    block_NF = np.empty((n_rows, len(in_block)))
    place_of = {name: place for place, name in enumerate(in_block)}
    stores = {
        name: empty_store(
            name, mode, types[name], n_rows, block_NF[:, place_of[name]] if name in place_of else None
        )
        for name, mode in modes.items()
    }
    return stores, (tuple(in_block), block_NF)


def _read_rows(file: _File, start: int, stores: Mapping[str, Store], parameter: str, pa: ModuleType) -> None:
    """Read a file's rows into the stores, from row ``start`` on.

    Raises:
        DataError: the file is damaged, or its number of rows is not the one that it claims.
    """
    used = [store for store in stores.values() if store.mode not in ("nothing", "other")]
    if not used:
        return
    row = start
    n_batch = min(2**16, max(2**7, _CELLS_PER_BATCH // len(used)))
    try:
        for batch in file.reader.iter_batches(batch_size=n_batch, columns=[store.name for store in used]):
            if row + len(batch) > start + file.n_rows:
                raise ValueError("it has more rows than it claims")
            place_of = {name: place for place, name in enumerate(batch.schema.names)}
            for store in used:
                take(store, batch.column(place_of[store.name]), row, pa)
            row += len(batch)
        if row != start + file.n_rows:
            raise ValueError("it has fewer rows than it claims")
    except _errors(pa) as error:
        raise _unreadable(file.name, error, parameter) from error


def _finish(columns: Columns, store: Store, request: Request) -> None:
    """Add a complete column, or the reason why it cannot be used."""
    name, wanted = store.name, request.kind_of(store.name)
    if store.mode == "other":
        columns.add_problem(name, f"is of type {store.type_name}", _FIX_TYPE)
    elif store.problem:
        columns.add_problem(name, f"of type {store.type_name} cannot be read: {store.problem}", _FIX_TYPE)
    elif store.mode == "nothing":
        n_rows = len(columns.row_numbers)
        if wanted == "text":
            columns.add(name, wanted, np.full(n_rows, None, dtype=object))
        else:
            columns.add(name, wanted or "empty", np.full(n_rows, np.nan))
    elif store.mode == "truth":
        columns.add(name, *truths_of(store, wanted))
    elif store.mode == "number":
        _finish_numbers(columns, store, request)
    elif store.mode == "text" and wanted not in (None, "text"):
        _finish_read_texts(columns, store, request)
    else:
        columns.add(name, "text", store.values)


def _finish_numbers(columns: Columns, store: Store, request: Request) -> None:
    name, wanted, values_N = store.name, request.kind_of(store.name), store.values
    if wanted == "truth":
        is_other_N = ~np.isin(values_N, (0.0, 1.0)) & ~np.isnan(values_N)
        if is_other_N.any():
            row = int(is_other_N.argmax())
            predicate = f"holds {values_N[row]} in {columns.place(row)}, but {request.reason(name, 'truth')}"
            columns.add_problem(name, predicate, "write true or false there, or leave it empty")
            return
        values_N = values_N if np.isnan(values_N).any() else values_N.astype(bool)
    kind = wanted or ("empty" if bool(np.isnan(values_N).all()) else "number")
    if columns.add(name, kind, values_N) and store.first_large is not None:
        row, text = store.first_large
        columns.notes.append(rounded_note(name, text, columns.place(row)))


def _finish_read_texts(columns: Columns, store: Store, request: Request) -> None:
    """A column of texts whose kind is another in the training file, or by the user: read as from a CSV file."""
    name, wanted = store.name, request.kind_of(store.name)
    fields = ["" if value is None else value.strip() for value in store.values.tolist()]
    typed = read_fields(fields, wanted, request.format_of(name))
    if typed.misfit_row is not None:
        add_misfit(columns, name, fields[typed.misfit_row], typed, request)
    else:
        columns.add(name, typed.kind, typed.values)
