"""How text is read as a number, as a missing value, or as text; and which texts only look like numbers.

Owns the grammar of numbers and the marks of missing values, and types a whole CSV column by them. Loads only numpy.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ColumnKind = Literal["number", "truth", "text", "empty"]
"""The kinds of columns. An ``empty`` column holds only missing values."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A number in a CSV file: ASCII digits with a sign, a point and an exponent. ``float`` accepts much more."""

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
    )
)
"""Texts that mean a missing value in a column of numbers. In a column of text they are values: ``+`` and ``-`` are
usual names of classes."""

INFINITE = frozenset(
    sign + word for sign in ("", "+", "-") for word in ("inf", "infinity", "1.#inf", "1.#infinity")
)
"""Texts that mean infinity in a column of numbers."""

_N_SAFE_DIGITS = 16  # 2^53 has 16 digits; a number with fewer, without an exponent, is smaller
_NUMBER_CHARACTERS = "0123456789+-.eE"
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_TRUTHS = {"true": 1.0, "false": 0.0}


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
        odd_row: in a column of text, the row of the first value that makes it text; None otherwise.
        has_decimal_commas: whether every value of a text column is a number with a decimal comma.
        may_be_large: False if every number is certainly below 2^53.
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


def read_fields(fields: Sequence[str], kind: ColumnKind | None = None) -> FieldColumn:
    """Type a column.

    Args:
        fields: one for each row; blanks around them are ignored.
        kind: the kind of the training file's column; None: the values decide. A column holds numbers if at least one
            value is a number and all others are numbers, missing or infinite.

    Example:
        >>> read_fields(["1", "NA", "2.5"]).values.tolist()
        [1.0, nan, 2.5]
    """
    if kind is None or kind == "number":
        plain = _plain_numbers(fields)
        if plain is not None:
            return plain
    fields = [field.strip() for field in fields]
    if kind == "empty":
        return FieldColumn(kind, np.full(len(fields), math.nan))
    counts = Counter(fields)
    numbers = {text: float(text) for text in counts if NUMBER.fullmatch(text)}
    missing = {text for text in counts if text.lower() in MISSING}
    if kind is None:
        kind = _kind_of(counts, numbers, missing)
    if kind == "text":
        return _texts(fields, counts, numbers, missing)
    missing |= {text for text in counts if text.lower() in MISSING_AMONG_NUMBERS}
    if kind == "truth":
        value_of = {text: number for text, number in numbers.items() if number in (0.0, 1.0)}
        value_of |= {text: _TRUTHS[text.lower()] for text in counts if text.lower() in _TRUTHS}
    else:
        value_of = numbers | {text: math.inf for text in counts if text.lower() in INFINITE}
    misfit = next((text for text in counts if text not in value_of and text not in missing), None)
    values = np.array([value_of.get(field, math.nan) for field in fields], dtype=np.float64)
    n_missing = sum(counts[text] for text in missing)
    is_whole_truth = kind == "truth" and not np.isnan(values).any()
    return FieldColumn(
        kind,
        values.astype(bool) if is_whole_truth else values,
        _marks(fields, counts, missing),
        misfit_row=None if misfit is None else fields.index(misfit),
        n_numbers=sum(counts[text] for text in numbers),
        n_values=len(fields) - n_missing,
    )


def _plain_numbers(fields: Sequence[str]) -> FieldColumn | None:
    """A fast path for a column of only numbers and empty fields; None if the column holds anything else.

    Of the texts made of `_NUMBER_CHARACTERS`, ``float`` accepts exactly those that `NUMBER` matches.
    """
    joined = "".join(fields)
    if joined.strip(_NUMBER_CHARACTERS):
        return None
    n_missing = fields.count("")
    try:
        if n_missing:
            values = np.array([float(field) if field else math.nan for field in fields])
        else:
            values = np.array(list(map(float, fields)))
    except ValueError:
        return None
    n_numbers = len(fields) - n_missing
    return FieldColumn(
        "number" if n_numbers else "empty",
        values,
        (("", fields.index(""), n_missing),) if n_missing else (),
        n_numbers=n_numbers,
        n_values=n_numbers,
        may_be_large=max(map(len, fields)) >= _N_SAFE_DIGITS or "e" in joined or "E" in joined,
    )


def _kind_of(counts: Counter[str], numbers: dict[str, float], missing: set[str]) -> ColumnKind:
    others = [text for text in counts if text not in numbers and text not in missing]
    if not numbers:
        return "text" if others else "empty"
    are_special = all(text.lower() in MISSING_AMONG_NUMBERS or text.lower() in INFINITE for text in others)
    return "number" if are_special else "text"


def _texts(
    fields: Sequence[str], counts: Counter[str], numbers: dict[str, float], missing: set[str]
) -> FieldColumn:
    values = np.empty(len(fields), dtype=object)
    values[:] = [None if field in missing else field for field in fields]
    present = [text for text in counts if text not in missing]
    odds = [text for text in present if text not in numbers]
    # A dash alone would mean a missing number, so a value of another kind explains better why the column is text.
    odd = next(
        (text for text in odds if text.lower() not in MISSING_AMONG_NUMBERS), odds[0] if odds else None
    )
    return FieldColumn(
        "text",
        values,
        _marks(fields, counts, missing),
        n_numbers=sum(counts[text] for text in numbers),
        n_values=sum(counts[text] for text in present),
        odd_row=None if odd is None else fields.index(odd),
        has_decimal_commas=bool(present) and all(_is_decimal(text) for text in present) and odd is not None,
    )


def _is_decimal(text: str) -> bool:
    """Whether a text may belong to a column of decimal commas, which also holds whole numbers: ``0``, ``0,5``."""
    return DECIMAL_COMMA.fullmatch(text) is not None or NUMBER.fullmatch(text) is not None


def _marks(
    fields: Sequence[str], counts: Counter[str], missing: set[str]
) -> tuple[tuple[str, int, int], ...]:
    """The missing texts with first row and number of rows, in the order of ``counts``, that of first appearance."""
    return tuple((text, fields.index(text), counts[text]) for text in counts if text in missing)


PLAIN = "plain"
"""The form of a number that readers accept: sign, digits, point, exponent."""

_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[-+]?(\d{1,3}([. '\u00a0\u202f]\d{3})+|\d+),\d+", re.ASCII)
_THOUSANDS = re.compile(
    r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?|[-+]?\d{1,3}([ '\u00a0\u202f]\d{3})+(\.\d+)?", re.ASCII
)
_POINT_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3}){2,}", re.ASCII)
_CURRENCY = re.compile(
    r"(?P<sign>[-+]?)\s?([$€£¥₹]|EUR|USD|GBP|CHF)\s?(?P<first>.+)|(?P<last>.+?)\s?([$€£¥₹]|EUR|USD|GBP|CHF)"
)
_PERCENT = re.compile(r"(?P<number>.+?)\s?[%‰]")
_BOUND = re.compile(r"(<=|>=|[<>~≈≤≥])\s?(?P<number>.+)")
_NEGATIVE = re.compile(r"\((?P<number>.+)\)")
_UNIT = re.compile(r"(?P<number>[-+]?[\d.,]+)\s?(?P<unit>[A-Za-z°µ²³/]{1,6})", re.ASCII)
_QUOTES = "\"'`“”‘’«» \u00a0"
_MOST = 0.9
_MOST_ROWS = 0.8


def form_of(text: str) -> str | None:
    """The form of the number in a text: `PLAIN`, or a form in words; None if the text is no number."""
    if _PLAIN.fullmatch(text):
        return PLAIN
    if _THOUSANDS.fullmatch(text):
        return "a separator of thousands"
    if _DECIMAL_COMMA.fullmatch(text):
        return "a decimal comma"
    if _POINT_THOUSANDS.fullmatch(text):
        return "a separator of thousands"
    for pattern, words in ((_PERCENT, "a percent sign"), (_BOUND, "a bound"), (_NEGATIVE, "brackets")):
        match = pattern.fullmatch(text)
        if match and form_of(match["number"].strip()):
            return words
    match = _CURRENCY.fullmatch(text)
    if match and form_of((match["first"] or match["last"]).strip()):
        return "a currency"
    bare = text.strip(_QUOTES)
    if bare != text and form_of(bare):
        return "quotes or blanks around them"
    folded = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    folded = "".join(str(unicodedata.decimal(character, character)) for character in folded)
    return "digits or signs of another script" if folded != text and _PLAIN.fullmatch(folded) else None


def written_numbers(counts: Mapping[str, int]) -> tuple[str, str] | None:
    """The form of texts that are numbers, but not in a form that readers accept.

    Args:
        counts: each distinct text, with the number of its occurrences.

    Returns:
        The most frequent form in words, and the first text that has it; None if fewer than 90 % of the distinct texts
        are numbers, or if all of them are plain.
    """
    forms = {text: form for text in counts if (form := form_of(text) or _unit_form(text))}
    odd = {text: form for text, form in forms.items() if form != PLAIN}
    units = {form for form in odd.values() if form.startswith("the unit")}
    if not odd or len(forms) < _MOST * len(counts) or len(counts) < 2 or len(units) > 1:
        return None
    if units and len(odd) < _MOST * len(
        counts
    ):  # codes such as 1a next to 2: a real unit follows most numbers
        return None
    form = Counter(odd.values()).most_common(1)[0][0]
    return form, next(text for text, text_form in odd.items() if text_form == form)


def stray_texts(counts: Mapping[str, int]) -> dict[str, int]:
    """The few texts that make a column of numbers a column of text, with the number of their occurrences.

    Returns:
        Empty if fewer than 80 % of the values are plain numbers, or if all are.
    """
    strays = {text: n for text, n in counts.items() if form_of(text) != PLAIN}
    n_all, n_strays = sum(counts.values()), sum(strays.values())
    has_numbers = len(counts) - len(strays) >= 3
    return strays if strays and has_numbers and n_strays <= (1 - _MOST_ROWS) * n_all else {}


def _unit_form(text: str) -> str | None:
    match = _UNIT.fullmatch(text)
    return f"the unit {match['unit']}" if match and form_of(match["number"]) else None
