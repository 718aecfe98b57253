"""The run folder: which file lies where, how a study is found again, and its journal for people.

Owns the names inside ``runs/<study>/``. The database makes a folder a study, so it comes first: a folder without one is
nothing yet, whatever else was written before a crash. Knows no file's content. No name becomes a path unchecked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Self

from tunecli.config.study import STUDY_NAME
from tunecli.config.suggestions import nearest
from tunecli.durable_files import is_leftover, make_folder, open_regular, remove_files
from tunecli.errors import StoreFailed, UsageError, from_os_error
from tunecli.store.files import CHECKPOINTS_NAME, DIRECTORY, FILE, kind_of
from tunecli.store.lock import HOLDER_NAME, LOCK_NAME, WORKERS_LOCK_NAME
from tunecli.store.rows import encode

RUNS = Path("runs")
REPORTS_ENDING = ".reports.jsonl"
"""Of the names of files that hold what a trial of the user's own has reported."""

_CHECKPOINT_ENDING = ".checkpoint.safetensors"
_OF_A_TRIAL = re.compile(r"trial-[0-9]{5,}(.*\.safetensors)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one study, at ``path``. Copying it copies the study."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the folder of a new study.

        An empty folder is taken over, and so is what a search left that was killed before its database stood.

        Raises:
            UsageError: a study or somebody's files are there already, or the place is read-only.
            DiskFull: no room.
        """
        folder = cls(path)
        if _holds_study(path):
            raise UsageError(
                f"{path} holds a study already",
                hint=f"`tunecli resume {quote(str(path))}` goes on, or name another folder",
            )
        try:
            make_folder(path)
            if others := sorted(item.name for item in path.iterdir() if not folder._is_left_by_us(item)):
                raise UsageError(
                    f"{path} holds other files ({', '.join(others[:3])})",
                    hint="name a new or an empty folder",
                )
            folder.require_own_files(is_writing=True)
            folder.checkpoints_path.mkdir(exist_ok=True)
        except OSError as error:
            raise from_os_error(error, path) from error
        return folder

    @classmethod
    def open_existing(cls, path: Path) -> Self:
        """The folder of a study that was begun.

        Raises:
            UsageError: there is no folder, or no study in it; the hint names studies near it. Or what
                `require_own_files` raises.
        """
        folder = cls(path)
        folder.require_own_files()
        if _holds_study(path):
            return folder
        raise UsageError(f"there is no study in {path}", hint=_studies_near(path))

    @classmethod
    def named(cls, name: str, runs: Path = RUNS) -> Self:
        """Where the study ``name`` lives or will live.

        Raises:
            UsageError: this is no name of a study.
        """
        if not STUDY_NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a study",
                hint="letters, digits, `_`, `.` and `-`, a letter or digit first, 64 at most",
            )
        return cls(runs / name)

    @classmethod
    def find(cls, text: str, runs: Path = RUNS) -> Self:
        """The study a person means by ``text``: the path of its folder, else its name under ``runs``.

        Raises:
            UsageError: there is no such study; the hint names those near it.
        """
        path = Path(text)
        if STUDY_NAME.fullmatch(text) and not _holds_study(path):
            path = cls.named(text, runs).path
        return cls.open_existing(path)

    def require_own_files(self, *, is_writing: bool = False) -> None:
        """Make sure that what has the name of one of our files is a file: no pipe, device, socket, folder or link.

        So nothing waits for the other end of a pipe, and nothing outside the folder is read, written or removed.

        Args:
            is_writing: look also at what is written, and not only at what is read of every study.

        Raises:
            UsageError: one is not; the message has its path.
        """
        read = (self.database_path, self.path / "study.db-journal", self.path / LOCK_NAME)
        written = (
            self.path / HOLDER_NAME,
            self.workers_lock_path,
            self.log_path,
            self.results_path,
            self.best_path,
            self.config_path,
        )
        for path in (*read, *(written if is_writing else ())):
            _require(path, FILE)
        if is_writing:
            _require(self.checkpoints_path, DIRECTORY)
            with suppress(OSError):
                for path in sorted(self.checkpoints_path.iterdir()):
                    if found := _OF_A_TRIAL.fullmatch(path.name):
                        _require(path, FILE if found[1] else DIRECTORY)

    @property
    def database_path(self) -> Path:
        """The event log: the truth."""
        return self.path / "study.db"

    @property
    def config_path(self) -> Path:
        """The configuration as the person wrote it."""
        return self.path / "config.yaml"

    @property
    def results_path(self) -> Path:
        """The ranked table."""
        return self.path / "results.csv"

    @property
    def best_path(self) -> Path:
        """The best trial as a complete configuration."""
        return self.path / "best.yaml"

    @property
    def checkpoints_path(self) -> Path:
        """The folder of weights and checkpoints."""
        return self.path / CHECKPOINTS_NAME

    @property
    def workers_lock_path(self) -> Path:
        """What each worker shares a lock of as long as it lives."""
        return self.path / WORKERS_LOCK_NAME

    @property
    def log_path(self) -> Path:
        """The journal for people, JSON lines."""
        return self.path / "log.jsonl"

    def weights_path(self, number: int) -> Path:
        """Where the weights of trial ``number`` are kept, where they are."""
        return self.checkpoints_path / f"trial-{number:05d}.safetensors"

    def checkpoint_dir(self, number: int) -> Path:
        """The folder for what trial ``number`` itself keeps, where the user's own code trains it."""
        return self.checkpoints_path / f"trial-{number:05d}"

    def reports_path(self, number: int) -> Path:
        """Where the reports of trial ``number`` are kept until they are on record, where it is the user's own."""
        return self.checkpoints_path / f"trial-{number:05d}{REPORTS_ENDING}"

    def append_log(self, record: Mapping[str, Any]) -> None:
        """Add ``record`` to the journal as one line of strict JSON.

        Best effort: the truth is in the database, so a journal that cannot be written stops nothing.
        """
        line = (encode(record) + "\n").encode()
        with suppress(OSError):
            # One write to a file opened for appending: lines never mix.
            descriptor = open_regular(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def _is_left_by_us(self, item: Path) -> bool:
        """Whether ``item`` can be what a search left that was killed before its database stood."""
        if item == self.checkpoints_path:
            return item.is_dir() and not item.is_symlink() and not any(item.iterdir())
        ours = (LOCK_NAME, WORKERS_LOCK_NAME, HOLDER_NAME, self.log_path.name)
        return item.name in ours or is_leftover(item)


def remove_orphans(folder: RunFolder, known: Set[str]) -> None:
    """Remove checkpoints that the record does not name, and reports of trials that have ended; the caller holds the
    study's lock.

    No link is followed.

    Args:
        folder: the run folder.
        known: the names of those that stay.
    """
    endings = (_CHECKPOINT_ENDING, REPORTS_ENDING)
    remove_files(folder.checkpoints_path, lambda name: name.endswith(endings) and name not in known)


def _holds_study(path: Path) -> bool:
    try:
        return kind_of(path / "study.db") == FILE
    except (UsageError, StoreFailed, ValueError):  # forbidden, too long, or with a NUL in it
        return False


def _require(path: Path, kind: str) -> None:
    try:
        found = kind_of(path)
    except ValueError:  # a NUL: there is no such path
        return
    if found not in ("", kind):
        raise UsageError(
            f"{path} is {found}, and must be {kind} of tunecli's", hint="move it away; then try again"
        )


def _studies_near(path: Path) -> str:
    try:
        names = sorted(item.name for item in path.parent.iterdir() if _holds_study(item))
    except (OSError, ValueError):
        names = []
    if not names:
        return f"`tunecli search CONFIG` begins one; there is none under {path.parent} yet"
    return nearest(path.name, names) or f"studies under {path.parent}: {', '.join(names[:8])}"
