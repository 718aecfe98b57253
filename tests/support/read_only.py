"""Fixtures for folders that can be read and not written, even if the tests run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

NOBODY = 65534

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
    """``with read_only(folder):`` makes a folder read-only; root becomes an unprivileged user in the block."""

    @contextmanager
    def guard(folder: Path) -> Iterator[None]:
        is_root = os.geteuid() == 0
        folder.chmod(0o555)
        if is_root:
            os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
            folder.chmod(0o755)

    return guard
