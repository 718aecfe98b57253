"""How a file of the run folder is written, removed and made room for, and the disk's errors in a person's words.

The order that makes a file durable is durable_files.py's (law 7). Knows nothing of what the files hold.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from shlex import quote

from tunecli import durable_files, failpoints
from tunecli.durable_files import NO_ROOM, open_new, remove_files, temporary_beside
from tunecli.errors import DiskFull, StoreFailed, UsageError

CHECKPOINTS_NAME = "checkpoints"
LOOK_AT_THE_DISK = (
    "see what the system's log says of the disk; the record is checked when the study is resumed"
)

_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
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
_LITTLE_ROOM_BYTES = 1 << 20
_NEAR_A_LIMIT_BYTES = 64 << 20


def write_atomically(path: Path, data: bytes | str) -> None:
    """Put ``data`` at ``path``, whole and durable, or leave what was there untouched.

    Where ``path`` is a symbolic link, the link is replaced and what it points to is left alone.

    Args:
        path: the file; its folder must exist.
        data: text is written as UTF-8, line ends as they are.

    Raises:
        DiskFull: no room, a quota or a limit on file sizes.
        UsageError: the folder is read-only, or is not there.
        StoreFailed: any other refusal of the disk.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        durable_files.put(path, content, steps=(f"rename {path.name} begins", f"rename {path.name} done"))
    except OSError as error:
        raise explained(error, path) from error


def write_where_asked(path: Path, data: bytes | str) -> str:
    """Put ``data`` where a person said: atomically into a file, through a link, straight into a device or pipe.

    Returns:
        Where it was put, in words: a link with the file that it leads to.

    Raises:
        DiskFull, UsageError, StoreFailed: as :func:`write_atomically`.
        BrokenPipeError: it is a pipe, and nobody reads from it any more.
    """
    if is_stream(path):
        try:
            # Behind /dev/stdout may lie a file that a shell appends to: it is neither replaced nor emptied.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), "wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise explained(error, path) from error
    else:
        write_atomically(path.resolve(), data)
    return str(path) if is_stream(path) else in_words(path)


def is_stream(path: Path) -> bool:
    """Whether what lies at ``path`` is written to and not replaced: a device, a pipe, or an open file's name."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    is_of_the_system = path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",))
    return not stat.S_ISDIR(mode) and (is_of_the_system or not stat.S_ISREG(mode))


def in_words(path: Path) -> str:
    """A path that a person named, for a message: of a link with the file that it leads to."""
    return f"{path} (a link to {path.resolve()})" if path.is_symlink() else str(path)


def as_argument(path: Path) -> str:
    """A path as a word of a command line, which begins with no dash that an option would begin with."""
    text = str(path)
    return quote(f"./{text}" if text.startswith("-") else text)


def kind_of(path: Path) -> str:
    """What lies at ``path``, in words; empty where nothing does. No link is followed and nothing is opened.

    Raises:
        UsageError, StoreFailed: its folder cannot be looked into.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise explained(error, path, "read") from error
    return next((words for is_one, words in _KINDS if is_one(mode)), "something else")


def read_own(path: Path) -> bytes:
    """The content of a regular file. Nothing else is waited for or followed: no pipe, no device, no link.

    Raises:
        OSError: it is none, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        require_file(file.fileno())
        return file.read()


def require_file(descriptor: int) -> None:
    """Make sure that what was opened is a regular file.

    Raises:
        OSError: it is none.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def remove_leftovers(folder: Path) -> None:
    """Remove the temporaries of writers that were killed, in a run folder and its checkpoints.

    Only for whoever holds the study in ``folder``, and while none of its workers lives.
    """
    durable_files.remove_leftovers(folder.resolve())
    remove_files(folder / CHECKPOINTS_NAME, lambda name: _TEMPORARY_OF_TRAINING.fullmatch(name) is not None)


def remove(path: Path) -> None:
    """Remove a file that is superfluous, if it is there; of a symbolic link, the link.

    Raises:
        UsageError, StoreFailed: the disk refuses.
    """
    try:
        failpoints.reach(f"remove {path.name}")
        path.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, path, "remove") from error


def require_room(path: Path, n_bytes: int) -> None:
    """Make sure that ``n_bytes`` are free where ``path`` is or will be; a file system that does not tell has them.

    Raises:
        DiskFull: there is less.
    """
    folder = next((each for each in (path, *path.absolute().parents) if each.is_dir()), Path("/"))
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        return
    if free_bytes < n_bytes:
        raise DiskFull(
            f"{_in_words(free_bytes)} are free where {path} lies, and {_in_words(n_bytes)} may be needed",
            hint="free some space, or name a folder elsewhere",
        )


def has_room(path: Path) -> bool:
    """Whether the file ``path`` could grow a little, as far as an attempt beside it tells.

    Quotas and limits on the size of files show in nothing but an attempt, at a length that the file may reach.
    """
    probe = temporary_beside(path)
    try:
        if shutil.disk_usage(path.parent).free < _LITTLE_ROOM_BYTES:
            return False
        try:
            with os.fdopen(open_new(probe), "wb") as file:
                file.seek(path.stat().st_size + _NEAR_A_LIMIT_BYTES)
                file.write(bytes(_LITTLE_ROOM_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink()
    except OSError as error:
        return error.errno not in NO_ROOM
    return True


def explained(error: OSError, path: Path, doing: str = "write") -> Exception:
    """The error that tells a person why ``path`` cannot be written, or whatever else is being done to it."""
    if error.errno in NO_ROOM:
        return DiskFull(f"no room to {doing} {path}: {error.strerror}", hint="free some space, then resume")
    if error.errno in _NOT_ALLOWED:
        hint = "make its folder writable, or name another one" if doing == "write" else "ask its owner"
        return UsageError(f"cannot {doing} {path}: {error.strerror}", hint=hint)
    if error.errno in _WRONG_PLACE:
        return UsageError(f"cannot {doing} {path}: {error.strerror}")
    return StoreFailed(f"the disk refused to {doing} {path}: {error.strerror}", hint=LOOK_AT_THE_DISK)


def _in_words(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:,.1f} MiB"
