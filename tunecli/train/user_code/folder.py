"""The folder in which a trial of the user's own keeps what it wants to keep."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Job

_PREFIX = "tunecli-"
_LOCK_NAME = "lock"


@contextmanager
def own_folder(job: Job) -> Iterator[Path]:
    """The job's ``checkpoint_dir``, made where it is missing and removed where it was left empty.

    A job that names none gets a folder that goes with the trial.

    Raises:
        DiskFull: no room is left for it.
        StoreFailed: the disk refuses to be written to.
        OSError: it cannot be made.
    """
    try:
        passing = None if job.checkpoint_dir else _passing_folder()
        made = Path(job.checkpoint_dir) if passing is None else passing.path / "trial"
        made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room is left for {error.filename}", hint="free some, then resume") from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise StoreFailed(
                f"cannot make {error.filename}: {error.strerror}", hint="check the disk"
            ) from error
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
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path / _LOCK_NAME, flags)  # one without a lock is none of ours
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
