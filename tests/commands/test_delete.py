"""`delete` asks a question, refuses folders without a study and studies that run, and removes the others."""

import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.study.conftest import STUDY
from tests.study.sweeps import run_whole
from tests.verbs import called
from tunecli.commands.delete import delete
from tunecli.errors import UsageError
from tunecli.store.lock import hold
from tunecli.store.removal import REMOVED_NAME


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delete")
    (folder / "small.yaml").write_text(STUDY.replace("trials: 6", "trials: 2"))
    run_whole(folder / "small.yaml", folder / "run")
    return folder / "run"


@pytest.fixture
def study(one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(one, tmp_path / "runs/small")
    return Path("runs/small")


@pytest.fixture
def run(capsys, monkeypatch):
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


def test_a_real_study_is_deleted_whole(study, run):
    code, out, err = run("delete", "small", "--yes")
    assert (code, out) == (0, "")
    assert err.startswith("deleted runs/small (")
    assert not study.exists() and study.parent.is_dir()


def test_the_question_says_what_goes_and_no_is_an_error(study):
    asked = []
    with pytest.raises(UsageError, match="without an answer"):
        delete(["small"], lambda text: bool(asked.append(text)))
    assert "2 trials" in asked[0] and "KiB" in asked[0]
    assert (study / "study.db").exists()


def test_a_pipe_is_not_asked_and_needs_yes(study, run):
    code, _, err = run("delete", "small")
    assert code == 2
    assert "--yes" in err
    assert (study / "study.db").exists()


def test_a_study_that_a_process_holds_stays_with_all_others_that_were_named(one, study, run):
    shutil.copytree(one, "runs/other")
    with hold(study):
        code, _, err = run("delete", "other", "small", "--yes")
    assert code == 4
    assert "tunecli stop runs/small" in err
    assert (study / "study.db").exists() and Path("runs/other/study.db").exists()


def test_a_folder_without_a_study_and_a_link_to_one_are_refused(study, run, tmp_path):
    Path("data").mkdir()
    Path("data/x.csv").write_text("a\n")
    assert run("delete", "data", "--yes")[0] == 2
    Path("link").symlink_to(study.resolve())
    code, _, err = run("delete", "link", "--yes")
    assert code == 2
    assert "link is a symbolic link" in err
    assert (study / "study.db").exists() and Path("data/x.csv").exists()


def test_a_link_to_a_database_is_neither_renamed_nor_deleted(one, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("linked").mkdir()
    Path("linked/study.db").symlink_to(one / "study.db")
    assert run("delete", "linked", "--yes")[0] == 2
    assert [item.name for item in Path("linked").iterdir()] == ["study.db"]
    assert (one / "study.db").is_file()


def test_the_working_folder_is_not_deleted(study, run, monkeypatch):
    monkeypatch.chdir(study)
    code, _, err = run("delete", ".", "--yes")
    assert code == 2
    assert "the command runs in it" in err


def test_others_files_are_named_and_stay(study, run):
    (study / "plot.png").write_bytes(b"x")
    code, out, err = run("delete", study, "--yes", "--json")
    assert code == 0
    assert "plot.png" in err
    assert json.loads(out)["deleted"][0]["kept"] == ["plot.png"]
    assert [item.name for item in study.iterdir()] == ["plot.png"]


def test_a_damaged_study_can_be_deleted(study, run):
    (study / "study.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    assert run("delete", "small", "--yes")[0] == 0
    assert not study.exists()


def test_the_database_of_another_program_is_left_alone(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("optuna").mkdir()
    with closing(sqlite3.connect("optuna/study.db")) as database:
        database.execute("CREATE TABLE studies (name TEXT)")
        database.commit()
    code, _, err = run("delete", "optuna", "--yes")
    assert code == 2
    assert "another program wrote its study.db" in err
    assert Path("optuna/study.db").is_file()


def test_a_path_with_dots_behind_a_link_names_the_folder_that_the_system_finds(one, study, run):
    shutil.copytree(one, "elsewhere/small")
    Path("elsewhere/inner").mkdir()
    Path("runs/link").symlink_to(Path("elsewhere/inner").resolve())
    assert run("delete", "runs/link/../small", "--yes")[0] == 0
    assert (study / "study.db").is_file()
    assert not Path("elsewhere/small").exists()


def test_a_study_that_is_named_twice_is_deleted_once(study, run):
    code, _, err = run("delete", "small", study.resolve(), "--yes")
    assert code == 0
    assert err.count("deleted ") == 1


def test_a_study_that_began_in_a_folder_deleted_in_part_is_whole(study, run):
    (study / REMOVED_NAME).write_bytes(b"x")
    asked = []
    with pytest.raises(UsageError):
        delete(["small"], lambda text: bool(asked.append(text)))
    assert "2 trials" in asked[0]
    assert [row["path"] for row in json.loads(run("list", "--json")[1])["studies"]] == ["runs/small"]
