"""What training writes that has to outlive it: whole, durable, and read back before it gets its name (law 7).

A worker that cannot keep what it has to keep is no fault of its trial, so whatever the disk refuses stops the sweep in
order. Temporaries have the name that the run folder's sweep of leftovers knows. Knows not what files hold.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tunecli import durable_files
from tunecli.errors import CHECK_THE_DISK, StoreFailed, from_os_error


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

    def read_back(temporary: Path) -> None:
        if _sha256_of(temporary) != sha256:
            raise StoreFailed(f"{path} was read back other than it was written", hint=CHECK_THE_DISK)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.put(path, content, steps=(f"rename {what}", f"renamed {what}"), examine=read_back)
    except OSError as error:
        raise from_os_error(error, path, is_users_path=False) from error
    return sha256


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # let go of the pages in memory, so that the disk is what is read
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()
