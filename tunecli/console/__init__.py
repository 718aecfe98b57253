"""The only room that prints: frozen values in, text or JSON out. stdout is data, stderr everything else.

Whatever a name or an error holds, it is printed as text: markup is never interpreted and control characters
are dropped, so a hostile file cannot drive the terminal.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console as RichConsole
from rich.table import Table as RichTable
from rich.text import Text

from tunecli.errors import ConfigError, DiskFull, TunecliError
from tunecli.results.answer import Answer, Section

SCHEMA_VERSION = 1
_WIDE = 10_000
_NARROW = 80  # below this no column of parameters fits, and a table that wraps says more
_FOLDED = "parameters"
_LEFT_OUT = {"seed", "device"}  # where there is no room


def plain(text: str) -> Text:
    """Text that no terminal acts on."""
    return Text("".join(character for character in text if character.isprintable() or character == "\n"))


class _Terminal(RichConsole):
    """rich answers a broken pipe by closing stdout, whichever stream broke; here it stays an error of its own."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Console:
    """Where a verb's answer goes.

    Args:
        is_json: answers are one JSON document instead of text.
    """

    def __init__(self, *, is_json: bool = False) -> None:
        self.is_json = is_json
        self.out = _Terminal(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)
        self.err = _Terminal(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)

    def document(self, kind: str, body: Mapping[str, Any]) -> None:
        """One JSON document, with the version of its schema."""
        payload = {"schema_version": SCHEMA_VERSION, "kind": kind, **body}
        self.raw(json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")

    def raw(self, text: str) -> None:
        """Data as it is. A reader that has gone, as `head` goes, is no error: nothing more is said to it.

        Raises:
            DiskFull: stdout is a file and there is no room for it.
        """
        if sys.stdout is None:  # closed by whoever called
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno != errno.ENOSPC:
                raise
            raise DiskFull("there is no room for the answer on stdout") from None

    def say(self, text: str) -> None:
        """A line to the person."""
        self.err.print(plain(text))

    def show(self, answer: Answer) -> None:
        """A verb's answer: JSON where that was asked for, else its tables and lines."""
        if self.is_json:
            self.document(answer.kind, answer.data)
            return
        for note in answer.notes:
            self.say(f"note: {note}")
        width = max((len(label) for label, _ in answer.lines), default=0)
        for section in answer.sections:
            self._section(section)
        for label, text in answer.lines:
            self.raw(f"{plain(f'{label:<{width}}  {text}')}\n")

    def _section(self, section: Section) -> None:
        # A pipe gets all of a table, however wide; a terminal what fits it.
        width = self.out.width if self.out.is_terminal else _WIDE
        texts = _rendered(section, width=_WIDE, is_terminal=self.out.is_terminal)
        if section.foldable and width >= _NARROW and max(len(Text.from_ansi(line)) for line in texts) > width:
            texts = _rendered(_folded(section), width=width, is_terminal=self.out.is_terminal)
        self.raw("\n".join(line.rstrip() for line in texts) + "\n\n")

    def error(self, error: TunecliError) -> None:
        """One block on stderr: what happened, where, what to do."""
        if self.is_json:
            sys.stderr.write(
                json.dumps({"schema_version": SCHEMA_VERSION, "kind": "error", **_as_data(error)}) + "\n"
            )
            return
        lines = [f"error: {error.message}"]
        if isinstance(error, ConfigError):
            lines += [f"  {problem}" for problem in error.problems]
        if error.hint:
            lines.append(f"  try: {error.hint}")
        self.err.print(plain("\n".join(lines)), style="red" if self.err.is_terminal else "")


def _rendered(section: Section, *, width: int, is_terminal: bool) -> list[str]:
    title = plain(section.title) if section.title else None
    table = RichTable(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for place, column in enumerate(section.columns):
        is_numeric = all(row[place][:1] in "-0123456789—" for row in section.rows)
        table.add_column(plain(column), justify="right" if is_numeric else "left", no_wrap=column != _FOLDED)
    for row in section.rows:
        table.add_row(*(plain(cell) for cell in row))
    paper = io.StringIO()
    RichConsole(file=paper, highlight=False, markup=False, width=width, force_terminal=is_terminal).print(
        table
    )
    return paper.getvalue().splitlines()


def _folded(section: Section) -> Section:
    away = section.foldable | _LEFT_OUT
    kept = [place for place, column in enumerate(section.columns) if column not in away]
    folded = [place for place, column in enumerate(section.columns) if column in section.foldable]
    rows = []
    for row in section.rows:
        pairs = (f"{section.columns[place]} {row[place]}" for place in folded if row[place] not in ("", "—"))
        rows.append((*(row[place] for place in kept), "  ".join(pairs)))
    return Section(section.title, (*(section.columns[place] for place in kept), _FOLDED), tuple(rows))


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
