"""Conditions under which a study cannot begin or be resumed."""

import shutil
from collections import namedtuple

import pytest

from tests.study.sweeps import run_whole
from tunecli.commands.check import load_checked
from tunecli.errors import ConfigError, DiskFull, UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, reopen


def test_a_search_on_a_folder_with_a_study_suggests_resume(study_file, tmp_path):
    path = study_file()
    run_whole(path, tmp_path / "run", "search.trials=1")
    with pytest.raises(UsageError) as caught, begin(load_checked(path, ()), tmp_path / "run"):
        pass
    assert "holds a study already" in caught.value.message
    assert "tunecli resume" in caught.value.hint


def test_resume_refuses_a_missing_device_and_records_nothing(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run", "search.trials=1")
    folder = RunFolder.open_existing(tmp_path / "run")
    with pytest.raises(UsageError, match="cuda:77"), reopen(folder, {"device": "cuda:77"}):
        pass
    with reopen(folder, {}) as study:
        assert study.plan.device == "cpu"


def test_resume_refuses_a_study_without_its_data(study_file, tmp_path):
    data = tmp_path / "mine.csv"
    data.write_text("a,c\n" + "\n".join(f"{i % 7},{(i % 7) > 3}" for i in range(60)) + "\n")
    run_whole(
        study_file(**{"source: iris": "source: mine.csv, target: c"}), tmp_path / "run", "search.trials=1"
    )
    data.unlink()
    with (
        pytest.raises(ConfigError, match=r"mine\.csv"),
        reopen(RunFolder.open_existing(tmp_path / "run"), {"n_trials": 2}),
    ):
        pass


def test_a_study_begins_and_resumes_only_with_room_on_disk(study_file, tmp_path, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    path = study_file()
    run_whole(path, tmp_path / "before")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 99, 1))
    with pytest.raises(DiskFull), begin(load_checked(path, ()), tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / "study.db").exists()
    with pytest.raises(DiskFull), reopen(RunFolder(tmp_path / "before"), {}):
        pass
