"""Texts that only look like numbers: their forms in words, for notes on columns that are read as text.

number_format.py owns the forms that are read as numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

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
