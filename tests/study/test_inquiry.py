"""What a study tells of itself where not all is as it should be."""

import shutil
from collections import namedtuple

import pytest

from tests.study.test_sweep import Silent, run_whole
from tunecli.errors import DiskFull
from tunecli.store.folder import RunFolder
from tunecli.study import progress
from tunecli.study.check import load_checked
from tunecli.study.outlook import mixtures
from tunecli.study.record import begin, look, reopen
from tunecli.study.sweep import sweep


def test_trials_of_several_versions_are_told_apart_in_the_results(study_file, tmp_path, monkeypatch, tunecli):
    run_whole(study_file(), tmp_path / "run", "search.trials=2")
    with look(RunFolder(tmp_path / "run")) as study:
        assert mixtures(study.log, study.log.trials()) == []
    here = progress.versions()
    monkeypatch.setattr(progress, "versions", lambda: {**here, "torch": "9.9.9"})
    with reopen(RunFolder(tmp_path / "run"), {"n_trials": 3}) as study:
        sweep(study, Silent())
    with look(RunFolder(tmp_path / "run")) as study:
        (note,) = mixtures(study.log, study.log.trials())
    assert note == f"the trials ran under several versions of torch: {here['torch']}, 9.9.9"
    assert note in tunecli("results", tmp_path / "run").stderr


def test_a_study_that_is_damaged_is_said_to_be_and_its_table_stays_readable(study_file, tmp_path, tunecli):
    run_whole(study_file(), tmp_path / "run")
    database = tmp_path / "run" / "study.db"
    database.write_bytes(database.read_bytes()[:4096] + b"\xff" * 8192)
    before = database.read_bytes()
    done = tunecli("status", tmp_path / "run")
    assert done.returncode == 5
    assert "damaged" in done.stdout
    assert "results.csv" in done.stderr
    assert tunecli("resume", tmp_path / "run").returncode == 5
    assert database.read_bytes() == before
    assert len((tmp_path / "run" / "results.csv").read_text().splitlines()) == 7


def test_a_study_begins_only_where_there_is_room(study_file, tmp_path, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    path = study_file()
    run_whole(path, tmp_path / "before")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 99, 1))
    with pytest.raises(DiskFull), begin(load_checked(path, ()), tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / "study.db").exists()
    with pytest.raises(DiskFull), reopen(RunFolder(tmp_path / "before"), {}):
        pass
