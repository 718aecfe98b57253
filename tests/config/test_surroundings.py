"""The names under `run` that say where a trial runs are resolved, and each problem has its place in the file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunecli.config.load import parse_study
from tunecli.config.surroundings import (
    LinkError,
    activated,
    interpreter_of,
    links,
    lookup_of,
    program_of,
    surroundings_of,
    with_absolute_scripts,
    with_env,
)
from tunecli.config.user_code import code_hashes
from tunecli.errors import ConfigError, UsageError
from tunecli.messages import Surroundings

BARE = (
    "objective: {metric: val_loss, direction: minimize}\ntrial: {command: [python, train.py], params: {}}\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("data/a.csv", "data/b.csv", "a.yaml", "b.yaml", ".hidden.yaml", "train.py", "sub/train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "runs/s/trials/trial-00000").mkdir(parents=True)
    return tmp_path


def problems(folder: Path, run: str, text: str = BARE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_study(f"{text}run: {run}\n".encode(), "f.yaml", (), folder, lambda *_: ())
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("names", "made"),
    [
        ([], {}),
        (["data", "train.py"], {"data": "data", "train.py": "train.py"}),
        (["./data/"], {"data": "data"}),
        (["data/a.csv"], {"data/a.csv": "data/a.csv"}),
        (["*.yaml"], {"a.yaml": "a.yaml", "b.yaml": "b.yaml"}),
        (["*.yaml", "a.yaml"], {"a.yaml": "a.yaml", "b.yaml": "b.yaml"}),
        (["data/*.csv"], {"data/a.csv": "data/a.csv", "data/b.csv": "data/b.csv"}),
        (["data/*.csv", "data"], {"data": "data"}),
    ],
)
def test_links_keep_the_names_that_their_originals_have(folder, names, made):
    assert links(names, folder) == {name: folder / source for name, source in made.items()}


def test_an_absolute_link_has_the_last_part_of_its_path_as_name(folder):
    assert links([str(folder / "data/a.csv")], folder / "sub") == {"a.csv": folder / "data/a.csv"}


def test_a_pattern_does_not_link_the_folder_that_contains_the_trials_folder(folder):
    assert "runs" in links(["*"], folder)
    assert "runs" not in links(["*"], folder, folder / "runs/s/trials/trial-00000")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["../x"], "leads out of the configuration file's folder"),
        (["data/../../x"], "leads out of the configuration file's folder"),
        (["."], "is the whole folder"),
        (["/"], "is the whole folder"),
        (["dat"], "`dat` not found"),
        (["*.txt"], "no file matches `*.txt`"),
        (["train.py", "/bin/sh", "/usr/bin/sh"], "have the same name `sh`"),
    ],
)
def test_a_link_that_cannot_be_made_is_refused(folder, names, words):
    with pytest.raises(LinkError, match=None) as caught:
        links(names, folder)
    assert words in caught.value.message
    assert caught.value.place == len(names) - 1


def test_a_link_inside_of_another_one_is_refused(folder):
    (folder / "other").mkdir()
    (folder / "other/data").mkdir()
    with pytest.raises(LinkError, match=r"`data/a\.csv` is inside `data`"):
        links([str(folder / "other/data"), "data/a.csv"], folder)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("{cwd: trail}", "f.yaml:3:12: run.cwd: folder `trail` not found"),
        ("{cwd: trail}", "did you mean `trial`?"),
        ('{cwd: "a\\0b"}', "f.yaml:3:12: a NUL character is not allowed"),
        ('{cwd: ""}', "f.yaml:3:12: run.cwd: must be text of at least 1"),
        ("{link: [data]}", "f.yaml:3:13: run.link: `run.link` needs `cwd: trial`"),
        ("{cwd: trial, link: [data, dta]}", "f.yaml:3:32: run.link.1: `dta` not found"),
        ("{cwd: trial, link: [data, ../x]}", "f.yaml:3:32: run.link.1: `../x` leads out"),
    ],
)
def test_each_problem_of_the_working_folder_has_its_place(folder, run, told):
    assert any(told in problem for problem in problems(folder, run))


def test_all_problems_of_the_links_are_reported_at_once(folder):
    assert len(problems(folder, "{cwd: trial, link: [dta, ../x, data, '*.txt']}")) == 3


def test_a_trial_of_the_built_in_loop_has_no_working_folder(folder):
    text = "objective: {metric: val_loss}\ntrial: {data: {source: iris}}\n"
    assert "run.cwd` works only with a `command`" in problems(folder, "{cwd: trial}", text)[0]


def test_a_record_is_read_without_the_folders_of_its_trials(tmp_path):
    text = f"{BARE}run: {{cwd: gone}}\n"
    assert parse_study(text.encode(), "f.yaml", (), tmp_path).settings.run.cwd == "gone"


@pytest.mark.parametrize(
    ("cwd", "words", "located"),
    [
        ("", ["python", "train.py", "a.yaml"], ["python", "train.py", "a.yaml"]),
        ("config", ["python", "train.py"], ["python", "train.py"]),
        ("trial", ["python", "-u", "train.py", "a.yaml"], ["python", "-u", "{}/train.py", "a.yaml"]),
        ("trial", ["torchrun", "--nproc=2", "train.py"], ["torchrun", "--nproc=2", "{}/train.py"]),
        ("trial", ["sh", "sub/train.py", "data"], ["sh", "{}/sub/train.py", "data"]),
        ("trial", ["python", "-m", "train", "gone.py"], ["python", "-m", "train", "gone.py"]),
        ("sub", ["python", "train.py"], ["python", "train.py"]),
        ("data", ["python", "train.py"], ["python", "{}/train.py"]),
    ],
)
def test_a_script_is_found_in_the_named_folder_or_else_beside_the_file(folder, cwd, words, located):
    lookup = lookup_of(Surroundings(cwd), folder)
    assert with_absolute_scripts(words, lookup) == [word.format(folder) for word in located]


def test_a_program_is_found_in_the_named_folder_or_else_beside_the_file(folder):
    for name in ("mine.sh", "sub/mine.sh"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    assert program_of("./mine.sh", lookup_of(Surroundings("trial"), folder)) == str(folder / "mine.sh")
    assert program_of("./mine.sh", lookup_of(Surroundings("sub"), folder)) == str(folder / "sub/mine.sh")
    assert program_of("./mine.sh", lookup_of(Surroundings("data"), folder)) == str(folder / "mine.sh")
    assert program_of("python", lookup_of(Surroundings("sub"), folder)) == sys.executable


@pytest.mark.parametrize(
    ("base", "cwd", "names"),
    [(".", "trial", ["train.py"]), (".", "sub", ["sub/train.py"]), ("data", "../sub", ["{}/sub/train.py"])],
)
def test_the_record_hashes_the_script_that_runs(folder, base, cwd, names):
    spec = parse_study(f"{BARE}run: {{cwd: {cwd}}}\n".encode(), "f.yaml", (), folder / base)
    assert list(code_hashes(spec)) == [name.format(folder) for name in names]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").touch()
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "venv/bin/tool").write_text("#!/bin/sh\n")
    (tmp_path / "venv/bin/tool").chmod(0o755)
    return tmp_path / "venv"


@pytest.mark.parametrize("python", ["venv", "./venv/", "venv/bin/python", "{}/venv"])
def test_an_interpreter_is_named_by_its_file_or_by_its_environment(venv, python):
    named = python.format(venv.parent)
    assert interpreter_of(named, venv.parent) == str(venv / "bin/python")
    lookup = lookup_of(Surroundings(python=named), venv.parent)
    assert program_of("python", lookup) == program_of("python3", lookup) == str(venv / "bin/python")
    assert program_of("tool", lookup) == str(venv / "bin/tool")
    assert program_of("sh", lookup) == program_of("sh", lookup_of(Surroundings(), venv.parent))


def test_an_environment_is_activated_as_its_script_does_it(venv):
    before = {"PATH": "/bin", "PYTHONHOME": "/x", "A": "1"}
    interpreter = str(venv / "bin/python")
    assert activated(before, interpreter) == {
        "PATH": f"{venv}/bin:/bin",
        "VIRTUAL_ENV": str(venv),
        "A": "1",
    }
    (venv / "pyvenv.cfg").unlink()
    assert activated(before, interpreter) == before
    (venv / "conda-meta").mkdir()
    assert activated(before, interpreter)["CONDA_PREFIX"] == str(venv)


def test_variables_are_set_filled_in_and_removed():
    run = parse_study(
        f"{BARE}run: {{env: {{LR: '{{lr}}', N: 3, E: 1e-05, S: 's={{seed}}{{{{}}}}', T: '${{env:A}}!', B: null}}}}\n".encode(),
        "f.yaml",
        ("params.lr=0.1",),
        Path(),
    ).settings.run
    made = with_env({"A": "{x}", "B": "2"}, surroundings_of(run), {"lr": 0.1}, {"seed": 7})
    assert made == {"A": "{x}", "LR": "0.1", "N": "3", "E": "1e-05", "S": "s=7{}", "T": "{x}!"}
    with pytest.raises(UsageError, match="`A` is not set"):
        with_env({}, surroundings_of(run), {"lr": 0.1}, {"seed": 7})


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ('{env: {"A=B": 1}}', "f.yaml:3:13: run.env.A=B: the name of an environment variable has letters"),
        ("{env: {1A: 1}}", "f.yaml:3:13: run.env.1A: the name of an environment variable has letters"),
        ("{env: {TUNECLI_X: 1}}", "f.yaml:3:13: run.env.TUNECLI_X: tunecli sets the variables"),
        ("{env: {A: true}}", "f.yaml:3:16: run.env.A: must be text, a number or null"),
        ("{env: {A: [1]}}", "f.yaml:3:16: run.env.A: must be text, a number or null"),
        ('{env: {A: "x\\0"}}', "f.yaml:3:16: a NUL character is not allowed"),
        ("{env: {A: '{lr}'}}", "f.yaml:3:16: run.env.A: `{lr}` is no key under `params`"),
        ("{env: {A: '{lr'}}", "f.yaml:3:16: run.env.A: unmatched `{`"),
        ("{env: {A: '${env:NOT_THERE}'}}", "f.yaml:3:16: run.env.A: the environment variable `NOT_THERE` is"),
        ("{python: venv}", "f.yaml:3:15: run.python: the interpreter `venv` is neither in"),
        ("{python: venv}", "python -m venv venv makes one"),
        ("{python: data}", "f.yaml:3:15: run.python: the folder `data` has no bin/python"),
        ("{python: train.py}", "f.yaml:3:15: run.python: the interpreter `train.py` is not executable"),
        ("{devices_per_trial: 0}", "f.yaml:3:26: run.devices_per_trial: must be at least 1"),
    ],
)
def test_each_problem_of_the_environment_has_its_place(folder, run, told):
    assert any(told in problem for problem in problems(folder, run))


@pytest.mark.parametrize("key", ["env: {A: 1}", "python: venv", "devices_per_trial: 2"])
def test_the_built_in_loop_has_no_surroundings(folder, key):
    text = "objective: {metric: val_loss}\ntrial: {data: {source: iris}}\n"
    name = key.partition(":")[0]
    assert f"f.yaml:3:{8 + len(name) + 1}: run.{name}: `run.{name}` works only" in problems(
        folder, f"{{{key}}}", text
    )[0].replace("{A", "{A")


def test_a_function_has_no_interpreter_of_its_own(folder):
    (folder / "mine.py").write_text("def train(params, trial): pass\n")
    text = "objective: {metric: val_loss}\ntrial: {python: 'mine:train'}\n"
    told = "f.yaml:3:15: run.python: `run.python` is for a `command`"
    assert problems(folder, f"{{python: {sys.executable}}}", text)[0].startswith(told)
