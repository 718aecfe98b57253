"""Whole files or none: how training writes what has to outlive it (law 7).

A temporary in the same folder, flush, fsync, read back, rename, fsync of the folder: whoever reads sees the old content
or the new one, and a torn write never gets a name. Temporaries have the name that the run folder's sweep of leftovers
knows. Nothing is tried twice: after an fsync that failed, one that succeeds proves nothing. Knows not what files hold.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from tunecli import failpoints
from tunecli.errors import DiskFull, StoreFailed

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FOLDER_CANNOT_SYNC = {errno.EBADF, errno.EINVAL, errno.ENOTSUP}  # as PostgreSQL's fsync_fname tolerates


def write_whole(path: Path, content: bytes, what: str) -> str:
    """Put ``content`` at ``path``, whole, durable and read back, or leave what was there untouched.

    Args:
        path: where to; its folder is made where it is missing.
        content: all of it.
        what: the file's kind, as the failpoints name it.

    Returns:
        The content's SHA-256, in hexadecimal.

    Raises:
        DiskFull: no room, a quota or a limit on file sizes.
        StoreFailed: any other refusal of the disk, or it gave back other than it took.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    temporary = path.parent / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_new(temporary, content)
            if _sha256_of(temporary) != sha256:
                raise StoreFailed(f"{path} was read back other than it was written", hint="check the disk")
            failpoints.reach(f"rename {what}")
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        failpoints.reach(f"renamed {what}")
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"no room is left to write {path}", hint="free some, then resume") from error
        raise StoreFailed(f"cannot write {path}: {error.strerror or error}", hint="check the disk") from error
    return sha256


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:  # 0o666: the person's umask decides
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # let go of the pages in memory, so that the disk is what is read
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
