"""`list` shows each study of a folder in a row; one that cannot be read is a row that says so."""

import json
import shutil
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from tests.study.conftest import STUDY
from tests.study.sweeps import run_whole
from tests.verbs import called
from tunecli.commands.list_studies import studies
from tunecli.store.annotation import Annotation, annotate
from tunecli.store.lock import hold


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A finished study of six trials."""
    folder = tmp_path_factory.mktemp("list")
    (folder / "small.yaml").write_text(STUDY)
    run_whole(folder / "small.yaml", folder / "run")
    return folder / "run"


@pytest.fixture
def runs(one, tmp_path, monkeypatch):
    """Three studies, of which `b` is the one whose trials ended last."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        shutil.copytree(one, tmp_path / "runs" / name)
    return Path("runs")


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


def _damage(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)


def test_a_row_has_the_state_the_trials_the_best_score_and_what_is_kept(runs, one, run):
    annotate(runs / "b", lambda _: Annotation("the first line\nthe second", ("wine", "final")))
    code, out, err = run("list")
    assert (code, err) == (0, "")
    heading, *rows = [line.split() for line in out.splitlines() if line]
    assert heading == ["study", "state", "trials", "best", "changed", "size", "tags", "note"]
    assert [row[:4] for row in rows] == [[name, "finished", "6/6", "val_accuracy"] for name in "abc"]
    assert "wine final  the first line" in out and "the second" not in out
    data = json.loads(run("list", "--json")[1])["studies"][1]
    best = json.loads(run("results", "runs/b", "--json")[1])["trials"][0]
    assert (data["best"], data["trial"]) == (best["val_accuracy"], best["trial"])
    assert (data["tags"], data["note"]) == (["wine", "final"], "the first line\nthe second")
    assert data["bytes"] == sum(file.stat().st_size for file in Path("runs/b").rglob("*") if file.is_file())
    assert data["began"] < data["changed"]


def test_a_damaged_a_newer_and_a_half_deleted_study_are_rows_of_their_own(runs, run):
    _damage(runs / "a" / "study.db")
    with sqlite3.connect(runs / "b" / "study.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    (runs / "c" / "study.db").rename(runs / "c" / "study.db.deleted")
    code, out, err = run("list", "--sort", "study")
    assert code == 0
    states = [line.split()[1] for line in out.splitlines()[1:] if line]
    assert states == ["damaged", "newer", "deleted"]
    assert "a later tunecli wrote" in err and "tunecli delete" in err
    assert [one["state"] for one in json.loads(run("list", "--json", "--sort", "study")[1])["studies"]] == [
        *("damaged", "newer", "deleted in part")
    ]


def test_a_study_whose_file_this_version_refuses_keeps_its_row(one, runs):
    from tunecli.store.database import Log

    with Log.open(runs / "a" / "study.db") as log:
        log.set_fact("config", STUDY.replace("val_accuracy", "val_of_another_version"))
    row = next(row for row in studies(runs) if row.name == "a")
    assert (row.state, row.n_ended) == ("unreadable", 6)
    assert "val_of_another_version" in row.why


def test_a_study_that_a_process_holds_is_running(runs):
    with hold(runs / "b"):
        assert [row.state for row in studies(runs, sort_by="study")] == ["finished", "running", "finished"]


def test_the_list_is_narrowed_by_tag_and_sorted_by_column(runs, run):
    annotate(runs / "a", lambda _: Annotation(tags=("x",)))
    annotate(runs / "c", lambda _: Annotation(tags=("x", "y")))
    assert [row.name for row in studies(runs, "x")] == ["a", "c"]
    (runs / "b" / "more").write_bytes(b"0" * 1000)
    assert studies(runs, sort_by="-size")[0].name == "b"
    assert [row.name for row in studies(runs, sort_by="-study")] == ["c", "b", "a"]
    code, out, err = run("list", "--tag", "z")
    assert (code, out) == (0, "")
    assert "no studies with the tag z" in err


def test_overrides_and_several_goals_decide_the_best_trial(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(STUDY.replace("trials: 6", "trials: 3"))
    run_whole(path, tmp_path / "runs/loss", "objective.metric=val_loss")
    goals = "objective={pareto: [{metric: val_loss}, {metric: n_parameters}]}"
    run_whole(path, tmp_path / "runs/several", goals)
    loss, several = studies(tmp_path / "runs", sort_by="study")
    assert loss.objective is not None and not loss.objective.maximize
    assert several.objective is not None and several.objective.metrics == ("val_loss", "n_parameters")
    assert loss.best == several.best


def test_every_format_is_written_and_a_formula_in_a_note_is_defused(runs, run):
    annotate(runs / "a", lambda _: Annotation("=1+1|x"))
    assert "'=1+1|x" in run("list", "--format", "csv")[1]
    assert "=1+1\\|x" in run("list", "--format", "markdown")[1]
    assert run("list", "--format", "xml")[0] == 2


def test_an_entry_that_cannot_be_looked_into_does_not_stop_the_list(runs):
    (runs / "loop").symlink_to("loop")
    (runs / "file").write_text("")
    assert len(studies(runs)) == 3


def test_an_empty_folder_says_how_to_begin(tmp_path, run):
    code, out, err = run("list", tmp_path)
    assert (code, out) == (0, "")
    assert "tunecli init" in err
    assert json.loads(run("list", tmp_path, "--json")[1])["studies"] == []


def test_the_folder_of_a_study_is_no_folder_of_studies(runs, run):
    code, _, err = run("list", "runs/a")
    assert code == 2
    assert "runs/a is a study itself" in err
