"""`tunecli logs`: the output of the user's own code in a trial, also while it prints; or a list of the logs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from tunecli.durable_files import open_regular, read_regular
from tunecli.errors import UsageError, from_os_error
from tunecli.results.view import Fit, Section, View
from tunecli.store.folder import RunFolder
from tunecli.store.lock import holder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.text import sanitize, shorten, shown_bytes, without_escapes
from tunecli.train.user_code.trial_log import HEADER, LEFT_OUT, last_bytes
from tunecli.trial import State, Trial

_NAME = re.compile(r"trial-([0-9]{5,})\.log")
_OVER = (State.COMPLETE, State.PRUNED, State.FAILED)
_CHUNK_BYTES = 1 << 20
_LAST_BYTES = 8192
_LAST_OF_FAILED = 3
_LAST_LINES = 5
_LONGEST_LINE = 200
_MOST_BLANKS = 16  # of the indentation of a line
_WAIT_S = 0.25
_COST_WAIT = 5.0  # times the cost of the last look, for logs of many megabytes


@dataclass(frozen=True, slots=True)
class LogInfo:
    """The log of one trial.

    Attributes:
        number: the trial's number.
        status: the trial's state, as tables show it.
        path: the file.
        n_bytes: its size.
        last_line: the last line that is not empty.
    """

    number: int
    status: str
    path: Path
    n_bytes: int
    last_line: str


@dataclass(frozen=True)
class Logs:
    """The logs of a study, by trial number; ``shown`` is the trial that a person most likely wants to see."""

    study: str
    path: str
    logs: tuple[LogInfo, ...]
    shown: int | None


def logs(folder: RunFolder) -> Logs:
    """The logs of a study.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    with open_to_read(folder) as study:
        states = {trial.number: trial.state for trial in study.log.trials()}
        name = study.spec.settings.study
    infos = [
        LogInfo(
            number, states[number].shown.value, path, n_bytes, next(iter(last_lines(path, 1)), "").lstrip()
        )
        for number, path, n_bytes in _files(folder)
        if number in states
    ]
    by_interest = sorted(infos, key=lambda log: (_INTEREST.get(log.status, 0), log.number))
    return Logs(name, str(folder.path), tuple(infos), by_interest[-1].number if by_interest else None)


_INTEREST = {State.FAILED.value: 1, State.RUNNING.value: 2}


def _files(folder: RunFolder) -> Iterator[tuple[int, Path, int]]:
    try:
        paths = sorted(folder.trial_logs_path.iterdir(), key=lambda path: (len(path.name), path.name))
    except OSError:  # no trial has printed anything
        return
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match and path.is_file() and not path.is_symlink():
            yield int(match[1]), path, path.stat().st_size


def logs_view(listing: Logs) -> View:
    """A row for each log: trial, status, size and last line."""
    columns = ("trial", "status", "size", "last line")
    rows = tuple(
        (str(log.number), log.status, shown_bytes(log.n_bytes), shorten(log.last_line, _LONGEST_LINE))
        for log in listing.logs
    )
    data = {
        "study": listing.study,
        "path": listing.path,
        "logs": [
            {
                "trial": log.number,
                "status": log.status,
                "path": str(log.path),
                "bytes": log.n_bytes,
                "last_line": log.last_line,
            }
            for log in listing.logs
        ],
    }
    if not rows:
        return View(
            "logs", data, (("logs", f"no trial of {listing.study} has printed anything that was kept"),)
        )
    how = f"tunecli logs {quote(listing.path)} --trial {listing.shown}"
    return View("logs", data, (("next", how),), (Section("", columns, rows, Fit(columns, (0, 1, 2, 3))),))


def last_lines(path: Path, n: int = _LAST_LINES) -> tuple[str, ...]:
    """The last lines of a log that are not empty, made safe and short; empty if there is no log."""
    data = last_bytes(path, _LAST_BYTES)
    if headers := [*HEADER.finditer(data)]:  # the last attempt's output
        data = data[headers[-1].end() :]
    text = data.decode(errors="replace")
    lines = [_safe_line(line) for line in re.split(r"[\r\n]+", text) if sanitize(without_escapes(line))]
    is_cut = len(text) >= _LAST_BYTES and len(lines) > 1
    return tuple(lines[1 if is_cut else 0 :][-n:])


def _safe_line(line: str) -> str:
    """A line of output made safe and short, with its indentation, which shows the structure of a traceback."""
    plain = without_escapes(line).expandtabs(4)
    n_blanks = min(len(plain) - len(plain.lstrip(" ")), _MOST_BLANKS)
    return " " * n_blanks + shorten(sanitize(plain), _LONGEST_LINE)


def log_lines(path: str, numbers: Iterable[int]) -> list[tuple[str, str]]:
    """Labelled lines with the path and the last lines of the first log of some failed trials; empty if there is none.

    Args:
        path: the run folder.
        numbers: the failed trials.
    """
    folder = RunFolder(Path(path))
    for number in numbers:
        log_path = folder.trial_log_path(number)
        if log_path.is_file() and (shown := last_lines(log_path, _LAST_OF_FAILED)):
            command = f"tunecli logs {quote(path)} --trial {number}"
            return [("log", f"{log_path} ({command}); it ends with"), *(("", line) for line in shown)]
    return []


def require_trial(folder: RunFolder, number: int) -> Trial:
    """The trial ``number``.

    Raises:
        UsageError: there is no such trial.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    with open_to_read(folder) as study:
        return study.log.trial(number)


def log_view(folder: RunFolder, number: int | None, *, is_followed: bool) -> View:
    """The log of one trial as JSON data.

    Raises:
        UsageError: there is no such trial, its log cannot be read, or ``is_followed`` is set.
    """
    if is_followed or number is None:
        raise UsageError("--follow does not work with --json", hint="leave out one of them")
    trial, path = require_trial(folder, number), folder.trial_log_path(number)
    data: dict[str, Any] = {
        "path": str(folder.path),
        "trial": number,
        "status": trial.state.shown.value,
        "log": str(path) if path.exists() else None,
        "text": "".join(pieces(path)),
    }
    return View("log", data)


def log_of(
    folder: RunFolder, number: int | None, say: Callable[[str], None], *, is_followed: bool
) -> Iterator[str]:
    """The text of a trial's log, piece by piece.

    Args:
        folder: the run folder.
        number: the trial; None: the running one, else the one that failed last, else the last.
        say: shows a line to the person.
        is_followed: whether to wait for more, until the trial ends.

    Raises:
        UsageError: there is no such trial, or its log cannot be read.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    if number is None:
        number = _newest(folder)
        say(f"trial {number}:")
    require_trial(folder, number)
    is_silent = True
    for text in followed(folder, number) if is_followed else pieces(folder.trial_log_path(number)):
        is_silent = is_silent and not text
        yield text
    if is_silent:
        say(f"trial {number} has printed nothing that was kept")


def _newest(folder: RunFolder) -> int:
    """The number of the trial that began last and still runs; else the one that a list of logs names."""
    with open_to_read(folder) as study:
        running = [trial.number for trial in study.log.trials() if trial.state is State.RUNNING]
    number = running[-1] if running else logs(folder).shown
    if number is None:
        raise UsageError(
            f"no trial in {folder.path} runs or has printed anything", hint="name one: --trial N"
        )
    return number


def pieces(path: Path) -> Iterator[str]:
    """The text of a log, piece by piece; nothing if there is no log.

    Raises:
        UsageError, StoreFailed: it cannot be read, or is not a regular file.
    """
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                rest = file.readline(_CHUNK_BYTES)  # so that no character is cut, except in very long lines
                yield (chunk + rest).decode(errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise from_os_error(error, path, "read") from error


def followed(folder: RunFolder, number: int) -> Iterator[str]:
    """The text of a log, then every addition, until the trial ends or no process runs its study.

    Yields an empty text when nothing is new, so that the caller can stop.

    Raises:
        UsageError, StoreFailed: the log cannot be read.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    follower = Follower(folder.trial_log_path(number))
    while True:
        began_s = time.monotonic()
        is_over = require_trial(folder, number).state in _OVER or holder(folder.path) is None
        yield follower.new_text()  # after the state: output from before the end is in the log by then
        if is_over:
            return
        time.sleep(max(_WAIT_S, _COST_WAIT * (time.monotonic() - began_s)))


class Follower:
    """Reads the additions to a log, although its middle may be left out meanwhile."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning of the file, which need not exist yet."""
        self._path = path
        self._known = (0, 0)
        self._header: bytes | None = None
        self._n_seen = 0  # bytes of the last attempt's output, with those that were left out

    def new_text(self) -> str:
        """The text added since the last call.

        Raises:
            UsageError, StoreFailed: the log cannot be read.
        """
        try:
            facts = self._path.lstat()
            if (facts.st_size, facts.st_mtime_ns) == self._known:
                return ""
            self._known = (facts.st_size, facts.st_mtime_ns)
            content = read_regular(self._path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise from_os_error(error, self._path, "read") from error
        return self._new_part(content).decode(errors="replace")

    def _new_part(self, content: bytes) -> bytes:
        headers = [*HEADER.finditer(content)]
        start = headers[-1].start() if headers else 0
        header = headers[-1][0] if headers else b""
        attempt = content[start:]
        marks = [*LEFT_OUT.finditer(attempt)]
        end = marks[-1].start() if marks else len(attempt)
        n_left_out = int(marks[-1][1].replace(b",", b"")) if marks else 0
        mark, tail = (
            (attempt[end : marks[-1].end() + 1], attempt[marks[-1].end() + 1 :]) if marks else (b"", b"")
        )
        is_first, is_new = self._header is None, self._header != header
        n_seen = 0 if is_new else self._n_seen
        self._header, self._n_seen = header, end + n_left_out + len(tail)
        if is_first:
            return content
        if n_seen < end:
            return attempt[n_seen:end] + mark + tail
        if n_seen < end + n_left_out:
            return mark + tail
        return tail[n_seen - end - n_left_out :]
