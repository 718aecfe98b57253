"""From a file to a `Table`: the formats, and the reading of their columns.

To add a format of tables, write a module with a reader and add it to `READERS`. The training file decides the kind of
each column; validation and test files are read with these kinds. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import FileSource
from tunecli.errors import DataError
from tunecli.train.data.array_tables import table_of_arrays
from tunecli.train.data.column_tables import kinds_of, table_of_columns
from tunecli.train.data.columns import Columns, Request, kinds_set
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.parquet_files import read_parquet
from tunecli.train.data.table import InputKind, Table, TableSchema
from tunecli.train.data.unpacking import ending_of

READERS: dict[str, Callable[[Path, Request], Columns]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".parquet": read_parquet,
}
"""By the ending of a file's name: (path, columns to read) → columns.
`table_of_arrays` reads NPZ files."""


def read_file(source: FileSource, data: Data, base_path: Path) -> Table:
    """The table of a source that is a file; see `read_table`."""
    return read_table(base_path / source.path, data)


def read_table(
    path: Path,
    data: Data,
    parameter: str = "data.source",
    known: TableSchema | None = None,
    *,
    needs_target: bool = True,
) -> Table:
    """Read a file.

    Args:
        path: the file.
        data: the data's configuration: target, task, and how inputs are read.
        parameter: the configuration key that errors about the file refer to.
        known: for a validation or test file, the schema of the training table: the file must have its columns, kinds
            and classes. Further columns of the file are left out.
        needs_target: False for rows to predict, which come with ``known``: the target may be absent. `Table.has_target`
            says whether it was there and could be read. A note names the columns that are left out.

    Raises:
        DataError: the file or its target is missing or unreadable, or disagrees with the configuration. The message
            lists every column that cannot be used.
    """
    try:
        if path.suffix.lower() == ".npz":
            return table_of_arrays(path, data, parameter, known, needs_target=needs_target)
        return _read(path, data, parameter, known, needs_target=needs_target)
    except MemoryError as error:
        hint = "use fewer rows or columns, or a machine with more memory"
        raise DataError(f"{path.name} does not fit into memory", hint=hint, parameter=parameter) from error


def _read(path: Path, data: Data, parameter: str, known: TableSchema | None, *, needs_target: bool) -> Table:
    reader = READERS.get(ending_of(path))
    if reader is None:
        hint = "use a csv, tsv, txt, npz or parquet file; end the name of a folder of images with a slash"
        raise DataError(f"{path.name} has no known file ending", hint=hint, parameter=parameter)
    if known is not None and known.kind not in _kinds_of_tables(data):
        message = f"{path.name} has columns, but the training data has inputs of the kind `{known.kind}`"
        raise DataError(message, hint="save it as npz", parameter=parameter)
    columns = reader(path, request_for(data, parameter, known, needs_target=needs_target))
    return table_of_columns(columns, data, parameter, known, needs_target=needs_target)


def request_for(
    data: Data, parameter: str, known: TableSchema | None = None, *, needs_target: bool = True
) -> Request:
    """The columns to read from a file, and how.

    Args:
        data: the data's configuration.
        parameter: the configuration key that errors name.
        known: the schema of the training file, whose columns are read; None: all columns of the training file.
        needs_target: False for rows to predict: of the columns with a role, only the names of the rows are read, and
            in time series their order.
    """
    settings = data.columns
    kinds = None if known is None else kinds_of(known)
    if kinds is not None and not needs_target:
        used = settings.of_new_rows(in_series=data.series is not None)
        unused = settings.roles.keys() - used.roles.keys()
        kinds = {name: kind for name, kind in kinds.items() if name not in unused}
        settings = used
    formats = {} if known is None else known.formats
    return Request(
        parameter,
        data.targets,
        data.text,
        kinds,
        kinds_set(data.columns),
        formats,
        settings,
        reads_columns=data.text_with_columns,
    )


def _kinds_of_tables(data: Data) -> tuple[InputKind, ...]:
    """The kinds of inputs that a file of columns may have."""
    if data.text is not None:
        return ("tokens", "mixed")
    return ("features",) if data.series is None else ("sequence",)
