"""Sweeps whose checkpoints travel through a storage: nodes, coordinators, objects and the storage itself are lost.

Each of them must give the run folder of the engine `local`, and leave nothing in the storage.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.folder_content import folder_of
from tests.support.s3_server import CREDENTIALS, S3Server
from tests.support.storage_sweeps import Swept
from tunecli.errors import UsageError
from tunecli.object_storage import CLAIMS_NAME
from tunecli.object_storage.claims import pointer_in, pointers_in
from tunecli.object_storage.location import location_of
from tunecli.object_storage.storage import ObjectStorage
from tunecli.store.folder import RunFolder
from tunecli.store.removal import remove_study
from tunecli.study.record.lifecycle import open_to_read
from tunecli.testing.in_process_cluster import Faults

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that all nodes see."""
    return tmp_path / "shared"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with S3Server() as server:
        yield server


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the engine `local`."""
    folder = tmp_path_factory.mktemp("local")
    Swept(None).begin(folder, folder / "run")
    return folder / "run"


def require_same(run: Path, local: Path) -> None:
    """The run folder has all that the local one has, and nothing that points elsewhere."""
    assert not folder_of(local).differences(folder_of(run))
    assert not pointers_in(run / "checkpoints")
    assert not (run / CLAIMS_NAME).exists()


def require_same_but_for_claims(run: Path, local: Path) -> None:
    """The run folder has all that the local one has, and names the objects that could not be removed."""
    (difference,) = folder_of(local).differences(folder_of(run))
    assert difference.startswith(CLAIMS_NAME)


def killed(folder: Path, storage: str, at_checkpoint: int) -> Path:
    """The run folder of a coordinator that was killed at a checkpoint."""
    program = [sys.executable, "-m", "tests.support.storage_sweeps", str(folder), storage, str(at_checkpoint)]
    assert subprocess.run(program, cwd=ROOT, check=False).returncode == -9
    return folder / "run"


def test_a_trial_goes_on_on_another_node_from_a_checkpoint_in_the_storage(
    tmp_path: Path, shared: Path, local: Path
) -> None:
    seen: list[tuple[int, int]] = []

    def at_checkpoint(n: int) -> None:
        pointers = pointers_in(tmp_path / "run" / "checkpoints").values()
        seen.append((len(pointers), len(list((tmp_path / "run" / "checkpoints").glob("*.checkpoint.*")))))
        assert all((shared / pointer.name).is_file() for pointer in pointers)
        if n == 3:
            swept.transport.remove_node("a")
            swept.transport.add_node("b", 2)

    swept = Swept(str(shared), at_checkpoint=at_checkpoint)
    swept.begin(tmp_path, tmp_path / "run")
    require_same(tmp_path / "run", local)
    assert [start for start in swept.display.starts if start.from_epoch], "a trial went on from a checkpoint"
    assert all(n_pointers == n_files for n_pointers, n_files in seen), "no checkpoint came to the run folder"
    assert any(n_pointers for n_pointers, _ in seen)
    assert list(shared.iterdir()) == []
    assert not swept.notices


def test_a_study_without_its_storage_begins_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"run.ray.storage: .* cannot be used: there is no such folder"):
        Swept(f"{tmp_path}/file/shared").begin(tmp_path, tmp_path / "run")


def test_a_storage_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run.ray.storage: must be an absolute folder"):
        Swept("shared").begin(tmp_path, tmp_path / "run")


@pytest.mark.slow
def test_a_node_without_the_storage_is_left_out(tmp_path: Path, shared: Path) -> None:
    faults = Faults(setups=lambda setup: replace(setup, storage=f"{tmp_path}/not-mounted"))
    swept = Swept(str(shared), faults=faults)
    with pytest.raises(UsageError, match=r"not-mounted cannot be used: an object that another machine put"):
        swept.begin(tmp_path, tmp_path / "run")
    assert list(shared.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cluster", "local"])
def test_a_coordinator_that_is_killed_goes_on_from_the_storage(
    tmp_path: Path, shared: Path, local: Path, engine: str
) -> None:
    run = killed(tmp_path, str(shared), 3)
    assert any(path.is_file() for path in shared.rglob("*"))
    swept = Swept(str(shared) if engine == "cluster" else None)
    swept.resume(run)
    require_same(run, local)
    assert [start for start in swept.display.starts if start.from_epoch], "a trial went on from a checkpoint"
    assert list(shared.iterdir()) == []


@pytest.mark.slow
def test_objects_of_a_dead_session_are_removed_at_the_start_of_the_next(tmp_path: Path, shared: Path) -> None:
    run = killed(tmp_path, str(shared), 3)
    needed = {pointer.name for pointer in pointers_in(run / "checkpoints").values()}
    storage = ObjectStorage(location_of(str(shared)))
    (prefix,) = {name.partition("/")[0] for name in storage.names()}
    storage.put(f"{prefix}/former/trial-00009.1-000002.checkpoint.safetensors", b"not on record")
    storage.put("tunecli_other_study/session/object", b"of another study")
    seen: list[set[str]] = []

    def at_checkpoint(n: int) -> None:
        if n == 1:
            seen.append({name for name in storage.names() if "/former/" in name})

    swept = Swept(str(shared), at_checkpoint=at_checkpoint)
    assert needed
    swept.resume(run)
    assert seen == [set()]
    assert storage.names() == ["tunecli_other_study/session/object"], "another study is left alone"


@pytest.mark.slow
def test_a_copied_run_folder_leaves_the_objects_of_the_first_alone(
    tmp_path: Path, shared: Path, local: Path
) -> None:
    run = killed(tmp_path, str(shared), 3)
    shutil.copytree(run, tmp_path / "copy")
    before = {name for name in ObjectStorage(location_of(str(shared))).names() if "/trial-" in name}
    copy = Swept(str(shared))
    copy.resume(tmp_path / "copy")
    assert [start for start in copy.display.starts if start.from_epoch], (
        "the copy went on from the same checkpoints"
    )
    assert {name for name in ObjectStorage(location_of(str(shared))).names() if "/trial-" in name} == before
    swept = Swept(str(shared))
    swept.resume(run)
    require_same(run, local)
    assert [start for start in swept.display.starts if start.from_epoch]
    assert list(shared.iterdir()) == []


@pytest.mark.slow
def test_a_study_that_is_removed_takes_its_objects_with_it(tmp_path: Path, shared: Path) -> None:
    run = killed(tmp_path, str(shared), 3)
    ObjectStorage(location_of(str(shared))).put("tunecli_other_study/session/object", b"of another study")
    remove_study(RunFolder.open_existing(run))
    assert not run.exists()
    assert ObjectStorage(location_of(str(shared))).names() == ["tunecli_other_study/session/object"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["truncated", "gone"])
def test_a_damaged_object_makes_its_trial_go_on_from_an_older_one(
    tmp_path: Path, shared: Path, local: Path, fault: str
) -> None:
    run = killed(tmp_path, str(shared), 6)
    with open_to_read(RunFolder.open_existing(run)) as study:
        recorded = [study.log.checkpoints(trial.number) for trial in study.log.trials()]
    newest = [checkpoints[0].name for checkpoints in recorded if len(checkpoints) == 2]
    assert newest, "a trial has an older one"
    for name in newest:
        pointer = pointer_in(run / "checkpoints" / name)
        assert pointer is not None
        if fault == "gone":
            (shared / pointer.name).unlink()
        else:
            (shared / pointer.name).write_bytes((shared / pointer.name).read_bytes()[:-1])
    swept = Swept(str(shared))
    swept.resume(run)
    require_same(run, local)
    said = {
        "truncated": "is damaged (sha256 differs)",
        "gone": "cannot be read from its storage (it is missing)",
    }
    notes = [start.note for start in swept.display.starts if start.note]
    assert len([note for note in notes if said[fault] in note and "; went on from epoch" in note]) == len(
        newest
    )
    assert list(shared.iterdir()) == []


@pytest.mark.slow
class TestBucket:
    """The storage is a bucket of S3."""

    def test_a_trial_goes_on_on_another_node(self, tmp_path: Path, server: S3Server, local: Path) -> None:
        def at_checkpoint(n: int) -> None:
            if n == 3:
                swept.transport.remove_node("a")
                swept.transport.add_node("b", 2)

        swept = Swept(server.url(), at_checkpoint=at_checkpoint)
        swept.begin(tmp_path, tmp_path / "run")
        require_same(tmp_path / "run", local)
        assert [start for start in swept.display.starts if start.from_epoch]
        assert server.keys() == []
        assert not swept.notices

    @pytest.mark.parametrize("engine", ["cluster", "local"])
    def test_a_coordinator_that_is_killed_goes_on(
        self, tmp_path: Path, server: S3Server, local: Path, engine: str
    ) -> None:
        run = killed(tmp_path, server.url(), 3)
        assert server.keys()
        swept = Swept(server.url() if engine == "cluster" else None)
        swept.resume(run)
        require_same(run, local)
        assert [start for start in swept.display.starts if start.from_epoch]
        assert server.keys() == []

    def test_without_the_server_a_local_sweep_trains_anew_and_says_so(
        self, tmp_path: Path, server: S3Server, local: Path
    ) -> None:
        run = killed(tmp_path, server.url(), 3)
        server.stop()
        swept = Swept(None)
        swept.resume(run)
        require_same_but_for_claims(run, local)
        assert [start.note for start in swept.display.starts if "; began from the start" in start.note]
        assert not [start for start in swept.display.starts if start.from_epoch]
        server.start()
        assert server.keys(), "they could not be removed"
        assert (run / CLAIMS_NAME).exists(), "a later session removes them"
        Swept(None).resume(run)
        assert server.keys() == []
        require_same(run, local)

    def test_a_server_that_is_away_costs_no_trial(
        self, tmp_path: Path, server: S3Server, local: Path
    ) -> None:
        def at_checkpoint(n: int) -> None:
            if n == 2:
                server.stop()

        swept = Swept(server.url(), at_checkpoint=at_checkpoint)
        swept.begin(tmp_path, tmp_path / "run")
        require_same_but_for_claims(tmp_path / "run", local)
        said = "files travel without the storage s3://tunecli-tests: Could not connect to server"
        assert said in swept.notices
        server.start()
        assert server.keys(), "they could not be removed"
        Swept(None).resume(tmp_path / "run")
        assert server.keys() == []
        require_same(tmp_path / "run", local)

    def test_a_missing_bucket_is_said_before_anything_begins(self, tmp_path: Path, server: S3Server) -> None:
        swept = Swept(server.url(bucket="no-such-bucket"))
        with pytest.raises(UsageError, match="s3://no-such-bucket cannot be used: there is no such bucket"):
            swept.begin(tmp_path, tmp_path / "run")
        assert swept.transport.n_hired == 0
