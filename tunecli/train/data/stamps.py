"""Stamps of the files that data is read from: caches keep a table until a stamp changes. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunecli.config.paths import is_folder
from tunecli.config.python_source import module_files
from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import FileSource, Images
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import DataError, os_reason
from tunecli.train.data.file_patterns import files_of

Stamp = tuple[str, int, int]
"""A file's full path, modification time in nanoseconds, and size in bytes."""


def stamps_of(data: Data, base_path: Path, *, open_test: bool = False) -> tuple[Stamp, ...]:
    """The stamps of all files that a trial's data is read from.

    Args:
        data: the data's configuration.
        base_path: the folder that relative names start from.
        open_test: whether to include the test file.

    Raises:
        DataError: a file is missing.
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
    """The stamps of the files of a source: a table, a folder of images, or a module of the user's code.

    Raises:
        DataError: a file is missing.
    """
    match data.source:
        case FileSource(path=path):
            yield from _file_stamps(path, base_path, "data.source")
        case Images(path=path):
            yield from _folder_stamps(path, base_path, "data.source")
        case UserCode(python=code):
            for file in module_files(base_path, code.partition(":")[0].split(".")):
                yield stamp_of(str(file.relative_to(base_path)), base_path, "data.source")


def stamps_beside(data: Data, file: str, base_path: Path, parameter: str) -> tuple[Stamp, ...]:
    """The stamps of a validation or test file, or folder of images.

    Raises:
        DataError: it is missing, or the source is neither a file nor a folder.
    """
    match data.source:
        case Images():
            return tuple(_folder_stamps(file, base_path, parameter))
        case FileSource():
            return tuple(_file_stamps(file, base_path, parameter))
    message = f"`file` needs a source that is a file or a folder, and the source is {shown(data)}"
    raise DataError(message, hint="use `fraction`", parameter=parameter)


def stamp_of(file: str, base_path: Path, parameter: str) -> Stamp:
    """The stamp of a file.

    Raises:
        DataError: there is no such file.
    """
    return _stamp(base_path / file, file, base_path, parameter)


def _stamp(path: Path, shown_name: str, base_path: Path, parameter: str) -> Stamp:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(
            f"there is no file {shown_name}", hint=_hint(base_path), parameter=parameter
        ) from error
    if path.is_dir():
        message = f"{shown_name} is a folder, and not a file"
        raise DataError(message, hint=_folder_hint(path, shown_name), parameter=parameter)
    if not path.is_file():
        raise DataError(f"{shown_name} is not a file", parameter=parameter)
    return str(path.resolve()), status.st_mtime_ns, status.st_size


def _folder_hint(path: Path, shown_name: str) -> str:
    """How to name the tables, or else the images, of a folder."""
    for suffix in (".csv", ".parquet", ".tsv", ".csv.gz"):
        if next(path.glob(f"*{suffix}"), None):
            return f"write `{shown_name.rstrip('/')}/*{suffix}` for all its tables"
    return "end the name of a folder of images with a slash"


def _file_stamps(file: str, base_path: Path, parameter: str) -> Iterator[Stamp]:
    """The stamps of a file, or of all files that match a pattern; an added or removed file changes them.

    Raises:
        DataError: there is no such file.
    """
    for path in files_of(base_path / file, parameter):
        yield _stamp(path, file if path == base_path / file else str(path), base_path, parameter)


def shown(data: Data) -> str:
    """The name of a source in messages."""
    match data.source:
        case FileSource(path=path) | Images(path=path):
            return path
        case UserCode(python=code):
            return code
    return data.source.name


def _folder_stamps(folder: str, base_path: Path, parameter: str) -> Iterator[Stamp]:
    """The stamps of a folder and its sub-folders. They change when a file is added or removed, not when one is edited.

    Raises:
        DataError: there is no such folder, or it cannot be read.
    """
    path = base_path / folder
    if not is_folder(path):
        raise DataError(f"there is no folder {folder}", hint=_hint(base_path), parameter=parameter)
    try:
        folders = [path, *sorted(inner for inner in path.iterdir() if inner.is_dir())]
        yield from [(str(path.resolve()), path.stat().st_mtime_ns, 0) for path in folders]
    except OSError as error:
        message = f"{folder} cannot be read: {os_reason(error)}"
        raise DataError(message, parameter=parameter) from error


def _hint(base_path: Path) -> str:
    return f"relative names start from {base_path.resolve()}"
