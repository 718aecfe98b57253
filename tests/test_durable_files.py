"""Opening files of tunecli's own. tests/store/test_files.py tests the order of a durable write."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tunecli.durable_files import open_regular, read_regular


def link(path: Path) -> None:
    (path.parent / "target").write_text("another user's file")
    path.symlink_to(path.parent / "target")


def local_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [link, os.mkfifo, Path.mkdir, local_socket])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_APPEND | os.O_CREAT])
def test_only_a_regular_file_is_opened(tmp_path: Path, make: Callable[[Path], object], flags: int) -> None:
    path = tmp_path / "file"
    make(path)
    n_open = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(OSError):
        open_regular(path, flags)
    assert len(list(Path("/dev/fd").iterdir())) == n_open, "the descriptor is closed"


def test_a_device_is_not_opened() -> None:
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(os.devnull, os.O_RDONLY)


def test_programs_do_not_inherit_the_descriptor(tmp_path: Path) -> None:
    descriptor = open_regular(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        os.close(open_regular(tmp_path / "file", os.O_WRONLY | os.O_CREAT))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_the_whole_content_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00" * 100_000)
    assert read_regular(tmp_path / "file") == b"\x00" * 100_000
