"""Objects in a run folder that are not the regular file of that name: refused with their path, and never waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.study.sweeps import run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.results import results
from tunecli.commands.status import status
from tunecli.durable_files import read_regular
from tunecli.errors import UsageError
from tunecli.results.table import to_csv
from tunecli.store.destination import write_where_asked
from tunecli.store.files import kind_of
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold, holder
from tunecli.study.record.lifecycle import begin, reopen

READ = ("study.db", "study.db-journal", "study.lock")
WRITTEN = (
    *("holder.json", "workers.lock", "log.jsonl", "results.csv", "best.yaml", "config.yaml"),
    *("report.html", "confirmed.csv", "confirmed.yaml"),
)
OF_TRIALS = (
    "checkpoints/trial-00000.safetensors",
    "checkpoints/trial-00001.1-000002.checkpoint.safetensors",
    "checkpoints/trial-123456.2-000001.checkpoint.safetensors",
)


def fifo(path: Path, target: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, target: Path) -> None:
    path.mkdir()
    (path / "precious").touch()


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def dangling_link(path: Path, target: Path) -> None:
    path.symlink_to(target.with_name("nowhere"))


def link_to_itself(path: Path, target: Path) -> None:
    path.symlink_to(path)


def link_to_device(path: Path, target: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path, target: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 108 characters at most
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


KINDS = (fifo, directory, link, dangling_link, link_to_itself, link_to_device, unix_socket)
Make = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole")
    (path / "own.py").write_text("def train(params, trial):\n    return params['x']\n")
    (path / "own.yaml").write_text(
        "study: own\nobjective: {metric: val_loss}\n"
        "trial: {python: 'own:train', params: {x: {uniform: [0, 1]}}}\n"
        "search: {sampler: random, trials: 2}\nrun: {engine: inline}\n"
    )
    run_whole(path / "own.yaml", path / "run")
    return path / "run"


@pytest.fixture
def place(whole: Path, tmp_path: Path) -> Iterator[Callable[[str, Make], tuple[RunFolder, Path, Path]]]:
    """Replace one of the study's files by an object of a kind; the run folder, the path, and the target of a link."""

    def put(name: str, make: Make) -> tuple[RunFolder, Path, Path]:
        path, target = whole / name, tmp_path / "target"
        target.write_bytes(path.read_bytes() if path.is_file() else b"precious")
        if path.exists():
            path.rename(tmp_path / "aside")
        placed.append(path)
        make(path, target)
        return RunFolder(whole), path, target

    placed: list[Path] = []
    yield put
    for path in placed:
        if path.is_dir() and not path.is_symlink():
            (path / "precious").unlink(missing_ok=True)
            path.rmdir()
        else:
            path.unlink()
        if (tmp_path / "aside").exists():
            (tmp_path / "aside").rename(path)


def shape(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (kind_of(path), path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", [*READ, *WRITTEN, *OF_TRIALS])
def test_resume_refuses_the_object_at_once_and_changes_nothing(place: Any, name: str, make: Make) -> None:
    folder, path, target = place(name, make)
    before, content = shape(folder.path), target.read_bytes()
    with pytest.raises(UsageError) as caught, reopen(folder, {"n_trials": 9}):
        pass
    assert str(path) in caught.value.message
    assert kind_of(path) in caught.value.message
    assert (shape(folder.path), target.read_bytes()) == (before, content)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", [*READ, *WRITTEN, *OF_TRIALS])
def test_reading_refuses_only_objects_that_it_would_read(place: Any, name: str, make: Make) -> None:
    folder, path, target = place(name, make)
    before, content = shape(folder.path), target.read_bytes()
    asks: tuple[Callable[[], object], ...] = (
        lambda: status(RunFolder.find(str(folder.path))),
        lambda: results(RunFolder.find(str(folder.path))),
        lambda: holder(folder.path),
    )
    for ask in asks[: 2 if name in READ else 3]:
        if name in READ:
            with pytest.raises(UsageError) as caught:
                ask()
            assert str(path) in caught.value.message
        else:
            ask()
    holder(folder.path)  # never waits
    assert (shape(folder.path), target.read_bytes()) == (before, content)


@pytest.mark.parametrize("make", [make for make in KINDS if make is not directory])
@pytest.mark.parametrize("name", ["checkpoints", "checkpoints/trial-00001", "events"])
def test_a_subfolder_of_the_study_must_be_a_folder(place: Any, name: str, make: Make) -> None:
    folder, path, _ = place(name, make)
    with pytest.raises(UsageError, match="needs a directory") as caught, reopen(folder, {}):
        pass
    assert str(path) in caught.value.message


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", ["study.lock", "workers.lock", "holder.json", "log.jsonl", "checkpoints"])
def test_a_search_refuses_the_object_in_an_existing_folder(
    tmp_path: Path, whole: Path, name: str, make: Make
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    target = tmp_path / "target"
    target.write_text("precious")
    make(folder / name, target)
    with pytest.raises(UsageError, match=name), begin(load_checked(whole.parent / "own.yaml", ()), folder):
        pass
    assert target.read_text() == "precious"
    assert not (folder / "study.db").exists()


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", ["study.lock", "holder.json", "workers.lock"])
def test_a_search_refuses_the_object_in_a_folder_with_a_study(place: Any, name: str, make: Make) -> None:
    folder, _, target = place(name, make)
    before, content = shape(folder.path), target.read_bytes()
    with (
        pytest.raises(UsageError, match=name),
        begin(load_checked(folder.path.parent / "own.yaml", ()), folder.path),
    ):
        pass
    assert (shape(folder.path), target.read_bytes()) == (before, content)


@pytest.mark.parametrize("make", KINDS)
def test_the_journal_is_written_only_to_a_regular_file(tmp_path: Path, make: Make) -> None:
    folder, target = RunFolder(tmp_path / "run"), tmp_path / "target"
    folder.path.mkdir()
    target.write_text("precious")
    make(folder.log_path, target)
    folder.append_log({"event": "begin"})
    assert target.read_text() == "precious"


def test_the_journal_is_not_written_to_a_pipe_with_a_reader(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    os.mkfifo(folder.log_path)
    reader = os.open(folder.log_path, os.O_RDONLY | os.O_NONBLOCK)
    folder.append_log({"event": "begin"})
    assert os.read(reader, 10) == b""
    os.close(reader)


@pytest.mark.parametrize("make", KINDS)
def test_only_a_regular_file_is_read(tmp_path: Path, make: Make) -> None:
    target = tmp_path / "target"
    target.write_text("content")
    assert read_regular(target) == b"content"
    make(tmp_path / "other", target)
    with pytest.raises(OSError):
        read_regular(tmp_path / "other")


@pytest.mark.parametrize(
    ("path", "kind"), [("/dev/null", "a device"), ("/", "a directory"), ("/dev/null/x", ""), ("/nowhere", "")]
)
def test_the_kind_of_a_path_has_a_name(path: str, kind: str) -> None:
    assert kind_of(Path(path)) == kind


def test_an_export_follows_a_link_that_the_user_names_and_reports_it(tmp_path: Path) -> None:
    target, through = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    through.symlink_to(target)
    assert write_where_asked(through, "new") == f"{through} (a link to {target.resolve()})"
    assert (target.read_text(), through.is_symlink()) == ("new", True)
    assert write_where_asked(target, "newer") == str(target)


def test_a_study_with_regular_files_is_resumed(whole: Path) -> None:
    before = to_csv(results(RunFolder(whole)).table)
    with reopen(RunFolder(whole), {}):
        pass
    assert to_csv(results(RunFolder(whole)).table) == before
    with hold(whole):
        assert holder(whole) is not None
