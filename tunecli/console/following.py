"""Shows a study that another process runs: the live table on a terminal, a line at each change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.text import Text

from tunecli.console import Console, document_text
from tunecli.console.board import Board, board_of
from tunecli.console.drawing import drawing
from tunecli.console.layout import wrapped
from tunecli.console.streams import is_plain, is_terminal, spoken, width_of
from tunecli.results.progress import Moment

_REFRESH_HZ = 1  # the record is read far less often; only the times change in between


def follow(console: Console, moments: Iterable[Moment]) -> None:
    """Show a study until its moments end.

    A terminal shows the live table, and at the end, or after a signal, the last state. A pipe gets a line at each
    change, which is a JSON document with ``--json``; it ends when its reader has closed it.
    """
    terminal = None if is_plain(sys.stdout) else console.live()
    if terminal is None:
        console.stream(_lines(moments, is_json=console.is_json))
    else:
        _Table(console, terminal).follow(moments)


def _lines(moments: Iterable[Moment], *, is_json: bool) -> Iterator[str]:
    """The text of each moment that differs from the one before; an empty one asks whether there still is a reader."""
    change: object = None
    for moment in moments:
        if moment.change == change:
            yield ""
            continue
        change = moment.change
        if is_json:
            yield document_text(moment.view.kind, moment.view.data)
            continue
        line = spoken(moment.line, sys.stdout)
        lines = wrapped(line, width_of(sys.stdout), "  ") if is_terminal(sys.stdout) else [line]
        yield "".join(f"{part}\n" for part in lines)


class _Table:
    """A table that is redrawn in place, from the last moment."""

    def __init__(self, console: Console, terminal: RichConsole) -> None:
        self._console, self._terminal = console, terminal
        self._board: Board | None = None

    def follow(self, moments: Iterable[Moment]) -> None:
        last: Moment | None = None
        live = Live(
            get_renderable=self._drawn,
            console=self._terminal,
            refresh_per_second=_REFRESH_HZ,
            transient=True,
        )
        try:
            with live:
                for moment in moments:
                    last = moment
                    if moment.snapshot is not None:
                        self._board = board_of(moment.snapshot)
                        live.refresh()
        finally:  # after a signal, too
            if last is not None:
                self._console.show(last.view)

    def _drawn(self) -> Group | Text:
        return Text() if self._board is None else drawing(self._board, *self._terminal.size)
