"""Pointers: the small files that stand for objects in a storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.object_storage.failures import Kind, StorageFailed
from tunecli.object_storage.location import location_of
from tunecli.object_storage.pointer import Pointer, pointer_of, resolved
from tunecli.object_storage.storage import ObjectStorage


def test_a_pointer_is_read_as_it_was_written() -> None:
    pointer = Pointer("s3://bucket/folder?region=eu-central-1", "study/session/a.safetensors")
    assert pointer_of(pointer.packed()) == pointer


@given(st.binary(max_size=200))
def test_other_content_is_no_pointer(content: bytes) -> None:
    assert pointer_of(content) is None
    assert resolved(content) == content


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"storage": "/a"}', b'{"storage": "/a", "name": 1}', b"[" * 4000]
)
def test_a_damaged_pointer_is_no_pointer(body: bytes) -> None:
    packed = Pointer("/a", "b").packed()
    begin = packed[: packed.index(b"{")]
    assert pointer_of(begin + body) is None


def test_a_pointer_is_resolved_to_its_object(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    storage = ObjectStorage(location_of(f"{tmp_path}/shared"))
    storage.put("study/a", b"content")
    assert resolved(Pointer(str(storage.location), "study/a").packed()) == b"content"


@pytest.mark.parametrize(
    ("location", "name", "kind"),
    [
        ("relative", "study/a", Kind.OTHER),
        ("{tmp_path}", "../a", Kind.OTHER),
        ("{tmp_path}", "study/none", Kind.MISSING),
    ],
)
def test_a_pointer_to_nothing_is_a_failure(tmp_path: Path, location: str, name: str, kind: Kind) -> None:
    (tmp_path.parent / "a").write_bytes(b"outside")
    with pytest.raises(StorageFailed) as raised:
        resolved(Pointer(location.format(tmp_path=tmp_path), name).packed())
    assert raised.value.kind is kind
