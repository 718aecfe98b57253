"""The examples of the guide and of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tunecli

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "python.md"
BLOCKS = re.findall(r"^```python[^\n]*\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
ROOMS = ("configs", "rows", "running", "study")


def test_the_blocks_of_the_guide_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = [block for block in BLOCKS if "pandas" in block]
    scripts = [block for block in BLOCKS if block.startswith("# sweep.py")]
    assert (len(frames), len(scripts)) == (1, 1)
    names: dict[str, object] = {}
    for block in BLOCKS:
        if block not in (*frames, *scripts):
            exec(compile(block, str(GUIDE), "exec"), names)
    assert "trial.model" in capsys.readouterr().out
    study = names["study"]
    assert isinstance(study, tunecli.Study)
    assert (study.status, len(study.trials)) == ("finished", 6)
    rows = study.results(), study.epochs(3)
    code = frames[0].replace("study.to_pandas()", "study.results()").replace(".to_pandas()", "")
    exec(code, names)
    assert (names["trials"], names["epochs"]) == rows


def test_the_script_of_the_guide_runs(tmp_path: Path) -> None:
    (script,) = [block for block in BLOCKS if block.startswith("# sweep.py")]
    (tmp_path / "sweep.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "sweep.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'params.x': 1.0}\n"


@pytest.mark.parametrize("room", ROOMS)
def test_the_examples_of_the_docstrings_run(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"tunecli.api.{room}")
    names = {"tunecli": tunecli, "Rows": tunecli.Rows}
    assert doctest.testmod(module, extraglobs=names).failed == 0
    assert any(test.examples for test in doctest.DocTestFinder().find(module))
