"""How text is read as a number, as a missing value, or as text.

Owns the grammar of plain numbers and the marks of missing values, and types a whole CSV column by them.
number_format.py owns the other ways to write numbers. Loads only numpy.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.train.data.number_format import (
    PLAIN_FORMAT,
    NumberFormat,
    formats_of,
    is_written_number,
    read_number,
)

ColumnKind = Literal["number", "truth", "text", "empty"]
"""The kinds of columns. An ``empty`` column holds only missing values."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A plain number in a CSV file: ASCII digits with a sign, a point and an exponent. ``float`` accepts much more."""

MISSING = frozenset(
    (
        "",
        "na",
        "n/a",
        "nan",
        "null",
        "none",
        "?",
        "<na>",
        "#n/a",
        "#n/a n/a",
        "#na",
        "-nan",
        "nan(ind)",
        "-nan(ind)",
    )
) | frozenset(("nan(snan)", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "1.#snan", "-1.#snan"))
"""Texts that mean a missing value in any column, in any case: pandas, R, Excel and C libraries write them."""

MISSING_AMONG_NUMBERS = frozenset(
    (
        "-",
        "--",
        "---",
        ".",
        "..",
        "...",
        "\N{EN DASH}",
        "\N{EM DASH}",
        "\N{MINUS SIGN}",
        "n.a.",
        "nat",
        "\\n",
        "(null)",
        "[null]",
        "<null>",
        "*",
        "n/d",
        "n.d.",
        "nd",
        "k.a.",
        "k. a.",
        "n. a.",
        "not available",
        "not applicable",
        "missing",
        "(missing)",
        "(blank)",
        "(none)",
        "unknown",
        "#div/0!",
        "#name?",
        "#null!",
        "#num!",
        "#ref!",
        "#value!",
    )
)
"""Texts that mean a missing value in a column of numbers. In a column of text they are values: ``+`` and ``-`` are
usual names of classes."""

INFINITE = frozenset(
    sign + word for sign in ("", "+", "-") for word in ("inf", "infinity", "1.#inf", "1.#infinity")
)
"""Texts that mean infinity in a column of numbers."""

_SAFE = 2.0**52  # below 2^53, whatever the last digits of a text round to
_NUMBER_CHARACTERS = re.compile("[0-9.eE+-]*")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on"), 1.0),
    **dict.fromkeys(("false", "f", "no", "n", "off"), 0.0),
}
"""Texts that are truth values in a column of truth values, in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldColumn:
    """The fields of one column, typed.

    Attributes:
        kind: the column's kind.
        values: (N,) float64 (NaN if missing); object (str, or None if missing); or bool, for truth values without
            missing ones.
        marks: the texts that were read as missing, in the order of their first rows: text, first row, number of rows.
        misfit_row: the first row whose text does not fit the requested kind; None if all rows fit.
        n_numbers: number of values that are numbers.
        n_values: number of values that are not missing.
        odd_row: in a column of text, the row of the first value that makes it text; None if there is none, or if the
            values are numbers with two readings.
        has_decimal_commas: whether every value of a text column is a number with a decimal comma.
        may_be_large: False if every number is certainly below 2^53.
        readings: the formats in which all values are numbers, if not all are plain. Two if the decimal mark is open:
            ``kind`` is ``number`` if both give the same numbers, and ``text`` otherwise.
    """

    kind: ColumnKind
    values: NDArray[Any]
    marks: tuple[tuple[str, int, int], ...] = ()
    misfit_row: int | None = None
    n_numbers: int = 0
    n_values: int = 0
    odd_row: int | None = None
    has_decimal_commas: bool = False
    may_be_large: bool = True
    readings: tuple[NumberFormat, ...] = ()


def read_fields(
    fields: Sequence[str], kind: ColumnKind | None = None, how: NumberFormat | None = None
) -> FieldColumn:
    """Type a column.

    Args:
        fields: one for each row; blanks around them are ignored.
        kind: the kind of the training file's column; None: the values decide. A column holds numbers if at least one
            value is a number and all others are numbers, missing or infinite.
        how: the format of the training file's numbers; None: the values decide.

    Example:
        >>> read_fields(["1", "NA", "2.5"]).values.tolist()
        [1.0, nan, 2.5]
        >>> read_fields(["1.000,5 €", "NA", "12 €"]).values.tolist()
        [1000.5, nan, 12.0]
    """
    if may_be_plain(kind, how):
        plain = plain_values(fields)
        if plain is not None:
            return plain_column(plain)
    fields = [*map(str.strip, fields)]
    if kind == "empty":
        return FieldColumn(kind, np.full(len(fields), math.nan))
    counts = Counter(fields)
    numbers = {text: float(text) for text in counts if NUMBER.fullmatch(text)}
    missing = {text for text in counts if text.lower() in MISSING}
    readings: tuple[NumberFormat, ...] = () if how is None else (how,)
    if kind is None or (kind == "number" and how is None):
        plain_kind = _kind_of(counts, numbers, missing)
        if plain_kind == "text":
            readings = formats_of(text for text in counts if not _is_special(text, missing))
        is_open = len({_values_in(reading, counts) for reading in readings}) > 1
        if kind is None or is_open:
            kind = "number" if readings and not is_open else plain_kind
    if kind == "text":
        return _texts(fields, counts, numbers, missing, readings)
    missing |= {text for text in counts if text.lower() in MISSING_AMONG_NUMBERS}
    if kind == "truth":
        value_of = {text: number for text, number in numbers.items() if number in (0.0, 1.0)}
        value_of |= {text: _TRUTHS[text.lower()] for text in counts if text.lower() in _TRUTHS}
    else:
        if readings and readings[0] != PLAIN_FORMAT:
            others = (text for text in counts if text not in missing)
            numbers = {
                text: number for text in others if (number := read_number(text, readings[0])) is not None
            }
        value_of = numbers | {text: math.inf for text in counts if text.lower() in INFINITE}
    misfit = next((text for text in counts if text not in value_of and text not in missing), None)
    values = np.fromiter(map(value_of.get, fields, repeat(math.nan)), np.float64, len(fields))
    n_missing = sum(counts[text] for text in missing)
    is_whole_truth = kind == "truth" and not np.isnan(values).any()
    return FieldColumn(
        kind,
        values.astype(bool) if is_whole_truth else values,
        _marks(fields, counts, missing),
        misfit_row=None if misfit is None else fields.index(misfit),
        n_numbers=sum(counts[text] for text in numbers),
        n_values=len(fields) - n_missing,
        readings=readings if kind == "number" else (),
    )


def is_plain_field(field: str) -> bool:
    """Whether a field may be a plain number, or is empty; faster than `plain_values`, which decides."""
    return _NUMBER_CHARACTERS.fullmatch(field) is not None


def may_be_plain(kind: ColumnKind | None, how: NumberFormat | None) -> bool:
    """Whether a column of this kind and format may hold plain numbers."""
    return (kind is None or kind == "number") and (how is None or how == PLAIN_FORMAT)


def _is_special(text: str, missing: set[str]) -> bool:
    """Whether a text is missing or infinite in a column of numbers."""
    return text in missing or text.lower() in MISSING_AMONG_NUMBERS or text.lower() in INFINITE


def _values_in(how: NumberFormat, texts: Iterable[str]) -> tuple[float | None, ...]:
    return tuple(read_number(text, how) for text in texts)


def plain_values(fields: Sequence[str]) -> NDArray[np.float64] | None:
    """The values (N,) of a column of plain numbers and empty fields, which are NaN; None if it holds anything else.

    Of the texts made of `_NUMBER_CHARACTERS`, ``float`` accepts exactly those that `NUMBER` matches.
    """
    joined = "".join(fields)
    if _NUMBER_CHARACTERS.fullmatch(joined) is None:
        return None
    try:
        if "" in fields:
            numbers = [float(field) if field else math.nan for field in fields]
            return np.fromiter(numbers, np.float64, len(fields))
        return np.fromiter(map(float, fields), np.float64, len(fields))
    except ValueError:
        return None


def plain_column(values: NDArray[np.float64]) -> FieldColumn:
    """The column of these `plain_values`, typed."""
    largest = float(np.maximum.reduce(np.abs(values)))  # NaN if one is missing
    marks: tuple[tuple[str, int, int], ...] = ()
    n_numbers = len(values)
    if math.isnan(largest):
        is_missing_N = np.isnan(values)
        marks = (("", int(is_missing_N.argmax()), int(np.count_nonzero(is_missing_N))),)
        n_numbers -= marks[0][2]
        largest = float(np.fmax.reduce(np.abs(values)))
    return FieldColumn(
        "number" if n_numbers else "empty",
        values,
        marks,
        n_numbers=n_numbers,
        n_values=n_numbers,
        may_be_large=largest >= _SAFE,
    )


def _kind_of(counts: Counter[str], numbers: dict[str, float], missing: set[str]) -> ColumnKind:
    others = [text for text in counts if text not in numbers and text not in missing]
    if not numbers:
        return "text" if others else "empty"
    are_special = all(text.lower() in MISSING_AMONG_NUMBERS or text.lower() in INFINITE for text in others)
    return "number" if are_special else "text"


def _texts(
    fields: Sequence[str],
    counts: Counter[str],
    plain: dict[str, float],
    missing: set[str],
    readings: tuple[NumberFormat, ...],
) -> FieldColumn:
    values = np.empty(len(fields), dtype=object)
    values[:] = [None if field in missing else field for field in fields] if missing else fields
    present = [text for text in counts if text not in missing]
    numbers = {text for text in present if text in plain or is_written_number(text)}
    odds = [text for text in present if text not in numbers]
    # A dash alone would mean a missing number, so a value of another kind explains better why the column is text.
    odds = odds or [text for text in present if text not in plain]
    odd = next(
        (text for text in odds if text.lower() not in MISSING_AMONG_NUMBERS), odds[0] if odds else None
    )
    return FieldColumn(
        "text",
        values,
        _marks(fields, counts, missing),
        n_numbers=sum(counts[text] for text in numbers),
        n_values=sum(counts[text] for text in present),
        odd_row=None if odd is None or readings else fields.index(odd),
        has_decimal_commas=odd is not None and not readings and all(map(_is_decimal, present)),
        readings=readings,
    )


def _is_decimal(text: str) -> bool:
    """Whether a text may belong to a column of decimal commas, which also holds whole numbers: ``0``, ``0,5``."""
    return DECIMAL_COMMA.fullmatch(text) is not None or NUMBER.fullmatch(text) is not None


def _marks(
    fields: Sequence[str], counts: Counter[str], missing: set[str]
) -> tuple[tuple[str, int, int], ...]:
    """The missing texts with first row and number of rows, in the order of ``counts``, that of first appearance."""
    return tuple((text, fields.index(text), counts[text]) for text in counts if text in missing)
