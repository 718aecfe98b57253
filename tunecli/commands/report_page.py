"""The page of a report: written once, at the end of a sweep, or again and again while a study runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from tunecli.commands.report import Reading, read_report
from tunecli.errors import DiskFull, StoreFailed, TunecliError, UsageError
from tunecli.results.page.comparison import comparison_page
from tunecli.results.page.page import page_of
from tunecli.results.report import Report
from tunecli.results.view import View
from tunecli.store.destination import require_destination, write_where_asked
from tunecli.store.files import FILE, kind_of, write_atomically
from tunecli.store.folder import RunFolder

_LEAST_MODEL_WAIT_S = 30.0
_MODEL_WAIT = 20.0  # times the duration of the last fit
_READ_WAIT = 5.0  # times the duration of the last reading, which is long for a long record


@dataclass(frozen=True, slots=True)
class Written:
    """Where a page was written.

    Attributes:
        place: the file; empty: the page was not written.
        note: why it was not written, and what to do; empty: it was written.
        error: the error to end with, because the page was asked for; None: the note is enough.
    """

    place: str = ""
    note: str = ""
    error: TunecliError | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """The options of `report` as the person gave them.

    Attributes:
        n_studies: the number of studies that are named.
        out: ``-o``; None: not given.
        is_stdout: whether ``-o`` is stdout.
        is_json: ``--json``.
        interval_s: ``--watch``, in seconds; None: not given.
        next_path: ``--next``; None: not given.
    """

    n_studies: int = 1
    out: Path | None = None
    is_stdout: bool = False
    is_json: bool = False
    interval_s: int | None = None
    next_path: Path | None = None

    def require_possible(self) -> None:
        """Refuse options that exclude each other.

        Raises:
            UsageError: two of them do not work together.
        """
        is_page, is_watching = self.out is not None, self.interval_s is not None
        is_next, are_several = self.next_path is not None, self.n_studies > 1
        excluding = (
            ("--json", self.is_json, "-o -", self.is_stdout),
            ("--watch", is_watching, "--json", self.is_json),
            ("--watch", is_watching, "-o -", self.is_stdout),
            ("--next", is_next, "--watch", is_watching),
            ("--next", is_next, "-o", is_page),
            ("--next", is_next, "several studies", are_several),
            ("--watch", is_watching, "several studies", are_several),
        )
        for one, is_one, other, is_other in excluding:
            if is_one and is_other:
                raise UsageError(f"{one} does not work with {other}", hint="leave out one of them")


def page_view(found: Sequence[Report]) -> View:
    """The page itself, for stdout; of several studies, their comparison."""
    return View("report", {}, raw=_page(found, None))


def _page(found: Sequence[Report], refresh_s: int | None) -> str:
    return page_of(found[0], refresh_s=refresh_s) if len(found) == 1 else comparison_page(found)


def require_page_file(folder: RunFolder | None, out: Path | None) -> None:
    """Check before the work that the page can be written to ``out``; None: into the run folder, if there is one.

    Raises:
        UsageError: ``out`` cannot be a page, or another kind of file is at the page's place in the run folder.
    """
    if out is not None:
        require_destination(out)
    elif folder is not None and kind_of(folder.report_path) not in ("", FILE):
        raise UsageError(
            f"{folder.report_path} is {kind_of(folder.report_path)}, and the page would replace it",
            hint="name another file: -o FILE",
        )


def write_page(
    found: Sequence[Report], folder: RunFolder, out: Path | None, refresh_s: int | None = None
) -> Written:
    """Write the page of a study, or of several; the old page stays as it is if that fails.

    Args:
        found: the reports.
        folder: the run folder.
        out: the file; None: ``report.html`` in the run folder, and a read-only run folder is no error.
        refresh_s: seconds after which the page reloads itself; None: it does not.
    """
    page = _page(found, refresh_s)
    try:
        return Written(_put(page, folder, out))
    except DiskFull as error:
        return Written(note=f"no page was written: {error.message}", error=error)
    except TunecliError as error:
        note = f"no page was written: {error.message}; -o FILE writes it elsewhere"
        return Written(note=note, error=None if out is None and isinstance(error, UsageError) else error)


def _put(page: str, folder: RunFolder, out: Path | None) -> str:
    if out is not None:
        return write_where_asked(out, page)
    try:
        write_atomically(folder.report_path, page)
    except StoreFailed:  # a sweep that ends in this moment removes temporary files
        write_atomically(folder.report_path, page)
    return str(folder.report_path)


def written_at_end(folder: RunFolder) -> Written:
    """Write the page of a sweep that has ended, in about 2 s at most for 1,000 trials.

    Whatever goes wrong is a note: the sweep itself has succeeded.
    """
    try:
        require_page_file(folder, None)
        return write_page([read_report(folder, is_at_end=True).report], folder, None)
    except Exception as error:
        why = error.message if isinstance(error, TunecliError) else f"{type(error).__name__}: {error}"
        how = f"tunecli report {quote(str(folder.path))}"
        return Written(note=f"no report was written: {why}; try {how}")


@dataclass
class Watcher:
    """Writes a study's page again and again while the study runs. It only reads the record, and takes no lock.

    The model is fitted again only after 30 seconds, or 20 times as long as the last fit took.

    Args:
        folder: the run folder.
        out: the file of the page; None: ``report.html`` in the run folder.
        interval_s: seconds between two pages.
        say: shows a line to the person.
    """

    folder: RunFolder
    out: Path | None
    interval_s: int
    say: Callable[[str], None]
    _reading: Reading | None = field(default=None, init=False)
    _fitted_s: float = field(default=0.0, init=False)

    def until_the_end(self) -> Report:
        """Write pages until no process runs the study; the last one does not reload itself.

        Returns:
            The last report.

        Raises:
            UsageError, StoreFailed, DiskFull: the page cannot be written.
            StoreDamaged, StoreTooNew: the database cannot be read.
        """
        is_said = False
        try:
            while True:
                began_s = time.monotonic()
                reading = self._read()
                is_running = reading.report.facts.phase == "running"
                place = self._write(reading.report, self.interval_s if is_running else None)
                if not is_running:
                    self.say(f"wrote {place}; no process runs the study")
                    return reading.report
                if not is_said:
                    self.say(
                        f"writing {place} every {self.interval_s} s until the study ends; Ctrl-C ends only this command"
                    )
                    is_said = True
                time.sleep(max(self.interval_s, _READ_WAIT * (time.monotonic() - began_s)))
        except BaseException:  # a signal: the page must not reload itself for ever
            if self._reading is not None:
                write_page([self._reading.report], self.folder, self.out)
            raise

    def _read(self) -> Reading:
        last, now_s = self._reading, time.monotonic()
        is_due = last is None or now_s - self._fitted_s >= max(
            _LEAST_MODEL_WAIT_S, _MODEL_WAIT * last.model_s
        )
        reading = read_report(self.folder, None if is_due or last is None else last.report.effects)
        if reading.report.facts.phase != "running" and not is_due:
            reading = read_report(self.folder)
        elif is_due:
            self._fitted_s = now_s
        if not is_due and last is not None:
            reading = Reading(reading.report, last.model_s)
        self._reading = reading
        return reading

    def _write(self, found: Report, refresh_s: int | None) -> str:
        written = write_page([found], self.folder, self.out, refresh_s)
        if written.note:
            raise written.error or UsageError(written.note, hint="name another file: -o FILE")
        return written.place
