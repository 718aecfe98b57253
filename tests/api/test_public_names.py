"""The names of the package: all of them exist, none is imported before it is used, and a strict checker knows them."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tunecli

ROOT = Path(__file__).parents[2]
USER = """\
import tunecli

spec: tunecli.StudySpec = tunecli.load("study.yaml", overrides=["optimizer.lr=1e-3"])
study: tunecli.Study = tunecli.search({"trial": {}}, overrides={"search.trials": 20}, out="runs/digits", progress=False)
study = tunecli.resume(study, trials=40)
rows: tunecli.Rows = tunecli.open_study("runs/digits").results()
trials: tuple[tunecli.Trial, ...] = study.trials
best = study.best
if best is not None and best.outcome is not None:
    score: float | None = best.outcome.score
model: tunecli.TrainedModel = study.load_model(3, device="cpu")
try:
    print(tunecli.load_model("model.safetensors").task, rows[0]["rank"], study.status == "finished")
except tunecli.ConfigError as error:
    print(error.problems[0].parameter, error.hint)
except (tunecli.DataError, tunecli.TunecliError):
    pass
"""


def test_each_public_name_exists_and_has_its_type_for_checkers() -> None:
    tree = ast.parse((ROOT / "tunecli" / "__init__.py").read_text())
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {
        name.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert declared == tunecli._MODULE_OF
    assert set(tunecli.__all__) == {*declared, "__version__"}
    assert all(getattr(tunecli, name) is not None for name in tunecli.__all__)
    assert set(tunecli.__all__) <= set(dir(tunecli))
    with pytest.raises(AttributeError, match="has no attribute 'serach'"):
        tunecli.serach  # noqa: B018  # the access alone raises


def test_import_tunecli_loads_no_other_package() -> None:
    program = (
        "import sys; before = set(sys.modules); import tunecli;"
        "print(sorted(n for n in set(sys.modules) - before if n.split('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['tunecli']\n"


def test_search_stays_a_function_after_the_import_of_the_room_of_that_name() -> None:
    room = importlib.import_module("tunecli.search")
    assert room.__doc__
    assert callable(tunecli.search)
    assert tunecli.search is not room


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "tunecli" / "py.typed").read_bytes() == b""
    assert 'tunecli = ["py.typed"]' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow  # mypy reads the whole package
def test_a_strict_checker_accepts_a_script_that_uses_the_public_names(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (tmp_path / "script.py").write_text(USER.replace("trials=40", 'trials="40"'))
    wrong = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert 'Argument "trials" to "resume" has incompatible type "str"' in wrong.stdout
