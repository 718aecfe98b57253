from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tunecli.durable_files import remove_files
from tunecli.errors import DiskFull, StoreFailed, UsageError
from tunecli.store.files import remove_leftovers, write_atomically

STEPS = ["open", "fdopen", "fsync", "replace"]


def fail_at(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(os, step, fail)


def test_bytes_are_written_unchanged(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"\x00\xff\r\n")
    assert (tmp_path / "a").read_bytes() == b"\x00\xff\r\n"


def test_text_is_written_as_utf8_with_its_line_ends(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "ü\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xbc\n"


def test_old_content_is_replaced_and_no_other_file_remains(tmp_path: Path) -> None:
    for content in ("old", "new"):
        write_atomically(tmp_path / "a", content)
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "new"


def test_a_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (OSError(errno.EDQUOT, "Quota exceeded"), DiskFull),
        (OSError(errno.EROFS, "Read-only file system"), UsageError),
        (OSError(errno.EIO, "Input/output error"), StoreFailed),
        (OSError(errno.ENXIO, "No such device or address"), StoreFailed),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda value: getattr(value, "strerror", None) or type(value).__name__,
)
def test_a_failure_at_any_step_leaves_the_old_content_and_no_temporary(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: BaseException,
    expected: type[BaseException],
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with monkeypatch.context() as patch, pytest.raises(expected) as caught:
        fail_at(patch, step, error)
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    if isinstance(error, OSError):
        assert str(path) in str(caught.value)


def test_a_failed_sync_of_the_folder_raises_and_leaves_one_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, calls = tmp_path / "a", os.fsync, []

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(StoreFailed, match=f"{path}: Input/output error"):
        write_atomically(path, "new")
    assert len(calls) == 2, "a failed fsync is not tried again"
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_the_order_is_sync_file_then_rename_then_sync_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append("sync folder" if Path(f"/dev/fd/{descriptor}").is_dir() else "sync file")
        fsync(descriptor)

    def noting_replace(*names: Any) -> None:
        steps.append("rename")
        replace(*names)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_atomically(tmp_path / "a", "x")
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "a").symlink_to(target)
    write_atomically(tmp_path / "a", "new")
    assert target.read_text() == "precious"
    assert not (tmp_path / "a").is_symlink()


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "a", "x")


def test_a_read_only_folder_is_a_usage_error_with_the_path(
    open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]]
) -> None:
    with read_only(open_path), pytest.raises(UsageError, match=str(open_path / "a")):
        write_atomically(open_path / "a", "x")


def test_only_leftovers_of_killed_writers_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, "replace", KeyboardInterrupt())
        fail_at(patch, "unlink", OSError(errno.EIO, "as if killed: nothing is cleaned up"))
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "a", "x")
    (tmp_path / ".mine.tmp").touch()
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == [".mine.tmp"]


def test_only_leftovers_of_training_are_removed_from_the_checkpoints(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "trial-00001").mkdir(parents=True)
    (checkpoints / ".folder.tmp").mkdir()
    ours = [
        f".4711-{'ab' * 8}.tmp",
        ".trial-00001.safetensors.x8_f3a2b",
        ".trial-00001-00002.checkpoint.safetensors.4711.tmp",
        ".trial-00001-2.tmp",
    ]
    theirs = [
        "trial-00001.safetensors",
        "trial-00001-00002.checkpoint.safetensors",
        "notes.tmp",
        ".hidden",
        "trial-00001/.mine.tmp",
    ]
    for name in (*ours, *theirs):
        (checkpoints / name).write_text("x")
    remove_leftovers(tmp_path)
    left = {str(item.relative_to(checkpoints)) for item in checkpoints.rglob("*")}
    assert left == {*theirs, "trial-00001", ".folder.tmp"}
    remove_leftovers(checkpoints)
    remove_leftovers(tmp_path / "nowhere")


def test_removing_leftovers_does_not_follow_links(tmp_path: Path) -> None:
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    run.mkdir()
    target = elsewhere / ".precious.tmp"
    target.write_text("precious")
    (run / "checkpoints").symlink_to(elsewhere)
    remove_leftovers(run)
    assert target.read_text() == "precious"
    (run / "checkpoints").unlink()
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / ".link.tmp").symlink_to(target)
    (run / "checkpoints" / ".dangling.tmp").symlink_to(tmp_path / "nowhere")
    (run / "checkpoints" / ".folder.tmp").symlink_to(elsewhere)
    remove_leftovers(run)
    assert list((run / "checkpoints").iterdir()) == []
    assert target.read_text() == "precious"


def test_leftovers_in_a_run_folder_behind_a_link_are_removed(tmp_path: Path) -> None:
    run, link = tmp_path / "run", tmp_path / "link"
    (run / "checkpoints").mkdir(parents=True)
    link.symlink_to(run)
    for folder in (run, run / "checkpoints"):
        (folder / f".1-{'0' * 16}.tmp").touch()
    remove_leftovers(link)
    assert [str(item.relative_to(run)) for item in run.rglob("*")] == ["checkpoints"]


def test_a_file_that_cannot_be_removed_is_skipped(
    open_path: Path, read_only: Callable[[Path], AbstractContextManager[None]]
) -> None:
    (open_path / "a").touch()
    with read_only(open_path):
        remove_files(open_path, lambda name: True)
    assert (open_path / "a").exists()
