"""`note` and `tag`: also while a process holds the study; shown by `status`, `report` and `compare`; kept by a resume."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.study.conftest import STUDY
from tests.study.sweeps import run_whole
from tests.verbs import called
from tunecli.store.annotation import Annotation, annotate, annotation_of
from tunecli.store.lock import hold


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(STUDY.replace("trials: 6", "trials: 2"))
    run_whole(Path("small.yaml"), Path("runs/small"))
    return Path("runs/small")


@pytest.fixture
def run(capsys, monkeypatch):
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


def test_a_note_is_written_extended_shown_and_removed_while_a_process_holds_the_study(study, run):
    with hold(study):
        assert run("note", "small")[1:] == ("", "runs/small has no note\n")
        assert run("note", "small", "worse than\n  before")[1] == "worse than\n  before\n"
        assert run("note", "small", "--append", "try adamw")[1] == "worse than\n  before\ntry adamw\n"
        assert json.loads(run("note", "small", "--json")[1])["note"] == "worse than\n  before\ntry adamw"
        assert run("note", "small", "")[0] == 0
    assert annotation_of(study) == Annotation()
    assert run("note", "small", "--append")[0] == 2


def test_tags_are_added_once_and_removed(study, run):
    with hold(study):
        assert run("tag", "small", "wine", "final", "wine")[1] == "wine\nfinal\n"
        assert run("tag", "small", "--remove", "wine")[1] == "final\n"
    code, _, err = run("tag", "small", "--remove", "wine")
    assert code == 2
    assert "its tags: final" in err
    code, _, err = run("tag", "small", "a b")
    assert code == 2
    assert "'a b' is not a valid tag" in err
    assert run("tag", "small", "--remove")[0] == 2


def test_other_verbs_show_what_is_kept_and_the_page_escapes_it(study, run):
    annotate(study, lambda _: Annotation("<script>alert(1)</script>\nsecond", ("wine",)))
    status = run("status", "small")[1]
    assert "tags      wine" in status and "note      <script>alert(1)</script>" in status
    assert json.loads(run("status", "small", "--json")[1])["tags"] == ["wine"]
    assert "wine" in run("report", "small")[1]
    page = (study / "report.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nsecond" in page and "<script>alert" not in page
    assert "Tags: wine" in page
    run_whole(Path("small.yaml"), Path("runs/other"))
    assert "wine  <script>" in run("compare", "small", "other")[1]
    first, second = json.loads(run("compare", "small", "other", "--json")[1])["studies"]
    assert (first["tags"], second["tags"], second["note"]) == (["wine"], [], None)


def test_a_resume_keeps_both_and_a_fork_takes_the_tags_alone(study, run):
    kept = Annotation("of this study", ("wine", "a"))
    annotate(study, lambda _: kept)
    assert run("resume", "small", "--trials", 3)[0] == 0
    assert run("resume", "small", "--fork", "next")[0] == 0
    assert annotation_of(study) == kept
    assert annotation_of(Path("runs/next")) == Annotation(tags=("wine", "a"))


def test_a_restart_moves_a_study_with_a_note_aside(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(STUDY.replace("trials: 6", "trials: 1"))
    run("search", "small.yaml", "--set", "run.limit.epochs=0.5")
    assert run("search", "small.yaml", "--set", "optimizer={name: sgd, lr: 1e30}")[0] == 3
    annotate(Path("runs/small"), lambda _: Annotation("diverges"))
    assert run("search", "small.yaml", "--restart")[0] == 0
    assert annotation_of(Path("runs/small.old-1")).note == "diverges"
