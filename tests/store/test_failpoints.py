from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import store_faults
from tests.support.log_records import ASSETS, trial, without_clocks
from tests.support.store_actions import appends
from tunecli import failpoints
from tunecli.durable_files import is_leftover
from tunecli.errors import StoreFailed
from tunecli.store.database import Log
from tunecli.store.files import write_atomically

ROOT = Path(__file__).parents[2]


def ends_at_each_step(mode: str, action: str, path: Path) -> list[tuple[str, int | str]]:
    command = [sys.executable, str(Path(store_faults.__file__)), mode, action, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True
    )
    return [(step, end) for step, end in json.loads(done.stdout)]


def expected_end(mode: str) -> int | str:
    return -9 if mode == "kill" else "StoreFailed"


def contents_of(path: Path) -> str:
    with Log.open_to_read(path) as log:
        return without_clocks(log)


@pytest.fixture(scope="module")
def record_step_by_step(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """The names of the steps of `store_actions.record`, and the contents of the log after each."""
    path = tmp_path_factory.mktemp("whole") / "study.db"
    with Log.create(path, {"seed": 7}) as log:
        contents = [("create", without_clocks(log))]
        for name, append in appends(log):
            append()
            contents.append((name, without_clocks(log)))
    return contents


@pytest.mark.parametrize(("mode", "action"), [("kill", "record"), ("raise", "record"), ("refuse", "begin")])
def test_a_failure_at_any_step_of_a_sweep_keeps_every_reported_record_whole(
    tmp_path: Path, record_step_by_step: list[tuple[str, str]], mode: str, action: str
) -> None:
    (tmp_path / "start").mkdir()
    ends = ends_at_each_step(mode, action, tmp_path)
    assert {end for _, end in ends} == {expected_end(mode)}
    names, contents = zip(*record_step_by_step, strict=True)
    assert len(ends) >= 20
    for at, (step, _) in enumerate(ends, start=1):
        folder = tmp_path / str(at)
        returned = (tmp_path / f"{at}.returned").read_text().splitlines()
        assert returned == [*names, "results"][: len(returned)]
        if not (folder / "study.db").exists():
            assert not returned
            continue
        found = contents.index(contents_of(folder / "study.db")) + 1
        # The failed step may have become durable before it could return.
        assert found in (len(returned), len(returned) + 1), (at, step)
        with Log.open(folder / "study.db") as log:
            assert without_clocks(log) == contents[found - 1]
        left = {item.name for item in folder.iterdir() if not is_leftover(item)}
        assert left <= {"study.db", "results.csv"}
        if (folder / "results.csv").exists():
            assert (folder / "results.csv").read_text() == "rank,trial\n"


@pytest.mark.parametrize("mode", ["kill", "raise", "refuse"])
def test_a_failure_at_any_step_of_a_migration_leaves_the_old_or_the_new_database(
    tmp_path: Path, mode: str
) -> None:
    (tmp_path / "start").mkdir()
    old = (ASSETS / "study-v1.db").read_bytes()
    (tmp_path / "start" / "study.db").write_bytes(old)
    contents = contents_of(tmp_path / "start" / "study.db")
    ends = ends_at_each_step(mode, "migrate", tmp_path)
    assert {end for _, end in ends} == {expected_end(mode)}
    for at, (step, _) in enumerate(ends, start=1):
        path = tmp_path / str(at) / "study.db"
        is_old = path.read_bytes() == old or Path(f"{path}-journal").exists()
        assert is_old == (step != "commit done")
        assert contents_of(path) == contents
        Log.open(path).close()
        assert contents_of(path) == contents
        assert Path(f"{path}.v1").read_bytes() == old
        others = [item.name for item in path.parent.iterdir() if not is_leftover(item)]
        assert sorted(others) == ["study.db", "study.db.v1"]


def test_the_steps_of_a_migration_are_the_copy_and_one_commit(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    shutil.copy(ASSETS / "study-v1.db", tmp_path / "start" / "study.db")
    assert [step for step, _ in ends_at_each_step("kill", "migrate", tmp_path)] == [
        "rename study.db.v1 begins",
        "rename study.db.v1 done",
        "commit begins",
        "commit done",
    ]


@pytest.mark.parametrize("at", [1, 2])
def test_a_log_is_readable_but_not_writable_after_a_failed_write(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "_armed", None)
        patch.setenv(failpoints.VARIABLE, "")
        failpoints.arm("raise", at, tmp_path / "steps")
        with pytest.raises(StoreFailed, match=str(log.path)) as caught:
            log.append_suggestion(trial(0))
        assert caught.value.exit_code == 5
    assert len(log.trials()) == at - 1, "before the commit it is taken back, after it there"
    before = log.path.read_bytes()
    with pytest.raises(StoreFailed, match=str(log.path)):
        log.append_suggestion(trial(1))
    with pytest.raises(StoreFailed), log.atomic():
        pytest.fail("there is nothing to be done in it")
    assert log.path.read_bytes() == before
    log.close()
    with Log.open(log.path) as again:
        again.append_suggestion(trial(at - 1))
        assert len(again.trials()) == at


@pytest.mark.parametrize("at", [1, 2])
def test_a_failed_rename_leaves_the_old_or_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("old")
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setenv(failpoints.VARIABLE, "")
    failpoints.arm("raise", at, tmp_path / "steps")
    with pytest.raises(StoreFailed, match=str(path)):
        write_atomically(path, "new")
    assert path.read_text() == ("old" if at == 1 else "new")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["best.yaml", "steps"]
