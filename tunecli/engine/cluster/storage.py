"""Where the content of a file travels between the coordinator and its agents: in the messages, or through a storage.

A `Channel` makes a blob of each content, which travels in a message, and the content of the blob on the other side.
Both sides make the same channel from the same settings.

With a storage (a bucket, or a folder that all nodes see), large contents never pass through the cluster's messages, and
a checkpoint never passes through the coordinator: the agent puts it, and the run folder gets a `Pointer` to it. What a
person keeps, such as weights, comes to the run folder. While the storage fails, contents travel in the messages.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Protocol

from tunecli.engine.cluster.protocol import AgentSetup
from tunecli.errors import UsageError
from tunecli.object_storage.failures import StorageFailed
from tunecli.object_storage.location import location_of
from tunecli.object_storage.pointer import Pointer
from tunecli.object_storage.storage import ObjectStorage

SMALL_BYTES = 256 << 10
"""The largest content that travels in a message although there is a storage: a request would cost more."""
HELLO_NAME = "hello"
"""The name of the object that each agent must be able to read: its content is `AgentSetup.probe_text`."""
_PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # a coordinator or an agent waits no longer than this
_INLINE, _STORED = b"=", b"@"


class Channel(Protocol):
    """Where the content of a file travels. No method raises."""

    def put(self, content: bytes) -> bytes:
        """Store a content and return the blob that travels in its place."""

    def get(self, blob: bytes) -> bytes:
        """Return the content of a blob; it may be damaged, or empty if it is gone."""

    def drop(self, blob: bytes) -> None:
        """Remove a content that arrived, if anything of it is left."""

    def keep(self, name: str, path: Path) -> bytes | None:
        """Store a checkpoint for as long as its trial may need it.

        Args:
            name: its name.
            path: the file.

        Returns:
            The content of the file in the run folder that names it; None: its own content must travel.
        """

    def trouble(self) -> str:
        """Return why contents travelled in messages in spite of a storage, once; empty: none did."""


class InMessages:
    """The contents travel in the messages themselves."""

    def put(self, content: bytes) -> bytes:
        """Return the content."""
        return content

    def get(self, blob: bytes) -> bytes:
        """Return the content."""
        return blob

    def drop(self, blob: bytes) -> None:
        """Do nothing: nothing is stored."""

    def keep(self, name: str, path: Path) -> bytes | None:
        """Return None."""
        return None

    def trouble(self) -> str:
        """Return the empty text."""
        return ""


class InStorage:
    """Large contents travel through a storage. A blob is one byte that says so, and the content or an object's name."""

    def __init__(self, storage: ObjectStorage, prefix: str) -> None:
        """Use a storage.

        Args:
            storage: the storage.
            prefix: the session's prefix.
        """
        self._storage, self._prefix = storage, prefix
        self._trouble = ""

    def put(self, content: bytes) -> bytes:
        """Put a large content, and return the name of the object."""
        if len(content) > SMALL_BYTES:
            name = f"{self._prefix}/{secrets.token_hex(16)}"
            try:
                self._storage.put(name, content)
                return _STORED + name.encode()
            except StorageFailed as error:
                self._note(error)
        return _INLINE + content

    def get(self, blob: bytes) -> bytes:
        """Get the object, if the content is not in the blob."""
        if blob[:1] == _INLINE:
            return bytes(blob[1:])
        if (name := self._name(blob)) is not None:
            try:
                return self._storage.get(name)
            except StorageFailed as error:
                self._note(error)
        return b""

    def drop(self, blob: bytes) -> None:
        """Remove the object. If that fails, the end of the session removes it."""
        if (name := self._name(blob)) is not None:
            try:
                self._storage.remove(name)
            except StorageFailed as error:
                self._note(error)

    def keep(self, name: str, path: Path) -> bytes | None:
        """Put the checkpoint, and return the content of a pointer to it."""
        stored = f"{self._prefix}/{name}"
        try:
            self._storage.put(stored, path)
        except (StorageFailed, ValueError) as error:
            self._note(error)
            return None
        return Pointer(str(self._storage.location), stored).packed()

    def trouble(self) -> str:
        """Return the last failure, once."""
        trouble, self._trouble = self._trouble, ""
        return trouble

    def _note(self, error: StorageFailed | ValueError) -> None:
        self._trouble = f"files travel without the storage {self._storage.location.shown}: {error}"

    def _name(self, blob: bytes) -> str | None:
        """The name in a blob, if it is one of this session: the names of other objects are not accepted."""
        name = bytes(blob[1:]).decode("ascii", "replace")
        own = f"{self._prefix}/"
        is_own = blob[:1] == _STORED and name.startswith(own) and name.removeprefix(own).isalnum()
        return name if is_own else None


def channel_of(location: str, prefix: str) -> Channel:
    """Make the channel of `AgentSetup.storage` and `AgentSetup.storage_prefix`.

    Raises:
        UsageError: the location names no storage.
    """
    return InStorage(storage_of(location), prefix) if location else InMessages()


def storage_of(location: str) -> ObjectStorage:
    """Make the storage of ``run.ray.storage``.

    Raises:
        UsageError: the text names no storage.
    """
    try:
        return ObjectStorage(location_of(location), pauses_s=_PAUSES_S)
    except ValueError as error:
        raise UsageError(f"run.ray.storage: {error}") from error


def why_unusable(setup: AgentSetup) -> str:
    """Why an agent cannot use the storage of its setup; empty: it can."""
    try:
        storage_of(setup.storage).require(f"{setup.storage_prefix}/{HELLO_NAME}", setup.probe_text.encode())
    except UsageError as error:
        return error.message
    return ""
