"""`tunecli import`: stdout is the study, stderr the account, and the result is checked."""

from __future__ import annotations

import io
import json

import pytest

from tests.importers.test_hydra import COMMAND
from tests.importers.test_wandb import IMAGE_SWEEP
from tests.verbs import called
from tunecli.config.load import parse_study

NO_TRAINING = "import sys\n"


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(IMAGE_SWEEP)
    (tmp_path / "train.py").write_text(NO_TRAINING)
    return lambda *arguments: called(*arguments, capture=capfd, monkeypatch=monkeypatch)


def test_stdout_is_the_study_and_stderr_has_each_line_with_its_result(run, tmp_path):
    code, out, err = run("import", "sweep.yaml")
    assert code == 0
    parse_study(out.encode(), "study.yaml", (), tmp_path)
    assert "line 5: method: bayes → search.sampler: bayes" in err
    assert (
        "line 3: project: images: no counterpart: a study is the folder runs/<study>; tags group studies"
        in err
    )


def test_file_is_written_beside_its_program_and_passes_the_check(run, tmp_path):
    code, out, err = run("import", "sweep.yaml", "-o", "study.yaml")
    assert (code, out) == (0, "")
    assert "wrote study.yaml" in err
    text = (tmp_path / "study.yaml").read_text()
    assert text.startswith("# From sweep.yaml (a W&B sweep), by `tunecli import`.\n")
    assert "\n# No counterpart:\n#   line 3: project: images: a study is the folder" in text
    assert run("check", "study.yaml")[0] == 0


def test_existing_file_is_not_overwritten(run, tmp_path):
    (tmp_path / "study.yaml").write_text("mine")
    code, _, err = run("import", "sweep.yaml", "-o", "study.yaml")
    assert code == 2
    assert "study.yaml exists already" in err
    assert (tmp_path / "study.yaml").read_text() == "mine"


def test_json_has_the_study_and_the_account(run):
    code, out, _ = run("import", "sweep.yaml", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["kind"] == "import"
    assert document["from"] == "wandb"
    assert document["config"].startswith("# From")
    fates = {entry["source"].partition(":")[0]: entry["fate"] for entry in document["account"]}
    assert fates["project"] == "no counterpart"
    assert fates["method"] == "carried"


def test_a_program_with_an_option_for_its_seed_gets_a_note_with_the_argument(run, tmp_path):
    (tmp_path / "train.py").write_text(
        "import argparse\nargparse.ArgumentParser().add_argument('-s', '--seed', type=int)\n"
    )
    code, _, err = run("import", "sweep.yaml")
    assert code == 0
    assert (
        'trial.command: add "--seed={seed}" (train.py takes a seed; with it, a trial can be repeated' in err
    )
    (tmp_path / "train.py").write_text(NO_TRAINING)
    assert "{seed}" not in run("import", "sweep.yaml")[2]


def test_missing_program_is_listed_as_a_problem_of_the_check(run, tmp_path):
    (tmp_path / "train.py").unlink()
    code, out, err = run("import", "sweep.yaml", "--json")
    document = json.loads(out)
    assert code == 0
    assert not document["complete"]
    assert any("train.py" in problem for problem in document["problems"])
    assert "before it can run:" in err


def test_file_comes_from_stdin(run, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(COMMAND.encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    code, out, err = run("import", "-")
    assert code == 0
    assert "bs: {choice: [16, 32]}" in out
    assert "line 4: bs" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "missing.yaml"], "missing.yaml: file not found (name the sweep's file)"),
        (["import", "sweep.yaml", "--from", "sigopt"], "unknown kind `sigopt`"),
        (["import", "train.py"], "no sweep file that tunecli recognises"),
        (["import", "sweep.yaml", "-o", "nowhere/study.yaml"], "there is no folder nowhere"),
        (["import"], "Missing argument"),
    ],
)
def test_wrong_use_is_an_error_of_exit_code_two(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message.lower() in err.lower()


def test_control_characters_of_a_file_reach_neither_the_terminal_nor_the_comments(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(IMAGE_SWEEP.replace("images", '"\\e[31mred\\u202e"'))
    code, out, err = run("import", "bad.yaml")
    assert code == 0
    assert not {"\x1b", "\u202e"} & {*out, *err}


@pytest.mark.parametrize("verb", ["check", "search", "train"])
def test_verbs_that_need_a_study_name_the_import(verb, run):
    code, out, err = run(verb, "sweep.yaml")
    assert (code, out) == (2, "")
    assert "error: sweep.yaml is a W&B sweep, not a study" in err
    assert "tunecli import sweep.yaml -o study.yaml" in err


def test_study_with_problems_is_not_taken_for_a_sweep(run, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "trial: {command: [ls], params: {lr: {uniform: [0, 1]}}, method: grid}"
    )
    code, _, err = run("check", "mine.yaml")
    assert code == 2
    assert "unknown key `method`" in err
