"""The user's files of code and data that the trials of a study read, for an engine whose machines do not see them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunecli.config.secrets import resolved
from tunecli.train.data.file_patterns import is_pattern, names_below


def user_files(base_path: Path, code: Mapping[str, str], data: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of each file, by its name.

    A name is relative to ``base_path`` where the file is below it or the study's file names it relatively, perhaps with
    ``..``; else it is the file's absolute path. A file of an
    image folder has an empty hash, because the record has one for the whole folder only. A pattern is replaced by its
    files, and a file that does not exist is left out.

    Args:
        base_path: the folder that relative names start from; an absolute path.
        code: the recorded hashes of the code, by name.
        data: the recorded hashes of the data, by name in the study's file; those of a pattern's files have the name
            ``pattern: file``.

    Raises:
        DataError: a pattern matches no file any more.
        UsageError: a name contains an environment variable that is not set.
    """
    return {
        _name(path, base_path): digest
        for path, digest in (
            *((base_path / name, digest) for name, digest in code.items()),
            *_data_files(base_path, data),
        )
        if path.is_file()
    }


def _data_files(base_path: Path, data: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    for name, digest in data.items():
        if name.partition(": ")[0] in data and ": " in name:
            continue  # a file of a pattern, which comes with the pattern
        path = base_path / resolved(name)
        if is_pattern(path):
            yield from ((file, data.get(f"{name}: {inner}", "")) for inner, file in names_below(path).items())
        elif path.is_dir():
            yield from ((file, "") for file in sorted(path.glob("*/*")))
        else:
            yield path, digest


def _name(path: Path, base_path: Path) -> str:
    if path.is_relative_to(base_path):  # the study's file names it relatively, perhaps with `..`
        return Path(os.path.relpath(path, base_path)).as_posix()
    path = Path(os.path.normpath(path))
    return path.relative_to(base_path).as_posix() if path.is_relative_to(base_path) else str(path)
