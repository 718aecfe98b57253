"""A study is removed file by file: others' files and linked files stay, and a kill at any step can be finished."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunecli import failpoints
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.store.removal import REMOVED_NAME, contents_of, is_removed_in_part, remove_study

OURS = (
    *("config.yaml", "results.csv", "best.yaml", "report.html", "baseline.json", "refit.safetensors"),
    *(
        "confirmed.csv",
        "confirmed.yaml",
        "about.json",
        "log.jsonl",
        "study.lock",
        "workers.lock",
        "holder.json",
    ),
    *("study.db.v3", "study.db.v3-2", "stop-trial-4.request", ".12-0123456789abcdef.tmp"),
    *("checkpoints/trial-00000.safetensors", "checkpoints/trial-00001.checkpoint.safetensors"),
    *(
        "checkpoints/trial-00001.reports.jsonl",
        "checkpoints/.trial-00001.safetensors.x7",
        "logs/trial-00000.log",
    ),
    *("logs/confirm-00000-001.log", "events/trial-00000/events.out.tfevents.0.tunecli"),
)
OTHERS = (
    "notes.txt",
    "checkpoints/mine.pt",
    "logs/trial-00000.txt",
    "events/mine/x",
    "sub/study.db",
    "study.db.bak",
)
OF_TRIALS = ("checkpoints/trial-00002/model.pt", "trials/trial-00002/a/b.txt", "trials/confirm-00002-001/x")

PROGRAM = """
import sys
from pathlib import Path
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold
from tunecli.store.removal import remove_study

path = Path(sys.argv[1])
with hold(path, is_recorded=False):
    remove_study(RunFolder(path))
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    Log.create(path / "study.db", {}).close()
    _write(path, OURS)
    return RunFolder(path)


def _write(path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"12345")


def _files(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_symlink() or not file.is_dir()}


def test_a_study_goes_with_its_folder(folder):
    found = contents_of(folder)
    assert (found.n_files, found.kept) == (len(OURS) + 1, [])
    removed = remove_study(folder)
    assert not folder.path.exists()
    assert (removed.n_bytes, removed.kept) == (found.n_bytes, [])


def test_files_of_others_stay_and_are_named(folder):
    _write(folder.path, (*OTHERS, *OF_TRIALS))
    stays = {"notes.txt", "study.db.bak", "checkpoints/mine.pt", "logs/trial-00000.txt", "events/mine", "sub"}
    removed = remove_study(folder)
    assert {*removed.kept} == {
        *stays,
        "checkpoints/trial-00002/model.pt",
        "trials/trial-00002/a",
        "trials/confirm-00002-001/x",
    }
    assert _files(folder.path) == {*OTHERS, *OF_TRIALS}
    assert not is_removed_in_part(folder.path)


def test_the_files_of_own_code_go_only_on_request(folder):
    _write(folder.path, (*OTHERS, *OF_TRIALS))
    assert contents_of(folder, with_trial_files=True).n_files == len(OURS) + 1 + len(OF_TRIALS)
    remove_study(folder, with_trial_files=True)
    assert _files(folder.path) == {*OTHERS}


def test_no_link_is_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    _write(outside, ("trial-00000.safetensors", "trial-00001.log", "x"))
    for file in folder.trial_logs_path.iterdir():
        file.unlink()
    folder.trial_logs_path.rmdir()
    folder.trial_logs_path.symlink_to(outside)
    (folder.path / "best.yaml").unlink()
    (folder.path / "best.yaml").symlink_to(outside / "x")
    (folder.trial_dir(3)).mkdir(parents=True)
    (folder.trial_dir(3) / "link").symlink_to(outside)
    removed = remove_study(folder, with_trial_files=True)
    assert removed.kept == ["best.yaml", "logs"]
    assert _files(outside) == {"trial-00000.safetensors", "trial-00001.log", "x"}


def test_a_pipe_under_a_name_of_ours_stays(folder):
    (folder.path / "results.csv").unlink()
    os.mkfifo(folder.path / "results.csv")
    assert remove_study(folder).kept == ["results.csv"]


def test_a_removal_that_was_killed_at_any_step_can_be_finished(tmp_path):
    """Each run is killed one step later; the folder is a study, or is recognised, until its last file is gone."""
    at, n_recognised = 0, 0
    while True:
        at += 1
        path = tmp_path / f"run-{at}"
        path.mkdir()
        Log.create(path / "study.db", {}).close()
        _write(path, ("config.yaml", "checkpoints/trial-00000.safetensors", "notes.txt"))
        counter = tmp_path / f"count-{at}"
        armed = {**os.environ, failpoints.VARIABLE: f"kill:{at}:{counter}"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(path)], env=armed, capture_output=True, text=True
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        n_recognised += is_removed_in_part(path)
        assert (path / "study.db").exists() != (path / REMOVED_NAME).exists()
        with hold(path):
            remove_study(RunFolder(path))
        assert _files(path) == {"notes.txt"}
    assert n_recognised >= 3
