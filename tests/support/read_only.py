"""Fixtures for folders that can be read and not written, even if the tests run as root."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

_CAPABILITY_VERSION = 0x20080522  # capget(2), version 3
_OVERRIDES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH

ReadOnly = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own temporary folders are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def read_only() -> ReadOnly:
    """``with read_only(folder):`` makes a folder read-only; in the block root obeys permissions, too."""

    @contextmanager
    def guard(folder: Path) -> Iterator[None]:
        folder.chmod(0o555)
        try:
            with _permissions_obeyed():
                yield
        finally:
            folder.chmod(0o755)

    return guard


@contextmanager
def _permissions_obeyed() -> Iterator[None]:
    """Take root's right to write and read any file from this thread. Programs that it starts get it back.

    Another user could not always run Python, whose files may be private to root.
    """
    if os.geteuid() != 0:
        yield
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (
        ctypes.c_uint32 * 6
    )()  # effective, permitted, inheritable, each for capabilities 0 to 31 and 32 to 63
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, sets) == 0, os.strerror(ctypes.get_errno())
    before = sets[0]
    sets[0] = before & ~_OVERRIDES
    assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
