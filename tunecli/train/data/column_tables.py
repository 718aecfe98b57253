"""From the typed columns of a file to a `Table`: target, inputs, roles, and the agreement with the training file.

Loads no torch.

Axes: N examples, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.column_notes import gaps, near_constant, unmatched
from tunecli.train.data.columns import (
    ColumnProblem,
    Columns,
    no_such_column,
    quoted,
    raise_problems,
)
from tunecli.train.data.date_inputs import date_inputs
from tunecli.train.data.dates import DateColumn
from tunecli.train.data.notes import DataNote, drop_key
from tunecli.train.data.number_text import ColumnKind
from tunecli.train.data.roles import require_names, row_roles
from tunecli.train.data.series import windowed
from tunecli.train.data.table import MAX_CATEGORIES, MAX_CODES, RowRoles, Table, TableSchema, TextColumn
from tunecli.train.data.target import Origin, Target, encode_targets, label_notes, unknown_target

_MAX_DROPPED = 20  # names that the advice about columns with too many values writes out


def table_of_columns(
    columns: Columns,
    data: Data,
    parameter: str,
    known: TableSchema | None = None,
    *,
    needs_target: bool = True,
) -> Table:
    """The table from columns that a reader has typed. The rows of a time series become windows.

    Args:
        columns: the columns; with ``known``, typed as its columns.
        data, parameter, known, needs_target: as for `tunecli.train.data.files.read_table`.

    Raises:
        DataError: as `tunecli.train.data.files.read_table`.
    """
    table = _table_of_rows(columns, data, parameter, known, needs_target=needs_target)
    if data.series is None:
        return table
    key = "data.series" if known is None else parameter
    return windowed(table, data.series, data.targets, is_future=not needs_target, parameter=key)


def _table_of_rows(
    columns: Columns, data: Data, parameter: str, known: TableSchema | None, *, needs_target: bool
) -> Table:
    """The table with one example for each row; the arguments are those of `table_of_columns`."""
    has_target = bool(data.targets) and all(name in columns.names for name in data.targets)
    if not needs_target and known is not None and (data.series is not None or not has_target):
        return _table_without_target(columns, data, parameter, known)
    if data.target is None:
        names = ", ".join(columns.names[:20])
        hint = f"name one of its columns: {names}"
        raise DataError(f"which column of {columns.name} is the target?", hint=hint, parameter="data.target")
    absent = next((name for name in data.targets if name not in columns.names), None)
    if absent is not None:
        key = "data.target" if known is None else parameter
        raise no_such_column(absent, list(columns.names), columns.name, parameter=key, also=columns.hint)
    if known is None:
        require_names(columns, data.columns, "data.columns")
    if len(columns.names) == len(data.targets) and not data.past_targets:
        message = f"{columns.name} has no column besides the target"
        raise DataError(message, hint=columns.hint, parameter=parameter)
    chosen = _chosen(columns, data, known, needs_target=needs_target)
    problems = [*columns.problems, *_column_problems(chosen.features, data, columns, known)]
    if known is None and data.text is None and not problems and not chosen.features:
        hint = "keep a column that is neither the target nor has a role"
        raise DataError(f"no column of {columns.name} is an input", hint=hint, parameter="data.columns")
    try:
        target = _target(columns, data, parameter, known, problems)
    except DataError as error:
        if needs_target or known is None:
            raise
        word, verb = ("column", "is") if len(data.targets) == 1 else ("columns", "are")
        message = f"the target {word} {quoted(data.targets)} {verb} not used: {error.message}"
        note = DataNote("target_left_out", message, data.targets)
        return _table_without_target(columns, data, parameter, known, (note,))
    key = "data.text" if known is None else parameter
    table = _table_of_any(chosen, target, columns, data, key, known)
    return table if needs_target else _with_notes(table, _left_out(columns, data, known))


def _table_without_target(
    columns: Columns, data: Data, parameter: str, known: TableSchema, notes: Sequence[DataNote] = ()
) -> Table:
    """The table of rows to predict whose targets are unknown: they are 0, and `Table.has_target` is False."""
    chosen = _chosen(columns, data, known, needs_target=False)
    of_targets = tuple(f"`{name}` " for name in data.targets)
    of_features = [problem for problem in columns.problems if not problem.short.startswith(of_targets)]
    problems = [*of_features, *_column_problems(chosen.features, data, columns, known)]
    raise_problems(problems, columns.name, parameter)
    target = unknown_target(len(columns.row_numbers), known)
    table = _table_of_any(chosen, target, columns, data, parameter, known)
    notes = (*notes, *_left_out(columns, data, known))
    return _with_notes(replace(table, has_target=False), notes)


def _left_out(columns: Columns, data: Data, known: TableSchema | None) -> tuple[DataNote, ...]:
    """The note on columns of a file that the training data lacks."""
    if known is None or not data.reads_columns:  # the other columns of a text are named already
        return ()
    trained = {*kinds_of(known), *data.targets, *data.columns.roles, *data.columns.drop}
    others = tuple(name for name in columns.names if name not in trained)
    if not others:
        return ()
    text = f"columns that the training data lacks are left out: {quoted(others)}"
    return (DataNote("left_out", text, others),)


def _with_notes(table: Table, notes: Sequence[DataNote]) -> Table:
    return replace(table, data_notes=(*table.data_notes, *notes)) if notes else table


class _Chosen(NamedTuple):
    """The inputs of a file by name, its columns of dates, and the roles of its rows."""

    features: Mapping[str, NDArray[Any]]
    dates: tuple[DateColumn, ...]
    roles: RowRoles


def _chosen(columns: Columns, data: Data, known: TableSchema | None, *, needs_target: bool) -> _Chosen:
    """Tell the inputs of a file from the other columns. Problems are added to ``columns``."""
    dates_known = None if known is None else {date.name: date for date in known.dates}
    no_inputs = {*data.targets, data.text, *data.columns.roles} - {*data.past_targets}
    features = {name: values for name, values in columns.values.items() if name not in no_inputs}
    features, dates = date_inputs(features, columns, data.columns, dates_known)
    forms = None if dates_known is None else {name: date.form for name, date in dates_known.items()}
    in_series = data.series is not None
    settings = data.columns if needs_target else data.columns.of_new_rows(in_series=in_series)
    roles, time = row_roles(columns, settings, forms)
    unread = tuple(name for name in columns.names if name not in columns.values and name not in no_inputs)
    if known is None and data.reads_columns and (data.columns.drop or data.columns.keep) and unread:
        text = f"columns are left out: {quoted(unread)}"
        columns.notes.append(DataNote("left_out", text, unread, is_detail=True))
    return _Chosen(features, (*dates, *time), roles)


def kinds_of(known: TableSchema) -> dict[str, ColumnKind]:
    """The kinds of the columns of a training table."""
    texts = {column.name for column in known.text}
    kinds: dict[str, ColumnKind] = {
        name: "text" if name in texts else "number" for name in known.input_columns
    }
    return {**kinds, **known.kinds}


def _column_problems(
    features: Mapping[str, NDArray[Any]], data: Data, columns: Columns, known: TableSchema | None
) -> Iterator[ColumnProblem]:
    """Missing columns, and text columns with too many values."""
    if not data.reads_columns:
        return
    if known is not None:
        present = set(columns.names)
        for name in known.input_columns:
            if name not in present:
                message = f"column `{name}` of the training data is missing in {columns.name}"
                yield ColumnProblem(message, f"`{name}` is missing", "add the column to the file")
        return
    reasons = {
        note.columns[0]: f" (the first that is not a number: `{note.values[0][0][:40]}` in {note.place})"
        for note in columns.notes
        if note.kind in ("mostly_numbers", "decimal_commas", "open_decimal_mark")
    }
    counts = {
        name: len(set(values.tolist()) - {None})
        for name, values in features.items()
        if values.dtype == object
    }
    most = MAX_CATEGORIES if data.categories == "one_hot" else MAX_CODES
    large = {name: n_values for name, n_values in counts.items() if n_values > most}
    fix = (
        f"leave {'it' if len(large) == 1 else 'them'} out ({drop_key([*large][:_MAX_DROPPED])}), name it as "
        "`data.columns.id` if it names the rows, read numbers or dates (`data.columns.types`), or read the texts "
        "of one column instead of the others "
        f"(`data.text`); a text column may have at most {most:,} values"
    )
    if data.categories == "one_hot":
        fix += f", or {MAX_CODES:,} with `data.categories: embedding`"
    for name, n_values in large.items():
        predicate = f"is text with {n_values} distinct values{reasons.get(name, '')}"
        yield ColumnProblem(f"column `{name}` of {columns.name} {predicate}", f"`{name}` {predicate}", fix)


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


def _table_of_any(
    chosen: _Chosen,
    target: Target,
    columns: Columns,
    data: Data,
    parameter: str,
    known: TableSchema | None,
) -> Table:
    """The table of a text, of the other columns, or of both."""
    if data.text is None:
        return _table_of_inputs(chosen, target, columns, data, known)
    if data.text not in columns.values or data.text in data.targets:
        names = [name for name in columns.names if name not in data.targets]
        raise no_such_column(data.text, names, columns.name, parameter=parameter, also=columns.hint)
    if not data.text_with_columns:
        return _table_of_text(target, columns, data, data.text, chosen.roles)
    table = _table_of_inputs(chosen, target, columns, data, known)
    note = _note_on_text(data.text)
    prose = TextColumn(data.text, columns.values[data.text])
    return replace(table, prose=prose, data_notes=(note, *table.data_notes))


def _note_on_text(text: str) -> DataNote:
    return DataNote("texts", f"column '{text}' is read as texts", (text,))


def _table_of_text(target: Target, columns: Columns, data: Data, text: str, roles: RowRoles) -> Table:
    used = {text, *data.targets, *data.columns.roles}
    others = tuple(name for name in columns.names if name not in used)
    notes = [_note_on_text(text)]
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
        roles=roles,
    )


def _table_of_inputs(
    chosen: _Chosen, target: Target, columns: Columns, data: Data, known: TableSchema | None
) -> Table:
    features = chosen.features
    if known is not None:
        order = (*known.feature_names, *(column.name for column in known.text))
        features = {name: features[name] for name in order}
    numeric = {name: values for name, values in features.items() if values.dtype != object}
    text = tuple(TextColumn(name, values) for name, values in features.items() if values.dtype == object)
    x_NF = _numbers(numeric, columns)
    encoded = "encoded one-hot" if data.categories == "one_hot" else "its categories become codes"
    notes = [
        DataNote("one_hot", f"column '{column.name}' is text: {encoded}", (column.name,)) for column in text
    ]
    notes += [*gaps(x_NF, tuple(numeric), chosen.dates), *columns.notes]
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
        roles=chosen.roles,
        dates=chosen.dates,
        places=columns.places,
    )


def _numbers(numeric: Mapping[str, NDArray[Any]], columns: Columns) -> NDArray[np.float64]:
    """The columns of numbers as one array (N, F): the block that they were read into, or a copy."""
    if not numeric:
        return np.zeros((len(columns.row_numbers), 0))
    names, block_NF = columns.block or ((), None)
    if block_NF is not None and names == tuple(numeric):
        own = (values for values in numeric.values() if values.dtype == np.float64)
        if all(np.may_share_memory(values, block_NF) for values in own):
            return block_NF
    return np.stack([values.astype(np.float64) for values in numeric.values()], axis=1)
