"""The only room that prints: frozen values in, text or JSON out. stdout is data, stderr everything else.

Names and errors are printed as text: markup is never interpreted and invisible characters are dropped, so a hostile
file cannot control the terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.text import Text

from tunecli.console.chart import chart_lines
from tunecli.console.layout import (
    block_lines,
    clip,
    labelled_lines,
    message_lines,
    n_left_out,
    table_lines,
    wrapped,
)
from tunecli.console.streams import (
    final_part,
    is_plain,
    is_read,
    is_terminal,
    seen,
    spoken,
    whole_lines,
    width_of,
    write_err,
    write_out,
)
from tunecli.errors import ConfigError, Interrupted, TunecliError
from tunecli.results.view import Block, Chapter, Chart, Section, View
from tunecli.text import counted

SCHEMA_VERSION = 1
_BRAILLE = "\u2840"


def plain(text: str) -> Text:
    """Text without characters that control a terminal."""
    return Text(seen(text))


class _Terminal(RichConsole):
    """A rich console that raises on a broken pipe; rich itself closes stdout, even if stderr broke."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def document_text(kind: str, body: Mapping[str, Any], indent: int | None = None) -> str:
    """A JSON document in ASCII, with the version of its schema and a line end; in one line without ``indent``."""
    payload = {"schema_version": SCHEMA_VERSION, "kind": kind, **body}
    return json.dumps(payload, indent=indent, allow_nan=False, default=str) + "\n"


class Console:
    """Prints the output of a verb.

    Args:
        is_json: print one JSON document instead of text.
    """

    def __init__(self, *, is_json: bool = False) -> None:
        self.is_json = is_json

    def live(self) -> RichConsole | None:
        """A rich console on stderr for a table that is redrawn in place; None: stderr is not such a terminal."""
        if self.is_json or is_plain(sys.stderr):
            return None
        variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        width = width_of(sys.stderr) if os.environ.get("COLUMNS") else None  # else rich follows the window
        return _Terminal(file=sys.stderr, highlight=False, markup=False, width=width, _environ=variables)

    def document(self, kind: str, body: Mapping[str, Any]) -> None:
        """Print one JSON document in ASCII, with the version of its schema."""
        self.raw(document_text(kind, body, indent=2))

    def raw(self, text: str) -> None:
        """Print data unchanged to stdout. A reader that has closed the pipe, such as `head`, is no error.

        Raises:
            DiskFull: stdout is a file and the disk is full.
        """
        write_out(seen(text) if is_terminal(sys.stdout) else text)

    def stream(self, texts: Iterable[str]) -> None:
        """Print pieces of a text to stdout as they come; stop when the reader has closed the pipe.

        A pipe gets them unchanged. A terminal gets whole lines without escape codes, and of each line only the part
        behind the last carriage return, which a terminal would show in the end.

        Raises:
            DiskFull: stdout is a file and the disk is full.
        """
        is_shown = is_terminal(sys.stdout)
        for text in whole_lines(texts) if is_shown else texts:
            shown = "\n".join(map(seen, map(final_part, text.split("\n")))) if is_shown else text
            if not is_read(sys.stdout) or (shown and not write_out(shown)):
                return

    def say(self, text: str) -> None:
        """Print a line to stderr. A terminal gets it broken at blanks; a pipe gets it whole."""
        write_err(f"{_message(text)}\n")

    def event(self, kind: str, body: Mapping[str, Any]) -> None:
        """Print a JSON document in one line to stderr, where a program that reads the lines finds it."""
        write_err(document_text(kind, body))

    def confirms(self, question: str) -> bool:
        """Ask a person on a terminal; False if stdin or stderr is no terminal, or with ``--json``."""
        if self.is_json or not is_terminal(sys.stdin) or not is_terminal(sys.stderr):
            return False
        write_err(f"{_message(question)} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def show(self, view: View) -> None:
        """Print a verb's output: one JSON document with ``--json``, else its tables and lines."""
        for message in view.messages:
            self.say(message)
        if self.is_json:
            self.document(view.kind, view.data)
            return
        for note in view.notes:
            self.say(f"note: {note}")
        if view.raw:
            self.raw(view.raw)
            return
        if not (view.chapters or view.charts or view.sections or view.lines or view.blocks or view.text):
            return
        out = sys.stdout
        # A pipe gets the whole table, however wide; a terminal gets the columns that fit.
        width = width_of(out) if is_terminal(out) else None
        cut = spoken("…", out)
        parts = [_chapter(chapter, width, cut, out) for chapter in view.chapters]
        if width is not None and view.charts:
            parts += [_chart(chart, width, cut, out) for chart in view.charts]
        else:
            parts += [_table(_spoken(section, out), width, cut, out) for section in view.sections]
        if width is not None and view.asides:
            parts.append([line for aside in view.asides for line in wrapped(spoken(aside, out), width, "  ")])
        if view.lines:
            parts.append(
                labelled_lines([(spoken(label, out), spoken(text, out)) for label, text in view.lines], width)
            )
        parts += [block_lines(_spoken_block(block, out), width, cut) for block in view.blocks]
        if view.text:
            parts.append(spoken(view.text, out).rstrip("\n").split("\n"))
        is_table_last = bool(view.sections) and len(parts) == len(view.sections)
        text = "\n\n".join("\n".join(part) for part in parts)
        write_out(f"{text}\n" + "\n" * is_table_last)

    def error(self, error: TunecliError) -> None:
        """Print an error to stderr: what happened, where, and what to do."""
        if self.is_json:
            write_err(
                json.dumps({"schema_version": SCHEMA_VERSION, "kind": "error", **_as_data(error)}) + "\n"
            )
            return
        if isinstance(error, Interrupted):  # the person stopped it, so it is no error
            self.say(f"{error.message}. Continue: {error.hint}" if error.hint else error.message)
            return
        lines = [f"error: {error.message}"]
        if isinstance(error, ConfigError):
            lines += [f"  {problem}" for problem in error.problems]
        if error.hint:
            lines.append(f"  try: {error.hint}")
        text = "\n".join(_message(line, "    ") for line in lines)
        write_err(f"{_styled(text, '31', sys.stderr)}\n")


def _message(text: str, indent: str = "  ") -> str:
    """The text as stderr shows it; a terminal gets lines of its width, the further ones indented."""
    text = spoken(text, sys.stderr)
    if not is_terminal(sys.stderr):
        return text
    width = width_of(sys.stderr)
    return "\n".join(part for line in text.split("\n") for part in message_lines(line, width, indent))


def _chapter(chapter: Chapter, width: int | None, cut: str, out: TextIO | None) -> list[str]:
    title = spoken(chapter.title, out)
    lines = [_styled(title if width is None else clip(title, width, cut), "1", out)] if title else []
    for paragraph in chapter.paragraphs:
        text = spoken(paragraph, out)
        indent = " " * (len(text) - len(text.lstrip(" ")))
        lines += [text] if width is None else message_lines(text, width, indent)
    pairs = [(spoken(label, out), spoken(text, out)) for label, text in chapter.lines]
    lines += labelled_lines(pairs, width)
    if chapter.section is not None:
        lines += _table(_spoken(chapter.section, out), width, cut, out)
    return lines


def _chart(chart: Chart, width: int, cut: str, out: TextIO | None) -> list[str]:
    has_braille = spoken(_BRAILLE, out) == _BRAILLE
    return [
        clip(spoken(line, out), width, cut) for line in chart_lines(chart, width, has_braille=has_braille)
    ]


def _table(section: Section, width: int | None, cut: str, out: TextIO | None) -> list[str]:
    heading, *rows = table_lines(section, width, cut)
    title = [section.title if width is None else clip(section.title, width, cut)] if section.title else []
    n_more = n_left_out(section, width)
    how = f": {section.fit.how}" if section.fit is not None and section.fit.how else ""
    more = wrapped(f"+{counted(n_more, 'more column')}{how}", width or 0) if n_more else []
    return [*title, _styled(heading, "1", out), *rows, *more]


def _styled(text: str, code: str, stream: TextIO | None) -> str:
    is_colour = code != "1"
    if is_plain(stream) or not text or (is_colour and os.environ.get("NO_COLOR")):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def _spoken(section: Section, out: TextIO | None) -> Section:
    def on_one_line(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(" ".join(spoken(text, out).split("\n")) for text in texts)

    fit = section.fit and replace(section.fit, headings=on_one_line(section.fit.headings))
    title = spoken(section.title, out)
    rows, narrow = (tuple(map(on_one_line, texts)) for texts in (section.rows, section.narrow))
    return Section(title, on_one_line(section.columns), rows, fit, narrow)


def _spoken_block(block: Block, out: TextIO | None) -> Block:
    pairs = tuple(
        (spoken(label, out), " ".join(spoken(text, out).split("\n"))) for label, text in block.pairs
    )
    short = tuple(spoken(label, out) for label in block.short)
    return replace(
        block, heading=spoken(block.heading, out), pairs=pairs, short=short, how=spoken(block.how, out)
    )


def _as_data(error: TunecliError) -> dict[str, Any]:
    body: dict[str, Any] = {"exit_code": error.exit_code, "message": error.message, "hint": error.hint}
    if isinstance(error, ConfigError):
        body["problems"] = [
            {
                "message": problem.message,
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "parameter": problem.parameter,
                "hint": problem.hint,
            }
            for problem in error.problems
        ]
    return body
