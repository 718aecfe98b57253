"""The files of a user's trial: the folder for its checkpoints, and the journal of its reports.

The user's code may save how far it came as soon as a report returns, and may be killed before the coordinator has
recorded the report. So each report is written to the journal first, and the coordinator takes from it what its record
lacks. A report is one line of JSON, added by one write: a kill leaves whole lines, and a partial line is no report. The
journal is synced so often that after a power failure the user's saved state is not ahead of it. Loads no torch.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tunecli.durable_files import open_regular, sync_folder
from tunecli.errors import NO_ROOM, from_os_error
from tunecli.messages import EpochEnded, Job, Started

MAX_EPOCH = 2**53 - 1
"""The largest number of an epoch: up to it, every whole number is exact in JSON and in the database."""

_PREFIX = "tunecli-"
_LOCK_NAME = "lock"


@contextmanager
def trial_folder(job: Job) -> Iterator[Path]:
    """The job's ``checkpoint_dir``, made where it is missing and removed where it was left empty.

    A job that names none gets a folder that goes with the trial.

    Raises:
        DiskFull: no room is left for it.
        StoreFailed: the disk refuses to be written to.
        OSError: it cannot be made.
    """
    try:
        passing = None if job.files.checkpoint_dir else _passing_folder()
        made = Path(job.files.checkpoint_dir) if passing is None else passing.path / "trial"
        made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (*NO_ROOM, errno.EIO, errno.EROFS):
            raise from_os_error(error, error.filename, "make", is_users_path=False) from error
        raise
    try:
        yield made
    finally:
        if passing is not None:
            shutil.rmtree(passing.path, ignore_errors=True)
            with suppress(OSError):
                os.close(passing.lock)
        with suppress(OSError):  # gone, or it holds something
            made.rmdir()


class _Passing(NamedTuple):
    """A folder that goes with its trial, and the descriptor of the lock that says that the trial lives."""

    path: Path
    lock: int


def remove_stale() -> None:
    """Remove the folders of killed trials: the locks on them are free."""
    mine = os.getuid()
    with suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                facts = path.lstat()
                if stat.S_ISDIR(facts.st_mode) and facts.st_uid == mine:
                    _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    descriptor = open_regular(path / _LOCK_NAME, os.O_RDWR)  # one without a lock is none of ours
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _passing_folder() -> _Passing:
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    descriptor = os.open(path / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (path / "new").rename(path / _LOCK_NAME)  # another process sees the file only once it is locked
    return _Passing(path, descriptor)


_LEAST_WAIT_S = 0.05
_COST_WAIT = 20.0  # by the cost of the last sync: so all of them take less than 5 % of the time


class Journal:
    """A trial's file of reports, as one attempt writes it.

    A sync of 4 ms is much to a function that reports a thousand times a second, and nothing to one that trains. So
    every report is synced where the trial keeps files of its own, which may be durable; else now and then. An
    attempt's first report always is: from it follows how the trial counts its epochs.
    """

    def __init__(self, path: str, folder: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Write nothing yet.

        Args:
            path: the file; empty: none is kept.
            folder: where the trial keeps its own files; empty: it keeps none that last.
            clock: seconds, monotonic.
        """
        self._path, self._folder, self._clock = path, folder, clock
        self._is_name_synced = False
        self._last_s, self._cost_s = clock(), 0.0

    def add(self, event: Started | EpochEnded) -> None:
        """Add an event, durable where that is due.

        Raises:
            DiskFull, StoreFailed: as `add_event`.
        """
        is_synced = bool(self._path) and isinstance(event, EpochEnded) and self._is_due()
        began_s = self._clock()
        add_event(
            self._path, event, is_synced=is_synced, is_name_synced=is_synced and not self._is_name_synced
        )
        if is_synced:
            self._is_name_synced = True
            self._last_s = self._clock()
            self._cost_s = self._last_s - began_s

    def _is_due(self) -> bool:
        if not self._is_name_synced or self._clock() - self._last_s >= max(
            _LEAST_WAIT_S, _COST_WAIT * self._cost_s
        ):
            return True
        try:
            with os.scandir(self._folder or os.devnull) as items:
                return any(True for _ in items)
        except OSError:  # it is not there any more, or is none
            return False


def add_event(
    path: str, event: Started | EpochEnded, *, is_synced: bool = False, is_name_synced: bool = False
) -> None:
    """Add an event to the file at ``path``; an empty path keeps nothing.

    Args:
        path: the file.
        event: an attempt's begin, or an epoch.
        is_synced: make all that the file holds durable.
        is_name_synced: make the names in its folder durable too, the trial's own folder among them.

    Raises:
        DiskFull: no room is left for it.
        StoreFailed: the disk refuses, or something else than a file is there.
    """
    if not path:
        return
    # A power failure may have cut off the last line of the attempt before.
    start = "\n" if isinstance(event, Started) else ""
    line = f"{start}{json.dumps(_body(event))}\n".encode()
    try:
        descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, "no room is left", path)
            if is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_name_synced:
            sync_folder(Path(path).parent)
    except OSError as error:
        raise from_os_error(error, path, is_users_path=False) from error


def journal_events(path: Path) -> list[Started | EpochEnded]:
    """The events in the file, in order; none if it is missing or not a regular file."""
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except OSError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        return list(_events(file.read()))


def _events(content: bytes) -> Iterator[Started | EpochEnded]:
    for line in content.splitlines():
        try:
            yield _event(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue  # a power failure may leave a part of a line


def _body(event: Started | EpochEnded) -> list[Any]:
    if isinstance(event, Started):
        return ["started", event.number, event.attempt, event.device, event.process_id, event.from_epoch]
    return [
        "epoch", event.number, event.attempt, event.epoch, dict(event.metrics), event.seconds, event.epoch_offset
    ]  # fmt: skip


def _event(body: list[Any]) -> Started | EpochEnded:
    """The event, of what :func:`_body` gives.

    Raises:
        ValueError, TypeError, AttributeError: the line says something else.
    """
    kind, number, attempt, *rest = body
    if kind == "started":
        device, process_id, from_epoch = rest
        if all(map(_is_count, (number, attempt, process_id, from_epoch))) and isinstance(device, str):
            return Started(number, attempt, device, process_id, from_epoch)
    elif kind == "epoch":
        epoch, metrics, seconds, offset = rest
        numbers = (seconds, *metrics.values())
        if all(map(_is_count, (number, attempt, epoch, offset))) and all(
            isinstance(value, float) for value in numbers
        ):
            return EpochEnded(number, attempt, epoch, 0, metrics, seconds, offset)
    raise ValueError("this is no event")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_EPOCH + 1
