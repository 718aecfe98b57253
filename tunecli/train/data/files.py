"""From a file to a `Table`: the formats, the target, the columns, and a validation file's agreement with training.

To add a format of tables, write a module with a reader and add it to `READERS`. The training file decides the kind of
each column; validation and test files are read with these kinds. Loads no torch.

Axes: N examples, F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import FileSource
from tunecli.errors import DataError
from tunecli.train.data.array_tables import table_of_arrays
from tunecli.train.data.columns import (
    ColumnProblem,
    Columns,
    Request,
    no_such_column,
    quoted,
    raise_problems,
)
from tunecli.train.data.csv_files import read_csv
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import ColumnKind
from tunecli.train.data.parquet_files import read_parquet
from tunecli.train.data.scaling import center_and_scale
from tunecli.train.data.table import MAX_CATEGORIES, Table, TableSchema, TextColumn, TextSchema
from tunecli.train.data.target import Origin, Target, encode_targets, label_notes, unknown_target
from tunecli.train.data.unpacking import ending_of

READERS: dict[str, Callable[[Path, Request], Columns]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".parquet": read_parquet,
}
"""By the ending of a file's name: (path, columns to read) → columns.
`table_of_arrays` reads NPZ files."""


_FIX_TEXT = (
    f"remove a text column with many values from the file, write it as numbers or as at most {MAX_CATEGORIES} values, "
    "or name it in `data.text` to read its texts instead of the other columns"
)


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
    if known is not None and known.kind != ("features" if data.text is None else "tokens"):
        message = f"{path.name} has columns, but the training data has inputs of the kind `{known.kind}`"
        raise DataError(message, hint="save it as npz", parameter=parameter)
    columns = reader(path, request_for(data, parameter, known))
    return table_of_columns(columns, data, parameter, known, needs_target=needs_target)


def request_for(data: Data, parameter: str, known: TableSchema | None = None) -> Request:
    """The columns to read from a file, and how: all of a training file, or those that its schema ``known`` names."""
    kinds = None if known is None else kinds_of(known)
    formats = {} if known is None else known.formats
    return Request(parameter, data.targets, data.text, kinds, formats=formats)


def table_of_columns(
    columns: Columns,
    data: Data,
    parameter: str,
    known: TableSchema | None = None,
    *,
    needs_target: bool = True,
) -> Table:
    """The table from columns that a reader has typed.

    Args:
        columns: the columns; with ``known``, typed as its columns.
        data, parameter, known, needs_target: as for `read_table`.

    Raises:
        DataError: as `read_table`.
    """
    has_target = bool(data.targets) and all(name in columns.names for name in data.targets)
    if not needs_target and known is not None and not has_target:
        return _table_without_target(columns, data, parameter, known)
    if data.target is None:
        names = ", ".join(columns.names[:20])
        hint = f"name one of its columns: {names}"
        raise DataError(f"which column of {columns.name} is the target?", hint=hint, parameter="data.target")
    absent = next((name for name in data.targets if name not in columns.names), None)
    if absent is not None:
        key = "data.target" if known is None else parameter
        raise no_such_column(absent, list(columns.names), columns.name, parameter=key, also=columns.hint)
    if len(columns.names) == len(data.targets):
        message = f"{columns.name} has no column besides the target"
        raise DataError(message, hint=columns.hint, parameter=parameter)
    features = {name: values for name, values in columns.values.items() if name not in data.targets}
    problems = [*columns.problems, *_column_problems(features, data, columns, known)]
    try:
        target = _target(columns, data, parameter, known, problems)
    except DataError as error:
        if needs_target or known is None:
            raise
        word, verb = ("column", "is") if len(data.targets) == 1 else ("columns", "are")
        message = f"the target {word} {quoted(data.targets)} {verb} not used: {error.message}"
        note = DataNote("target_left_out", message, data.targets)
        return _table_without_target(columns, data, parameter, known, (note,))
    if data.text is not None:
        table = _table_of_text(target, columns, data, "data.text" if known is None else parameter)
    else:
        table = _table_of_columns(features, target, columns, known)
    return table if needs_target else _with_notes(table, _left_out(columns, data, known))


def _table_without_target(
    columns: Columns, data: Data, parameter: str, known: TableSchema, notes: Sequence[DataNote] = ()
) -> Table:
    """The table of rows to predict whose targets are unknown: they are 0, and `Table.has_target` is False."""
    features = {name: values for name, values in columns.values.items() if name not in data.targets}
    of_targets = tuple(f"`{name}` " for name in data.targets)
    of_features = [problem for problem in columns.problems if not problem.short.startswith(of_targets)]
    problems = [*of_features, *_column_problems(features, data, columns, known)]
    raise_problems(problems, columns.name, parameter)
    target = unknown_target(len(columns.row_numbers), known)
    if data.text is not None:
        table = _table_of_text(target, columns, data, parameter)
    else:
        table = _table_of_columns(features, target, columns, known)
    notes = (*notes, *_left_out(columns, data, known))
    return _with_notes(replace(table, has_target=False), notes)


def _left_out(columns: Columns, data: Data, known: TableSchema | None) -> tuple[DataNote, ...]:
    """The note on columns of a file that the training data lacks."""
    if known is None or data.text is not None:  # the other columns of a text are named already
        return ()
    trained = {*kinds_of(known), *data.targets}
    others = tuple(name for name in columns.names if name not in trained)
    if not others:
        return ()
    text = f"columns that the training data lacks are left out: {quoted(others)}"
    return (DataNote("left_out", text, others),)


def _with_notes(table: Table, notes: Sequence[DataNote]) -> Table:
    return replace(table, data_notes=(*table.data_notes, *notes)) if notes else table


def kinds_of(known: TableSchema) -> dict[str, ColumnKind]:
    """The kinds of the columns of a training table."""
    numbers = dict.fromkeys(known.feature_names, "number")
    texts = dict.fromkeys((column.name for column in known.text), "text")
    return {**numbers, **texts, **known.kinds}  # type: ignore[dict-item]  # the texts are literals


def _column_problems(
    features: Mapping[str, NDArray[Any]], data: Data, columns: Columns, known: TableSchema | None
) -> Iterator[ColumnProblem]:
    """Missing columns, and text columns with too many values."""
    if data.text is not None:
        return
    if known is not None:
        present = set(columns.names)
        for name in (*known.feature_names, *(column.name for column in known.text)):
            if name not in present:
                message = f"{columns.name} has no column `{name}`, which the training data has"
                yield ColumnProblem(message, f"`{name}` is missing", "add the column to the file")
        return
    reasons = {
        note.columns[0]: f" (the first that is not a number: `{note.values[0][0][:40]}` in {note.place})"
        for note in columns.notes
        if note.kind in ("mostly_numbers", "decimal_commas", "open_decimal_mark")
    }
    for name, values in features.items():
        if values.dtype == object:
            n_values = len(set(values.tolist()) - {None})
            if n_values > MAX_CATEGORIES:
                predicate = f"is text with {n_values} distinct values{reasons.get(name, '')}"
                message = f"column `{name}` of {columns.name} {predicate}"
                yield ColumnProblem(message, f"`{name}` {predicate}", _FIX_TEXT)


def _target(
    columns: Columns, data: Data, parameter: str, known: TableSchema | None, problems: Sequence[ColumnProblem]
) -> Target:
    """The target. If it or other columns cannot be used, one error names all of them."""
    if not all(name in columns.values for name in data.targets):
        raise_problems(problems, columns.name, parameter)
    # the first text of each column that was read as missing
    firsts = {name: min(marks, key=lambda mark: mark[1])[0] for name, marks in columns.marks.items() if marks}
    origin = Origin(columns.place, "data.target" if known is None else parameter, firsts)
    raw = {name: columns.values[name] for name in data.targets}
    try:
        target = encode_targets(raw, data.task, origin, known)
    except DataError as error:
        if not problems:
            raise
        short = f"`{', '.join(data.targets)}`: {error.message}"
        problems = [ColumnProblem(error.message, short, error.hint), *problems]
    raise_problems(problems, columns.name, parameter)
    return target


def _table_of_text(target: Target, columns: Columns, data: Data, parameter: str) -> Table:
    text = data.text or ""
    others = tuple(name for name in columns.names if name not in (text, *data.targets))
    if text not in columns.values or text in data.targets:
        names = [name for name in columns.names if name not in data.targets]
        raise no_such_column(text, names, columns.name, parameter=parameter, also=columns.hint)
    notes = [DataNote("texts", f"column '{text}' is read as texts", (text,))]
    if others:
        notes.append(DataNote("left_out", f"the other columns are left out: {quoted(others)}", others))
    if data.task == "auto":
        notes += label_notes(target)
    return Table(
        np.zeros((len(target.y), 0)),
        target.y,
        target.task,
        target.class_names,
        data_notes=(*notes, *columns.notes),
        prose=TextColumn(text, columns.values[text]),
        kinds=columns.kinds,
        formats=columns.formats,
        target_names=target.names,
    )


def _table_of_columns(
    features: Mapping[str, NDArray[Any]], target: Target, columns: Columns, known: TableSchema | None
) -> Table:
    if known is not None:
        order = (*known.feature_names, *(column.name for column in known.text))
        features = {name: features[name] for name in order}
    numeric = {name: values for name, values in features.items() if values.dtype != object}
    text = tuple(TextColumn(name, values) for name, values in features.items() if values.dtype == object)
    x_NF = np.zeros((len(target.y), 0))
    if numeric:
        x_NF = np.stack([values.astype(np.float64) for values in numeric.values()], axis=1)
    notes = [
        DataNote("one_hot", f"column '{column.name}' is text: encoded one-hot", (column.name,))
        for column in text
    ]
    notes += [*gaps(x_NF, tuple(numeric)), *columns.notes]
    if known is None:
        notes += [*near_constant(x_NF, tuple(numeric)), *label_notes(target)]
    else:
        notes += [
            note
            for column, other in zip(text, known.text, strict=True)
            for note in unmatched(column, other, columns)
        ]
    return Table(
        x_NF,
        target.y,
        target.task,
        target.class_names,
        tuple(numeric),
        text,
        tuple(notes),
        kinds=columns.kinds,
        formats=columns.formats,
        target_names=target.names,
    )


def gaps(x_NF: NDArray[np.float64], names: tuple[str, ...]) -> Iterator[DataNote]:
    """The note on columns with missing numbers."""
    missing = tuple(names[column] for column in np.flatnonzero(np.isnan(x_NF).any(axis=0)).tolist())
    if missing:
        message = f"missing numbers in {quoted(missing)} are replaced by the training part's median"
        yield DataNote("imputed", message, missing)


def near_constant(x_NF: NDArray[np.float64], names: tuple[str, ...]) -> Iterator[DataNote]:
    """Notes on columns that vary by no more than the rounding of their numbers."""
    low_F, high_F = np.fmin.reduce(x_NF, axis=0), np.fmax.reduce(x_NF, axis=0)
    size_F = np.maximum(np.abs(low_F), np.abs(high_F))
    with np.errstate(over="ignore"):
        # The deviation of N numbers is at least 1/sqrt(N) of half their range, so no other column can be near-constant.
        is_close_F = (high_F - low_F) * 0.5 < 4 * np.sqrt(len(x_NF)) * np.spacing(size_F)
    for column in np.flatnonzero(is_close_F & (high_F > low_F)).tolist():
        values_N = x_NF[~np.isnan(x_NF[:, column]), column]
        _, _, is_flat = center_and_scale(values_N, (0,), "standard")
        if is_flat:
            message = (
                f"column '{names[column]}' varies by {high_F[column] - low_F[column]:.3g} around "
                f"{low_F[column]:.6g}, no more than the rounding of its numbers: scaling makes it 0"
            )
            yield DataNote("near_constant", message, (names[column],))


def unmatched(column: TextColumn, trained: TextSchema, columns: Columns) -> Iterator[DataNote]:
    """Notes on categories of a validation or test file that the training file lacks, and the other way round."""
    counts = Counter(value for value in column.values.tolist() if value is not None)
    known = set(trained.categories)
    unseen = [(value, n_rows) for value, n_rows in counts.items() if value not in known]
    if unseen:
        first = columns.place(column.values.tolist().index(unseen[0][0]))
        n_rows = sum(n for _, n in unseen)
        shown = ", ".join(f"`{value[:40]}`" for value, _ in unseen[:3]) + (", …" if len(unseen) > 3 else "")
        n_all = sum(counts.values())
        rows = "all rows have" if n_rows == n_all else f"{n_rows} of {n_all} rows have"
        message = (
            f"column '{column.name}' of {columns.name}: {rows} a category that the training data lacks "
            f"({shown}): its inputs are 0 there"
        )
        yield DataNote("unmatched", message, (column.name,), tuple(unseen), first)
    absent = sorted(value for value in trained.categories if value not in counts)
    if absent:
        shown = ", ".join(f"`{value[:40]}`" for value in absent[:3]) + (", …" if len(absent) > 3 else "")
        message = f"no row of {columns.name} has these categories of column '{column.name}': {shown}"
        values = tuple((value, 0) for value in absent)
        yield DataNote("unmatched", message, (column.name,), values, is_detail=True)
