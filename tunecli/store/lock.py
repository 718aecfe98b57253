"""One coordinator a study: the lock, who holds it, and that no worker of a former one still lives.

Owns ``study.lock`` and ``workers.lock``, locks of the kernel's that end with their holders however those die, so they
cannot go stale; and what is written in ``holder.json`` and ``workers.lock``, which says in words who that is and is
never trusted for more. Keeps law 2: one writer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tunecli.durable_files import open_regular, read_regular
from tunecli.errors import StudyLocked, from_os_error
from tunecli.store.files import remove_leftovers, write_atomically

LOCK_NAME = "study.lock"
WORKERS_LOCK_NAME = "workers.lock"
HOLDER_NAME = "holder.json"

# `holder` takes the lock for an instant to ask whether anybody has it; that instant must not turn a coordinator away.
_PATIENCE_S = 0.3
# A worker sees that its coordinator has gone, and ends; until then the trial it trains is not to be trained again.
_PATIENCE_WITH_WORKERS_S = 3.0
_WAIT_S = 0.02
_SHOWN_WORKERS = 5
_MOST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a study. Where the lock is held and its holder is not on record, ``process_id`` is 0.

    Attributes:
        process_id: on ``host``.
        host: the machine's name.
        started: when the study was taken, ISO 8601 in UTC.
    """

    process_id: int = 0
    host: str = ""
    started: str = ""

    def __str__(self) -> str:
        if not self.process_id:
            return "another process"
        return f"process {self.process_id} on {self.host}, since {self.started}"


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Holder]:
    """Hold the study in ``folder`` until the block ends.

    Yields:
        What is on record about this process.

    Raises:
        StudyLocked: another process holds it; the message says which, where and since when. Or nobody does, and a
            worker of a former holder will not end.
        UsageError: the folder is read-only, or is not there.
        DiskFull, StoreFailed: the disk refuses to take down who holds it.
    """
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise StudyLocked(
            f"the study in {folder} is held by {_on_record(folder)}",
            hint="wait for it, or stop it; then resume. `status` and `results` work meanwhile",
        ) from None
    except OSError as error:
        raise from_os_error(error, folder / LOCK_NAME) from error
    try:
        me = Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))
        write_atomically(folder / HOLDER_NAME, json.dumps(asdict(me)) + "\n")
        _await_end_of_workers(folder)
        remove_leftovers(folder)
        yield me
    finally:
        with contextlib.suppress(OSError):
            (folder / HOLDER_NAME).unlink()
        lock.release()


def share_workers_lock(path: Path) -> int:
    """Let ``hold`` know, as long as this process lives, that a worker of the study lives; ``path`` is its lock file.

    Programs that the process starts do not inherit the lock; processes that it forks do, and share it until they end.

    Args:
        path: ``workers.lock`` in the run folder.

    Returns:
        The descriptor that holds the lock; closing it gives the lock back.

    Raises:
        OSError: the file can neither be opened nor made, or its file system knows no locks.
    """
    descriptor = _open_workers_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits no longer than a coordinator takes to look
    except BaseException:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # read-only, or no room: it is for people, and the lock is what counts
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def holder(folder: Path) -> Holder | None:
    """Who holds the study in ``folder``; None where nobody does.

    Writes nothing, so it works where only reading is allowed, and never disturbs the holder.
    """
    try:
        descriptor = open_regular(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _on_record(folder)
    except OSError:  # a file system without locks: nobody can hold one
        return None
    finally:
        os.close(descriptor)
    return None


def _await_end_of_workers(folder: Path) -> None:
    """Wait for the workers of a former holder, which end by themselves.

    Raises:
        StudyLocked: one does not.
        UsageError: its lock file is none.
    """
    path = folder / WORKERS_LOCK_NAME
    try:
        descriptor = _open_workers_lock(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.EINVAL):  # somebody's: it is not to be written to
            raise from_os_error(error, path) from error
        return
    try:
        until = time.monotonic() + _PATIENCE_WITH_WORKERS_S
        while not _is_taken(descriptor):
            if time.monotonic() >= until:
                raise StudyLocked(
                    f"{_living_workers(descriptor)} of a former run of the study in {folder} still lives",
                    hint="stop it, then resume. `status` and `results` work meanwhile",
                )
            time.sleep(_WAIT_S)
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)  # those named in it have ended
    finally:
        os.close(descriptor)


def _open_workers_lock(path: Path) -> int:
    try:
        return open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return open_regular(path, os.O_RDONLY)


def _is_taken(descriptor: int) -> bool:
    """Whether nobody shares the lock; where the file system knows no locks, nobody can."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _living_workers(descriptor: int) -> str:
    living = _keepers(descriptor)
    if not living:
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(descriptor).st_size
            lines = os.pread(descriptor, _MOST_BYTES, max(0, size - _MOST_BYTES)).decode("ascii").split()
            living = {number for number in map(int, lines) if _lives(number)}
    named = [str(number) for number in sorted(living)][:_SHOWN_WORKERS]
    return f"a worker (process {' or '.join(named)})" if named else "a worker"


def _keepers(descriptor: int) -> set[int]:
    """The other processes that have the lock's file open, as far as Linux tells this user; none elsewhere."""
    lock, found = os.fstat(descriptor), set[int]()
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            facts = opened.stat()
            if (facts.st_dev, facts.st_ino) == (lock.st_dev, lock.st_ino):
                found.add(int(opened.parts[2]))
    return found - {os.getpid()}


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _on_record(folder: Path) -> Holder:
    try:
        record = json.loads(read_regular(folder / HOLDER_NAME))
        return Holder(int(record["process_id"]), str(record["host"]), str(record["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder()
