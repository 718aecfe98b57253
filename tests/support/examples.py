"""The data of the example files that are made, not stored."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

CONFIGS = Path(__file__).parents[2] / "configs"
WITH_IMAGES = ("signs", "signs_backbone")
"""The example files whose images the script draws."""


def maker() -> ModuleType:
    """The script that makes the data of the jobs."""
    spec = importlib.util.spec_from_file_location("make_examples", CONFIGS / "data/make_examples.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_images(name: str, folder: Path) -> Path:
    """A copy of an example file in a folder, with its images in `data` beside it."""
    copy = folder / f"{name}.yaml"
    shutil.copy(CONFIGS / copy.name, copy)
    script = maker()
    script.main(folder / "data", [script.signs])
    return copy
