"""Lack of room: a limit on the size of files makes writes fail like a full disk, and needs no permission to be set."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.log_records import ASSETS, everything, filled, trial
from tunecli.durable_files import is_leftover
from tunecli.errors import DiskFull
from tunecli.store import schema
from tunecli.store.database import Log
from tunecli.store.files import has_room, require_room

OLD = (ASSETS / "study-v1.db").read_bytes()
PAGE_BYTES = 4096

LIMITED = """
import json, resource, sys
from pathlib import Path
from tunecli.errors import DiskFull
from tunecli.store.database import Log
from tunecli.store.files import write_atomically
from tunecli.trial import Trial

path, limit = Path(sys.argv[1]), int(sys.argv[2])
said = {"appended": 0}


def limited(to):
    resource.setrlimit(resource.RLIMIT_FSIZE, (to, resource.RLIM_INFINITY))


def refused(action, *arguments):
    limited(limit)
    try:
        return action(*arguments)
    except DiskFull as error:
        return f"{error.exit_code} {error}"
    finally:
        limited(resource.RLIM_INFINITY)
"""
APPENDING = """
log = Log.open(path)


def append_many():
    for number in range(3, 400):
        log.append_suggestion(Trial(number, {"text": "x" * 500}, 1))
        said["appended"] += 1


said["refusal"] = refused(append_many)
said["after"] = len(log.trials())
log.append_suggestion(Trial(3 + said["appended"], {}, 1))
print(json.dumps(said))
"""
OPENING = """
said["refusal"] = refused(Log.open, path)
print(json.dumps(said))
"""
WRITING = """
said["refusal"] = refused(write_atomically, path, "y" * 100_000)
print(json.dumps(said))
"""


def limited(code: str, path: Path, limit_bytes: int) -> dict[str, object]:
    """The output of ``code`` under a limit on the size of files, in bytes."""
    command = [sys.executable, "-c", LIMITED + code, str(path), str(limit_bytes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize(
    "limit_bytes", [0, 511, 600, PAGE_BYTES, 5000, 10 * PAGE_BYTES, 12 * PAGE_BYTES + 1, 40 * PAGE_BYTES]
)
def test_a_commit_without_room_is_rolled_back_and_works_once_there_is_room(
    tmp_path: Path, limit_bytes: int
) -> None:
    path = tmp_path / "study.db"
    filled(path, 3)
    said = limited(APPENDING, path, limit_bytes)
    assert str(said["refusal"]).startswith(f"6 no room to write {path}"), said
    n_appended = said["appended"]
    assert isinstance(n_appended, int)
    assert n_appended > 0 or limit_bytes < 40 * PAGE_BYTES
    assert said["after"] == 3 + n_appended
    with Log.open(path) as log:
        assert [t.number for t in log.trials()] == list(range(3 + n_appended + 1))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("limit_bytes", [0, 600, len(OLD) - 1, len(OLD)])
def test_a_migration_without_room_keeps_the_old_database(tmp_path: Path, limit_bytes: int) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(OLD)
    said = limited(OPENING, path, limit_bytes)
    assert str(said["refusal"]).startswith("6 no room to write"), said
    assert path.read_bytes() == OLD
    assert not [item for item in tmp_path.iterdir() if is_leftover(item) or item.name == "study.db-journal"]
    with Log.open(path) as log:
        assert len(log.trials()) == 6
        assert schema.version(log._connection) == schema.SCHEMA_VERSION


def test_a_write_without_room_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("old")
    said = limited(WRITING, path, 50_000)
    assert str(said["refusal"]).startswith(f"6 no room to write {path}"), said
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_stops_the_append_and_leaves_the_log_sound(log: Log) -> None:
    [(pages,)] = log._rows("PRAGMA page_count")
    log._connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # makes SQLite run out of room
    with pytest.raises(DiskFull) as caught:
        for number in range(1000):
            log.append_suggestion(trial(number, text="x" * 500))
    assert caught.value.exit_code == 6
    n_kept = len(log.trials())
    assert 0 < n_kept < 1000
    told = everything(log)
    log.close()
    with Log.open(log.path) as again:
        assert everything(again) == told
        again.append_suggestion(trial(n_kept))
        assert len(again.trials()) == n_kept + 1


class TestRequireRoom:
    def test_enough_room_passes_and_too_little_is_reported(self, tmp_path: Path) -> None:
        free_bytes = shutil.disk_usage(tmp_path).free
        require_room(tmp_path, 1)
        with pytest.raises(DiskFull, match=r"GiB are free .* may need .* GiB") as caught:
            require_room(tmp_path, 2 * free_bytes + 2**31)
        assert str(tmp_path) in str(caught.value)
        assert caught.value.exit_code == 6

    def test_a_missing_folder_is_checked_by_its_file_system(self, tmp_path: Path) -> None:
        require_room(tmp_path / "runs" / "a" / "b", 1)
        with pytest.raises(DiskFull):
            require_room(tmp_path / "runs" / "a" / "b", 2**80)

    def test_a_relative_path_is_checked_too(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        require_room(Path("runs/a"), 1)


def test_the_probe_for_room_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    assert has_room(path)
    assert list(tmp_path.iterdir()) == [path]
    assert has_room(tmp_path / "nowhere" / "a")
