"""Run a sweep to its end without output, and compare the tables of two sweeps."""

import signal
from pathlib import Path

from tunecli.commands.check import load_checked
from tunecli.messages import Ended, Started
from tunecli.results.table import Table, without_clock
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep


class Silent:
    """A display that shows nothing; it can send this process a signal after a number of ended trials."""

    def __init__(self, stop_after: int | None = None, signal_number: int = signal.SIGINT):
        self.ends, self.stop_after, self.signal_number = 0, stop_after, signal_number
        self.started: list[int] = []

    def began(self, heading, trials):
        self.heading = heading

    def suggested(self, trial):
        pass

    def happened(self, event):
        if isinstance(event, Started):
            self.started.append(event.number)
        if isinstance(event, Ended):
            self.ends += 1
            if self.ends == self.stop_after:
                signal.raise_signal(self.signal_number)

    def ended(self):
        pass


def run_whole(path: Path, folder: Path, *overrides: str) -> Table:
    """Run the study of a file to its end; its results table."""
    with begin(load_checked(path, overrides), folder) as study:
        return sweep(study, Silent()).table


def comparable(table: Table) -> Table:
    """The table without the columns that depend on the clock."""
    return without_clock(table)
