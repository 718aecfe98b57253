"""The two streams as they are: of any encoding, of any width, a terminal, a pipe, a full disk, closed.

Nothing that is written here ever ends in a traceback: what an encoding lacks is replaced (``-`` for ``—``, ``...`` for
``…``, else ``?``), and a reader that has gone is no error.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

from tunecli.errors import NO_ROOM, DiskFull
from tunecli.text import is_invisible

_HANDLER = "tunecli-replace"
_STAND_INS = {
    "—": "-", "–": "-", "−": "-", "‐": "-", "…": "...", "·": "-", "±": "+/-", "▸": ">", "→": "->", "×": "x", "≤": "<=",
    "≥": ">=", "‘": "'", "’": "'", "“": '"', "”": '"', "\xa0": " ", "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|",
}  # fmt: skip
_NARROWEST, _WIDEST, _USUAL = 40, 10_000, 80


def prepare() -> None:
    """Make both streams replace characters that their encoding lacks, for every writer.

    A standard stream that the caller closed is opened on the null device. Otherwise the next file that is opened,
    such as a study's database, would take its number and receive all that the user's code or a C library prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # closed
                stream.reconfigure(errors=_HANDLER)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sees what is written to ``stream``."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def is_plain(stream: TextIO | None) -> bool:
    """Whether escape sequences are of no use to ``stream``."""
    return not is_terminal(stream) or os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def width_of(stream: TextIO | None) -> int:
    """How many columns a terminal has: as ``COLUMNS`` says, else as the terminal does, else 80; at least 40."""
    said = os.environ.get("COLUMNS", "")
    n_columns = int(said) if said.isascii() and said.isdigit() and len(said) < 6 else 0
    if not n_columns and stream is not None:
        with suppress(OSError, ValueError):
            n_columns = os.get_terminal_size(stream.fileno()).columns
    return min(max(n_columns or _USUAL, _NARROWEST), _WIDEST)


def seen(text: str) -> str:
    """``text`` without control and invisible characters; line ends stay, other white space becomes blanks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character == "\n" or character.isprintable() else " " if character.isspace() else
        "?" if "\ud800" <= character <= "\udfff" else ""
        for character in text
        if character.isspace() or not is_invisible(character)
    )  # fmt: skip


def spoken(text: str, stream: TextIO | None) -> str:
    """:func:`seen`, in characters that the stream's encoding has, so that its width is known before it is laid out."""
    text = seen(text)
    encoding = getattr(stream, "encoding", None)
    if text.isascii() or not encoding:
        return text
    try:
        return text.encode(encoding, _HANDLER).decode(encoding)
    except (LookupError, UnicodeError):
        return text.encode("ascii", _HANDLER).decode("ascii")


def write_out(text: str) -> None:
    """Write to stdout. A reader that has gone, as `head` goes, is no error: nothing more is said to it.

    Raises:
        DiskFull: stdout is a file and there is no room for it.
    """
    if sys.stdout is None:  # the caller closed it
        return
    try:
        _write(sys.stdout, text)
    except (OSError, ValueError) as error:
        _silence(sys.stdout)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise DiskFull("there is no room for the answer on stdout") from None


def write_err(text: str) -> None:
    """Write to stderr; an error of the stream is ignored."""
    if sys.stderr is not None:
        try:
            _write(sys.stderr, text)
        except (OSError, ValueError):
            _silence(sys.stderr)


def _write(stream: TextIO, text: str) -> None:
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):  # a stream in memory
        stream.write(text)
        stream.flush()
        return
    stream.flush()
    waiting = memoryview(text.encode(stream.encoding or "utf-8", _HANDLER))
    while waiting:
        try:
            waiting = waiting[os.write(number, waiting) :]
        except BlockingIOError:
            select.select([], [number], [])


def _silence(stream: TextIO) -> None:
    """Send all that is still written to the stream to the null device, so that closing it raises no error."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        _STAND_INS.get(character, "?") for character in error.object[error.start : error.end]
    ), error.end


codecs.register_error(_HANDLER, _replaced)
