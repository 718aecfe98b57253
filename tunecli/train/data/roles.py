"""The columns of a file that are no inputs: names, weights, groups, parts and times of its rows.

Axes: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.columns import DATES, ColumnSettings
from tunecli.config.suggestions import nearest
from tunecli.errors import DataError
from tunecli.train.data.columns import Columns, names_shown
from tunecli.train.data.date_inputs import fix_dates, form_of, read_dates
from tunecli.train.data.dates import DateColumn, DateForm
from tunecli.train.data.table import RowRoles

PARTS = ("train", "validation", "test")
_PART_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def require_names(columns: Columns, settings: ColumnSettings, parameter: str) -> None:
    """Check that a training file has every column that the configuration names.

    Raises:
        DataError: it lacks some; the message lists all of them, with the most similar names.
    """
    absent = {name: key for key, name in reversed([*settings.named]) if name not in columns.names}
    if not absent:
        return
    has_one_key = len({*absent.values()}) == 1
    shown = " and ".join(
        f"`{name}`" if has_one_key else f"`{name}` (`{key}`)" for name, key in sorted(absent.items())
    )
    near = [nearest(name, list(columns.names)) for name in sorted(absent)]
    hints = (*near, f"the columns are {names_shown(columns.names)}", columns.hint)
    message = f"{columns.name} has no {'column' if len(absent) == 1 else 'columns'} {shown}"
    where = f"{parameter}.{next(iter(absent.values()))}" if has_one_key else parameter
    raise DataError(message, hint="; ".join(hint for hint in hints if hint), parameter=where)


def row_roles(
    columns: Columns, settings: ColumnSettings, known: Mapping[str, DateForm] | None = None
) -> tuple[RowRoles, tuple[DateColumn, ...]]:
    """Read the roles of a file's rows. Problems are added to ``columns``.

    Args:
        columns: the file's columns. Columns that it lacks give no role: a file of new rows need not have them.
        settings: the configuration.
        known: for another file than the training file, the forms of the training file's dates.

    Returns:
        The roles; and how the column of times is written, if it holds dates.
    """
    roles, dates = RowRoles(), tuple[DateColumn, ...]()
    names = [name for name in settings.ids if name in columns.values]
    if names:
        texts = [["" if text is None else text for text in columns.values[name].tolist()] for name in names]
        roles = replace(roles, id=_objects([" ".join(row) for row in zip(*texts, strict=True)]))
    if settings.weight in columns.values:
        roles = replace(roles, weight=_weights(columns, settings.weight))
    if settings.group in columns.values:
        values_N = columns.values[settings.group]
        _require_all(columns, settings.group, values_N, "group")
        roles = replace(roles, group=values_N)
    if settings.split in columns.values:
        roles = replace(roles, part=_parts(columns, settings.split))
    if settings.time in columns.values:
        time_N, dates = _times(columns, settings.time, settings, known)
        roles = replace(roles, time=time_N)
    return roles, dates


def _weights(columns: Columns, name: str) -> NDArray[np.float64]:
    weight_N: NDArray[np.float64] = columns.values[name].astype(np.float64)
    _require_all(columns, name, weight_N, "weight")
    if (weight_N < 0).any():
        row = int((weight_N < 0).argmax())
        predicate = f"is the weight, but holds {weight_N[row]:g}"
        columns.add_problem(name, predicate, "weights must be at least 0", row)
    elif not weight_N.any():
        columns.add_problem(name, "is the weight, but is 0 in every row", "weights must not all be 0")
    return weight_N


def _parts(columns: Columns, name: str) -> NDArray[np.object_]:
    values_N = columns.values[name]
    _require_all(columns, name, values_N, "part")
    part_N = _objects([_PART_OF_WORD.get((value or "").strip().lower(), "") for value in values_N.tolist()])
    is_unknown_N = np.array(
        [not part and value is not None for part, value in zip(part_N, values_N, strict=True)]
    )
    if is_unknown_N.any():
        row = int(is_unknown_N.argmax())
        predicate = f"holds `{str(values_N[row])[:40]}`, which is none of train, validation and test,"
        columns.add_problem(name, predicate, "write `train`, `validation` or `test` in each row", row)
    return part_N


def _times(
    columns: Columns, name: str, settings: ColumnSettings, known: Mapping[str, DateForm] | None
) -> tuple[NDArray[np.float64], tuple[DateColumn, ...]]:
    values_N = columns.values[name]
    form: DateForm | None
    is_number = values_N.dtype != object
    _require_all(columns, name, values_N, "time")
    if known is not None:
        form = known.get(name)
    elif is_number and settings.types.get(name) not in DATES:
        form = None
    else:
        form = form_of(columns, name, settings).form
    if form is None:
        if not is_number:
            columns.add_problem(name, "is the time, but holds neither numbers nor dates", fix_dates(name))
            return np.zeros(len(values_N)), ()
        return values_N.astype(np.float64), ()
    return read_dates(columns, name, form, may_be_empty=False), (DateColumn(name, form),)


def _require_all(columns: Columns, name: str, values_N: NDArray[np.generic], word: str) -> None:
    """Record a problem if a row has no value."""
    if values_N.dtype == object:
        is_missing_N = np.array([value is None for value in values_N.tolist()], dtype=bool)
    else:
        is_missing_N = np.isnan(values_N.astype(np.float64))
    if is_missing_N.any():
        predicate, fix = f"is the {word} of a row, but is empty", f"write the {word} of each row"
        columns.add_problem(name, predicate, fix, int(is_missing_N.argmax()))


def _objects(values: list[str]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
