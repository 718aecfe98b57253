"""The recorded version identifies the sources that a trial ran with."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tunecli
from tunecli.study.record.versions import changed_versions, tunecli_version, versions

PACKAGE = Path(tunecli.__file__).parent
ASK = "from tunecli.study.record.versions import tunecli_version; print(tunecli_version())"


def version_of(folder: Path) -> str:
    """The version of the copy of the package in ``folder``."""
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "tunecli", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_version_is_the_number_and_the_digest_of_the_sources() -> None:
    assert re.fullmatch(re.escape(tunecli.__version__) + r"\+[0-9a-f]{12}", tunecli_version())
    assert versions()["tunecli"] == tunecli_version()


def test_equal_sources_in_another_folder_have_the_same_version(copy: Path) -> None:
    (copy / "tunecli" / "__pycache__").mkdir()
    (copy / "tunecli" / "__pycache__" / "notes.txt").write_text("no source")
    assert version_of(copy) == tunecli_version()


@pytest.mark.parametrize("change", ["edit", "add", "remove", "move"])
def test_changed_sources_change_the_version(copy: Path, change: str) -> None:
    source = copy / "tunecli" / "results" / "ranking.py"
    if change == "edit":
        source.write_text(source.read_text() + "# one more line\n")
    elif change == "add":
        source.with_name("more.py").touch()
    elif change == "remove":
        source.unlink()
    else:
        source.rename(source.with_name("front.py"))
    assert version_of(copy) != tunecli_version()


def test_a_changed_version_is_reported_with_both_versions() -> None:
    lines = changed_versions({**versions(), "tunecli": "0.1.0+0123456789ab"})
    assert lines == [f"note: tunecli was 0.1.0+0123456789ab, and is {tunecli_version()}"]
    assert changed_versions(versions()) == []
