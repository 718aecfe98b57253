"""`tunecli delete`: remove studies, after a question; files that tunecli did not write stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tunecli.config.study import STUDY_NAME
from tunecli.errors import StoreDamaged, StoreTooNew, StudyLocked, UsageError
from tunecli.results.view import View
from tunecli.store.connection import is_of_another_program
from tunecli.store.database import Log
from tunecli.store.files import DIRECTORY, FILE, kind_of
from tunecli.store.folder import RUNS, RunFolder
from tunecli.store.lock import hold, holder
from tunecli.store.removal import Contents, contents_of, is_removed_in_part, remove_study
from tunecli.text import counted, shown_bytes

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Deleted:
    """A study that was deleted.

    Attributes:
        path: its run folder.
        contents: the files that were removed, and those that stay.
    """

    path: str
    contents: Contents


def delete(
    runs: Sequence[str], agrees: Callable[[str], bool], *, with_trial_files: bool = False
) -> list[Deleted]:
    """Delete studies. All of them are found, and all questions answered, before anything is removed.

    Args:
        runs: run folders, or names of studies.
        agrees: asks a person whether to remove a study.
        with_trial_files: also remove the files of the user's own code in the folders of its trials.

    Raises:
        UsageError: a folder holds no study or the database of another program, is a link, or holds the working folder;
            or the person did not agree.
        StudyLocked: a process holds a study.
    """
    folders = [*{folder.path.resolve(): folder for folder in map(_deletable, runs)}.values()]
    for folder in folders:
        if (process := holder(folder.path)) is not None:
            raise StudyLocked(
                f"{process} runs the study in {folder.path}",
                hint=f"tunecli stop {quote(str(folder.path))}, then delete it",
            )
    for folder in folders:
        if not agrees(question(folder, with_trial_files=with_trial_files)):
            raise UsageError(
                f"{folder.path} is not deleted without an answer",
                hint="answer `y` on a terminal, or use --yes",
            )
    deleted = []
    for folder in folders:
        with hold(folder.path, is_recorded=False):  # writes nothing: the disk may be full
            deleted.append(Deleted(str(folder.path), remove_study(folder, with_trial_files=with_trial_files)))
    return deleted


def question(folder: RunFolder, *, with_trial_files: bool) -> str:
    """The question before a study is removed, with its size."""
    contents = contents_of(folder, with_trial_files=with_trial_files)
    what = f"{_trials(folder)}{counted(contents.n_files, 'file')}, {shown_bytes(contents.n_bytes)}"
    stays = f"; {counted(len(contents.kept), 'other file')} will stay" if contents.kept else ""
    return f"delete {folder.path} ({what}{stays})?"


def _trials(folder: RunFolder) -> str:
    if is_removed_in_part(folder.path):
        return "deleted in part, "
    try:
        with Log.open_to_read(folder.database_path, is_whole=False) as log:
            return f"{counted(sum(log.counts().values()), 'trial')}, "
    except (StoreDamaged, StoreTooNew):
        return "a record that cannot be read, "


def _deletable(run: str) -> RunFolder:
    path = Path(run)
    if STUDY_NAME.fullmatch(run) and not _is_there(path):
        path = RunFolder.named(run).path if _is_there(RUNS / run) else path
    if not _is_there(path):
        RunFolder.find(run)  # raises, with the names of studies that are near
    if ".." in path.parts:  # `link/..` is the folder above the link's target
        path = path.resolve() if path.name == ".." else path.parent.resolve() / path.name
    if (kind := kind_of(path)) != DIRECTORY:
        raise UsageError(f"{path} is {kind}, not a run folder", hint="name the folder itself")
    if is_of_another_program(RunFolder(path).database_path):
        hint = "if it is a damaged study, remove the folder with another program"
        raise UsageError(f"{path} holds no study: another program wrote its study.db", hint=hint)
    if Path.cwd().is_relative_to(path.resolve()):
        raise UsageError(f"cannot delete {path}: the command runs in it", hint="run it from another folder")
    return RunFolder(path)


def _is_there(path: Path) -> bool:
    try:
        return kind_of(path / "study.db") == FILE or is_removed_in_part(path)
    except ValueError:  # a NUL in the name
        return False


def delete_view(deleted: Sequence[Deleted]) -> View:
    """A line for each study, with the files that stay."""
    data = {
        "deleted": [
            {
                "path": one.path,
                "n_files": one.contents.n_files,
                "n_bytes": one.contents.n_bytes,
                "kept": one.contents.kept,
            }
            for one in deleted
        ]
    }
    messages = []
    for one in deleted:
        removed = f"{counted(one.contents.n_files, 'file')}, {shown_bytes(one.contents.n_bytes)}"
        messages.append(f"deleted {one.path} ({removed})")
        if kept := one.contents.kept:
            more = f" and {len(kept) - _MOST_NAMED} more" if len(kept) > _MOST_NAMED else ""
            names = ", ".join(kept[:_MOST_NAMED])
            messages.append(f"note: {one.path} stays, with files that tunecli did not write: {names}{more}")
    return View("delete", data, messages=tuple(messages))
