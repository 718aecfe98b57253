"""A trial of the user's own runs in the working folder that its study names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.jobs import change_job, make_job
from tunecli.messages import Ended, Job, Surroundings
from tunecli.objective import Objective
from tunecli.train.trials import run
from tunecli.trial import Outcome, State

PROGRAM = """
import json, os, sys
found = sorted(os.listdir("."))
open("made.txt", "a").write("x")
print(json.dumps({"val_loss": len(found), "cwd": 0}))
print(os.getcwd(), *found, sys.path[0], file=open(os.environ["NOTES"], "a"))
"""
FUNCTION = """
import os
def train(params, trial):
    with open(params["notes"], "a") as notes:
        print(os.getcwd(), *sorted(os.listdir(".")), file=notes)
    with open("made.txt", "a") as made:
        made.write("x")
    return {"val_loss": 1.0}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    base = tmp_path / "base"
    (base / "data").mkdir(parents=True)
    (base / "sub").mkdir()
    (base / "train.py").write_text(PROGRAM)
    (base / "own_cwd.py").write_text(FUNCTION)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    return base


def job_of(folder: Path, surroundings: Surroundings, *, is_function: bool = False, **changes: object) -> Job:
    config: dict[str, object] = {"command": ["python", "train.py"], "params": {}}
    if is_function:
        config = {"python": "own_cwd:train", "params": {"notes": str(folder.parent / "notes")}}
    made = {"device": "cpu", "base_path": str(folder), "surroundings": surroundings, **changes}
    return make_job(4, config, Objective("val_loss", False), 1, 100, **made)


def outcome_of(job: Job) -> Outcome:
    *_, ended = run(job)
    assert isinstance(ended, Ended)
    return ended.outcome


def notes_of(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder.parent / "notes").read_text().splitlines()]


IN_TRIAL = Surroundings("trial", ("data", "*.py"))


@pytest.mark.parametrize("is_function", [False, True])
def test_a_trials_own_folder_has_the_links_and_is_kept_for_the_next_attempt(folder, tmp_path, is_function):
    kept = tmp_path / "trials" / "trial-00004"
    job = job_of(folder, IN_TRIAL, is_function=is_function, trial_dir=str(kept))
    before = Path.cwd()
    assert outcome_of(job).state is State.COMPLETE
    assert outcome_of(change_job(job, attempt=2)).state is State.COMPLETE
    first, second = (line[: 5 if "made.txt" in line else 4] for line in notes_of(folder))
    assert first == [str(kept), "data", "own_cwd.py", "train.py"]
    assert second == [str(kept), "data", "made.txt", "own_cwd.py", "train.py"]
    assert (kept / "data").readlink() == folder / "data"
    assert (kept / "made.txt").read_text() == "xx"
    assert Path.cwd() == before


@pytest.mark.parametrize("is_function", [False, True])
def test_a_trial_without_a_run_folder_gets_a_new_folder_each_time(folder, is_function):
    for _ in range(2):
        assert outcome_of(job_of(folder, IN_TRIAL, is_function=is_function)).state is State.COMPLETE
    lines = notes_of(folder)
    assert lines[0][0] != lines[1][0]
    assert not any("made.txt" in line or Path(line[0]).exists() for line in lines)


def test_a_folder_that_has_only_links_is_removed_and_a_changed_link_is_kept(folder, tmp_path):
    kept = tmp_path / "trials" / "trial-00004"
    job = job_of(folder, IN_TRIAL, trial_dir=str(kept))
    (folder / "train.py").write_text("import os\nos.mkdir('empty')\nprint('{\"val_loss\": 1}')\n")
    assert outcome_of(job).state is State.COMPLETE
    assert not kept.exists()
    (folder / "train.py").write_text(
        "import os\nos.remove('data')\nos.symlink('/', 'data')\nprint('{\"val_loss\": 1}')\n"
    )
    assert outcome_of(job).state is State.COMPLETE
    assert (kept / "data").readlink() == Path("/")


def test_a_linked_file_that_the_trial_replaced_stays_replaced(folder, tmp_path):
    kept = tmp_path / "trials" / "trial-00004"
    kept.mkdir(parents=True)
    (kept / "data").write_text("of an earlier attempt")
    assert outcome_of(job_of(folder, IN_TRIAL, trial_dir=str(kept))).state is State.COMPLETE
    assert (kept / "data").read_text() == "of an earlier attempt"


def test_a_module_beside_the_file_runs_in_the_trials_own_folder(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "lib")
    (folder / "lib").mkdir()
    (folder / "lib" / "late.py").write_text("")
    (folder / "train.py").write_text("import late, own_cwd\n" + PROGRAM)
    job = job_of(folder, IN_TRIAL)
    config = {"command": ["python", "-m", "train"], "params": {}}
    assert outcome_of(change_job(job, config=config)).failure is None


@pytest.mark.parametrize(
    ("cwd", "at"), [("", "."), ("config", "."), ("sub", "sub"), ("../base/sub", "sub"), ("{}/data", "data")]
)
def test_a_command_runs_in_the_folder_that_is_named(folder, cwd, at):
    assert outcome_of(job_of(folder, Surroundings(cwd.format(folder)))).state is State.COMPLETE
    assert Path(notes_of(folder)[0][0]) == (folder / at).resolve()


@pytest.mark.parametrize(
    ("surroundings", "cause"),
    [
        (Surroundings("gone"), "the working folder"),
        (Surroundings("trial", ("gone.txt",)), "run.link: `gone.txt` not found"),
    ],
)
@pytest.mark.parametrize("is_function", [False, True])
def test_a_folder_or_file_that_is_gone_meanwhile_fails_the_trial(folder, surroundings, cause, is_function):
    failure = outcome_of(job_of(folder, surroundings, is_function=is_function)).failure
    assert failure is not None
    assert cause in failure.cause


def test_epochs_are_counted_on_if_the_program_kept_files_in_its_own_folder(folder, tmp_path):
    kept = tmp_path / "trials" / "trial-00004"
    (folder / "train.py").write_text("open('state', 'w')\nprint('loss=1')\n")
    job = job_of(folder, IN_TRIAL, trial_dir=str(kept))
    config = {"command": ["python", "train.py"], "metrics": {"val_loss": "loss=(.*)"}}
    recorded = {"recorded": ((1, {"val_loss": 2.0}),), "epoch_offset": 0, "attempt": 2}
    assert outcome_of(change_job(job, config=config, **recorded)).epochs == 1
    assert outcome_of(change_job(job, config=config, **recorded)).epochs == 2


SHOW = """
import json, os, sys
names = ("LR", "HOME", "TOKEN", "VIRTUAL_ENV", "TUNECLI_DEVICE_INDEX", "TUNECLI_N_DEVICES", "TUNECLI_THREADS")
print(json.dumps({"val_loss": 1}))
print(sys.executable, *(os.environ.get(name) for name in names), file=open(os.environ["NOTES"], "a"))
print(os.environ["TOKEN"])
sys.exit(int(sys.argv[1:] == ["bad"]))
"""


def test_a_command_gets_the_variables_and_the_interpreter_that_are_named(folder, monkeypatch):
    venv = folder / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("SECRET", "not-for-the-log")
    env = {"LR": "{lr}", "HOME": None, "TOKEN": "${env:SECRET}-{number}"}
    (folder / "train.py").write_text(SHOW)
    job = job_of(
        folder,
        Surroundings(env=env, python="venv"),
        log_path=str(folder / "log"),
        log_limit_bytes=9999,
        threads=3,
    )
    for program, word in (("python", "good"), ("python3", "bad")):
        config = {"command": [program, "train.py", word], "params": {"lr": 0.1}}
        failure = outcome_of(change_job(job, config=config)).failure
        assert (failure is None) == (word == "good")
        assert "not-for-the-log" not in str(failure)
    expected = f"{venv}/bin/python 0.1 None not-for-the-log-4 {venv} -1 1 3".split()
    assert notes_of(folder) == [expected, expected]
    assert "not-for-the-log" not in (folder / "log").read_text()
    assert "${env:SECRET}-4" in (folder / "log").read_text()


def test_a_function_gets_the_variables_while_it_runs(folder, monkeypatch):
    monkeypatch.setenv("GONE", "1")
    (folder / "own_env.py").write_text(
        "import os\nLR = os.environ['LR']\n"
        "def train(params, trial):\n    assert 'GONE' not in os.environ\n    return float(LR)\n"
    )
    job = job_of(folder, Surroundings(env={"LR": "{lr}", "GONE": None}), is_function=True)
    outcome = outcome_of(change_job(job, config={"python": "own_env:train", "params": {"lr": 0.1}}))
    assert outcome.score == 0.1
    assert os.environ["GONE"] == "1"
    assert "LR" not in os.environ


@pytest.mark.parametrize(
    ("surroundings", "cause"),
    [
        (Surroundings(python="gone"), "the interpreter `gone` does not exist"),
        (Surroundings(env={"A": "${env:NOT_THERE}"}), "the environment variable `NOT_THERE` is not set"),
    ],
)
def test_surroundings_that_are_gone_meanwhile_fail_the_trial(folder, surroundings, cause):
    failure = outcome_of(job_of(folder, surroundings)).failure
    assert failure is not None
    assert cause in failure.cause
