"""A file is written whole or stays as before, for every error of the disk and every moment of a kill."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunecli import failpoints
from tunecli.durable_files import is_leftover
from tunecli.errors import DiskFull, StoreFailed
from tunecli.train.checkpoint import write_whole


def test_a_written_file_has_its_content_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert write_whole(path, b"old", "thing") == hashlib.sha256(b"old").hexdigest()
    assert write_whole(path, b"new", "thing") == hashlib.sha256(b"new").hexdigest()
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EFBIG, DiskFull),
        (errno.EIO, StoreFailed),
        (errno.EROFS, StoreFailed),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_is_not_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old", "thing")
    asked: list[int] = []

    def refuse(handle: int) -> None:
        asked.append(handle)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(error, match=str(path)):
        write_whole(path, b"new", "thing")
    assert len(asked) == 1
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_torn_write_never_replaces_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old", "thing")
    monkeypatch.setattr(os, "fsync", lambda handle: os.ftruncate(handle, 3))
    with pytest.raises(StoreFailed, match="differs from the bytes written to it"):
        write_whole(path, b"much longer than that", "thing")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_made_raises_store_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match="cannot write"):
        write_whole(tmp_path / "file" / "below", b"", "thing")


WRITER = """
import sys
from pathlib import Path
from tunecli.train.checkpoint import write_whole
write_whole(Path(sys.argv[1]), b"new", "thing")
"""


@pytest.fixture
def killed(tmp_path: Path) -> Callable[[int], Path]:
    """Writes over a file in a process that is killed at its n-th durable step; the file's folder."""

    def write(at: int) -> Path:
        folder = tmp_path / "folder"
        write_whole(folder / "file", b"old", "thing")
        environment = {**os.environ, failpoints.VARIABLE: f"kill:{at}:{tmp_path / 'points'}"}
        done = subprocess.run([sys.executable, "-c", WRITER, folder / "file"], env=environment)
        assert done.returncode == -signal.SIGKILL
        return folder

    return write


def test_a_writer_killed_before_the_rename_leaves_a_temporary_that_is_known_as_one(
    killed: Callable[[int], Path],
) -> None:
    folder = killed(1)
    assert (folder / "file").read_bytes() == b"old"
    (left,) = [path for path in folder.iterdir() if path.name != "file"]
    assert is_leftover(left)


def test_a_writer_killed_after_the_rename_leaves_the_new_file(killed: Callable[[int], Path]) -> None:
    folder = killed(2)
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_bytes() == b"new"
