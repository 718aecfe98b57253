"""A folder that can be read and not written, also where the tests run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tunecli.store.database import Log

NOBODY = 65534

ReadOnly = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """The log of a study that has just begun."""
    with Log.create(tmp_path / "study.db", {"seed": 7}) as log:
        yield log


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def read_only() -> ReadOnly:
    """``with read_only(folder):`` nothing in the folder can be written; root becomes nobody meanwhile."""

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
