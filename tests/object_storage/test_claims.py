"""Claims: which prefixes of a storage belong to a study, and what is removed there."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from tunecli.errors import StoreFailed, UsageError
from tunecli.object_storage import CLAIMS_NAME
from tunecli.object_storage.claims import Claim, claim, claims_of, pointers_in, release, tidy
from tunecli.object_storage.location import Location, location_of
from tunecli.object_storage.pointer import Pointer
from tunecli.object_storage.storage import ObjectStorage

PREFIX = "tunecli_run_0123456789ab"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder."""
    (tmp_path / "my run" / "checkpoints").mkdir(parents=True)
    return tmp_path / "my run"


@pytest.fixture
def storage(tmp_path: Path) -> ObjectStorage:
    storage = ObjectStorage(location_of(str(tmp_path / "shared")))
    storage.probe("probe")
    return storage


def point(run: Path, number: int, location: Location, name: str) -> None:
    path = run / "checkpoints" / f"trial-{number:05d}.1-000001.checkpoint.safetensors"
    path.write_bytes(Pointer(str(location), name).packed())


def test_a_study_has_one_prefix_in_each_storage_and_no_other_study_has_it(tmp_path: Path, run: Path) -> None:
    first, second = location_of(str(tmp_path / "shared")), location_of("s3://bucket/folder")
    mine = claim(run, first)
    assert claim(run, first) == mine
    assert mine.prefix.startswith("tunecli_my-run_")
    other = claim(run, second)
    assert claims_of(run) == [mine, other]
    assert mine.prefix != other.prefix
    (tmp_path / "other" / "my run").mkdir(parents=True)
    assert claim(tmp_path / "other" / "my run", first).prefix != mine.prefix


def test_a_copy_of_a_run_folder_has_claims_of_its_own(
    tmp_path: Path, run: Path, storage: ObjectStorage
) -> None:
    mine = claim(run, storage.location)
    storage.put(f"{mine.prefix}/a", b"")
    shutil.copytree(run, tmp_path / "copy")
    assert claims_of(tmp_path / "copy") == []
    tidy(tmp_path / "copy", tmp_path / "copy" / "checkpoints")
    assert storage.names() == [f"{mine.prefix}/a"]
    assert claim(tmp_path / "copy", storage.location).prefix != mine.prefix


@pytest.mark.parametrize("content", ["", "[]", "{", '{"folder": 1}', "\0", "[" * 100_000])
def test_a_damaged_file_of_claims_is_none(run: Path, content: str) -> None:
    (run / CLAIMS_NAME).write_text(content)
    assert claims_of(run) == []
    tidy(run, run / "checkpoints")
    assert claim(run, location_of("s3://bucket")) in claims_of(run)


def test_a_claim_leads_nowhere_else(tmp_path: Path, run: Path, storage: ObjectStorage) -> None:
    (tmp_path / "precious").write_text("")
    claims = [
        {"location": str(storage.location), "prefix": "../"},
        {"location": str(storage.location), "prefix": "."},
        {"location": str(storage.location), "prefix": ""},
        {"location": str(storage.location), "prefix": "tunecli_other_study"},
        {"location": "relative", "prefix": "a"},
    ]
    storage.put("tunecli_other_study/a", b"")
    (run / CLAIMS_NAME).write_text(json.dumps({"folder": str(run.resolve()), "claims": claims}))
    tidy(run, run / "checkpoints")
    release(run)
    assert (tmp_path / "precious").exists()
    assert storage.names() == ["tunecli_other_study/a"]


def test_objects_without_a_pointer_are_removed_and_the_file_with_the_last_one(
    run: Path, storage: ObjectStorage
) -> None:
    prefix = claim(run, storage.location).prefix
    for name in ("1/needed", "1/superfluous", "2/superfluous"):
        storage.put(f"{prefix}/{name}", b"")
    storage.put("tunecli_other_study/a", b"")
    point(run, 0, storage.location, f"{prefix}/1/needed")
    point(run, 1, location_of("s3://elsewhere"), f"{prefix}/2/superfluous")
    (run / "checkpoints" / "trial-00002.1-000001.checkpoint.safetensors").write_bytes(bytes(10_000))
    assert len(pointers_in(run / "checkpoints")) == 2
    tidy(run, run / "checkpoints")
    assert storage.names() == [f"{prefix}/1/needed", "tunecli_other_study/a"]
    assert (run / CLAIMS_NAME).exists()
    shutil.rmtree(run / "checkpoints")
    tidy(run, run / "checkpoints")
    assert storage.names() == ["tunecli_other_study/a"]
    assert not (run / CLAIMS_NAME).exists()


def test_the_objects_of_the_session_that_runs_stay(run: Path, storage: ObjectStorage) -> None:
    prefix = claim(run, storage.location).prefix
    for session in ("now", "before"):
        storage.put(f"{prefix}/{session}/a", b"")
    tidy(run, run / "checkpoints", "now")
    assert storage.names() == [f"{prefix}/now/a"]
    assert (run / CLAIMS_NAME).exists()


def test_a_study_that_is_removed_leaves_no_object(run: Path, storage: ObjectStorage) -> None:
    prefix = claim(run, storage.location).prefix
    storage.put(f"{prefix}/1/needed", b"")
    point(run, 0, storage.location, f"{prefix}/1/needed")
    release(run)
    assert storage.names() == []


def test_a_storage_that_cannot_be_reached_keeps_its_claim(run: Path) -> None:
    with socket.socket() as silent:  # it takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        location = location_of(
            f"s3://bucket?endpoint_override=127.0.0.1:{silent.getsockname()[1]}&scheme=http"
        )
        mine = claim(run, location)
        tidy(run, run / "checkpoints", within_s=0.1)
    assert claims_of(run) == [mine]
    tidy(run, run / "checkpoints")  # now it refuses connections
    assert claims_of(run) == [mine]


def test_a_run_folder_that_cannot_be_written_to_has_no_claim(tmp_path: Path) -> None:
    with pytest.raises((StoreFailed, UsageError)):
        claim(tmp_path / "missing", location_of("s3://bucket"))


def test_an_invalid_claim_is_kept_for_a_person_to_see(run: Path) -> None:
    body = {"folder": str(run.resolve()), "claims": [{"location": "relative", "prefix": PREFIX}]}
    (run / CLAIMS_NAME).write_text(json.dumps(body))
    tidy(run, run / "checkpoints")
    assert claims_of(run) == [Claim("relative", PREFIX)]
