"""What the data of a study was when it began: the SHA-256 of each file that it is read from.

A folder of images counts by the names and sizes of its files, which is what a person changes in one. Generated and
bundled sets are known by the versions on record; what the user's own function makes, by its code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunecli.config.concrete_trial import concrete_trials
from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import FileSource, Images
from tunecli.config.secrets import resolved
from tunecli.config.study import StudySpec


def contents(spec: StudySpec) -> dict[str, str]:
    """The SHA-256, in hexadecimal, of every data file of a study, by its name in the study's file.

    What is not there is left out. A name that the environment completes stays as the file has it.

    Raises:
        UsageError: a name holds a variable that is not set.
    """
    names = sorted({name for plain in concrete_trials(spec.space) for name in _names(plain)})
    found = {name: _sha256(spec.base_path / resolved(name)) for name in names}
    return {name: digest for name, digest in found.items() if digest}


def changes(recorded: Mapping[str, str], spec: StudySpec) -> list[str]:
    """What of the data is not what ``recorded`` says: each file's name, and what became of it."""
    now = contents(spec)
    return [
        f"{name} {'is gone' if name not in now else 'has changed'}"
        for name in recorded
        if recorded[name] != now.get(name)
    ]


def _names(plain: Mapping[str, object]) -> Iterator[str]:
    if "data" not in plain:
        return
    data = Data.model_validate(plain["data"])
    if isinstance(data.source, FileSource | Images):
        yield data.source.path
    for part in (data.validation, data.test):
        if part is not None and part.file is not None:
            yield part.file


def _sha256(path: Path) -> str:
    """Of a file's content, or of the list of a folder's files; empty where there is nothing."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    files = sorted(each for each in path.glob("*/*") if each.is_file())
    listing = "\n".join(f"{each.relative_to(path).as_posix()} {each.stat().st_size}" for each in files)
    return hashlib.sha256(listing.encode()).hexdigest()
