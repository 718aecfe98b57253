"""Output never overwrites the record of a study, and a stream is not replaced by a file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tunecli.errors import UsageError
from tunecli.store.database import Log
from tunecli.store.destination import as_argument, require_destination, write_where_asked
from tunecli.store.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder.create(tmp_path / "run")
    Log.create(folder.database_path, {}).close()
    return folder.path


@pytest.mark.parametrize(
    "name",
    [
        "study.db",
        "study.db-journal",
        "study.db-wal",
        "study.lock",
        "workers.lock",
        "holder.json",
        "config.yaml",
        "results.csv",
        "confirmed.csv",
        "log.jsonl",
        "checkpoints/trial-00001.safetensors",
        "checkpoints/trial-00001/mine.pt",
        "checkpoints/new.yaml",
    ],
)
@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_of_a_study_is_rejected(run: Path, tmp_path: Path, name: str, is_link: bool) -> None:
    (run / "checkpoints" / "trial-00001").mkdir()
    path = run / name
    if is_link:
        path = tmp_path / "link"
        path.symlink_to(run / name)
    with pytest.raises(UsageError, match="is a file of the study in"):
        require_destination(path)


@pytest.mark.parametrize("name", ["mine.yaml", "best.yaml", "weights.safetensors"])
def test_another_file_in_a_run_folder_is_accepted(run: Path, name: str) -> None:
    require_destination(run / name)


@pytest.mark.parametrize("name", ["study.db", "config.yaml", "checkpoints/x"])
def test_the_names_of_a_studys_files_are_accepted_outside_a_study(tmp_path: Path, name: str) -> None:
    (tmp_path / "checkpoints").mkdir()
    require_destination(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a folder"),
        ("missing/x.yaml", "there is no folder .*missing"),
        ("file/x.yaml", "there is no folder .*file"),
        ("x" * 300, "File name too long"),
        ("loop", "leads to itself"),
        ("dangling", "there is no folder .*nowhere"),
    ],
)
def test_a_path_that_cannot_be_written_is_rejected(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/x")
    with pytest.raises(UsageError, match=message):
        require_destination(tmp_path / name)


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_output_is_appended_to_a_file_that_the_shell_has_open(tmp_path: Path, folder: str) -> None:
    path = tmp_path / "all.txt"
    path.write_text("before\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        place = Path(folder) / str(descriptor)
        require_destination(place)
        assert write_where_asked(place, "after\n") == str(place)
    finally:
        os.close(descriptor)
    assert path.read_text() == "before\nafter\n"


@pytest.mark.parametrize(
    ("name", "expected"), [("a.yaml", "a.yaml"), ("-x", "./-x"), ("-", "./-"), ("--a b", "'./--a b'")]
)
def test_a_path_as_an_argument_does_not_look_like_an_option(name: str, expected: str) -> None:
    assert as_argument(Path(name)) == expected


def test_a_pipe_without_a_reader_raises_broken_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def read_a_little() -> None:
        with path.open("rb", buffering=0) as pipe:
            pipe.read(10)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with pytest.raises(BrokenPipeError):
        write_where_asked(path, "x" * 1_000_000)
    reader.join()


def test_output_is_written_through_links_and_into_devices(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_where_asked(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    write_where_asked(Path(os.devnull), "gone")
    assert not Path(os.devnull).is_file()
