"""One coordinator a study: the lock, and who holds it.

Owns ``study.lock``, a lock of the kernel's that ends with its holder however that dies, so it cannot go stale; and
``holder.json``, which says in words who that is and is never trusted for more. Keeps law 2: one writer.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tunecli.errors import StudyLocked
from tunecli.store.files import explained, remove_leftovers, write_atomically

LOCK_NAME = "study.lock"
HOLDER_NAME = "holder.json"

# `holder` takes the lock for an instant to ask whether anybody has it; that instant must not turn a coordinator away.
_PATIENCE_S = 0.3


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
        StudyLocked: another process holds it; the message says which, where and since when.
        UsageError: the folder is read-only, or is not there.
        DiskFull: no room to say who holds it.
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
        raise explained(error, folder / LOCK_NAME) from error
    try:
        remove_leftovers(folder)
        me = Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))
        write_atomically(folder / HOLDER_NAME, json.dumps(asdict(me)) + "\n")
        yield me
    finally:
        with contextlib.suppress(OSError):
            (folder / HOLDER_NAME).unlink()
        lock.release()


def holder(folder: Path) -> Holder | None:
    """Who holds the study in ``folder``; None where nobody does.

    Writes nothing, so it works where only reading is allowed, and never disturbs the holder.
    """
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW)
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


def _on_record(folder: Path) -> Holder:
    try:
        record = json.loads((folder / HOLDER_NAME).read_text("utf-8"))
        return Holder(int(record["process_id"]), str(record["host"]), str(record["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder()
