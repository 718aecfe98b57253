from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.errors import UsageError
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder, remove_orphans
from tunecli.store.lock import hold

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc",
    "-rf",
    ".hidden",
    "a" * 65,
    "a\n",
    "a\x00b",
    "a b",
    "ü",
    "~",
    "$HOME",
]


def study(path: Path) -> Path:
    folder = RunFolder.create(path)
    Log.create(folder.database_path, {}).close()
    return path


def test_the_files_have_the_documented_names() -> None:
    folder = RunFolder(Path("r"))
    paths = (
        folder.database_path,
        folder.config_path,
        folder.results_path,
        folder.best_path,
        folder.checkpoints_path,
        folder.log_path,
        folder.workers_lock_path,
        folder.weights_path(17),
        folder.weights_path(123456),
    )
    assert [str(path) for path in paths] == [
        "r/study.db",
        "r/config.yaml",
        "r/results.csv",
        "r/best.yaml",
        "r/checkpoints",
        "r/log.jsonl",
        "r/workers.lock",
        "r/checkpoints/trial-00017.safetensors",
        "r/checkpoints/trial-123456.safetensors",
    ]


class TestCreate:
    def test_the_folder_and_its_parents_are_made(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path / "runs" / "a")
        assert folder.checkpoints_path.is_dir()

    def test_the_leftovers_of_a_search_without_a_database_are_accepted(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path / "a")
        with hold(folder.path):
            folder.append_log({"event": "begin"})
            assert RunFolder.create(tmp_path / "a") == folder

    def test_a_folder_with_a_study_is_rejected(self, tmp_path: Path) -> None:
        study(tmp_path / "a")
        with pytest.raises(UsageError, match="holds a study already") as caught:
            RunFolder.create(tmp_path / "a")
        assert "resume" in caught.value.hint

    @pytest.mark.parametrize("name", ["config.yaml", "best.yaml", "thesis.tex", "checkpoints/mine.pt"])
    def test_a_folder_with_other_files_is_rejected(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("precious")
        with pytest.raises(UsageError, match="holds other files"):
            RunFolder.create(tmp_path)

    def test_a_file_is_rejected(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        with pytest.raises(UsageError):
            RunFolder.create(tmp_path / "a")
        with pytest.raises(UsageError):
            RunFolder.create(tmp_path / "a" / "b")

    def test_a_read_only_folder_is_rejected(
        self, open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]]
    ) -> None:
        with read_only(open_path), pytest.raises(UsageError, match="Permission denied"):
            RunFolder.create(open_path / "a")


class TestOpenExisting:
    def test_a_study_is_found(self, tmp_path: Path) -> None:
        path = study(tmp_path / "a")
        assert RunFolder.open_existing(path) == RunFolder(path)

    def test_a_wrong_name_suggests_similar_studies(self, tmp_path: Path) -> None:
        study(tmp_path / "digits-mlp")
        with pytest.raises(UsageError, match="no study in") as caught:
            RunFolder.open_existing(tmp_path / "digit-mlp")
        assert "`digits-mlp`" in caught.value.hint

    def test_a_wrong_name_without_similar_studies_lists_all(self, tmp_path: Path) -> None:
        study(tmp_path / "a")
        (tmp_path / "zebra").mkdir()
        with pytest.raises(UsageError, match="no study in") as caught:
            RunFolder.open_existing(tmp_path / "zebra")
        assert caught.value.hint.endswith(": a")

    def test_a_name_in_place_of_a_path_suggests_the_study_of_that_name(self, tmp_path: Path) -> None:
        path = study(tmp_path / "runs" / "wine")
        study(tmp_path / "wines")
        with pytest.raises(UsageError) as caught:
            RunFolder.open_existing(tmp_path / "wine")
        assert caught.value.hint == f"did you mean {path}?"

    def test_a_folder_without_studies_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            RunFolder.open_existing(tmp_path / "nowhere" / "a")
        assert "there are no studies under" in caught.value.hint


class TestFind:
    def test_a_study_is_found_by_name_and_by_path(self, tmp_path: Path) -> None:
        path = study(tmp_path / "runs" / "a")
        assert RunFolder.find("a", tmp_path / "runs").path == path
        assert RunFolder.find(str(path), tmp_path / "elsewhere").path == path

    def test_a_folder_of_the_same_name_without_a_study_does_not_hide_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        study(Path("runs/digits"))
        Path("digits").mkdir()
        assert RunFolder.find("digits").path == Path("runs/digits")

    @pytest.mark.parametrize("text", HOSTILE)
    def test_an_invalid_name_finds_nothing_under_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        study(tmp_path / "x")
        with pytest.raises(UsageError):
            RunFolder.find(text, tmp_path / "runs")
        with pytest.raises(UsageError, match="not a valid name of a study"):
            RunFolder.named(text)

    @given(st.text(st.characters()))
    def test_a_name_cannot_leave_the_runs_folder(self, text: str) -> None:
        try:
            path = RunFolder.named(text, Path("/runs")).path
        except UsageError:
            return
        assert os.path.normpath(path) == f"/runs/{text}"


class TestLogForPeople:
    def test_each_line_is_one_strict_json_object(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path / "a")
        folder.append_log({"event": "end", "text": "two\nlines\u2028"})
        folder.append_log({"loss": math.nan})
        lines = folder.log_path.read_text().splitlines()
        assert json.loads(lines[0])["text"] == "two\nlines\u2028"
        assert json.loads(lines[1], parse_constant=pytest.fail) == {"loss": {"$float": "nan"}}
        assert len(lines) == 2

    def test_an_error_of_the_log_is_ignored(self, tmp_path: Path) -> None:
        RunFolder(tmp_path / "nowhere").append_log({"event": "begin"})

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path / "a")
        folder.log_path.symlink_to(tmp_path / "target")
        folder.append_log({"event": "begin"})
        assert not (tmp_path / "target").exists()


class TestOrphans:
    def test_only_unknown_checkpoints_are_removed(self, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path / "a")
        kept = ["trial-00001-2.checkpoint.safetensors", "trial-00001.safetensors", "mine.pt"]
        for name in (*kept, "trial-00001-1.checkpoint.safetensors", "trial-00002-9.checkpoint.safetensors"):
            (folder.checkpoints_path / name).touch()
        (folder.checkpoints_path / "folder.checkpoint.safetensors").mkdir()
        remove_orphans(folder, {kept[0], "never-written.checkpoint.safetensors"})
        left = {item.name for item in folder.checkpoints_path.iterdir()}
        assert left == {*kept, "folder.checkpoint.safetensors"}

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        folder, elsewhere = RunFolder.create(tmp_path / "a"), tmp_path / "elsewhere"
        elsewhere.mkdir()
        target = elsewhere / "x.checkpoint.safetensors"
        target.write_text("precious")
        (folder.checkpoints_path / "link.checkpoint.safetensors").symlink_to(target)
        remove_orphans(folder, set())
        assert list(folder.checkpoints_path.iterdir()) == []
        folder.checkpoints_path.rmdir()
        folder.checkpoints_path.symlink_to(elsewhere)
        remove_orphans(folder, set())
        assert target.read_text() == "precious"

    def test_a_study_without_checkpoints_has_no_orphans(self, tmp_path: Path) -> None:
        remove_orphans(RunFolder(tmp_path / "nowhere"), set())


def test_the_entries_of_a_new_run_folder_and_of_its_parents_are_durable(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink()))
    RunFolder.create(tmp_path / "runs" / "far" / "first")
    assert {tmp_path, tmp_path / "runs", tmp_path / "runs" / "far"} <= set(synced)
    synced.clear()
    RunFolder.create(tmp_path / "runs" / "far" / "first")  # a killed process may have made it
    assert tmp_path / "runs" / "far" in synced
