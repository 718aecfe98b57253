"""Compressed files, opened as the bytes that they hold. Loads no torch, and pyarrow only for Zstandard."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard", ".zip": "ZIP"}
"""By the ending of a file's name, the name of its compression."""

_CONTENTS = {
    b"PK\3\4": "a ZIP archive, such as an Excel workbook",
    b"\x1f\x8b": "compressed by gzip",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "a file of Microsoft Office",
}


def ending_of(path: Path) -> str:
    """The ending that tells a file's format, without the one of its compression: ``.csv`` for ``a.CSV.gz``.

    A ZIP archive without another ending holds a CSV file.
    """
    ending = path.suffix.lower()
    if ending in PACKED:
        return Path(path.stem).suffix.lower() or (".csv" if ending == ".zip" else "")
    return ending


def packing_of_content(head: bytes) -> str:
    """The kind of a file that begins with these bytes, in words; empty if it may be text."""
    return next((words for mark, words in _CONTENTS.items() if head.startswith(mark)), "")


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file by its ending.

    Yields:
        The unpacked bytes; and the file itself, whose position tells how much of it was used.

    Raises:
        OSError, zipfile.BadZipFile, lzma.LZMAError: the file cannot be opened or is damaged.
        ValueError: a ZIP archive does not have exactly one member.
        ImportError: pyarrow is not installed, and the file is compressed by Zstandard.
    """
    with path.open("rb") as file:
        match path.suffix.lower():
            case ".gz":
                with gzip.open(file) as content:
                    yield cast(IO[bytes], content), file
            case ".bz2":
                with bz2.open(file) as content:
                    yield cast(IO[bytes], content), file
            case ".xz":
                with lzma.open(file) as content:
                    yield cast(IO[bytes], content), file
            case ".zst":
                import pyarrow as pa

                with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as content:
                    yield cast(IO[bytes], content), file
            case ".zip":
                with zipfile.ZipFile(file) as archive, archive.open(_only_member(archive)) as content:
                    yield content, file
            case _:
                yield file, file


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")  # copies that macOS adds
    ]
    if len(members) != 1:
        raise ValueError(f"it must have exactly one member, and it has {len(members)}")
    return members[0]
