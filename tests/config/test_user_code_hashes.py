"""The hashes cover every source beside the file that a trial can reach, and nothing else."""

import hashlib

import pytest

from tunecli.config.load import parse_study
from tunecli.config.user_code import code_changes, code_hashes

FILES = {
    "mine.py": "import torch\nfrom helper import *\nimport pack.inner\nfrom pack import sibling as s\n",
    "helper.py": "def f():\n    import late\n",
    "late.py": "import mine\n",
    "pack/__init__.py": "",
    "pack/inner.py": "from . import near\nfrom .deep.far import x\nfrom ..above import y\n",
    "pack/near.py": "",
    "pack/sibling.py": "def broken(:\n",
    "pack/deep/far.py": "",
    "pack/unused.py": "",
    "unused.py": "",
    "tools/run.py": "import beside_it\nimport helper\n",
    "tools/beside_it.py": "",
    "tools/data.csv": "1,2",
    "other.py": "",
    "train": "#!/bin/sh\n",
}
OF_MINE = {"mine.py", "helper.py", "late.py"} | {
    f"pack/{name}.py" for name in ("__init__", "inner", "near", "sibling", "deep/far")
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "train").chmod(0o755)
    return tmp_path


def spec_of(folder, trial: str, objective: str = "{metric: loss, direction: minimize}"):
    text = f"study: own\nobjective: {objective}\ntrial: {trial}\n"
    return parse_study(text.encode(), "f.yaml", (), folder)


@pytest.mark.parametrize(
    ("trial", "files"),
    [
        ("{python: mine:train}", OF_MINE),
        ("{python: {choice: [late:train, other:train]}}", OF_MINE | {"other.py"}),
        ("{python: json:loads}", set()),
        ("{python: pack.near:train}", {"pack/__init__.py", "pack/near.py"}),
        (
            "{command: [python, -u, tools/run.py, tools/data.csv, late.py]}",
            {"tools/run.py", "tools/beside_it.py"} | OF_MINE,
        ),
        ("{command: [sh, train, tools/data.csv]}", {"train"}),
        ("{command: [./train, tools/data.csv]}", {"train"}),
        ("{command: [train, tools/data.csv]}", {"train"}),
        ("{command: [python, -m, pack.near, tools/data.csv]}", {"pack/__init__.py", "pack/near.py"}),
        ("{command: [bash, -ec, 'cat $0', tools/data.csv]}", set()),
        ("{command: [cat, tools/data.csv]}", set()),
        ("{command: [python, -m, pack.near]}", {"pack/__init__.py", "pack/near.py"}),
        ("{command: [python, '{s}.py'], params: {s: {choice: [other, unused]}}}", {"other.py", "unused.py"}),
        (
            "{command: [python, tools/run.py, '{args}'], params: {x: 1}}",
            {"tools/run.py", "tools/beside_it.py"},
        ),
        ("{command: [python, '{args}'], params: {x: other.py}, args: {style: space}}", {"other.py"}),
        (
            "{command: [python, {if: deep, then: late.py, else: [other.py, '{x?}']}], params: {deep: {choice: [true, false]}}}",
            OF_MINE | {"other.py"},
        ),
        (
            "{command: [python, {if: 'device == cpu', then: other.py, else: unused.py}]}",
            {"other.py", "unused.py"},
        ),
        (
            "{command: [python, {if: 'n == 3', then: other.py}, unused.py], params: {n: {int: [1, 9]}}}",
            {"other.py", "unused.py"},
        ),
        ("{command: [sh, -c, 'echo 1']}", set()),
        ("{command: [sh, ../elsewhere.sh, /etc/hostname]}", set()),
    ],
)
def test_every_source_is_found(folder, trial, files):
    assert set(code_hashes(spec_of(folder, trial))) == files


def test_the_code_hashes_include_a_user_metric(folder):
    objective = "{metric: {python: other:score}, direction: minimize}"
    found = code_hashes(spec_of(folder, "{data: {source: iris}}", objective))
    assert found == {"other.py": hashlib.sha256(b"").hexdigest()}


def test_a_trial_of_built_in_parts_has_no_code_hashes(folder):
    assert code_hashes(spec_of(folder, "{data: {source: iris}}", "{metric: val_loss}")) == {}


def test_a_change_is_named_file_by_file(folder):
    spec = spec_of(folder, "{python: mine:train}")
    recorded = code_hashes(spec)
    assert code_changes(recorded, spec) == []
    (folder / "unused.py").write_text("x = 1")
    assert code_changes(recorded, spec) == []
    (folder / "helper.py").write_text("import other\n")
    (folder / "pack" / "near.py").unlink()
    told = ["helper.py has changed", "late.py is gone", "other.py is new", "pack/near.py is gone"]
    assert code_changes(recorded, spec) == told


def test_a_script_that_the_environment_names_has_no_fingerprint(folder, monkeypatch):
    monkeypatch.setenv("TOOLS", "tools")
    assert code_hashes(spec_of(folder, "{command: [python, '${env:TOOLS}/run.py', late.py]}")) == code_hashes(
        spec_of(folder, "{command: [python, nothing.py, late.py]}")
    )
