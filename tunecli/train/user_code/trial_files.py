"""The files of a user's trial: the folder for its checkpoints, and the journal of its reports.

The user's code may save how far it came as soon as a report returns, and may be killed before the coordinator has
recorded the report. So each report is written to the journal first, and the coordinator reads from it the reports that
its record lacks (write-ahead). A report is one line of JSON, added by one write: a kill leaves whole lines, and a
partial line is no report. The journal is synced so often that after a power failure the user's saved state is not ahead
of it. Loads no torch.
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
def trial_folder(job: Job, *, is_made: bool = True) -> Iterator[Path]:
    """The job's ``checkpoint_dir``, created if it is missing, and removed if it is empty at the end.

    A job without one gets a temporary folder, which is removed with its content.

    Args:
        job: the trial.
        is_made: whether to create the folder now; a temporary one always is.

    Raises:
        DiskFull, StoreFailed, OSError: as for `make_folder`.
    """
    with kept_or_temporary(job.files.checkpoint_dir, is_made=is_made) as made:
        try:
            yield made
        finally:
            with suppress(OSError):  # it is gone, or not empty
                made.rmdir()


@contextmanager
def kept_or_temporary(path: str, *, is_made: bool = True) -> Iterator[Path]:
    """A folder of a trial at ``path``, created if it is missing; or a temporary one, removed with its content.

    Args:
        path: the folder that is kept; empty: a temporary folder.
        is_made: whether to create a folder that is kept.

    Raises:
        DiskFull, StoreFailed, OSError: as for `make_folder`.
    """
    with _storage_errors():
        temporary = None if path else hold_folder()
    made = Path(path) if temporary is None else temporary.path / "trial"
    if is_made or temporary is not None:
        make_folder(made)
    try:
        yield made
    finally:
        if temporary is not None:
            shutil.rmtree(temporary.path, ignore_errors=True)
            with suppress(OSError):
                os.close(temporary.lock)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that only this user can read, which is removed at the end, or by `remove_stale` after a kill.

    Raises:
        DiskFull, StoreFailed, OSError: as for `make_folder`.
    """
    with _storage_errors():
        folder = hold_folder()
    try:
        yield folder.path
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
        with suppress(OSError):
            os.close(folder.lock)


def make_folder(path: Path) -> None:
    """Create a folder, and those above it, if they are missing.

    Raises:
        DiskFull: the disk is full.
        StoreFailed: the disk refuses writes.
        OSError: the folder cannot be created for another reason.
    """
    with _storage_errors():
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _storage_errors() -> Iterator[None]:
    """A block whose errors of the disk become `DiskFull` or `StoreFailed`; other errors stay."""
    try:
        yield
    except OSError as error:
        if error.errno in (*NO_ROOM, errno.EIO, errno.EROFS):
            raise from_os_error(error, error.filename, "make", is_users_path=False) from error
        raise


class HeldFolder(NamedTuple):
    """A temporary folder, and the descriptor of its lock, which is held while the folder is used."""

    path: Path
    lock: int


def remove_stale() -> None:
    """Remove the temporary folders of killed trials: their locks are free."""
    mine = os.getuid()
    with suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                facts = path.lstat()
                if stat.S_ISDIR(facts.st_mode) and facts.st_uid == mine:
                    _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    descriptor = open_regular(
        path / _LOCK_NAME, os.O_RDWR
    )  # a folder without a lock file is not ours: OSError
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def hold_folder() -> HeldFolder:
    """Make a temporary folder that only this user can read. Once its holder has ended, `remove_stale` may remove it.

    Raises:
        OSError: it cannot be made.
    """
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    descriptor = os.open(path / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (path / "new").rename(path / _LOCK_NAME)  # other processes see the file only once it is locked
    return HeldFolder(path, descriptor)


_MIN_WAIT_S = 0.05
_COST_WAIT = 20.0  # times the cost of the last sync: so all syncs take less than 5 % of the time


class Journal:
    """The journal of a trial's reports, as one attempt writes it.

    The attempt's start is written with its first report: an attempt without a report leaves no file.

    A sync of 4 ms is expensive for a function that reports a thousand times a second, and cheap for one that trains. So
    every report is synced if the trial keeps files of its own, which may be durable; otherwise reports are synced at
    intervals. An attempt's first report is always synced, since it decides how the trial's epochs are counted.
    """

    def __init__(
        self, path: str, folder: str, clock: Callable[[], float] = time.monotonic, cwd: str = ""
    ) -> None:
        """Write nothing yet.

        Args:
            path: the file; empty: no journal is kept.
            folder: the trial's checkpoint folder; empty: its files are temporary.
            clock: monotonic seconds.
            cwd: the trial's own working folder; empty: it has none, or a temporary one.
        """
        self._path, self._folders, self._clock = path, list(filter(None, (folder, cwd))), clock
        self._start: tuple[Started, ...] = ()  # until the first report
        self._is_name_synced = False
        self._synced_folders: list[str] = []  # whose names are durable
        self._last_s, self._cost_s = clock(), 0.0

    def add(self, event: Started | EpochEnded) -> None:
        """Add an event, and sync the file if a sync is due.

        Raises:
            DiskFull, StoreFailed: as for `add_events`.
        """
        if isinstance(event, Started):
            self._start = (event,)
            return
        is_synced = bool(self._path) and self._is_due()
        folders = [folder for folder in self._folders if is_synced and Path(folder).is_dir()]
        is_name_synced = is_synced and (not self._is_name_synced or folders != self._synced_folders)
        began_s = self._clock()
        add_events(
            self._path,
            *self._start,
            event,
            is_synced=is_synced,
            is_name_synced=is_name_synced,
        )
        self._start = ()
        if is_synced:
            self._is_name_synced, self._synced_folders = True, folders
            self._last_s = self._clock()
            self._cost_s = self._last_s - began_s

    def _is_due(self) -> bool:
        if not self._is_name_synced or self._clock() - self._last_s >= max(
            _MIN_WAIT_S, _COST_WAIT * self._cost_s
        ):
            return True
        return any(map(_has_files, self._folders))


def _has_files(folder: str) -> bool:
    """Whether a folder contains anything but links."""
    try:
        with os.scandir(folder) as items:
            return any(not item.is_symlink() for item in items)
    except OSError:  # the folder is gone, or is not a folder
        return False


def add_events(
    path: str, *events: Started | EpochEnded, is_synced: bool = False, is_name_synced: bool = False
) -> None:
    """Add events to the journal at ``path`` by one write; do nothing if the path is empty.

    Args:
        path: the file.
        events: attempts' starts, and epochs.
        is_synced: whether to make the whole file durable.
        is_name_synced: whether to make the names in its folder durable too, including the trial's own folder.

    Raises:
        DiskFull: the disk is full.
        StoreFailed: the disk refuses, or the path is not a regular file.
    """
    if not path:
        return
    lines = "".join(map(_line, events)).encode()
    try:
        descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            if os.write(descriptor, lines) < len(lines):
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
    """The events in a journal, in order; empty if the file is missing or not a regular file."""
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
            continue  # a power failure may leave a partial line


def _line(event: Started | EpochEnded) -> str:
    # A power failure may have cut off the last line of the previous attempt.
    start = "\n" if isinstance(event, Started) else ""
    return f"{start}{json.dumps(_body(event))}\n"


def _body(event: Started | EpochEnded) -> list[Any]:
    if isinstance(event, Started):
        return ["started", event.number, event.attempt, event.device, event.process_id, event.from_epoch]
    return [
        "epoch", event.number, event.attempt, event.epoch, dict(event.metrics), event.seconds, event.epoch_offset
    ]  # fmt: skip


def _event(body: list[Any]) -> Started | EpochEnded:
    """The inverse of `_body`.

    Raises:
        ValueError, TypeError, AttributeError: the line holds something else.
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
    raise ValueError("not an event")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_EPOCH + 1
