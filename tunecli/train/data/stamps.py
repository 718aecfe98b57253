"""The states of the files that data is read from: what a cache may hold on to. Reads none of them; loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunecli.config.paths import is_folder
from tunecli.config.python_source import module_files
from tunecli.config.schema.base import UserCode
from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import FileSource, Images
from tunecli.errors import DataError, os_reason

Stamp = tuple[str, int, int]
"""A file's full path, modification time in nanoseconds, and size in bytes."""


def stamps_of(data: Data, base_path: Path, *, open_test: bool = False) -> tuple[Stamp, ...]:
    """The states of every file that a trial's data is read from.

    Args:
        data: the data's knobs.
        base_path: the folder that relative names start from.
        open_test: whether the test file is among them.

    Raises:
        DataError: one is not there.
    """
    files = [(data.validation.file, "data.validation")]
    if open_test and data.test is not None:
        files.append((data.test.file, "data.test"))
    stamps = [*source_stamps(data, base_path)]
    for file, parameter in files:
        if file is not None:
            stamps += stamps_beside(data, file, base_path, parameter)
    return tuple(stamps)


def source_stamps(data: Data, base_path: Path) -> Iterator[Stamp]:
    """The states of the files of a source: a table, a folder of images, or the user's own module.

    Raises:
        DataError: one is not there.
    """
    match data.source:
        case FileSource(path=path):
            yield stamp_of(path, base_path, "data.source")
        case Images(path=path):
            yield from _folder_stamps(path, base_path, "data.source")
        case UserCode(python=code):
            for file in module_files(base_path, code.partition(":")[0].split(".")):
                yield stamp_of(str(file.relative_to(base_path)), base_path, "data.source")


def stamps_beside(data: Data, file: str, base_path: Path, parameter: str) -> tuple[Stamp, ...]:
    """The states of a validation or test file, which is of the source's own kind.

    Raises:
        DataError: it is not there, or the source is neither a file nor a folder.
    """
    match data.source:
        case Images():
            return tuple(_folder_stamps(file, base_path, parameter))
        case FileSource():
            return (stamp_of(file, base_path, parameter),)
    message = f"a file of its own goes with a training file, and the source is {shown(data)}"
    raise DataError(message, hint="use `fraction`", parameter=parameter)


def stamp_of(file: str, base_path: Path, parameter: str) -> Stamp:
    """Name a file and its state.

    Raises:
        DataError: there is no such file.
    """
    path = base_path / file
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"there is no file {file}", hint=_looked(base_path), parameter=parameter) from error
    if not path.is_file():
        hint = "the name of a folder of images ends with a slash" if path.is_dir() else ""
        raise DataError(f"{file} is not a file", hint=hint, parameter=parameter)
    return str(path.resolve()), status.st_mtime_ns, status.st_size


def shown(data: Data) -> str:
    """A source as a message calls it."""
    match data.source:
        case FileSource(path=path) | Images(path=path):
            return path
        case UserCode(python=code):
            return code
    return data.source.name


def _folder_stamps(folder: str, base_path: Path, parameter: str) -> Iterator[Stamp]:
    """The folder's own and its sub-folders': files that come or go are noticed, one that is rewritten is not."""
    path = base_path / folder
    if not is_folder(path):
        raise DataError(f"there is no folder {folder}", hint=_looked(base_path), parameter=parameter)
    try:
        folders = [path, *sorted(inner for inner in path.iterdir() if inner.is_dir())]
        yield from [(str(each.resolve()), each.stat().st_mtime_ns, 0) for each in folders]
    except OSError as error:
        message = f"{folder} cannot be read: {os_reason(error)}"
        raise DataError(message, parameter=parameter) from error


def _looked(base_path: Path) -> str:
    return f"relative names start from {base_path.resolve()}"
