"""The run folder: which file lies where, how a study is found again, and its journal for people.

Owns the names inside ``runs/<study>/``. The database makes a folder a study, so it comes first: a folder without one is
nothing yet, whatever else was written before a crash. Knows no file's content. No name becomes a path unchecked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Self

from tunecli.atomic_files import is_leftover, remove_files
from tunecli.errors import UsageError
from tunecli.spec.study import STUDY_NAME
from tunecli.spec.wording import nearest
from tunecli.store.codec import encode
from tunecli.store.files import CHECKPOINTS_NAME, explained
from tunecli.store.lock import HOLDER_NAME, LOCK_NAME, WORKERS_LOCK_NAME

RUNS = Path("runs")
REPORTS_ENDING = ".reports.jsonl"
"""Of the names of files that hold what a trial of the user's own has reported."""

_CHECKPOINT_ENDING = ".checkpoint.safetensors"


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
            path.mkdir(parents=True, exist_ok=True)
            if others := sorted(item.name for item in path.iterdir() if not folder._is_left_by_us(item)):
                raise UsageError(
                    f"{path} holds other files ({', '.join(others[:3])})",
                    hint="name a new or an empty folder",
                )
            folder.checkpoints_path.mkdir(exist_ok=True)
        except OSError as error:
            raise explained(error, path) from error
        return folder

    @classmethod
    def open_existing(cls, path: Path) -> Self:
        """The folder of a study that was begun.

        Raises:
            UsageError: there is no folder, or no study in it; the hint names studies near it.
        """
        folder = cls(path)
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
            descriptor = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
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
    """Remove the checkpoints that the record does not name, or no longer, and reports of trials that have ended; only
    for whoever holds the study.

    No link is followed.

    Args:
        folder: the run folder.
        known: the names of those that stay.
    """
    endings = (_CHECKPOINT_ENDING, REPORTS_ENDING)
    remove_files(folder.checkpoints_path, lambda name: name.endswith(endings) and name not in known)


def _holds_study(path: Path) -> bool:
    try:
        return (path / "study.db").is_file()
    except (OSError, ValueError):  # forbidden, too long, or with a NUL in it
        return False


def _studies_near(path: Path) -> str:
    try:
        names = sorted(item.name for item in path.parent.iterdir() if _holds_study(item))
    except (OSError, ValueError):
        names = []
    if not names:
        return f"`tunecli search CONFIG` begins one; there is none under {path.parent} yet"
    return nearest(path.name, names) or f"studies under {path.parent}: {', '.join(names[:8])}"
