"""Whole files or none: the one way a file of the run folder is written.

Owns the order that makes a file durable: a temporary in the same folder, flush, fsync, rename, fsync of the folder.
A reader sees the old content or the new one, whatever is pulled out of the wall, and when. Knows nothing of what
the files hold. Keeps law 7.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from tunecli.errors import DiskFull, UsageError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
_FOLDER_CANNOT_SYNC = {errno.EBADF, errno.EINVAL, errno.ENOTSUP}  # as PostgreSQL's fsync_fname tolerates
_TEMPORARY = re.compile(r"\.[0-9]+-[0-9a-f]{16}\.tmp")


def write_atomically(path: Path, data: bytes | str) -> None:
    """Put ``data`` at ``path``, whole and durable, or leave what was there untouched.

    Where ``path`` is a symbolic link, the link is replaced and what it points to is left alone.

    Args:
        path: the file; its folder must exist.
        data: text is written as UTF-8, line ends as they are.

    Raises:
        DiskFull: no room, a quota or a limit on file sizes.
        UsageError: the folder is read-only, or is not there.
        OSError: any other refusal of the disk, with the path in it. A failed fsync is never tried again: after one,
            a second that succeeds proves nothing.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.parent / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
    try:
        try:
            _write_new(temporary, content)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise explained(error, path) from error


def write_where_asked(path: Path, data: bytes | str) -> None:
    """Put ``data`` where a person said: atomically into a file, through a link, straight into a device or pipe.

    Raises:
        DiskFull, UsageError, OSError: as :func:`write_atomically`.
    """
    if path.exists() and not path.is_file():
        try:
            with path.open("wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
        except OSError as error:
            raise explained(error, path) from error
    else:
        write_atomically(path.resolve(), data)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable.

    Raises:
        OSError: the disk refused. File systems that cannot sync a folder at all are forgiven.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def is_leftover(path: Path) -> bool:
    """Whether ``path`` has the name of a temporary of :func:`write_atomically`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporaries of writers that were killed; only for whoever holds the study in ``folder``."""
    for path in folder.iterdir():
        if is_leftover(path):
            with suppress(OSError):
                path.unlink()


def explained(error: OSError, path: Path) -> Exception:
    """The error that tells a person why ``path`` cannot be written."""
    if error.errno in _NO_ROOM:
        return DiskFull(f"no room to write {path}: {error.strerror}", hint="free some space, then resume")
    if error.errno in _NOT_ALLOWED:
        return UsageError(
            f"cannot write {path}: {error.strerror}", hint="make its folder writable, or name another one"
        )
    if error.errno in _WRONG_PLACE:
        return UsageError(f"cannot write {path}: {error.strerror}")
    return OSError(error.errno, error.strerror, str(path))


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:  # 0o666: the person's umask decides
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
