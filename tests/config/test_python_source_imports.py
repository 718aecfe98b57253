"""Imports are found without running the sources, with the packages that they bring along."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.config.python_source import may_import_package

FILES = {
    "mine.py": "import os.path, first\nfrom helper import *\nfrom pack.inner import deep\n",
    "helper.py": "def f():\n    try:\n        import second.part\n    except ImportError:\n        pass\n",
    "pack/__init__.py": "",
    "pack/inner.py": "from . import near\nfrom .. import helper\nfrom third import x\n",
    "pack/near.py": "import fourth as mine\n",
    "broken.py": "import fifth\ndef (:\n",
    "unused.py": "import sixth\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("wanted", ["first", "second", "third", "fourth"])
def test_imports_are_followed_within_the_folder_of_the_file(folder: Path, wanted: str) -> None:
    assert may_import_package([["mine"]], folder, wanted)
    assert not may_import_package([["unused"]], folder, wanted)
    assert may_import_package([["unused"], ["mine"]], folder, wanted)


@pytest.mark.parametrize("wanted", ["os", "helper", "pack", "near", "fifth", "sixth"])
def test_modules_that_are_not_imported_are_not_reported(folder: Path, wanted: str) -> None:
    assert not may_import_package([["mine"], ["broken"]], folder, wanted)


def test_imports_of_an_installed_module_are_unknown(folder: Path) -> None:
    assert may_import_package([["mine"], ["elsewhere"]], folder, "nothing")
    assert not may_import_package([["pack", "inner"]], folder, "nothing")


@pytest.mark.parametrize(
    ("asked", "is_brought"),
    [
        ("wanted", True),
        ("wanted>=2.10", True),
        ("wanted (>=2) ; python_version > '3'", True),
        ("wanted[extra]", True),
        ("wanted>=2; extra == 'all'", False),
        ("wantedvision", False),
        ("wanted-lightning", False),
        ("another", False),
    ],
)
def test_an_installed_package_may_import_its_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, is_brought: bool
) -> None:
    place = tmp_path / "installed" / "bringing-1.0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: bringing\nVersion: 1.0\nRequires-Dist: {asked}\n"
    )
    monkeypatch.syspath_prepend(place.parent)
    (tmp_path / "mine.py").write_text("import json, bringing, nowhere_installed\n")
    assert may_import_package([["mine"]], tmp_path, "wanted") is is_brought
