"""Where the content of a file travels between the coordinator and its agents: in the messages, or through a folder.

A `Channel` turns a content into the blob that travels in a message, and back. Both sides make the same channel from the
same text.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tunecli import durable_files
from tunecli.errors import UsageError, from_os_error

_NAME_BYTES = 16


class Channel(Protocol):
    """Where the content of a file travels."""

    def put(self, content: bytes) -> bytes:
        """Store a content and return the blob that travels in its place.

        Raises:
            DiskFull, StoreFailed: the content cannot be stored.
        """

    def get(self, blob: bytes) -> bytes:
        """Return the content of a blob; it may be damaged, or empty if it is gone.

        Raises:
            StoreFailed: the content cannot be read.
        """

    def drop(self, blob: bytes) -> None:
        """Remove a content that arrived, if anything of it is left."""


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


class InFolder:
    """The contents travel through files of a folder that the coordinator and all nodes see; a blob is a file's name."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which is made with the first file."""
        self._folder = folder

    def put(self, content: bytes) -> bytes:
        """Write the content to a file, whole and durable, and return the file's name."""
        name = secrets.token_hex(_NAME_BYTES)
        path = self._folder / name
        try:
            durable_files.make_folder(self._folder)
            durable_files.put(path, content, steps=("rename transfer", "renamed transfer"))
        except OSError as error:
            raise from_os_error(error, path, is_users_path=False) from error
        return name.encode()

    def get(self, blob: bytes) -> bytes:
        """Read the file."""
        path = self._path(blob)
        try:
            return durable_files.read_regular(path)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise from_os_error(error, path, "read", is_users_path=False) from error

    def drop(self, blob: bytes) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._path(blob).unlink()

    def _path(self, blob: bytes) -> Path:
        name = bytes(blob).decode("ascii", "replace")
        if len(name) != 2 * _NAME_BYTES or not name.isalnum():  # it never becomes a path unchecked
            return self._folder / "invalid"
        return self._folder / name


def channel_of(storage: str) -> Channel:
    """Make the channel that `AgentSetup.storage` names.

    Raises:
        UsageError: it is not an absolute path of a folder.
    """
    if not storage:
        return InMessages()
    if not Path(storage).is_absolute():
        raise UsageError(
            f"run.ray.storage: {storage} is not an absolute path", hint="name a folder that all nodes see"
        )
    return InFolder(Path(storage))
