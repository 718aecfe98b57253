"""The study's lock: one coordinator at a time, and no new one while workers of an earlier one live (one-writer).

``study.lock`` and ``workers.lock`` are kernel locks. They end with their holders, even after SIGKILL, so they cannot
become stale. The texts in ``holder.json`` and ``workers.lock`` name the holders for messages, and decide nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tunecli.durable_files import open_regular, read_regular
from tunecli.errors import StudyLocked, UsageError, from_os_error
from tunecli.store.files import remove_leftovers, write_atomically

LOCK_NAME = "study.lock"
WORKERS_LOCK_NAME = "workers.lock"
HOLDER_NAME = "holder.json"

_LOCK_WAIT_S = 0.3  # `holder` takes the lock for an instant, and must not turn a coordinator away
_WORKERS_WAIT_S = 3.0  # for workers to see that their coordinator has ended, and to end
_POLL_S = 0.02
_MAX_SHOWN_WORKERS = 5
_MAX_READ_BYTES = 1 << 16
_NOT_A_FILE = (errno.ELOOP, errno.EISDIR, errno.EINVAL)  # a link, a folder, another kind: see `open_regular`


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a study's lock.

    Attributes:
        process_id: its process id on ``host``; 0 if unknown.
        host: the name of its machine.
        started: when it took the lock, ISO 8601 in UTC.
    """

    process_id: int = 0
    host: str = ""
    started: str = ""

    def __str__(self) -> str:
        if not self.process_id:
            return "another process"
        return f"process {self.process_id} on {self.host} (since {self.started})"


@contextlib.contextmanager
def hold(folder: Path, *, is_recorded: bool = True) -> Iterator[Holder]:
    """Hold the lock of the study in ``folder`` until the block ends.

    Args:
        folder: the run folder.
        is_recorded: write ``holder.json``, which names this process to others; it needs room on the disk.

    Yields:
        This process.

    Raises:
        StudyLocked: another process holds the lock, and the message names it; or a worker of an earlier holder does
            not end.
        UsageError: the folder is read-only or missing.
        DiskFull, StoreFailed: ``holder.json`` cannot be written.
    """
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=_LOCK_WAIT_S)
    except Timeout:
        raise StudyLocked(
            f"{_recorded_holder(folder)} runs the study in {folder}",
            hint="wait for it or stop it, then repeat the command; `status`, `results` and `report` work at any time",
        ) from None
    except OSError as error:
        raise from_os_error(error, folder / LOCK_NAME) from error
    if not _is_current(lock, folder / LOCK_NAME):
        lock.release()
        raise StudyLocked(f"another process has just replaced the study in {folder}", hint="try again")
    try:
        me = Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))
        if is_recorded:
            write_atomically(folder / HOLDER_NAME, json.dumps(asdict(me)) + "\n")
        _await_end_of_workers(folder)
        remove_leftovers(folder)
        yield me
    finally:
        with contextlib.suppress(OSError):
            (folder / HOLDER_NAME).unlink()
        lock.release()


def _is_current(lock: FileLock, path: Path) -> bool:
    """Whether the lock is the file at ``path``: the folder may have been renamed while this process waited."""
    descriptor = lock._context.lock_file_fd
    try:
        return descriptor is None or os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def share_workers_lock(path: Path) -> int:
    """Take a shared lock that makes :func:`hold` wait while this worker lives.

    Programs that the process starts do not inherit the lock. Processes that it forks do, and hold it until they end.

    Args:
        path: ``workers.lock`` in the run folder.

    Returns:
        The descriptor that holds the lock; closing it releases the lock.

    Raises:
        OSError: the file cannot be opened or created, or its file system has no locks.
    """
    descriptor = _open_workers_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits only while a coordinator checks it
    except BaseException:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # read-only or no room; the text is only for messages
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def holder(folder: Path) -> Holder | None:
    """The process that holds the study in ``folder``; None if the study is free.

    It writes nothing, so it works in a read-only folder, and it does not disturb the holder.
    """
    try:
        descriptor = open_regular(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _recorded_holder(folder)
    except OSError:  # the file system has no locks, so the study is free
        return None
    finally:
        os.close(descriptor)
    return None


def send_signal(folder: Path, process: Holder, number: int) -> bool:
    """Send a signal to the process that holds a study, on this machine.

    The number of a process that has ended can belong to another one. On Linux the process is fixed first, and the
    signal is sent only if that process has the study's lock open.

    Returns:
        False if the process does not hold the study any more.

    Raises:
        UsageError: the process is unknown, or belongs to another user.
    """
    if not process.process_id:
        raise UsageError(f"{process} runs the study in {folder}, and its number is unknown", hint="try again")
    fixed = -1
    try:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(AttributeError, PermissionError):
                fixed = os.pidfd_open(process.process_id)
        if not _holds(folder, process):
            return False
        if fixed >= 0:
            signal.pidfd_send_signal(fixed, number)
        else:
            os.kill(process.process_id, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise UsageError(f"{process} runs the study in {folder} and belongs to another user") from None
    finally:
        if fixed >= 0:
            os.close(fixed)
    return True


def _holds(folder: Path, process: Holder) -> bool:
    """Whether a process still holds the study.

    Raises:
        PermissionError: the process belongs to another user.
    """
    if holder(folder) != process:
        return False
    opened = Path(f"/proc/{process.process_id}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True
    lock = (folder / LOCK_NAME).stat()
    with contextlib.suppress(FileNotFoundError):
        for descriptor in list(opened.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                facts = descriptor.stat()
                if (facts.st_dev, facts.st_ino) == (lock.st_dev, lock.st_ino):
                    return True
    return False


def _await_end_of_workers(folder: Path) -> None:
    """Wait for the workers of an earlier holder, which end by themselves.

    Raises:
        StudyLocked: a worker does not end.
        UsageError, StoreFailed: ``workers.lock`` is not a regular file.
    """
    path = folder / WORKERS_LOCK_NAME
    try:
        descriptor = _open_workers_lock(path)
    except OSError as error:
        if error.errno in _NOT_A_FILE:  # another user's link or folder, which must not be written
            raise from_os_error(error, path) from error
        return
    try:
        until = time.monotonic() + _WORKERS_WAIT_S
        while not _lock_exclusively(descriptor):
            if time.monotonic() >= until:
                raise StudyLocked(
                    f"{_living_workers(descriptor)} of an earlier run of the study in {folder} is still running",
                    hint="stop it, then resume; `status` and `results` work at any time",
                )
            time.sleep(_POLL_S)
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)  # the workers named in it have ended
    finally:
        os.close(descriptor)


def _open_workers_lock(path: Path) -> int:
    try:
        return open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return open_regular(path, os.O_RDONLY)


def _lock_exclusively(descriptor: int) -> bool:
    """Take the lock, and return whether no worker shares it; True if the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _living_workers(descriptor: int) -> str:
    living = _processes_with(descriptor)
    if not living:
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(descriptor).st_size
            lines = (
                os.pread(descriptor, _MAX_READ_BYTES, max(0, size - _MAX_READ_BYTES)).decode("ascii").split()
            )
            living = {number for number in map(int, lines) if _lives(number)}
    named = [str(number) for number in sorted(living)][:_MAX_SHOWN_WORKERS]
    return f"a worker (process {' or '.join(named)})" if named else "a worker"


def _processes_with(descriptor: int) -> set[int]:
    """The other processes that have the file open, as far as Linux shows them to this user; empty elsewhere."""
    lock, process_ids = os.fstat(descriptor), set[int]()
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            facts = opened.stat()
            if (facts.st_dev, facts.st_ino) == (lock.st_dev, lock.st_ino):
                process_ids.add(int(opened.parts[2]))
    return process_ids - {os.getpid()}


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _recorded_holder(folder: Path) -> Holder:
    try:
        record = json.loads(read_regular(folder / HOLDER_NAME))
        return Holder(int(record["process_id"]), str(record["host"]), str(record["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder()
