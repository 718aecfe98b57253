"""Buckets of S3, with a server in this process. Like a cloud, it can refuse, be away and damage an object."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.s3_server import BUCKET, CREDENTIALS, S3Server
from tunecli.errors import UsageError
from tunecli.object_storage.failures import Kind, StorageFailed
from tunecli.object_storage.location import location_of
from tunecli.object_storage.storage import PAUSES_S, ObjectStorage

pytestmark = pytest.mark.slow


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with S3Server() as server:
        yield server


def test_what_is_put_is_got_listed_and_removed(server: S3Server, tmp_path: Path) -> None:
    storage = ObjectStorage(location_of(server.url("folder")))
    storage.probe("study")
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    storage.put("study/1/a.bin", b"from memory")
    storage.put("study/2/b.bin", source)
    storage.put("studying/c.bin", b"of another study")
    assert storage.get("study/1/a.bin") == b"from memory"
    assert storage.get("study/2/b.bin") == b"from a file"
    assert storage.names("study") == ["study/1/a.bin", "study/2/b.bin"]
    storage.put("study/1/a.bin", b"new")
    assert storage.get("study/1/a.bin") == b"new"
    storage.remove("study/1/a.bin")
    storage.remove("study/1/a.bin")
    storage.remove_all("study")
    storage.remove_all("study")
    assert storage.names() == ["studying/c.bin"]
    storage.remove_all("studying")
    assert server.keys() == ["folder/"], "the folder that the user named"


def test_a_bucket_without_a_folder_is_empty_at_the_end(server: S3Server) -> None:
    storage = ObjectStorage(location_of(server.url()))
    storage.probe("study")
    storage.put("study/1/a.bin", b"")
    assert storage.get("study/1/a.bin") == b""
    storage.remove_all("study")
    assert server.keys() == []


def test_an_object_larger_than_a_part_is_whole(server: S3Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100_000  # 25.6 MB: three parts
    source = tmp_path / "source"
    source.write_bytes(content)
    storage = ObjectStorage(location_of(server.url()))
    for each in (content, source):
        storage.put("study/a", each)
        assert hashlib.sha256(storage.get("study/a")).digest() == hashlib.sha256(content).digest()


def test_the_endpoint_can_come_from_the_environment(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.client.meta.endpoint_url)
    storage = ObjectStorage(location_of(f"s3://{BUCKET}"))
    storage.probe("study")
    storage.put("study/a", b"content")
    assert set(server.keys()) >= {"study/a"}


def test_the_probe_leaves_nothing_behind_but_the_folder_that_the_user_named(server: S3Server) -> None:
    ObjectStorage(location_of(server.url("folder"))).probe("study")
    assert set(server.keys()) <= {"folder/"}


def test_the_probe_names_a_missing_bucket(server: S3Server) -> None:
    with pytest.raises(UsageError) as raised:
        ObjectStorage(location_of(server.url("folder", bucket="no-such-bucket"))).probe("study")
    assert (
        raised.value.message
        == "run.ray.storage: s3://no-such-bucket/folder cannot be used: there is no such bucket"
    )
    assert raised.value.hint == "make it, or correct `run.ray.storage`"


def test_a_server_that_comes_back_during_a_pause_loses_nothing(server: S3Server) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            server.start()

    storage = ObjectStorage(location_of(server.url()), pause=pause)
    storage.put("study/a", b"before")
    server.stop()
    storage.put("study/b", b"after")
    assert pauses == list(PAUSES_S[:2])
    assert [storage.get(name) for name in storage.names()] == [b"before", b"after"]


def test_a_server_that_stays_away_is_a_failure_after_all_pauses(server: S3Server) -> None:
    pauses: list[float] = []
    storage = ObjectStorage(location_of(server.url()), pause=pauses.append)
    storage.put("study/a", b"before")
    server.stop()
    for operation in (storage.names, lambda: storage.get("study/a"), lambda: storage.remove("study/a")):
        with pytest.raises(StorageFailed) as raised:
            operation()
        assert raised.value.kind is Kind.UNREACHABLE
    assert pauses == list(PAUSES_S), "after the first failure, nothing waits again"
    with pytest.raises(UsageError, match="cannot be used: Could not connect to server"):
        storage.probe("study")


def test_a_missing_object_is_a_failure_of_its_own_kind(server: S3Server) -> None:
    storage = ObjectStorage(location_of(server.url()))
    with pytest.raises(StorageFailed) as raised:
        storage.get("study/none")
    assert raised.value.kind is Kind.MISSING


@pytest.mark.parametrize("url", ["s3://bucket/folder", "gs://bucket/folder"])
def test_the_probe_of_a_bucket_without_pyarrow_says_how_to_install_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="needs the package `pyarrow`, which is not installed") as raised:
        ObjectStorage(location_of(url)).probe("study")
    assert "pip install 'pyarrow>=17'" in raised.value.hint
