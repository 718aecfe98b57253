"""Names of files and folders for the completion: run folders that hold a study, files of studies, model files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tunecli.store.glance import holds_study

_RUNS = "runs"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""The names of studies; a folder with another name is found by its path only."""
_N_ENTRIES = 2000
"""The largest number of entries of a folder that are read."""
_N_INSIDE = 200
"""The largest number of entries that are searched for studies."""
_CONFIGS = (".yaml", ".yml")
_MODELS = (".safetensors",)


def run_folder(text: str) -> Path | None:
    """The run folder that the path or name ``text`` means; None if there is no study."""
    if text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111  # it leaves an unknown user's home as it is
    named = [Path(text), Path(_RUNS, text)] if _NAME.fullmatch(text) else [Path(text)]
    return next((path for path in named if holds_study(path)), None)


def run_folders(text: str) -> Iterator[str]:
    """The names and paths of studies that begin with ``text``; a folder that holds studies ends with ``/``."""
    if "/" not in text:
        yield from (name for name, path in _folders(_RUNS) if _NAME.fullmatch(name) and holds_study(path))
    head, folder, is_hidden_asked = _split(text)
    for name, path in _folders(folder):
        if not f"{head}{name}".startswith(text) or (name.startswith(".") and not is_hidden_asked):
            continue
        if holds_study(path):
            yield f"{head}{name}"
        elif (name != _RUNS or text) and _holds_studies(path):
            yield f"{head}{name}/"


def tags_below(folder: str) -> list[str]:
    """The tags of the studies directly in ``folder``, in alphabetical order."""
    from tunecli.store.annotation import annotation_of

    paths = (Path(path) for _, path in _folders(folder) if holds_study(path))
    return sorted({tag for path in paths for tag in annotation_of(path).tags})


def config_files(text: str) -> Iterator[str]:
    """The paths of YAML files that begin with ``text``, and of folders, which end with ``/``."""
    return _files(text, _CONFIGS)


def model_files(text: str) -> Iterator[str]:
    """The paths of model files that begin with ``text``, and of folders, which end with ``/``."""
    return _files(text, _MODELS) if text else iter(())


def _files(text: str, endings: tuple[str, ...]) -> Iterator[str]:
    head, folder, is_hidden_asked = _split(text)
    for entry in _entries(folder):
        if not f"{head}{entry.name}".startswith(text) or (entry.name.startswith(".") and not is_hidden_asked):
            continue
        if _is_folder(entry):
            yield f"{head}{entry.name}/"
        elif entry.name.endswith(endings):
            yield f"{head}{entry.name}"


def _split(text: str) -> tuple[str, str, bool]:
    """The part of a path up to the last ``/``, the folder to read, and whether the rest begins with a dot."""
    cut = text.rfind("/") + 1
    return text[:cut], text[:cut] or ".", text[cut:].startswith(".")


def _folders(folder: str) -> Iterator[tuple[str, str]]:
    """The name and path of each folder in ``folder``."""
    return ((entry.name, entry.path) for entry in _entries(folder) if _is_folder(entry))


def _holds_studies(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(_is_folder(entry) and holds_study(entry.path) for entry in islice(entries, _N_INSIDE))
    except OSError:
        return False


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """The entries of ``folder`` by name; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, _N_ENTRIES), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
