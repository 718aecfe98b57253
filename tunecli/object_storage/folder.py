"""Objects as the files of a folder that several machines see, such as NFS."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tunecli import durable_files


class Folder:
    """The files below a folder. Names are checked by `ObjectStorage`; every method may raise OSError."""

    def __init__(self, root: Path) -> None:
        """Use the folder ``root``, which need not exist yet."""
        self._root = root

    def make(self) -> None:
        """Make the folder."""
        durable_files.make_folder(self._root)

    def put(self, name: str, source: bytes | Path) -> None:
        """Write a file, whole and durable.

        The folder itself is not made: on a node where it is missing, it is not mounted.
        """
        if not self._root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "there is no such folder", str(self._root))
        path = self._root / name
        durable_files.make_folder(path.parent)
        content = source if isinstance(source, bytes) else source.read_bytes()
        durable_files.put(path, content, steps=("rename object", "renamed object"))

    def get(self, name: str) -> bytes:
        """Read a file."""
        return durable_files.read_regular(self._root / name)

    def remove(self, name: str) -> None:
        """Remove a file, and the folders below the root that are empty without it."""
        path = self._root / name
        path.unlink()
        self._remove_empty(path.parent)

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names of all files below a folder."""
        for inner, _, names in os.walk(self._root / prefix):
            for name in names:
                yield (Path(inner, name)).relative_to(self._root).as_posix()

    def remove_all(self, prefix: str) -> None:
        """Remove a folder and everything in it."""
        path = self._root / prefix
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
        self._remove_empty(path.parent)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # another file is in it, or another process removed it
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent
