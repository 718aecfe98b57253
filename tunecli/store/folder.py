"""The run folder of a study: its files' names, how a study is found by name or path, and its log for people.

It owns the names in ``runs/<study>/``. A folder is a study if it has a database, which is therefore written first: a
folder without one holds no study, even if a crash left other files in it. Every name is checked before it is used in a
path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any, Self

from tunecli.config.study import STUDY_NAME
from tunecli.config.suggestions import nearest
from tunecli.durable_files import is_leftover, make_folder, open_regular, remove_files
from tunecli.errors import UsageError, from_os_error
from tunecli.object_storage import CLAIMS_NAME
from tunecli.registry.exporters import EVENTS_FOLDER
from tunecli.store.annotation import ABOUT_NAME
from tunecli.store.files import CHECKPOINTS_NAME, DIRECTORY, FILE, TRIALS_NAME, kind_of
from tunecli.store.glance import DATABASE_NAME, holds_study
from tunecli.store.lock import HOLDER_NAME, LOCK_NAME, WORKERS_LOCK_NAME
from tunecli.store.rows import encode

RUNS = Path("runs")
LOGS_NAME = "logs"
REPORTS_ENDING = ".reports.jsonl"
"""The ending of the names of files that hold the reports of the user's own code."""

_SMALL_FILES = (LOCK_NAME, WORKERS_LOCK_NAME, HOLDER_NAME, CLAIMS_NAME, "study.db-journal")
_CHECKPOINT_ENDING = ".checkpoint.safetensors"
_OF_A_TRIAL = re.compile(
    r"(?:trial-[0-9]{5,}|confirm-[0-9]{5,}-[0-9]{3,})(.*\.safetensors|\.log)?", re.DOTALL
)


@dataclass(
    frozen=True
)  # without slots, for the cached properties: every trial asks for some names in these folders
class RunFolder:
    """The folder of one study, at ``path``. Copying it copies the study."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the folder of a new study.

        The folder may exist if it is empty, or holds only the files of a search that was killed before it wrote the
        database.

        Raises:
            UsageError: it holds a study or other files, or cannot be written.
            DiskFull: the disk is full.
        """
        folder = cls(path)
        if holds_study(path):
            raise UsageError(
                f"{path} holds a study already",
                hint=f"continue it with `tunecli resume {quote(str(path))}`, or name another folder",
            )
        try:
            make_folder(path)
            if others := sorted(item.name for item in path.iterdir() if not folder._can_be_left_over(item)):
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
        """Open the folder of an existing study.

        Raises:
            UsageError: the folder is missing or holds no study; the hint names studies with a similar name. Also as
                `require_own_files`.
        """
        folder = cls(path)
        folder.require_own_files()
        if holds_study(path):
            return folder
        raise UsageError(f"there is no study in {path}", hint=_studies_near(path))

    @classmethod
    def named(cls, name: str, runs: Path = RUNS) -> Self:
        """The folder of the study ``name`` under ``runs``, which need not exist.

        Raises:
            UsageError: ``name`` is not a valid name of a study.
        """
        if not STUDY_NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a valid name of a study",
                hint="use letters, digits, `_`, `.` and `-`; start with a letter or digit; at most 64 characters",
            )
        return cls(runs / name)

    @classmethod
    def find(cls, text: str, runs: Path = RUNS) -> Self:
        """Open the study that the user names by the path of its folder, or by its name under ``runs``.

        Raises:
            UsageError: there is no such study; the hint names studies with a similar name.
        """
        path = Path(text)
        if STUDY_NAME.fullmatch(text) and not holds_study(path):
            path = cls.named(text, runs).path
        return cls.open_existing(path)

    def require_own_files(self, *, is_writing: bool = False) -> None:
        """Check that the files of the study are regular files, and not pipes, devices, sockets, folders or links.

        So tunecli never waits for a pipe, and never reads, writes or removes a file outside the folder.

        Args:
            is_writing: check also the files that only a coordinator uses.

        Raises:
            UsageError: a file is of another kind; the message has its path.
        """
        read = (self.database_path, self.path / "study.db-journal", self.path / LOCK_NAME)
        written = (
            self.path / HOLDER_NAME,
            self.workers_lock_path,
            self.log_path,
            self.results_path,
            self.best_path,
            self.config_path,
            self.report_path,
            self.baseline_path,
            self.refit_path,
            self.confirmed_path,
            self.confirmed_best_path,
            self.about_path,
        )
        for path in (*read, *(written if is_writing else ())):
            _require(path, FILE)
        if is_writing:
            for folder in (self.checkpoints_path, self.trial_logs_path, self.trials_path, self.events_path):
                _require(folder, DIRECTORY)
                with suppress(OSError):
                    for path in sorted(folder.iterdir()):
                        if match := _OF_A_TRIAL.fullmatch(path.name):
                            _require(path, FILE if match[1] else DIRECTORY)

    @property
    def events_path(self) -> Path:
        """The folder of TensorBoard's event files, with a folder for each trial; made with the first of them."""
        return self.path / EVENTS_FOLDER

    @property
    def database_path(self) -> Path:
        """The event log, which is the state of the study."""
        return self.path / DATABASE_NAME

    @property
    def config_path(self) -> Path:
        """The configuration as the user wrote it."""
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
    def report_path(self) -> Path:
        """The report as a page."""
        return self.path / "report.html"

    @property
    def baseline_path(self) -> Path:
        """The scores of simple models on the study's data."""
        return self.path / "baseline.json"

    @property
    def about_path(self) -> Path:
        """The note and the tags that a person keeps."""
        return self.path / ABOUT_NAME

    @property
    def refit_path(self) -> Path:
        """The model file of the best trial, trained on all rows (`search.refit`)."""
        return self.path / "refit.safetensors"

    @property
    def confirmed_path(self) -> Path:
        """The fresh runs of the last confirmation."""
        return self.path / "confirmed.csv"

    @property
    def confirmed_best_path(self) -> Path:
        """The confirmed trial as a complete configuration."""
        return self.path / "confirmed.yaml"

    @cached_property
    def checkpoints_path(self) -> Path:
        """The folder of weights and checkpoints."""
        return self.path / CHECKPOINTS_NAME

    @cached_property
    def trials_path(self) -> Path:
        """The folder of the trials' own working folders."""
        return self.path / TRIALS_NAME

    @property
    def workers_lock_path(self) -> Path:
        """The file of which each worker holds a shared lock while it lives."""
        return self.path / WORKERS_LOCK_NAME

    @property
    def log_path(self) -> Path:
        """The log for people, as JSON lines."""
        return self.path / "log.jsonl"

    def weights_path(self, number: int) -> Path:
        """The file of the weights of trial ``number``; only the best trials' weights are kept."""
        return self.checkpoints_path / f"trial-{number:05d}.safetensors"

    def checkpoint_dir(self, number: int) -> Path:
        """The folder for the files of the user's own code in trial ``number``."""
        return self.checkpoints_path / f"trial-{number:05d}"

    def trial_dir(self, number: int) -> Path:
        """The own working folder of trial ``number``, for ``run.cwd: trial``."""
        return self.trials_path / f"trial-{number:05d}"

    def own_files_paths(self, number: int) -> tuple[Path, ...]:
        """The folders that hold files of the user's own code in trial ``number``; empty folders are left out."""
        own = (self.checkpoint_dir(number), self.trial_dir(number))
        return tuple(path for path in own if path.is_dir() and any(path.iterdir()))

    def reports_path(self, number: int) -> Path:
        """The file that buffers the reports of the user's own code in trial ``number`` until they are recorded."""
        return self.checkpoints_path / f"trial-{number:05d}{REPORTS_ENDING}"

    @cached_property
    def trial_logs_path(self) -> Path:
        """The folder of the trials' logs; it is made with the first of them."""
        return self.path / LOGS_NAME

    def trial_log_path(self, number: int) -> Path:
        """The file with the output of the user's own code in trial ``number``."""
        return self.trial_logs_path / f"trial-{number:05d}.log"

    def fresh_trial_dir(self, number: int, repeat: int) -> Path:
        """The own working folder of a fresh run of trial ``number``, for ``run.cwd: trial``."""
        return self.trials_path / f"confirm-{number:05d}-{repeat:03d}"

    def fresh_log_path(self, number: int, repeat: int) -> Path:
        """The file with the output of the user's own code in a fresh run of trial ``number``."""
        return self.trial_logs_path / f"confirm-{number:05d}-{repeat:03d}.log"

    def append_log(self, record: Mapping[str, Any]) -> None:
        """Append ``record`` to the log for people as one line of strict JSON.

        An error is ignored: the state of the study is in the database.
        """
        line = (encode(record) + "\n").encode()
        with suppress(OSError):
            # One write to a file in append mode, so lines of two processes never mix.
            descriptor = open_regular(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def has_other_files(self) -> bool:
        """Whether the folder holds a note or tags, or files of others, such as those of the user's own code."""
        folders = (self.checkpoints_path, self.trial_logs_path, self.trials_path)
        files = (
            *(self.database_path, self.config_path, self.log_path, self.report_path),
            *(self.results_path, self.best_path, self.baseline_path, self.refit_path),
            *(self.confirmed_path, self.confirmed_best_path),
        )
        ours = {*folders, *files, *(self.path / name for name in _SMALL_FILES)}
        if any(item not in ours and not is_leftover(item) for item in self.path.iterdir()):
            return True
        return any(
            not _OF_A_TRIAL.fullmatch(item.name.removesuffix(REPORTS_ENDING)) or item.is_dir()
            for folder in folders
            if folder.is_dir()
            for item in folder.iterdir()
            if not is_leftover(item)
        )

    def _can_be_left_over(self, item: Path) -> bool:
        """Whether a search that was killed before it wrote the database can have left ``item``."""
        if item == self.checkpoints_path:
            return item.is_dir() and not item.is_symlink() and not any(item.iterdir())
        return item.name in (*_SMALL_FILES, self.log_path.name) or is_leftover(item)


def studies_under(runs: Path) -> list[Path]:
    """The run folders of the studies directly under a folder, by name.

    Raises:
        UsageError: it is missing, no folder, or cannot be read.
    """
    try:
        return sorted(path for path in runs.iterdir() if holds_study(path))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        kind = "a file, not a folder" if runs.is_file() else "missing"
        hint = "`tunecli list DIR` names another folder; `tunecli search CONFIG` writes studies into runs/"
        raise UsageError(f"{runs} is {kind}", hint=hint) from None
    except OSError as error:
        raise from_os_error(error, runs, "read") from error


def remove_orphans(folder: RunFolder, known: Set[str]) -> None:
    """Remove checkpoints and report files that the log no longer needs; links are not followed.

    Args:
        folder: the run folder, whose lock the caller holds.
        known: the names of the files to keep.
    """
    endings = (_CHECKPOINT_ENDING, REPORTS_ENDING)
    remove_files(folder.checkpoints_path, lambda name: name.endswith(endings) and name not in known)


def _require(path: Path, kind: str) -> None:
    try:
        actual_kind = kind_of(path)
    except ValueError:  # a NUL in the path: it cannot exist
        return
    if actual_kind not in ("", kind):
        raise UsageError(
            f"{path} is {actual_kind}, but tunecli needs {kind} of its own there",
            hint="move it, then try again",
        )


def _studies_near(path: Path) -> str:
    """The hint for a path without a study: a study with a similar name beside it, or of its name in `runs` there."""
    try:
        if holds_study(path.parent / RUNS / path.name):
            return f"did you mean {path.parent / RUNS / path.name}?"
        names = sorted(item.name for item in path.parent.iterdir() if holds_study(item))
    except (OSError, ValueError):
        names = []
    if not names:
        return f"there are no studies under {path.parent}; `tunecli search CONFIG` starts one"
    return nearest(path.name, names) or f"studies under {path.parent}: {', '.join(names[:8])}"
