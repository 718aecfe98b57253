"""Columns of dates as inputs: each becomes numbers, the same ones for every file of a study.

Texts that are clearly dates are read as dates without being asked; a date that could mean two days is not.

Axes: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.columns import DATES, ColumnSettings
from tunecli.train.data.columns import Columns
from tunecli.train.data.dates import (
    EXAMPLES,
    DateColumn,
    DateForm,
    Recognised,
    parts_of,
    recognise,
    seconds_of,
    varying,
)
from tunecli.train.data.notes import DataNote, short, type_key

_WORDS = {"days": "days since 1970"}
_Features = dict[str, NDArray[Any]]


def fix_dates(name: str) -> str:
    """How to write a column of dates so that it is read."""
    return f"write dates as 2024-01-31, or set {type_key(name, 'dmy')} (or `mdy`) for 31/01/2024"


def date_inputs(
    features: Mapping[str, NDArray[Any]],
    columns: Columns,
    settings: ColumnSettings,
    known: Mapping[str, DateColumn] | None,
) -> tuple[_Features, tuple[DateColumn, ...]]:
    """Replace each column of dates by its inputs. Notes and problems are added to ``columns``.

    Args:
        features: the columns that are inputs, in the order of the file.
        columns: the file's columns.
        settings: the configuration.
        known: for another file than the training file, the training file's columns of dates.

    Returns:
        The inputs, and how each column of dates is read.
    """
    inputs: _Features = {}
    dates: list[DateColumn] = []
    for name, values_N in features.items():
        date = known.get(name) if known is not None else _recognised(columns, name, values_N, settings)
        if date is None:
            inputs[name] = values_N
            continue
        parts = parts_of(read_dates(columns, name, date.form))
        if known is None:
            date = replace(date, parts=tuple(varying(parts)))
            _add_note(columns, date)
            for twin in set(date.inputs) & set(columns.names):
                columns.add_problem(
                    twin, f"has the name of an input of the dates `{name}`", "rename one of them"
                )
        inputs |= {input_name: parts[part] for input_name, part in zip(date.inputs, date.parts, strict=True)}
        dates.append(date)
    return inputs, tuple(dates)


def _recognised(
    columns: Columns, name: str, values_N: NDArray[Any], settings: ColumnSettings
) -> DateColumn | None:
    """How a training file's column of dates is written; None if it is not read as dates."""
    is_wanted = settings.types.get(name) in DATES
    if name in settings.types and not is_wanted:
        return None
    recognised = form_of(columns, name, settings)
    if recognised.form is not None:
        return DateColumn(name, recognised.form)
    if is_wanted:
        what = "holds dates whose day and month look alike" if recognised.is_ambiguous else "holds no dates"
        columns.add_problem(name, f"{what}, but `data.columns.types` reads dates", fix_dates(name))
    elif recognised.is_ambiguous:
        example = next(value for value in values_N.tolist() if value is not None)
        text = (
            f"column '{short(name)}' may hold dates, but `{short(example)}` does not show which number is the day: "
            f"{type_key(name, 'dmy')} (or `mdy`) says it"
        )
        columns.notes.append(DataNote("ambiguous_dates", text, (name,)))
    return None


def form_of(columns: Columns, name: str, settings: ColumnSettings) -> Recognised:
    """The form of a training file's column of dates."""
    wanted = settings.types.get(name)
    if wanted == "dmy" or wanted == "mdy":
        return Recognised(wanted)
    return recognise(columns.values[name], is_wanted=wanted == "datetime")


def read_dates(
    columns: Columns, name: str, form: DateForm, *, may_be_empty: bool = True
) -> NDArray[np.float64]:
    """Seconds since 1970 (N,) of a column of dates. A text that is no date becomes a problem of the column."""
    seconds_N, misfit = seconds_of(columns.values[name], form)
    if misfit is not None:
        example = EXAMPLES[form]
        predicate = f"holds `{str(columns.values[name][misfit])[:40]}`, which is not a date like {example},"
        fix = f"write dates like {example}" + (", or leave the field empty" if may_be_empty else "")
        columns.add_problem(name, predicate, fix, misfit)
    return seconds_N


def _add_note(columns: Columns, date: DateColumn) -> None:
    words = [_WORDS.get(part, part) for part in date.parts]
    listed = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    text = f"column '{short(date.name)}' holds dates: its inputs are {listed}"
    columns.notes.append(DataNote("dates", text, (date.name,)))
