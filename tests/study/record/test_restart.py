"""`search --restart` moves a study aside as a whole, and never without a person's consent where it has scores."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent
from tunecli.commands.check import load_checked
from tunecli.errors import StudyLocked, UsageError
from tunecli.store.lock import hold
from tunecli.study.record.lifecycle import begin
from tunecli.study.record.restart import make_room
from tunecli.study.sweep import sweep

STUDY = """\
study: small
seed: 3
objective: {metric: val_loss}
trial: {data: {source: iris}, model: linear, optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}, training: {epochs: 9}}
search: {sampler: random, trials: 2, lookahead: 1}
run: {device: cpu}
"""


def begun(tmp_path: Path, *, is_run: bool) -> Path:
    path, folder = tmp_path / "small.yaml", tmp_path / "run"
    path.write_text(STUDY)
    with begin(load_checked(path, ()), folder) as study:
        if is_run:
            sweep(study, Silent(), FakeEngine(1, random.Random(1)))
    return folder


def never(question: str) -> bool:
    raise AssertionError(question)


def test_a_study_without_an_epoch_is_removed_without_a_question(tmp_path):
    folder = begun(tmp_path, is_run=False)
    assert make_room(folder, never) == f"removed the study in {folder}: no trial of it had finished an epoch"
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]
    assert make_room(folder, never) == ""


def test_a_study_with_scores_is_moved_aside_after_a_yes(tmp_path):
    folder = begun(tmp_path, is_run=True)
    asked = []
    with pytest.raises(UsageError, match="with a score"):
        make_room(folder, lambda question: bool(asked.append(question)))
    assert "move it aside and begin anew?" in asked[0]
    assert (folder / "study.db").exists()
    (tmp_path / "run.old-1").touch()
    assert make_room(folder, lambda _: True) == f"moved the study in {folder} to {tmp_path / 'run.old-2'}"
    assert not folder.exists()
    assert (tmp_path / "run.old-2" / "study.db").exists()


def test_a_damaged_study_is_moved_aside_and_not_removed(tmp_path):
    folder = begun(tmp_path, is_run=False)
    (folder / "study.db").write_bytes(b"no database" * 1000)
    with pytest.raises(UsageError, match="a damaged record"):
        make_room(folder, lambda _: False)
    make_room(folder, lambda _: True)
    assert (tmp_path / "run.old-1" / "study.db").exists()


@pytest.mark.parametrize(
    "name", ["notes.txt", "checkpoints/trial-00000/model.pt", "trials/trial-00000/out.csv", "logs/mine.txt"]
)
def test_a_study_with_files_of_the_user_is_moved_aside_and_not_removed(tmp_path, name):
    folder = begun(tmp_path, is_run=False)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("kept")
    assert make_room(folder, never) == f"moved the study in {folder} to {tmp_path / 'run.old-1'}"
    assert (tmp_path / "run.old-1" / name).read_text() == "kept"


def test_files_of_tunecli_do_not_keep_a_study(tmp_path):
    folder = begun(tmp_path, is_run=False)
    names = [
        "checkpoints/trial-00000.reports.jsonl",
        "checkpoints/trial-00000.safetensors",
        "logs/trial-00000.log",
    ]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert make_room(folder, never).startswith("removed")


def test_the_folder_of_the_command_itself_stays(tmp_path, monkeypatch):
    folder = begun(tmp_path, is_run=False)
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="the command runs in it"):
        make_room(Path(), never)
    assert (folder / "study.db").exists()


def test_a_study_that_runs_or_is_a_link_stays(tmp_path):
    folder = begun(tmp_path, is_run=False)
    with hold(folder), pytest.raises(StudyLocked):
        make_room(folder, never)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(UsageError, match="is a symbolic link"):
        make_room(link, never)
    assert (folder / "study.db").exists()


def test_a_lock_in_a_folder_that_was_moved_meanwhile_is_refused(tmp_path, monkeypatch):
    folder = begun(tmp_path, is_run=False)
    from tunecli.store import lock

    acquire = lock.FileLock.acquire

    def late(self, *arguments, **options):
        held = acquire(self, *arguments, **options)
        folder.rename(tmp_path / "elsewhere")
        folder.mkdir()
        return held

    monkeypatch.setattr(lock.FileLock, "acquire", late)
    with pytest.raises(StudyLocked, match="just replaced"), hold(folder):
        pass
