"""Durable writes of whole files (write-ahead), and safe opens of files in folders that others can write to.

A write makes a temporary file in the same folder, flushes and fsyncs it, renames it, and fsyncs the folder. A reader
sees the old content or the new content, even after a power failure at any point. A failed step is never tried again:
after a failed fsync, a successful one proves nothing.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tunecli import failpoints

_FOLDER_CANNOT_SYNC = {errno.EBADF, errno.EINVAL, errno.ENOTSUP}  # as PostgreSQL's fsync_fname tolerates
_TEMPORARY = re.compile(r"\.[0-9]+-[0-9a-f]{16}\.tmp")


def put(
    path: Path,
    content: bytes,
    *,
    steps: tuple[str, str],
    examine: Callable[[Path], None] = lambda temporary: None,
) -> None:
    """Write ``content`` to ``path``, whole and durable; on failure the old file stays unchanged.

    If ``path`` is a symbolic link, the link is replaced and its target stays unchanged.

    Args:
        path: the file; its folder exists.
        content: the whole content.
        steps: the names of the failpoints before and after the rename.
        examine: called with the temporary file before the rename; raises to cancel the write.

    Raises:
        OSError: the write failed. If the fsync of the folder failed, the new content is in place but may not be
            durable.
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
    """Make a folder and its missing parents, with durable names.

    A parent without read permission is not synced: it existed before, and only its owner can sync it.

    Raises:
        OSError: a folder cannot be made, or another kind of file has its name.
    """
    missing = [parent for parent in path.absolute().parents if not parent.is_dir()]
    path.mkdir(parents=True, exist_ok=True)
    # Sync the name even if the folder existed: a killed program or a person may have made it a moment ago.
    for folder in (path.resolve(), *missing):
        with suppress(PermissionError):
            sync_folder(folder.parent)


def temporary_beside(path: Path) -> Path:
    """A new name for a temporary file in the folder of ``path``; `is_leftover` recognises it."""
    return path.parent / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"


def open_new(path: Path) -> int:
    """Create a file and return its descriptor, open for writing.

    Raises:
        OSError: the file exists, or cannot be created.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # 0o666: the user's umask decides


def open_regular(path: Path | str, flags: int) -> int:
    """Open a file of tunecli's own and return its descriptor; refuse anything but a regular file.

    A run folder can be shared, and another user can put a link, a named pipe or a device under one of tunecli's names:

    - ``O_NOFOLLOW`` refuses a symbolic link, which would make tunecli read or write a file elsewhere;
    - ``O_NONBLOCK`` returns at once from a named pipe, which would wait for its other end; it does not change how a
      regular file is read or written;
    - ``O_CLOEXEC``, so that no program that a trial starts inherits the file, is set by Python (PEP 446).

    Args:
        path: the file.
        flags: ``os.O_RDONLY`` and so on; a created file has the permissions that the user's umask leaves.

    Raises:
        OSError: it cannot be opened; it is a symbolic link (ELOOP), or another kind of file (EINVAL).
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def read_regular(path: Path) -> bytes:
    """The content of a file of tunecli's own.

    Raises:
        OSError: as `open_regular`, or it cannot be read.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read()


def is_leftover(path: Path) -> bool:
    """Whether ``path`` is named like a temporary file of :func:`put`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_files(folder: Path, is_superfluous: Callable[[str], bool]) -> None:
    """Remove the files of ``folder`` whose names satisfy ``is_superfluous``; a file that cannot be removed stays.

    Links are not followed: nothing is removed if ``folder`` is a link, and a link in it is removed without its target.
    Sub-folders stay.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # missing, not a folder, a link, or no permission
        return
    try:
        for name in [entry.name for entry in os.scandir(descriptor) if is_superfluous(entry.name)]:
            with suppress(OSError):
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers; no live writer may use ``folder``."""
    remove_files(folder, lambda name: _TEMPORARY.fullmatch(name) is not None)


def sync_folder(folder: Path) -> None:
    """Make the file names in ``folder`` durable; does nothing on file systems that cannot sync a folder.

    Raises:
        OSError: the fsync failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
