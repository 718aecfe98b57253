"""Text that came from outside, made fit for one line of a table, a file or a screen.

Names and causes of failures may hold anything: line ends, escape sequences that repaint a terminal, marks that turn the
direction of writing. Knows no format: quoting is its user's part.
"""

from __future__ import annotations

import unicodedata

_TURNS_WRITING = {
    chr(code) for code in (0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_NO_TEXT = "\N{REPLACEMENT CHARACTER}"


def one_line(text: str) -> str:
    """``text`` on one line: white space is single blanks, controls are gone, lone surrogates are marked."""
    kept = (
        _NO_TEXT if "\ud800" <= character <= "\udfff" else character
        for character in text
        if _is_shown(character)
    )
    return " ".join("".join(kept).split())


def _is_shown(character: str) -> bool:
    if character.isspace():
        return True
    return unicodedata.category(character) != "Cc" and character not in _TURNS_WRITING
