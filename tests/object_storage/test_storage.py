"""A storage in a folder, and the tries and pauses of any storage. test_bucket.py tests buckets."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest

from tunecli.durable_files import temporary_beside
from tunecli.errors import UsageError
from tunecli.object_storage.failures import Kind, StorageFailed
from tunecli.object_storage.location import location_of
from tunecli.object_storage.storage import PAUSES_S, ObjectStorage


@pytest.fixture(params=["", "file://"])
def storage(tmp_path: Path, request: pytest.FixtureRequest) -> ObjectStorage:
    storage = ObjectStorage(location_of(f"{request.param}{tmp_path}/shared"))
    storage.probe("study")
    return storage


def files(storage: ObjectStorage) -> list[Path]:
    folder = storage.location.folder
    assert folder is not None
    return sorted(folder.rglob("*"))


def test_the_probe_leaves_nothing_behind_but_the_folder(storage: ObjectStorage) -> None:
    assert files(storage) == []
    assert storage.location.folder is not None
    assert storage.location.folder.is_dir()


def test_what_is_put_is_got_listed_and_removed(storage: ObjectStorage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    storage.put("study/1/a.bin", b"from memory")
    storage.put("study/2/b.bin", source)
    storage.put("studying/c.bin", b"of another study")
    assert storage.get("study/1/a.bin") == b"from memory"
    assert storage.get("study/2/b.bin") == b"from a file"
    assert storage.names("study") == ["study/1/a.bin", "study/2/b.bin"]
    assert len(storage.names()) == 3
    storage.remove("study/1/a.bin")
    storage.remove("study/1/a.bin")  # it is gone already
    assert storage.names("study") == ["study/2/b.bin"]
    storage.remove_all("study")
    storage.remove_all("study")
    assert storage.names() == ["studying/c.bin"], "a prefix is whole parts of a name"
    storage.remove("studying/c.bin")
    assert files(storage) == [], "no empty folder is left"


def test_an_object_replaces_one_of_its_name(storage: ObjectStorage) -> None:
    storage.put("study/a", b"old")
    storage.put("study/a", b"new")
    assert storage.get("study/a") == b"new"
    assert storage.names() == ["study/a"]


def test_the_temporary_file_of_a_killed_writer_is_no_object_and_goes_with_the_others(
    storage: ObjectStorage,
) -> None:
    storage.put("study/a", b"")
    assert storage.location.folder is not None
    (temporary_beside(storage.location.folder / "study" / "a")).write_bytes(b"half")
    assert storage.names() == ["study/a"]
    storage.remove_all("study")
    assert files(storage) == []


def test_a_missing_object_is_a_failure_of_its_own_kind(storage: ObjectStorage) -> None:
    with pytest.raises(StorageFailed) as raised:
        storage.get("study/none")
    assert raised.value.kind is Kind.MISSING
    assert storage.names("none") == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        "./a",
        ".hidden",
        "a b",
        "a\0",
        "a\\b",
        "ä",
        "a/b/c/d/e/f/g",
        "a" * 201,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(storage: ObjectStorage, name: str) -> None:
    with pytest.raises(ValueError, match="invalid name of an object"):
        storage.put(name, b"")
    with pytest.raises(ValueError, match="invalid name of an object"):
        storage.get(name)
    with pytest.raises(ValueError, match="invalid name of an object"):
        storage.remove(name)
    with pytest.raises(ValueError, match="invalid name of an object"):
        storage.remove_all(name)


def test_a_link_in_the_folder_is_not_followed(storage: ObjectStorage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of another user")
    storage.put("study/a", b"")
    assert storage.location.folder is not None
    (storage.location.folder / "study" / "link").symlink_to(secret)
    with pytest.raises(StorageFailed):
        storage.get("study/link")
    storage.remove_all("study")
    assert secret.exists()


def test_an_object_without_room_leaves_the_old_one_and_no_file_of_its_own(storage: ObjectStorage) -> None:
    storage.put("study/a", b"old")
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageFailed) as raised:
            storage.put("study/a", bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.kind is Kind.NO_ROOM
    assert storage.get("study/a") == b"old"
    assert storage.names() == ["study/a"]


def test_a_node_without_the_folder_does_not_make_it(tmp_path: Path) -> None:
    storage = ObjectStorage(location_of(f"{tmp_path}/not-mounted"))
    with pytest.raises(StorageFailed) as raised:
        storage.put("study/a", b"")
    assert raised.value.kind is Kind.NO_PLACE
    assert not (tmp_path / "not-mounted").exists()


def test_the_probe_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as raised:
        ObjectStorage(location_of(f"{tmp_path}/file/shared")).probe("study")
    assert (
        raised.value.message
        == f"run.ray.storage: {tmp_path}/file/shared cannot be used: there is no such folder"
    )
    assert raised.value.hint == "make it, or correct `run.ray.storage`"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_failure_that_may_pass_is_tried_again_and_then_rests(closed_port: int) -> None:
    pauses: list[float] = []
    now = [0.0]
    location = location_of(f"s3://bucket/a?endpoint_override=127.0.0.1:{closed_port}&scheme=http")
    storage = ObjectStorage(location, pause=pauses.append, clock=lambda: now[0])
    with pytest.raises(StorageFailed) as raised:
        storage.put("study/a", b"")
    assert raised.value.kind is Kind.UNREACHABLE
    assert pauses == list(PAUSES_S)
    for at_s, n_pauses in ((29.0, 0), (58.0, 0), (89.0, len(PAUSES_S))):
        pauses.clear()
        now[0] = at_s
        with pytest.raises(StorageFailed):
            storage.get("study/a")
        assert len(pauses) == n_pauses


def test_the_probe_of_an_unreachable_bucket_does_not_try_again(closed_port: int) -> None:
    pauses: list[float] = []
    location = location_of(f"s3://bucket/a?endpoint_override=127.0.0.1:{closed_port}&scheme=http")
    with pytest.raises(
        UsageError, match=r"run.ray.storage: s3://bucket/a cannot be used: Could not connect"
    ) as raised:
        ObjectStorage(location, pause=pauses.append).probe("study")
    assert raised.value.hint == "check the network, and the region and the endpoint of `run.ray.storage`"
    assert pauses == []


def test_the_probe_waits_for_a_bucket_that_never_answers_no_longer_than_asked() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        location = location_of(
            f"s3://bucket/a?endpoint_override=127.0.0.1:{silent.getsockname()[1]}&scheme=http"
        )
        with pytest.raises(UsageError, match=r"it does not answer within 0.1 s"):
            ObjectStorage(location).probe("study", within_s=0.1)
