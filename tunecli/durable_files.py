"""Whole files or none: the one order that makes a file durable (law 7), and what a writer that was killed leaves.

A temporary in the same folder, flush, fsync, rename, fsync of the folder: whoever reads sees the old content or the new
one, whatever is pulled out of the wall, and when. Nothing is tried twice: after an fsync that failed, one that succeeds
proves nothing. Knows neither what files hold nor what their errors mean to a person: those are the callers' to say.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tunecli import failpoints

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""What says that there is no room: a full disk, a quota, a limit on file sizes."""

_FOLDER_CANNOT_SYNC = {errno.EBADF, errno.EINVAL, errno.ENOTSUP}  # as PostgreSQL's fsync_fname tolerates
_TEMPORARY = re.compile(r"\.[0-9]+-[0-9a-f]{16}\.tmp")


def put(
    path: Path,
    content: bytes,
    *,
    steps: tuple[str, str],
    examine: Callable[[Path], None] = lambda temporary: None,
) -> None:
    """Put ``content`` at ``path``, whole and durable, or leave what was there untouched.

    Where ``path`` is a symbolic link, the link is replaced and what it points to is left alone.

    Args:
        path: where to; its folder exists.
        content: all of it.
        steps: the names of the failpoints before and after the rename.
        examine: looks at the temporary before it gets its name, and raises where it must not.

    Raises:
        OSError: the disk refused; after the rename, the new content is there and may not be durable.
    """
    temporary = temporary_beside(path)
    try:
        with os.fdopen(open_new(temporary), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        examine(temporary)
        failpoints.reach(steps[0])
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    failpoints.reach(steps[1])
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing, with durable names.

    A folder above that nobody may read is not synced: it was there before, and only its owner can do that.

    Raises:
        OSError: the disk refused, or something else is there.
    """
    missing = [each for each in path.absolute().parents if not each.is_dir()]
    path.mkdir(parents=True, exist_ok=True)
    # The name may be of a moment ago in any case: a program that made it was killed, or a person has just made it.
    for each in (path.resolve(), *missing):
        with suppress(PermissionError):
            sync_folder(each.parent)


def temporary_beside(path: Path) -> Path:
    """A name in the folder of ``path`` that nothing has, and by which a leftover is known."""
    return path.parent / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"


def open_new(path: Path) -> int:
    """A descriptor to write a file that is not there yet.

    Raises:
        OSError: it is there, or the disk refused.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags, 0o666)  # 0o666: the person's umask decides


def is_leftover(path: Path) -> bool:
    """Whether ``path`` has the name of a temporary of :func:`put`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_files(folder: Path, is_superfluous: Callable[[str], bool]) -> None:
    """Remove the files of ``folder`` that ``is_superfluous`` says yes to, by name; a file that will not go stays.

    No link is followed: where ``folder`` is one, nothing is removed, and where a file is one, the link goes and what
    it points to stays. Folders stay, whatever their names.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # it is not there, no folder, a link, or forbidden
        return
    try:
        for name in [entry.name for entry in os.scandir(descriptor) if is_superfluous(entry.name)]:
            with suppress(OSError):
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporaries of writers that were killed, in a folder in which no writer lives."""
    remove_files(folder, lambda name: _TEMPORARY.fullmatch(name) is not None)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable; file systems that cannot sync a folder at all are forgiven.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
