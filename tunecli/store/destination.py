"""Where a person asks for a file: a place that can be written, and no file of a study's own.

The files of a run folder are the record; an export over one of them would be the end of the study.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from tunecli.config.paths import is_file, is_folder
from tunecli.errors import UsageError
from tunecli.store.files import explained, is_stream
from tunecli.store.folder import RunFolder
from tunecli.store.lock import HOLDER_NAME, LOCK_NAME

_OF_THE_DATABASE = ("study.db", "study.db-journal", "study.db-wal", "study.db-shm")


def require_destination(path: Path) -> None:
    """Make sure that a file can be written where a person asks for it, as far as that is seen before it is written.

    A study's ``best.yaml`` may be written over: tunecli writes it anew.

    Args:
        path: the file; a link counts as what it leads to.

    Raises:
        UsageError: it is a folder or lies in none, it is a file of a study's own, or the path is of no use.
    """
    if is_stream(path):
        return
    try:
        target = path.resolve()
        target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except RuntimeError as error:
        raise UsageError(f"{path} is a link that leads to itself", hint="name another file") from error
    except OSError as error:
        raise explained(error, path) from error
    if is_folder(target):
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if not is_folder(target.parent):
        folder = target.parent if path.is_symlink() else path.parent
        raise UsageError(f"there is no folder {folder}", hint=f"mkdir -p {quote(str(folder))}")
    study = _study_that_owns(target)
    if study is not None:
        message = f"{path} is a file of the study in {study}, which it would destroy"
        raise UsageError(message, hint="name a file elsewhere")


def _study_that_owns(target: Path) -> Path | None:
    """The run folder whose own file ``target`` is or would be; None where it is no study's."""
    folder = RunFolder(target.parent)
    own = (folder.workers_lock_path, folder.log_path, folder.results_path, folder.config_path)
    names = (*_OF_THE_DATABASE, LOCK_NAME, HOLDER_NAME, *(path.name for path in own))
    if target.name in names and is_file(folder.database_path):
        return folder.path
    for above in target.parents:
        inside = RunFolder(above.parent)
        if above == inside.checkpoints_path and is_file(inside.database_path):
            return inside.path
    return None
