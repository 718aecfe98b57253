"""Writing to stdout and stderr, each of which may be a terminal, a pipe, a file on a full disk, or closed.

Writing never ends in a traceback: a character that the encoding lacks is replaced (``-`` for ``—``, ``...`` for ``…``,
else ``?``), and a reader that has closed the pipe is no error.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TextIO

from tunecli.errors import NO_ROOM, DiskFull
from tunecli.text import is_invisible, without_escapes

_HANDLER = "tunecli-replace"
_STAND_INS = {
    "—": "-", "–": "-", "−": "-", "‐": "-", "…": "...", "·": "-", "±": "+/-", "▸": ">", "→": "->", "×": "x", "≤": "<=",
    "≥": ">=", "‘": "'", "’": "'", "“": '"', "”": '"', "\xa0": " ", "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|",
    "└": "+", "▁": "_", "▂": ".", "▃": "-", "▄": "-", "▅": "=", "▆": "=", "▇": "#", "█": "#",
    "▏": " ", "▎": " ", "▍": " ", "▌": "-", "▋": "-", "▊": "-", "▉": "#", "░": ".",
}  # fmt: skip
_NARROWEST, _WIDEST, _DEFAULT_WIDTH = 40, 10_000, 80


def prepare() -> None:
    """Make both streams replace characters that their encoding lacks, for every writer.

    A standard stream that the caller closed is opened on the null device. Otherwise the next file that is opened,
    such as a study's database, takes its number and receives everything that the user's code or a C library prints.
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
    """Whether ``stream`` is a terminal."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def is_plain(stream: TextIO | None) -> bool:
    """Whether ``stream`` shows no escape sequences: it is no terminal, or a dumb one."""
    return not is_terminal(stream) or os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def width_of(stream: TextIO | None) -> int:
    """The number of columns of a terminal: ``COLUMNS``, else the terminal's own, else 80; at least 40."""
    variable = os.environ.get("COLUMNS", "")
    n_columns = int(variable) if variable.isascii() and variable.isdigit() and len(variable) < 6 else 0
    if not n_columns and stream is not None:
        with suppress(OSError, ValueError):
            n_columns = os.get_terminal_size(stream.fileno()).columns
    return min(max(n_columns or _DEFAULT_WIDTH, _NARROWEST), _WIDEST)


def seen(text: str) -> str:
    """``text`` without control and invisible characters. Line ends stay; other white space becomes blanks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character == "\n" or character.isprintable() else " " if character.isspace() else
        "?" if "\ud800" <= character <= "\udfff" else ""
        for character in text
        if character.isspace() or not is_invisible(character)
    )  # fmt: skip


def whole_lines(texts: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that end with a line, except for the last one."""
    rest = ""
    for text in texts:
        lines, end, rest = (rest + text).rpartition("\n")
        yield lines + end
    yield f"{rest}\n" if rest else ""


def final_part(line: str) -> str:
    """The part of a line behind its last carriage return, which a terminal shows in the end, without escape codes."""
    parts = [part for part in without_escapes(line).split("\r") if part]
    return parts[-1] if parts else ""


def spoken(text: str, stream: TextIO | None) -> str:
    """`seen` text in characters that the stream's encoding has, so its width is known before it is laid out."""
    text = seen(text)
    encoding = getattr(stream, "encoding", None)
    if text.isascii() or not encoding:
        return text
    try:
        return text.encode(encoding, _HANDLER).decode(encoding)
    except (LookupError, UnicodeError):
        return text.encode("ascii", _HANDLER).decode("ascii")


def write_out(text: str) -> bool:
    """Write to stdout. A reader that has closed the pipe, such as `head`, is no error, and gets nothing more.

    Returns:
        Whether the stream still has a reader.

    Raises:
        DiskFull: stdout is a file and the disk is full.
    """
    if sys.stdout is None:  # the caller closed it
        return False
    try:
        _write(sys.stdout, text)
    except (OSError, ValueError) as error:
        _silence(sys.stdout)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise DiskFull("the disk is full: the output on stdout is incomplete") from None
        return False
    return True


def is_read(stream: TextIO | None) -> bool:
    """Whether the stream has a reader; False once the reader of a pipe has closed it."""
    with suppress(OSError, ValueError, AttributeError):
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # type: ignore[union-attr]  # None has no descriptor
        return not any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
    return stream is not None


def write_err(text: str) -> None:
    """Write to stderr, ignoring errors of the stream."""
    if sys.stderr is not None:
        try:
            _write(sys.stderr, text)
        except (OSError, ValueError):
            _silence(sys.stderr)


def _write(stream: TextIO, text: str) -> None:
    number = _descriptor(stream)
    if number is None:
        stream.write(text)
        stream.flush()
        return
    stream.flush()
    unwritten = memoryview(text.encode(stream.encoding or "utf-8", _HANDLER))
    while unwritten:
        try:
            unwritten = unwritten[os.write(number, unwritten) :]
        except BlockingIOError:
            select.select([], [number], [])


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor that the stream writes to; None if it writes elsewhere.

    A stream of a notebook names the descriptor of the kernel's own stderr, but its text goes to the notebook.
    """
    with suppress(OSError, ValueError):
        return stream.fileno() if isinstance(stream, io.TextIOWrapper) else None
    return None


def _silence(stream: TextIO) -> None:
    """Redirect the stream to the null device, so that closing it raises no error."""
    number = _descriptor(stream)
    if number is not None:
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        _STAND_INS.get(character, "?") for character in error.object[error.start : error.end]
    ), error.end


codecs.register_error(_HANDLER, _replaced)
