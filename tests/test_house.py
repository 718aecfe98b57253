"""The structure of the package: its layers, its words, and the size of its files."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "tunecli").rglob("*.py"))


def test_imports_point_down_and_siblings_never_import_each_other():
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_a_docstring_and_at_most_400_lines(path):
    text = path.read_text()
    assert text.startswith(('"""', "'''"))
    assert len(text.splitlines()) <= 400
    assert not {"utils", "helpers", "common", "manager"} & set(path.stem.split("_"))
