"""Draws the picture of the live view from a real sweep: `python -m dev.live_picture` writes docs/pictures/live.svg.

It runs configs/digits.yaml in a temporary folder, and draws the view at the moment when a given trial has ended. The
picture loads nothing: its font is the viewer's own font of equal widths.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from tunecli.commands.check import load_checked
from tunecli.commands.search import search
from tunecli.console.board import Board
from tunecli.console.drawing import drawing
from tunecli.messages import EpochEnded

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/pictures/live.svg"
STUDY = ROOT / "configs/digits.yaml"
WIDTH, HEIGHT = 90, 24
N_ENDED = 18
TITLE = "tunecli search configs/digits.yaml"
FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


class Picture:
    """A display that keeps the view of one moment: most of the sweep has ended, and several trials run."""

    def __init__(self) -> None:
        self.svg = ""
        self._board: Board | None = None

    def began(self, heading, trials) -> None:
        self._board = Board(heading, {trial.number: trial for trial in trials})

    def suggested(self, trial) -> None:
        self._board.suggested(trial)

    def happened(self, event) -> None:
        self._board.happened(event)
        is_wanted = isinstance(event, EpochEnded) and event.epoch >= 8 and self._board.n_ended >= N_ENDED
        if is_wanted and not self.svg:
            console = Console(
                record=True,
                width=WIDTH,
                height=HEIGHT,
                file=io.StringIO(),
                force_terminal=True,
                color_system="truecolor",
            )
            console.print(drawing(self._board, WIDTH, HEIGHT))
            form = FONTS.sub("", CONSOLE_SVG_FORMAT).replace(
                "Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace"
            )
            svg = console.export_svg(title=TITLE, theme=MONOKAI, code_format=form, unique_id="live")
            self.svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"

    def ended(self) -> None:
        """Nothing is left to close."""


def main() -> None:
    """Run the sweep and write the picture."""
    picture = Picture()
    with tempfile.TemporaryDirectory() as folder:
        spec = load_checked(STUDY, ("run.workers=2",))
        search(spec, Path(folder) / "digits-mlp", picture, lambda _: None, None)
    assert picture.svg
    PICTURE.write_text(picture.svg, encoding="utf-8")


if __name__ == "__main__":
    main()
