"""Words of a command line without their quotes, and with them.

`shlex` refuses a line whose last quote is open, which is the usual state of a line under completion.
"""

from __future__ import annotations

from typing import NamedTuple

_PLAIN = frozenset("%+,-./:=@^_~")
"""The signs that need no quotes in a word."""


class Line(NamedTuple):
    """A command line up to the cursor.

    Attributes:
        words: the words without quotes; the last one ends at the cursor and may be empty.
        last_raw: the last word as it is typed.
        quote: the quote that is open at the cursor; empty if there is none.
    """

    words: list[str]
    last_raw: str
    quote: str


def split_line(text: str) -> Line:
    """Split a command line into its words, by the rules of POSIX shells."""
    words, word, quote, start, place = [], "", "", 0, 0
    while place < len(text):
        sign = text[place]
        place += 1
        if quote == "'":
            quote, word = ("", word) if sign == "'" else (quote, word + sign)
        elif sign == "\\" and (not quote or text[place : place + 1] in ('"', "\\", "$", "`")):
            word += text[place : place + 1]
            place += 1
        elif quote:
            quote, word = ("", word) if sign == '"' else (quote, word + sign)
        elif sign in "'\"":
            quote = sign
        elif sign.isspace():
            words += [word] if place - 1 > start else []
            word, start = "", place
        else:
            word += sign
    return Line([*words, word], text[start:], quote)


def dequoted(raw: str) -> str:
    """One word without its quotes; a quote may be open."""
    return " ".join(split_line(raw).words) if raw else ""


def quoted(text: str, quote: str) -> str:
    """The text as a part of a word in which ``quote`` is open; empty: no quote is open."""
    if quote == "'":
        return text.replace("'", "'\\''")
    if quote:
        return "".join(f"\\{sign}" if sign in '"\\$`' else sign for sign in text)
    return "".join(sign if sign.isalnum() or sign in _PLAIN else f"\\{sign}" for sign in text)
