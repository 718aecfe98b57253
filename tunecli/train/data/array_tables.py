"""From an NPZ file of arrays to a `Table`: its target, and its agreement with the training data. Loads no torch.

Axes: N examples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.arrays import read_npz, read_row_arrays
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import ColumnKind
from tunecli.train.data.role_arrays import ROLES, roles_of_arrays
from tunecli.train.data.table import Table, TableSchema
from tunecli.train.data.target import Origin, encode_array, label_notes, unknown_target

_ARRAY_KINDS: dict[str, ColumnKind] = {"b": "truth", "f": "number", "O": "text"}
"""The kind of a target from an array, by the kind of its dtype."""


def table_of_arrays(
    path: Path, data: Data, parameter: str, known: TableSchema | None, *, needs_target: bool
) -> Table:
    """The table of an NPZ file.

    Args:
        path, data, parameter, known, needs_target: as for `tunecli.train.data.files.read_table`.

    Raises:
        DataError: as `tunecli.train.data.files.read_table`.
    """
    if data.text is not None:
        message = f"{path.name} holds arrays and has no columns"
        raise DataError(message, hint="remove `text`", parameter="data.text")
    if data.series is not None:
        message = f"{path.name} holds arrays, but windows are cut from a table of columns"
        hint = (
            "save the table as csv or parquet, or the windows as an array (N, T, F) with `inputs: sequence`"
        )
        raise DataError(message, hint=hint, parameter="data.series")
    if known is not None and known.text:
        message = f"{path.name} holds arrays, but the training data has columns of text"
        raise DataError(message, hint="save it as csv or parquet", parameter=parameter)
    if isinstance(data.target, list):
        message = f"{path.name} holds arrays: its target is one of them"
        raise DataError(message, hint="write several targets as one array (N, K)", parameter="data.target")
    x, raw_N = read_npz(path, data.target, parameter, data.inputs, needs_target=needs_target or known is None)
    if known and known.shape != x.shape[1:]:
        message = f"{path.name} has examples of shape {x.shape[1:]}, but the training data {known.shape}"
        raise DataError(message, parameter=parameter)
    if known and raw_N is None:
        return table_of_inputs(x, known)
    assert raw_N is not None
    key = parameter if known else "data.target"
    name = data.target or "y"
    if known is not None:
        raw_N = _converted(raw_N, known.kinds.get(name))
    kinds: dict[str, ColumnKind] = {name: _ARRAY_KINDS.get(raw_N.dtype.kind, "number")}
    try:
        origin = Origin(lambda row: f"example {row} of {path.name}", key)
        target = encode_array(raw_N, data.task, origin, known, name)
    except DataError as error:
        if needs_target or known is None:
            raise
        note = DataNote("target_left_out", f"the target '{name}' is not used: {error.message}", (name,))
        return table_of_inputs(x, known, (note,))
    names = tuple(f"x{number}" for number in range(x.shape[1])) if x.ndim == 2 else ()
    arrays = read_row_arrays(path, {*ROLES} - {name}, len(x), parameter)
    roles = roles_of_arrays(arrays, len(x), path.name)
    notes = label_notes(target) if known is None and data.task == "auto" else ()
    if roles.weight is not None:
        text = f"the array `weight` of {path.name} holds the weights of the examples"
        notes = (*notes, DataNote("weights", text, is_detail=True))
    return Table(
        x,
        target.y,
        target.task,
        target.class_names,
        names,
        data_notes=notes,
        kinds=kinds,
        roles=roles,
        target_names=target.names,
    )


def table_of_inputs(x: NDArray[Any], known: TableSchema, notes: tuple[DataNote, ...] = ()) -> Table:
    """The table of an array of inputs without targets."""
    return Table(
        x,
        unknown_target(len(x), known).y,
        known.task,
        known.class_names,
        known.feature_names,
        data_notes=notes,
        n_tokens=known.n_tokens,
        kinds=known.kinds,
        has_target=False,
        target_names=known.target_names,
    )


def _converted(raw_N: NDArray[Any], kind: ColumnKind | None) -> NDArray[Any]:
    """The target as the training file's ``kind``: truth values as numbers, or the numbers 0 and 1 as truth values."""
    if raw_N.dtype == bool and kind == "number":
        return raw_N.astype(np.float64)
    if raw_N.dtype == np.float64 and kind == "truth" and bool(np.isin(raw_N, (0.0, 1.0)).all()):
        return raw_N.astype(bool)
    return raw_N
