"""Numbers as people write them: separators of thousands, decimal commas, currencies, percent signs, brackets.

Owns the formats, how a format is found from all values of a column, and how one text is read in a format. Knows neither
files nor columns. Loads no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

_BLANKS = " \u00a0\u2009\u202f"  # a space; no-break, thin, and narrow no-break space
_MINUS = "-\u2212"
_CURRENCIES = (
    *("US$", "CA$", "AU$", "NZ$", "HK$", "R$", "A$", "C$", "S$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺", "₴"),
    *(
        "₪",
        "₫",
        "฿",
        "₦",
        "₱",
        "zł",
        "Kč",
        "kr.",
        "kr",
        "Ft",
        "Fr.",
        "Fr",
        "lei",
        "лв",
        "руб.",
        "руб",
        "Rs.",
        "Rs",
    ),
    *(
        "EUR",
        "USD",
        "GBP",
        "CHF",
        "JPY",
        "CNY",
        "INR",
        "RUB",
        "SEK",
        "NOK",
        "DKK",
        "ISK",
        "PLN",
        "CZK",
        "HUF",
    ),
    *(
        "RON",
        "BGN",
        "TRY",
        "UAH",
        "ILS",
        "CAD",
        "AUD",
        "NZD",
        "MXN",
        "BRL",
        "ZAR",
        "KRW",
        "SGD",
        "HKD",
        "THB",
    ),
)
_CURRENCY = "(?i:" + "|".join(map(re.escape, _CURRENCIES)) + ")"
_SHARES = ("%", "‰")
_LONGEST = 100  # characters of a number, so that long texts cost no time
_WRITTEN = re.compile(
    rf"""
    (?P<sign>[-+\u2212])? [{_BLANKS}]? (?P<before>{_CURRENCY})? [{_BLANKS}]? (?P<inner>[-+\u2212])?
    (?P<body>(?:[0-9]|[.,](?=[0-9]))[0-9.,'’{_BLANKS}]*(?:[eE][-+]?[0-9]+)?)
    (?:[.,][-–—]{{1,2}})?                       # `12,-`: no cents
    [{_BLANKS}]? (?P<after>{_CURRENCY}|%|‰)? (?P<last>(?<![.,])[-\u2212])?
    """,
    re.VERBOSE,
)
_BRACKETS = re.compile(r"(?P<before>[^()0-9]*)\((?P<inside>[^()]*)\)(?P<after>[^()0-9]*)")
_PLAIN = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_GROUPS = {",": ",", ".": r"\.", "'": "['’]", " ": f"[{_BLANKS}]"}
"""By the separator of thousands, the pattern of one."""

_SAME_CURRENCY = {"eur": "€", "gbp": "£", "inr": "₹", "rs": "₹"}


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the numbers of a column are written. The default is the plain form: ``-1234.5e3``.

    Attributes:
        decimal: the decimal mark, ``.`` or ``,``.
        thousands: the mark between groups of three digits: ``,`` or ``.``; ``'`` for apostrophes; a space for blanks
            of any kind; empty if there is none.
        unit: the currency, or the sign of percent or per mille; empty if there is none.
        example: a value of the training file.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    example: str = ""

    @property
    def in_words(self) -> str:
        """What sets the format apart from the plain form: ``decimal comma, without the currency``; may be empty."""
        parts = ["decimal comma"] if self.decimal == "," else []
        if self.thousands:
            names = {",": "commas", ".": "points", "'": "apostrophes", " ": "blanks"}
            parts.append(f"{names[self.thousands]} between thousands")
        if self.unit in _SHARES:
            parts.append(f"12{self.unit} is 12")
        elif self.unit:
            parts.append("without the currency")
        return ", ".join(parts)


PLAIN_FORMAT = NumberFormat()


@dataclass(frozen=True, slots=True)
class _Parts:
    """A text taken apart: the digits with their marks, and what stands around them."""

    body: str
    unit: str = ""
    is_negative: bool = False
    is_bracketed: bool = False
    is_minus_last: bool = False


def is_written_number(text: str) -> bool:
    """Whether a text is a number in any format."""
    parts = _parts(text)
    return parts is not None and bool(_marks_of(parts.body))


def formats_of(texts: Iterable[str]) -> tuple[NumberFormat, ...]:
    """The formats in which all texts of a column are numbers.

    Args:
        texts: the values of a column without missing ones.

    Returns:
        Empty if there is no such format. Two, one with a decimal point and one with a decimal comma, if both are
        possible; they may read different numbers.

    Example:
        >>> [found.decimal for found in formats_of(["1.234,50 €", "12 €"])]
        [',']
        >>> [found.decimal for found in formats_of(["1,234", "5,678"])]
        ['.', ',']
    """
    bodies: list[str] = []
    units: dict[str, int] = {}
    n_alone = n_bracketed = n_last = 0
    example = ""
    for text in texts:
        parts = _parts(text)
        if parts is None:
            return ()
        bodies.append(parts.body)
        units[parts.unit] = units.get(parts.unit, 0) + 1
        n_bracketed += parts.is_bracketed
        n_last += parts.is_minus_last
        n_alone += not (parts.is_bracketed or parts.is_minus_last)
        if _n_marks(text) > _n_marks(example):
            example = text
    present = [unit for unit in units if unit]
    # Whole numbers that are all in brackets may number something, and `12` beside `12%` may be a fraction.
    is_numbering = not n_alone and not present and all(map(str.isdigit, bodies))
    is_doubtful = is_numbering or len(present) > 1 or (set(present) & {*_SHARES} and "" in units)
    if not bodies or is_doubtful:
        return ()
    unit = present[0] if present else ""
    marks = [pair for pair in _MARKS if all(map(_body_pattern(*pair).fullmatch, bodies))]
    if not unit and not n_bracketed and not n_last and all(map(_PLAIN.fullmatch, bodies)):
        marks = [
            (".", "")
        ]  # only signs of minus are unusual: a point is a decimal point, as in a plain column
    found: dict[str, NumberFormat] = {}
    for decimal, thousands in marks:  # the first of a decimal mark has no separator of thousands
        found.setdefault(decimal, NumberFormat(decimal, thousands, unit, example))
    return tuple(found.values())


def read_number(text: str, how: NumberFormat) -> float | None:
    """The number in a text; None if it is none in this format.

    A separator of thousands that the format lacks is read too where only the format's decimal mark makes sense of the
    text: few columns write their largest number in the training file.

    Example:
        >>> read_number("(1.234,50 €)", NumberFormat(",", ".", "€"))
        -1234.5
    """
    parts = _parts(text)
    if parts is None or (parts.unit != how.unit and (parts.unit or how.unit in _SHARES)):
        return None
    thousands = how.thousands
    if not _body_pattern(how.decimal, thousands).fullmatch(parts.body):
        marks = _marks_of(parts.body)
        if {decimal for decimal, _ in marks} != {how.decimal}:
            return None
        thousands = marks[0][1]
    body = re.sub(_GROUPS[thousands], "", parts.body) if thousands else parts.body
    number = float(body.replace(",", "."))
    return -number if parts.is_negative else number


def has_decimals(text: str, how: NumberFormat) -> bool:
    """Whether a text can only be read with the format's decimal mark, and so tells which mark its file uses."""
    parts = _parts(text)
    return parts is not None and {decimal for decimal, _ in _marks_of(parts.body)} == {how.decimal}


def _n_marks(text: str) -> int:
    return sum(not character.isdigit() for character in text)


_MARKS = ((".", ""), (".", ","), (".", "'"), (".", " "), (",", ""), (",", "."), (",", "'"), (",", " "))
"""Pairs of decimal mark and separator of thousands."""


def _marks_of(body: str) -> list[tuple[str, str]]:
    return [pair for pair in _MARKS if _body_pattern(*pair).fullmatch(body)]


@cache
def _body_pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    """The pattern of digits with their marks. A group of thousands has three digits; the first is no zero."""
    whole = "[0-9]+"
    if thousands:
        whole = rf"(?:[1-9][0-9]{{0,2}}(?:{_GROUPS[thousands]}[0-9]{{3}})+|[0-9]+)"
    fraction = r"(?:\.[0-9]*)?|\.[0-9]+" if decimal == "." else "(?:,[0-9]+)?|,[0-9]+"
    return re.compile(rf"(?:{whole}{fraction})(?:[eE][-+]?[0-9]+)?")


def _parts(text: str) -> _Parts | None:
    """Take a text apart; None if it is no number in any format."""
    if len(text) > _LONGEST:
        return None
    bracketed = _BRACKETS.fullmatch(text)
    if bracketed:
        text = f"{bracketed['before']}{bracketed['inside'].strip()}{bracketed['after']}"
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    sign, inner, last = match["sign"], match["inner"], match["last"]
    before, after = match["before"], match["after"]
    body = match["body"].rstrip(_BLANKS)
    if sum(mark is not None for mark in (sign, inner, last)) > (0 if bracketed else 1) or (before and after):
        return None
    unit = (before or after or "").casefold().rstrip(".")
    if last and not unit and body.isdigit():
        return None  # a grade such as `2-` is no negative number
    negative = bracketed is not None or any(mark and mark in _MINUS for mark in (sign, inner, last))
    return _Parts(body, _SAME_CURRENCY.get(unit, unit), negative, bracketed is not None, last is not None)
