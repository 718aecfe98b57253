"""Files that the user names for output (``-o FILE``): checked before work begins, then written.

The files of a run folder are the record of a study, so an export must not overwrite them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from shlex import quote

from tunecli.config.paths import is_file, is_folder
from tunecli.errors import UsageError, from_os_error
from tunecli.store.files import write_atomically
from tunecli.store.folder import RunFolder
from tunecli.store.lock import HOLDER_NAME, LOCK_NAME

_DATABASE_NAMES = ("study.db", "study.db-journal", "study.db-wal", "study.db-shm")


def require_destination(path: Path) -> None:
    """Check that a file can be written at ``path``, as far as possible without writing it.

    A study's ``best.yaml`` may be overwritten, because tunecli writes it anew.

    Args:
        path: the file; a link counts as its target.

    Raises:
        UsageError: it is a folder, its folder is missing, it belongs to a study, or the path is invalid.
    """
    if is_stream(path):
        return
    loop = UsageError(f"{path} is a link that leads to itself", hint="name another file")
    try:
        target = path.resolve()
        if target.is_symlink():  # Python 3.13 and later; an earlier one raises
            raise loop
        target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except RuntimeError as error:
        raise loop from error
    except OSError as error:
        raise from_os_error(error, path) from error
    if is_folder(target):
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if not is_folder(target.parent):
        folder = target.parent if path.is_symlink() else path.parent
        raise UsageError(f"there is no folder {folder}", hint=f"mkdir -p {quote(str(folder))}")
    study = _study_that_owns(target)
    if study is not None:
        message = f"{path} is a file of the study in {study}, and this would overwrite it"
        raise UsageError(message, hint="name a file in another folder")


def write_where_asked(path: Path, data: bytes | str) -> str:
    """Write ``data`` to the file that the user named.

    A regular file is replaced atomically; of a link, its target. A device or pipe is written to directly.

    Returns:
        The path for a message, as of :func:`path_in_message`.

    Raises:
        DiskFull, UsageError, StoreFailed: as :func:`tunecli.store.files.write_atomically`.
        BrokenPipeError: it is a pipe, and its reader has closed it.
    """
    if not is_stream(path):
        write_atomically(path.resolve(), data)
        return path_in_message(path)
    try:
        # /dev/stdout can be a file to which a shell appends, so the file must not be replaced or truncated.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise from_os_error(error, path) from error
    return str(path)


def is_stream(path: Path) -> bool:
    """Whether ``path`` must be written to directly, not replaced: a device, a pipe, or a name of an open file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    is_of_the_system = path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",))
    return not stat.S_ISDIR(mode) and (is_of_the_system or not stat.S_ISREG(mode))


def path_in_message(path: Path) -> str:
    """A path for a message; of a link, with its target."""
    return f"{path} (a link to {path.resolve()})" if path.is_symlink() else str(path)


def as_argument(path: Path) -> str:
    """A path as a word of a command line, quoted, and with ``./`` before a leading dash."""
    text = str(path)
    return quote(f"./{text}" if text.startswith("-") else text)


def _study_that_owns(target: Path) -> Path | None:
    """The run folder that ``target`` is or would be a file of; None if it belongs to no study."""
    folder = RunFolder(target.parent)
    own = (
        *(folder.workers_lock_path, folder.log_path, folder.config_path),
        *(folder.results_path, folder.confirmed_path, folder.about_path),
    )
    names = (*_DATABASE_NAMES, LOCK_NAME, HOLDER_NAME, *(path.name for path in own))
    if target.name in names and is_file(folder.database_path):
        return folder.path
    for above in target.parents:
        inside = RunFolder(above.parent)
        if above == inside.checkpoints_path and is_file(inside.database_path):
            return inside.path
    return None
