"""A temporary trial folder is removed at the trial's end, or later if the trial was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.jobs import make_job
from tunecli.objective import Objective
from tunecli.train.user_code.trial_files import remove_stale, trial_folder

JOB = make_job(0, {}, Objective("val_loss", False), 1, 2)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_temporary_folder_exists_while_the_trial_runs(temporary: Path) -> None:
    with trial_folder(JOB) as folder:
        remove_stale()
        (folder / "kept").touch()
        assert folder.is_dir() and folder.is_relative_to(temporary)
    assert [*temporary.iterdir()] == []


def test_only_stale_folders_of_killed_trials_are_removed(temporary: Path) -> None:
    code = (
        "import os, signal\nfrom tunecli.train.user_code.trial_files import trial_folder\n"
        "from tunecli.messages import Job, Task\n"
        "from tunecli.objective import Objective\n"
        "with trial_folder(Job(0, 1, Task({}, Objective('val_loss', False), 1, 2))) as folder:\n"
        "    (folder / 'kept').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=temporary).returncode == -9
    assert len([*temporary.iterdir()]) == 1
    (temporary / "tunecli-of-somebody").mkdir()
    (temporary / "tunecli-link").symlink_to(temporary)
    remove_stale()
    assert sorted(path.name for path in temporary.iterdir()) == ["tunecli-link", "tunecli-of-somebody"]
