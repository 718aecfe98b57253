"""The files of the user that travel to machines which do not see them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tunecli.study.record.user_files import user_files


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "study"
    for name in ("mine.py", "parts/a.csv", "parts/b.csv", "images/cat/1.png", "images/dog/2.png"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    (tmp_path / "outside.csv").write_text("outside")
    return base


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_code_and_a_data_file_keep_their_names_and_hashes(base: Path) -> None:
    assert user_files(base, {"mine.py": "c"}, {"parts/a.csv": "d"}) == {"mine.py": "c", "parts/a.csv": "d"}


def test_a_pattern_becomes_its_files_with_their_recorded_hashes(base: Path) -> None:
    data = {"parts/*.csv": "listing", "parts/*.csv: a.csv": "1", "parts/*.csv: b.csv": "2"}
    assert user_files(base, {}, data) == {"parts/a.csv": "1", "parts/b.csv": "2"}


def test_an_image_folder_becomes_its_files_without_a_hash(base: Path) -> None:
    assert user_files(base, {}, {"images": "listing"}) == {"images/cat/1.png": "", "images/dog/2.png": ""}


def test_a_file_outside_of_the_folder_keeps_the_kind_of_its_name(base: Path) -> None:
    outside = base.parent / "outside.csv"
    data = {"parts/../../outside.csv": "1", str(outside): "1", str(base / "mine.py"): "2"}
    assert user_files(base, {}, data) == {"../outside.csv": "1", str(outside): "1", "mine.py": "2"}


def test_a_file_that_does_not_exist_is_left_out(base: Path) -> None:
    assert user_files(base, {"gone.py": "1"}, {"gone.csv": "2"}) == {}


def test_a_variable_in_a_name_is_replaced(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTS", "parts")
    assert user_files(base, {}, {"${env:PARTS}/a.csv": digest("parts/a.csv")}) == {
        "parts/a.csv": digest("parts/a.csv")
    }
