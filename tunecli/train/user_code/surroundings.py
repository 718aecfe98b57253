"""The working folder and the environment of a trial that runs the user's own command or function.

With ``cwd: trial`` the folder belongs to the trial: it is kept for the trial's next attempt, and `verify` and `train`
run the trial in a new one. Loads no torch.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunecli.config.surroundings import (
    TRIAL,
    LinkError,
    activated,
    is_path,
    links,
    lookup_of,
    program_of,
    with_absolute_scripts,
    with_env,
)
from tunecli.errors import UsageError
from tunecli.messages import Job
from tunecli.seeding import seed_of_32_bits
from tunecli.train import machine
from tunecli.train.user_code.trial_files import kept_or_temporary

_FACTS = ("seed", "device", "checkpoint_dir", "threads", "device_index", "n_devices", "visible_devices")
_RUNS_CODE = ("-m", "-c")  # Python then puts its working folder on the path of modules
_VARIABLES = {"number": "TUNECLI_TRIAL", **{name: f"TUNECLI_{name.upper()}" for name in _FACTS}}


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """The working folder of a command.

    Attributes:
        path: the folder.
        is_empty: whether an earlier attempt left nothing in it, if it belongs to the trial; else true.
    """

    path: Path
    is_empty: bool = True


@contextmanager
def working_folder(job: Job) -> Iterator[WorkingFolder]:
    """The working folder of a trial; one of the trial's own has its links, and is removed if nothing else is in it.

    Raises:
        DiskFull, StoreFailed, OSError: as for `trial_folder`.
        UsageError: the folder is missing, or a linked file is.
    """
    base_path, surroundings = Path(job.files.base_path), job.task.surroundings
    if surroundings.cwd != TRIAL:
        path = base_path / surroundings.cwd if is_path(surroundings.cwd) else base_path
        if not path.is_dir():
            raise UsageError(f"the working folder {path} does not exist", hint="see `run.cwd`")
        yield WorkingFolder(path)
        return
    with kept_or_temporary(job.files.trial_dir) as folder:
        linked = _linked(folder, surroundings.link, base_path)
        is_empty = _is_empty(folder, linked)
        try:
            yield WorkingFolder(folder, is_empty)
        finally:
            if _is_empty(folder, linked):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def entered(job: Job, params: Mapping[str, Any], facts: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """A block that a function runs in, with the environment and in the working folder that the file names.

    The process stays in the folder and keeps the environment after the block, as the handlers that Python calls at its
    end expect, unless the folder no longer exists.

    Args:
        job: the trial.
        params: its parameters.
        facts: returns its facts, see `facts_of`; called only if the environment can name them.

    Raises:
        DiskFull, StoreFailed, OSError, UsageError: as for `working_folder`.
        PlaceholderError, UsageError: as for `with_env`.
    """
    if job.task.surroundings.env:
        environment = with_env(os.environ, job.task.surroundings, params, facts())
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
    if not job.task.surroundings.cwd:
        yield
        return
    try:
        before = os.getcwd()  # noqa: PTH109  (as `os.chdir` takes it)
    except OSError:
        before = ""
    try:
        with working_folder(job) as folder:
            os.chdir(folder.path)
            yield
    finally:
        if before and not _has_folder():
            os.chdir(before)


def _has_folder() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109
    except OSError:
        return False


def facts_of(job: Job, device: str, checkpoint_dir: Path) -> dict[str, Any]:
    """The facts about a trial that its placeholders name, by `TRIAL_NAMES`.

    Args:
        job: the trial.
        device: the name of its device, never ``auto``.
        checkpoint_dir: the folder for its checkpoints.
    """
    return {
        "number": job.number,
        "seed": seed_of_32_bits(job.task.seed),
        "device": device,
        "checkpoint_dir": str(checkpoint_dir),
        "threads": job.execution.threads,
        "device_index": machine.device_index(device, job.execution.n_devices),
        "n_devices": job.execution.n_devices,
        "visible_devices": machine.visible_devices(device),
    }


def start_of(
    words: Sequence[str],
    environment: Mapping[str, str],
    params: Mapping[str, Any],
    facts: Mapping[str, Any],
    job: Job,
) -> tuple[list[str], dict[str, str]]:
    """The words and the environment that a command starts with, valid in the trial's working folder.

    With ``cwd: trial``, relative entries of ``PYTHONPATH`` start from the file's folder. That folder is the first entry
    for ``python -m`` and ``-c``, which look for modules in the working folder.

    Args:
        words: the command of the trial, without placeholders.
        environment: the environment without `run.env` and the facts of the trial.
        params: its parameters.
        facts: its facts, see `facts_of`.
        job: the trial.

    Raises:
        FileNotFoundError: there is no such program.
        PlaceholderError, UsageError: as for `with_env`.
    """
    surroundings, base_path = job.task.surroundings, Path(job.files.base_path)
    environment = with_env({"PYTHONUNBUFFERED": "1", **environment}, surroundings, params, facts)
    lookup = lookup_of(surroundings, base_path)
    if surroundings.python and not lookup.interpreter:
        raise FileNotFoundError(f"the interpreter `{surroundings.python}` does not exist; see `run.python`")
    if lookup.interpreter:
        environment = activated(environment, lookup.interpreter)
    lookup = replace(lookup, search_path=environment.get("PATH"))
    path = program_of(words[0], lookup)
    if path is None:
        places = " or ".join(str(folder.resolve()) for folder in lookup.folders)
        raise FileNotFoundError(f"program `{words[0]}` not found on PATH or in {places}")
    if surroundings.cwd == TRIAL:
        environment |= _module_path(environment, words, base_path)
    environment |= {variable: str(facts[name]) for name, variable in _VARIABLES.items()}
    return [path, *with_absolute_scripts(words, lookup)[1:]], environment


def _module_path(environment: Mapping[str, str], words: Sequence[str], base_path: Path) -> dict[str, str]:
    base = os.path.abspath(base_path)  # noqa: PTH100  (keeps symbolic links)
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    paths = [os.path.join(base, entry) for entry in entries if entry]  # noqa: PTH118
    if any(word in _RUNS_CODE for word in words):
        paths.insert(0, base)
    return {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}


def _linked(folder: Path, names: Sequence[str], base_path: Path) -> dict[str, Path]:
    """Make the links in a trial's folder that it does not have; a file that the trial put there stays."""
    try:
        wanted = links(names, base_path, folder)
    except LinkError as error:
        raise UsageError(f"run.link: {error.message}", hint=error.hint) from None
    for name, source in wanted.items():
        path = folder / name
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(source)
    return wanted


def _is_empty(folder: Path, linked: Mapping[str, Path]) -> bool:
    """Whether a folder contains only folders and links that `_linked` made."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            if path.is_symlink():
                at = path.relative_to(folder).as_posix()
                with suppress(OSError):
                    if at in linked and path.readlink() == linked[at]:
                        continue
                return False
            if name in files:
                return False
    return True
