"""The user's files that travel to every agent: exactly the recorded ones of code and data, and those of patterns.

Names that lead above the folder of the study's file keep their places: all files travel relative to a common root. An
absolute name never travels; it is expected on every node.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunecli.engine.cluster.protocol import SentFile
from tunecli.engine.protocol import EngineOptions
from tunecli.errors import UsageError, from_os_error
from tunecli.text import counted, shown_bytes

MOST_BYTES = 1 << 30
"""The largest size of all files that travel."""


@dataclass(frozen=True, slots=True)
class UserFiles:
    """The files of a study.

    Attributes:
        files: the files that travel, by their names relative to the common root.
        paths: where each of them is.
        base_path: the folder of the study's file; empty: the jobs belong to no study.
        base_name: that folder, relative to the root.
        expected: SHA-256 of the files that every node must have, by absolute path; empty: a folder.
        why_not_sent: why the files do not travel; empty: they do.
    """

    files: Sequence[SentFile] = ()
    paths: Sequence[Path] = ()
    base_path: str = ""
    base_name: str = "."
    expected: Mapping[str, str] | None = None
    why_not_sent: str = ""

    def contents(self) -> list[bytes]:
        """Read the files; empty if they do not travel.

        Raises:
            UsageError: a file has changed since its hash was recorded, or cannot be read.
            StoreFailed: the disk refuses.
        """
        if self.why_not_sent:
            return []
        contents = []
        for file, path in zip(self.files, self.paths, strict=True):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise from_os_error(error, path, "read") from error
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise _changed(str(path))
            contents.append(content)
        return contents


def user_files(
    options: EngineOptions, patterns: Sequence[str] = (), most_bytes: int = MOST_BYTES
) -> UserFiles:
    """Find the files of a study.

    Args:
        options: the recorded files, and the folder of the study's file.
        patterns: of further files below that folder, as ``run.ray.files`` has them; ``**`` means any number of folders.
        most_bytes: the largest size of all files that travel.

    Raises:
        UsageError: a pattern is absolute, leads out of the folder, or matches no file; or a file has changed.
    """
    if options.base_path is None:
        return UserFiles()
    base_path = Path(os.path.abspath(options.base_path))  # noqa: PTH100  (keeps symbolic links)
    paths: dict[Path, str] = {}
    expected: dict[str, str] = {}
    for name, sha256 in options.files.items():
        if Path(name).is_absolute():
            expected[name] = sha256
        else:
            paths[Path(os.path.normpath(base_path / name))] = sha256
    for path in _matches(base_path, patterns, options.folder):
        paths.setdefault(path, "")
    root = Path(os.path.commonpath([base_path, *(path.parent for path in paths)]))
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    n_bytes = sum(sizes.values())
    files = [
        SentFile(path.relative_to(root).as_posix(), paths[path] or _sha256_of(path), size)
        for path, size in sizes.items()
    ]
    too_large = (
        f"run.ray.files: {shown_bytes(n_bytes)} in {counted(len(sizes), 'file')}, "
        f"at most {shown_bytes(most_bytes)} travels"
    )
    return UserFiles(
        files,
        list(sizes),
        str(base_path),
        base_path.relative_to(root).as_posix(),
        expected,
        too_large if n_bytes > most_bytes else "",
    )


def require_matches(base_path: Path, patterns: Sequence[str]) -> None:
    """Raise UsageError if a pattern is absolute, leads out of the folder, or matches no file."""
    for pattern in patterns:
        next(_matches(base_path, [pattern], None))


def _matches(base_path: Path, patterns: Sequence[str], run_folder: Path | None) -> Iterator[Path]:
    """The files that match patterns, without those of the run folder."""
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise UsageError(
                f"run.ray.files: {pattern} leads out of the folder of the study's file",
                hint="name files below that folder",
            )
        found = False
        for path in sorted(base_path.glob(pattern)):
            inner = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in inner:
                is_inside = file.resolve().is_relative_to(base_path.resolve())
                if file.is_file() and is_inside and not _is_below(file, run_folder):
                    found = True
                    yield file
        if not found:
            raise UsageError(f"run.ray.files: no file matches {pattern} in {base_path}")


def _is_below(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise from_os_error(error, path, "read") from error


def _changed(name: str) -> UsageError:
    return UsageError(
        f"{name} has changed since the study began",
        hint="restore it, or begin a new study with `tunecli search`",
    )
