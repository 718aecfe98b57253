"""Removing a study: the files of a run folder that tunecli wrote, and the folder if nothing else is in it.

The first step renames ``study.db``. From then on the folder holds no study, and the new name says that its removal has
begun. That file goes last, so a removal that a kill interrupted can be found and finished. No link is followed: every
folder is opened without following links, and its entries are removed through that descriptor.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tunecli import failpoints
from tunecli.durable_files import is_leftover, sync_folder
from tunecli.errors import from_os_error
from tunecli.object_storage import CLAIMS_NAME
from tunecli.object_storage.claims import release
from tunecli.store.files import CHECKPOINTS_NAME, FILE, TRIALS_NAME, kind_of
from tunecli.store.folder import LOGS_NAME, REPORTS_ENDING, RunFolder
from tunecli.store.lock import HOLDER_NAME, LOCK_NAME, WORKERS_LOCK_NAME

REMOVED_NAME = "study.db.deleted"
"""The name of the database of a study whose removal has begun."""

_LAST = (WORKERS_LOCK_NAME, LOCK_NAME, REMOVED_NAME)
_TRIAL = r"(?:trial-[0-9]{5,}|confirm-[0-9]{5,}-[0-9]{3,})"
_TRIAL_FOLDER = re.compile(_TRIAL)
_CHECKPOINT = re.compile(
    rf"{_TRIAL}(?:.*\.safetensors|{re.escape(REPORTS_ENDING)})|\..+\.tmp|\..+\.safetensors\..+", re.DOTALL
)
_LOG = re.compile(rf"{_TRIAL}\.log")
_EVENTS = re.compile(r"events\.out\.tfevents\.[0-9]+\.tunecli")
_AT_TOP = re.compile(
    r"study\.db(?:-journal|\.v[0-9]+(?:-[0-9]+)?)?|stop-trial-[0-9]+\.request|log\.jsonl|"
    + "|".join(map(re.escape, (HOLDER_NAME, CLAIMS_NAME)))
)

_Rule = Callable[[str, bool], "_Rule | bool"]
"""By the name of an entry and whether it is a folder: whether tunecli wrote it; of its folders, the rule inside."""


@dataclass
class Contents:
    """The content of a run folder.

    Attributes:
        n_files, n_bytes: the files that tunecli wrote, and their size.
        kept: the paths, below the run folder, of everything else; it is not removed.
    """

    n_files: int = 0
    n_bytes: int = 0
    kept: list[str] = field(default_factory=list)


def contents_of(folder: RunFolder, *, with_trial_files: bool = False) -> Contents:
    """The files that `remove_study` would remove, and those that it would keep.

    Raises:
        UsageError, StoreFailed: the folder cannot be read.
    """
    contents = Contents()
    _visit_all(folder, contents, with_trial_files=with_trial_files, is_removing=False)
    return contents


def is_removed_in_part(path: Path) -> bool:
    """Whether the removal of the study in ``path`` has begun, was interrupted, and no new study has begun there."""
    return kind_of(path / REMOVED_NAME) == FILE and not kind_of(RunFolder(path).database_path)


def remove_study(folder: RunFolder, *, with_trial_files: bool = False) -> Contents:
    """Remove a study, whose lock the caller holds, and its folder if that is empty then.

    Args:
        folder: the run folder; a removal that was interrupted goes on.
        with_trial_files: also remove the files of the user's own code in the folders of its trials.

    Returns:
        The files that were removed, and those that stay.

    Raises:
        UsageError, StoreFailed: a file cannot be removed; a second call goes on.
    """
    path, contents = folder.path, Contents()
    try:
        with suppress(FileNotFoundError):
            failpoints.reach("rename study.db begins")
            folder.database_path.rename(path / REMOVED_NAME)
        sync_folder(path)
    except OSError as error:
        raise from_os_error(error, folder.database_path, "remove") from error
    release(path)  # before its file, which says where the objects are
    _visit_all(folder, contents, with_trial_files=with_trial_files, is_removing=True)
    try:
        for name in _LAST:
            failpoints.reach(f"remove {name}")
            if kind_of(path / name) == FILE:
                (path / name).unlink(missing_ok=True)
        if not contents.kept:
            with suppress(OSError):  # another process has just put a file there
                path.rmdir()
                sync_folder(path.absolute().parent)
    except OSError as error:
        raise from_os_error(error, path, "remove") from error
    return contents


def _visit_all(folder: RunFolder, contents: Contents, *, with_trial_files: bool, is_removing: bool) -> None:
    trial_files: _Rule = _everything if with_trial_files else _nothing
    folders: dict[str, _Rule] = {
        CHECKPOINTS_NAME: lambda name, is_folder: (
            _TRIAL_FOLDER.fullmatch(name) is not None and trial_files
            if is_folder
            else _CHECKPOINT.fullmatch(name) is not None
        ),
        TRIALS_NAME: lambda name, is_folder: (
            is_folder and _TRIAL_FOLDER.fullmatch(name) is not None and trial_files
        ),
        LOGS_NAME: lambda name, is_folder: not is_folder and _LOG.fullmatch(name) is not None,
        folder.events_path.name: lambda name, is_folder: (
            is_folder and _TRIAL_FOLDER.fullmatch(name) is not None and _events
        ),
    }
    texts = (folder.config_path, folder.results_path, folder.best_path, folder.report_path, folder.about_path)
    further = (folder.baseline_path, folder.refit_path, folder.confirmed_path, folder.confirmed_best_path)
    names = {one.name for one in (*texts, *further)}

    def at_top(name: str, is_folder: bool) -> _Rule | bool:
        if is_folder:
            return folders.get(name, False)
        return name in names or _AT_TOP.fullmatch(name) is not None or is_leftover(Path(name))

    try:
        descriptor = _opened(str(folder.path))
        try:
            _visit(descriptor, at_top, "", contents, is_removing=is_removing)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise from_os_error(error, Path(error.filename or folder.path), "remove") from error


def _visit(descriptor: int, rule: _Rule, place: str, contents: Contents, *, is_removing: bool) -> None:
    """Count, and perhaps remove, the entries of an open folder that a rule allows; name the others."""
    with os.scandir(descriptor) as entries:
        names = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
    for name, facts in names:
        if not place and name in _LAST and stat.S_ISREG(facts.st_mode):
            contents.n_files, contents.n_bytes = contents.n_files + 1, contents.n_bytes + facts.st_size
            continue
        is_folder, path = stat.S_ISDIR(facts.st_mode), f"{place}{name}"
        verdict = rule(name, is_folder)
        is_plain = stat.S_ISREG(facts.st_mode) or rule is _everything
        if verdict is False or not (is_folder or is_plain):
            contents.kept.append(path)
        elif callable(verdict):
            n_kept = len(contents.kept)
            inner = _opened(name, descriptor)
            try:
                _visit(inner, verdict, f"{path}/", contents, is_removing=is_removing)
            finally:
                os.close(inner)
            if is_removing and len(contents.kept) == n_kept:
                os.rmdir(name, dir_fd=descriptor)
        else:
            contents.n_files, contents.n_bytes = contents.n_files + 1, contents.n_bytes + facts.st_size
            if is_removing:
                failpoints.reach(f"remove {name}")
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)


def _opened(name: str, descriptor: int | None = None) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)


def _nothing(name: str, is_folder: bool) -> _Rule | bool:
    return False


def _everything(name: str, is_folder: bool) -> _Rule | bool:
    return _everything if is_folder else True


def _events(name: str, is_folder: bool) -> _Rule | bool:
    return not is_folder and _EVENTS.fullmatch(name) is not None
