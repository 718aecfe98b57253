"""Writing and removing files of the run folder, the kinds of files that lie in it, and free space.

`tunecli.durable_files` owns the order of steps that makes a write durable (write-ahead). This module translates its
errors, and does not know the content of files.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from tunecli import durable_files, failpoints
from tunecli.durable_files import open_new, remove_files, temporary_beside
from tunecli.errors import NO_ROOM, DiskFull, from_os_error

CHECKPOINTS_NAME = "checkpoints"
TRIALS_NAME = "trials"
FILE, DIRECTORY = "a file", "a directory"

_KINDS = (
    (stat.S_ISREG, FILE),
    (stat.S_ISDIR, DIRECTORY),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
_TEMPORARY_OF_TRAINING = re.compile(r"\..+\.tmp|\..+\.safetensors\..+", re.DOTALL)
_PROBE_BYTES = 1 << 20
_PROBE_OFFSET_BYTES = 64 << 20


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path``, whole and durable; on failure the old file stays unchanged.

    If ``path`` is a symbolic link, the link is replaced and its target stays unchanged.

    Args:
        path: the file; its folder must exist.
        data: the whole content; text is written as UTF-8 with its line ends unchanged.

    Raises:
        DiskFull: a full disk, a quota or a limit on file sizes.
        UsageError: the folder is read-only or missing.
        StoreFailed: any other failure of the disk.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        durable_files.put(path, content, steps=(f"rename {path.name} begins", f"rename {path.name} done"))
    except OSError as error:
        raise from_os_error(error, path) from error


def kind_of(path: Path) -> str:
    """The kind of file at ``path``, such as ``a named pipe``; empty if the path is free.

    Links are not followed, and nothing is opened.

    Raises:
        UsageError, StoreFailed: its folder cannot be read.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise from_os_error(error, path, "read") from error
    return next((kind for is_of_kind, kind in _KINDS if is_of_kind(mode)), "something else")


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers from a run folder and its checkpoints.

    The caller holds the study's lock, and no worker of the study is alive.
    """
    durable_files.remove_leftovers(folder.resolve())
    remove_files(folder / CHECKPOINTS_NAME, lambda name: _TEMPORARY_OF_TRAINING.fullmatch(name) is not None)


def remove(path: Path) -> None:
    """Remove a file if it exists; of a symbolic link only the link.

    Raises:
        UsageError, StoreFailed: it cannot be removed.
    """
    try:
        failpoints.reach(f"remove {path.name}")
        path.unlink(missing_ok=True)
    except OSError as error:
        raise from_os_error(error, path, "remove") from error


def require_room(path: Path, n_bytes: int) -> None:
    """Check that ``n_bytes`` are free on the disk of ``path``, which need not exist yet.

    A file system that does not report its free space passes.

    Raises:
        DiskFull: fewer bytes are free.
    """
    folder = next((parent for parent in (path, *path.absolute().parents) if parent.is_dir()), Path("/"))
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        return
    if free_bytes < n_bytes:
        raise DiskFull(
            f"{_size(free_bytes)} are free on the disk of {path}, and the study may need {_size(n_bytes)}",
            hint="free some space, or name a folder on another disk",
        )


def has_room(path: Path) -> bool:
    """Whether the file ``path`` could grow by 1 MiB, as tried with another file beside it.

    Only a write shows a quota or a limit on the size of files, so this writes at an offset that the file may reach.
    """
    probe = temporary_beside(path)
    try:
        if shutil.disk_usage(path.parent).free < _PROBE_BYTES:
            return False
        try:
            with os.fdopen(open_new(probe), "wb") as file:
                file.seek(path.stat().st_size + _PROBE_OFFSET_BYTES)
                file.write(bytes(_PROBE_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink()
    except OSError as error:
        return error.errno not in NO_ROOM
    return True


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:,.1f} MiB"
