"""A small file in a run folder that names an object in a storage, in place of the file with the object's content.

It has the name of that file, so the record and its cleanup know nothing of a storage. A reader of the file gets the
object, and checks its SHA-256 as that of any file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tunecli.object_storage.failures import Kind, StorageFailed
from tunecli.object_storage.location import location_of
from tunecli.object_storage.storage import ObjectStorage

_BEGIN = b"tunecli: stored elsewhere\n"
MOST_BYTES = 4096
"""The largest size of the file of a pointer."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Names an object in a storage.

    Attributes:
        location: the text of its location.
        name: the object's name.
    """

    location: str
    name: str

    def packed(self) -> bytes:
        """The content of the small file."""
        return _BEGIN + json.dumps({"storage": self.location, "name": self.name}, indent=1).encode() + b"\n"


def pointer_of(content: bytes) -> Pointer | None:
    """The pointer in a file's content; None: the content is that of another file."""
    if len(content) > MOST_BYTES or not content.startswith(_BEGIN):
        return None
    try:
        body = json.loads(content[len(_BEGIN) :])
        location, name = body["storage"], body["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Pointer(location, name) if isinstance(location, str) and isinstance(name, str) else None


def resolved(content: bytes) -> bytes:
    """The content itself, or the content of the object that it points to.

    Raises:
        StorageFailed: the object cannot be read.
    """
    pointer = pointer_of(content)
    if pointer is None:
        return content
    try:
        storage = ObjectStorage(location_of(pointer.location))
        return storage.get(pointer.name)
    except ValueError as error:
        raise StorageFailed(Kind.OTHER, "it names no storage") from error
