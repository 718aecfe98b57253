"""The tree of errors that a user can meet, each with its exit code, and the translation of OSError into it.

    TunecliError
    ├── ConfigError        2    the file or a --set is wrong; it carries every Problem
    ├── UsageError         2    the command line asks for something impossible
    ├── DataError          2    a data set cannot be read, or differs from its description in the file
    ├── NoTrialSucceeded   3    the sweep ended without a score
    ├── NotReproduced      3    a repeated trial gave another result than the recorded one
    ├── StudyLocked        4    another process runs the study
    ├── StoreDamaged       5    the database is damaged
    ├── StoreTooNew        5    a later tunecli wrote the database
    ├── StoreFailed        5    a read or write of the run folder failed
    ├── DiskFull           6    the disk that holds the run folder is full
    ├── ClusterGone        7    the cluster that runs the trials cannot be reached any more
    └── Interrupted        130, 143    a signal stopped the sweep; it can be resumed

Any other exception that reaches the command line is a bug in tunecli: exit code 1, with a traceback.
This module imports nothing else of the package.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""The errno values for lack of room: a full disk, a quota, and a limit on the size of files."""
FREE_SPACE = "free some space, then resume"
CHECK_THE_DISK = "check the disk and the system log; `resume` checks the record before it goes on"

_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
_MAX_CHARACTERS = 1000  # of a quoted text: a file's value can be a megabyte long


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file.

    Attributes:
        message: the mistake, in one sentence.
        file: the file's name as the user gave it, or ``--set``.
        line: 1-based line; 0 if unknown.
        column: 1-based column; 0 if unknown.
        parameter: the key's path, for example ``trial.optimizer.lr``; empty if the problem has no key.
        hint: how to correct it; empty if the message already says so.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    parameter: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = self.file + (f":{self.line}:{self.column}" if self.line else "")
        text = ": ".join(part for part in (where, _clipped(self.parameter), _clipped(self.message)) if part)
        return f"{text} ({_clipped(self.hint)})" if self.hint else text


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 200]} … {text[-200:]}"


class TunecliError(Exception):
    """Base of all errors that a user can meet.

    Attributes:
        message: says the problem.
        hint: says how to solve it; may be empty.
        exit_code: the exit code of the command.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"try: {hint}")  # for a traceback; the command line prints the hint itself


class ConfigError(TunecliError):
    """The file is wrong; ``problems`` are all its mistakes, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        super().__init__(f"{count} in the configuration")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


class UsageError(TunecliError):
    """The command line asks for something impossible."""

    exit_code = 2


class DataError(TunecliError):
    """A data set cannot be read, or differs from its description in the file.

    ``parameter`` is the key under ``trial`` that causes the error, for example ``data.target``.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", parameter: str = "data.source") -> None:
        super().__init__(message, hint=hint)
        self.parameter = parameter


class NoTrialSucceeded(TunecliError):
    """The sweep ended, and no trial has a score.

    ``study`` is the `tunecli.Study` whose sweep ended so; None if no sweep ran.
    """

    exit_code = 3
    study: Any = None


class NotReproduced(TunecliError):
    """A repeated trial gave another result than the recorded one. It has the exit code of a sweep without a result."""

    exit_code = 3


class StudyLocked(TunecliError):
    """Another live process runs the study."""

    exit_code = 4


class StoreDamaged(TunecliError):
    """The database is damaged."""

    exit_code = 5


class StoreTooNew(TunecliError):
    """A later tunecli wrote the database."""

    exit_code = 5


class StoreFailed(TunecliError):
    """A read or write failed for another reason than lack of room; the last write may be lost."""

    exit_code = 5


class DiskFull(TunecliError):
    """The disk that holds the run folder is full, or a quota or a limit on file sizes is reached."""

    exit_code = 6


class ClusterGone(TunecliError):
    """The cluster that runs the trials cannot be reached any more. The record is kept, and the sweep can be resumed."""

    exit_code = 7


class Interrupted(TunecliError):
    """A signal stopped the sweep. The exit code is 128 plus ``signal_number``: 130 for SIGINT, 143 for SIGTERM."""

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def from_os_error(
    error: OSError, path: Path | str, action: str = "write", *, is_users_path: bool = True
) -> DiskFull | StoreFailed | UsageError:
    """Translate a failed file operation into an error of this tree, for the caller to raise.

    Args:
        error: the failure.
        path: the file or folder.
        action: the failed operation as a verb: ``write``, ``read``, ``remove`` …
        is_users_path: whether the user can have named a wrong path. False in a worker: tunecli chose the path, so a
            missing permission is a failure of the disk too.

    Returns:
        `DiskFull` for lack of room; `UsageError` for a wrong path or a missing permission, where ``is_users_path``;
        else `StoreFailed`.
    """
    if error.errno in NO_ROOM:
        return DiskFull(f"no room to {action} {path}: {os_reason(error)}", hint=FREE_SPACE)
    message = f"cannot {action} {path}: {os_reason(error)}"
    if is_users_path and error.errno in _NO_PERMISSION:
        hint = "make its folder writable, or name another folder" if action == "write" else "ask its owner"
        return UsageError(message, hint=hint)
    if is_users_path and error.errno in _WRONG_PATH:
        return UsageError(message)
    return StoreFailed(message, hint=CHECK_THE_DISK)


def os_reason(error: OSError) -> str:
    """The system's description of an error, for example ``Permission denied``."""
    return error.strerror or str(error)
