"""Splits a text into words and punctuation marks, for the tokens `words` and `bpe`. Loads no torch."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import islice

START = "▁"
MAX_SUBWORD_CHARACTERS = 100

_LAST_MARK = (
    0x1E94A  # the last combining mark of Unicode 16, except for the variation selectors from U+E0100 on
)
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LONG_CHARACTERS = 100_000


def words_of(text: str, most: int, *, is_lowercase: bool = False) -> list[str]:
    """The first words and punctuation marks of a text.

    A word is a run of letters, digits, `_` and combining marks, with apostrophes inside it: ``don't`` is one word.
    Every other character that is not a space is a word of its own, and so is every Chinese ideograph, because
    nothing separates words there. The text is normalised first (NFC), so that two ways to write an accent agree.

    Args:
        text: any text.
        most: the largest number of words that are returned.
        is_lowercase: whether all letters become small letters first.
    """
    text = _normalised(text, is_lowercase)
    pattern = _pattern(text.isascii())
    if len(text) <= _LONG_CHARACTERS:
        return pattern.findall(text)[:most]
    return [match.group() for match in islice(pattern.finditer(text), most)]


def marked_words_of(text: str, most: int, *, is_lowercase: bool = False) -> list[str]:
    """Like `words_of`, with ``▁`` before each word that begins the text or follows a space (Kudo & Richardson 2018).

    So ``play ground`` and ``playground`` differ as subwords do. A word of more than `MAX_SUBWORD_CHARACTERS`
    characters is cut into several, because the time for its subwords grows with the square of its length.
    """
    text = _normalised(text, is_lowercase)
    words: list[str] = []
    end = -1
    for match in islice(_pattern(text.isascii()).finditer(text), most):
        word = match.group() if match.start() == end else START + match.group()
        end = match.end()
        words += [
            word[first : first + MAX_SUBWORD_CHARACTERS]
            for first in range(0, len(word), MAX_SUBWORD_CHARACTERS)
        ]
    return words


def _normalised(text: str, is_lowercase: bool) -> str:
    return unicodedata.normalize("NFC", text.lower() if is_lowercase else text)


@cache
def _pattern(is_ascii: bool) -> re.Pattern[str]:
    """The pattern of a word. `re` does not count combining marks as parts of words, so they are listed."""
    if is_ascii:
        return re.compile(r"\w+(?:'\w+)*|\S")
    letters = rf"[^\W{_IDEOGRAPHS}]"
    run = rf"{letters}+(?:[{_marks()}]+{letters}*)*"
    return re.compile(rf"{run}(?:['’]{run})*|\S")


def _marks() -> str:
    """The combining marks as a part of a character class: ranges of code points."""
    ranges: list[list[int]] = [[0xE0100, 0xE01EF]]
    for code in range(0x300, _LAST_MARK + 1):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
