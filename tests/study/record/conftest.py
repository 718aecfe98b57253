"""An earlier study, run once, and files of studies beside its run folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.study.record.related import STUDY, run


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the earlier study; tests take copies."""
    path = tmp_path_factory.mktemp("earlier") / "old.yaml"
    path.write_text(STUDY)
    run(path, path.with_suffix(""))
    return path.with_suffix("")


@pytest.fixture
def file(tmp_path: Path, earlier: Path, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Write a file beside a copy of the earlier run folder: by default the module's `NEW`, with texts replaced."""
    shutil.copytree(earlier, tmp_path / "old")

    def write(text: str = request.module.NEW, **replaced: str) -> Path:
        for before, after in replaced.items():
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "new.yaml"
        path.write_text(text)
        return path

    return write
