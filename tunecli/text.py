"""Text from outside, made safe for one line of a table, a file or a screen; and numbers as short texts.

Names and causes of failures may contain anything: line ends, escape sequences that control a terminal, marks that
change the direction of writing, characters without width. Knows no format: the caller quotes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from reprlib import Repr
from typing import Any

_JOINERS = "\u200c\u200d"  # some scripts and emoji need them; a terminal does not
_BLANK_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_NO_TEXT = "\N{REPLACEMENT CHARACTER}"
_CUT = "…"


def sanitize(text: str) -> str:
    """``text`` on one line: single blanks, no invisible characters, and a mark for each lone surrogate."""
    kept = (
        _NO_TEXT if "\ud800" <= character <= "\udfff" else character
        for character in text
        if character.isspace() or character in _JOINERS or not is_invisible(character)
    )
    return " ".join("".join(kept).split())


def without_escapes(text: str) -> str:
    """``text`` without the escape sequences that colour a terminal, move its cursor or set its title."""
    return _ESCAPE.sub("", text)


def is_invisible(character: str) -> bool:
    """Whether a character is a control, a format mark (direction, joiner, byte order) or a letter of no width."""
    if character.isascii():
        return character < " " or character == "\x7f"
    if unicodedata.category(character) in ("Cc", "Cf"):
        return True
    return (
        character in _BLANK_LETTERS
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
    )


def shorten(text: str, n: int) -> str:
    """The first ``n`` characters of ``text``, the last of them ``…`` where it is longer; ``n`` is at least 1."""
    return text if len(text) <= n else f"{text[: n - 1].rstrip()}{_CUT}"


def short_repr(value: Any, n: int = 60) -> str:
    """``repr(value)`` on one line of at most ``n`` characters, without building a long one first."""
    # Python refuses to write very many digits, or is slow.
    if isinstance(value, int) and value.bit_length() > 200:
        return f"{'-' if value < 0 else ''}2^{value.bit_length() - 1} or more"
    bounded = Repr()
    bounded.maxstring = bounded.maxother = bounded.maxlong = n
    return shorten(" ".join(bounded.repr(value).split()), n)


def counted(n: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def shown_number(value: float, n_digits: int = 4) -> str:
    """A number with as many significant digits as tables show: ``0.98611`` → ``0.9861``; a whole number in full."""
    return str(value) if isinstance(value, int) else f"{value:.{n_digits}g}"


def with_uncertainty(value: float, half_width: float) -> tuple[str, str]:
    """A value and the half-width of its interval, the latter with two significant digits, both with its decimals."""
    if not (math.isfinite(value) and math.isfinite(half_width)) or half_width <= 0:
        return shown_number(value), shown_number(half_width)
    n_decimals = 1 - math.floor(math.log10(half_width))
    if not 0 <= n_decimals <= 9 or abs(value) >= 1e6:
        return shown_number(value), shown_number(half_width, 2)
    return f"{value:z.{n_decimals}f}", f"{half_width:.{n_decimals}f}"


def shown_interval(mean: float, low: float, high: float) -> str:
    """``0.9819 ± 0.0048``; both ends of an interval whose mean is not in its middle: ``0.98 (0.90 to 0.99)``."""
    below, above = mean - low, high - mean
    half_width = max(below, above)
    shown, half = with_uncertainty(mean, half_width)
    if abs(above - below) <= 0.02 * half_width:
        return f"{shown} ± {half}"
    return f"{shown} ({with_uncertainty(low, half_width)[0]} to {with_uncertainty(high, half_width)[0]})"


def duration(seconds: float) -> str:
    """``75`` → ``1m15s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def shown_bytes(n_bytes: int) -> str:
    """``1536`` → ``1.5 KiB``."""
    size = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
