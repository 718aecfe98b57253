"""Every error a person may meet, drawn as one tree; each carries the exit code of the contract.

    TunecliError
    ├── ConfigError        2    the file (or a --set) is wrong: carries every Problem found
    ├── UsageError         2    the command line asks for something that cannot be
    ├── DataError          2    a data set cannot be read, or is not what the file says it is
    ├── NoTrialSucceeded   3    the sweep ended and nothing can be ranked
    ├── NotReproduced      3    a trial that was run again did not come out as recorded
    ├── StudyLocked        4    another process holds the study
    ├── StoreDamaged       5    the database is damaged
    ├── StoreTooNew        5    the database was written by a later tunecli
    ├── StoreFailed        5    the disk refused to read or write
    ├── DiskFull           6    no room is left where the run folder lies
    └── Interrupted        130, 143    a signal stopped the sweep; it can be resumed

Anything else that escapes is a bug of ours and exits 1 with its traceback.
Owns the tree and nothing more; it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file.

    Attributes:
        message: what is wrong, in one sentence.
        file: the file's name as the user gave it, or ``--set``.
        line: 1-based line, 0 where none is known.
        column: 1-based column, 0 where none is known.
        parameter: the path of the key, for example ``trial.optimizer.lr``; empty where it has none.
        hint: what to do about it; empty where the message says so already.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    parameter: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = self.file + (f":{self.line}:{self.column}" if self.line else "")
        said = (_clipped(self.parameter), _clipped(self.message))
        text = ": ".join(part for part in (where, *said) if part)
        return f"{text} ({_clipped(self.hint)})" if self.hint else text


def _clipped(text: str) -> str:
    """What the file says is quoted, and it may say a megabyte."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 200]} … {text[-200:]}"


class TunecliError(Exception):
    """What happened, and what to do about it (``hint``)."""

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(TunecliError):
    """The file asks for something that cannot be; all its problems at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        super().__init__(f"{count} in the configuration")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


class UsageError(TunecliError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class DataError(TunecliError):
    """A data set cannot be read, or is not what the file says it is.

    ``parameter`` is the key under ``trial`` that is to blame, for example ``data.target``.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", parameter: str = "data.source") -> None:
        super().__init__(message, hint=hint)
        self.parameter = parameter


class NoTrialSucceeded(TunecliError):
    """The sweep ended and no trial has a score."""

    exit_code = 3


class NotReproduced(TunecliError):
    """A trial that was run again did not come out as it is recorded: as little to rely on as no result."""

    exit_code = 3


class StudyLocked(TunecliError):
    """Another living process holds the study."""

    exit_code = 4


class StoreDamaged(TunecliError):
    """The database cannot be read as what it should be."""

    exit_code = 5


class StoreTooNew(TunecliError):
    """The database was written by a later tunecli."""

    exit_code = 5


class StoreFailed(TunecliError):
    """The disk refused to read or write, and not for want of room: what it was asked last may not be on it."""

    exit_code = 5


class DiskFull(TunecliError):
    """No room is left where the run folder lies."""

    exit_code = 6


class Interrupted(TunecliError):
    """A signal stopped the sweep; ``signal_number`` 2 exits 130, 15 exits 143."""

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number
