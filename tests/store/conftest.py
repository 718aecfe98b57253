"""Fixtures for the tests of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunecli.store.database import Log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """The log of a new study."""
    with Log.create(tmp_path / "study.db", {"seed": 7}) as log:
        yield log
