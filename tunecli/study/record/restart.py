"""`search --restart`: make room for a new study in place of an old one.

The old run folder is renamed as a whole, so a kill leaves it under one of its two names. It is deleted only if it
holds no result and no file of the user: no trial has a score or a finished epoch, and tunecli wrote all of its files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shlex import quote

from tunecli.durable_files import sync_folder
from tunecli.errors import StoreDamaged, UsageError, from_os_error
from tunecli.store.database import Log
from tunecli.store.files import DIRECTORY, kind_of
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.text import counted

_ENDING = ".old-"


def make_room(path: Path, confirm: Callable[[str], bool]) -> str:
    """Move the study in ``path`` aside, or remove it if it holds no result.

    Args:
        path: the run folder; nothing happens if it holds no study.
        confirm: asks a person whether to move a study aside that has scores, or whose record is damaged.

    Returns:
        A line for the person; empty: there was no study.

    Raises:
        UsageError: the folder is a link, or the working folder is in it, or the person did not agree.
        StudyLocked: another process holds the study.
    """
    path = Path(os.path.normpath(path))
    kind = kind_of(path)
    if kind and kind != DIRECTORY:
        raise UsageError(
            f"{path} is {kind}, and --restart needs a run folder of its own", hint="name the folder"
        )
    if not kind_of(path / "study.db"):
        return ""
    RunFolder(path).require_own_files(is_writing=True)
    if Path.cwd().is_relative_to(path.resolve()):
        raise UsageError(
            f"--restart cannot move {path}: the command runs in it", hint="run it from another folder"
        )
    with hold(path):
        contents, is_worthless = _contents(path)
        is_worthless = is_worthless and not RunFolder(path).has_other_files()
        if contents and not confirm(f"{path} has {contents}; move it aside and begin anew?"):
            raise UsageError(
                f"{path} has {contents}",
                hint=f"--restart --yes moves it aside; tunecli resume {quote(str(path))} continues it",
            )
        aside = _free_name(path)
        try:
            path.rename(aside)
            sync_folder(aside.parent)
        except OSError as error:
            raise from_os_error(error, path) from error
        with suppress(OSError):
            (aside / "holder.json").unlink()
    if is_worthless:
        shutil.rmtree(aside, ignore_errors=True)  # follows no links
        return f"removed the study in {path}: no trial of it had finished an epoch"
    return f"moved the study in {path} to {aside}"


def _contents(path: Path) -> tuple[str, bool]:
    """The scores of a study in words, empty without any; and whether the study holds no result."""
    try:
        with Log.open_to_read(path / "study.db") as log:
            trials = log.trials()
            n_scored = sum(trial.outcome is not None and trial.outcome.score is not None for trial in trials)
            has_epochs = any(log.epochs_of(trial.number for trial in trials).values())
    except StoreDamaged:
        return "a damaged record", False
    return (f"{counted(n_scored, 'trial')} with a score" if n_scored else ""), not n_scored and not has_epochs


def _free_name(path: Path) -> Path:
    number = 1
    while kind_of(aside := path.with_name(f"{path.name}{_ENDING}{number}")):
        number += 1
    return aside
