"""A storage of objects by name, with names that are checked, and with retries for failures that pass.

A reader sees a whole object or none. It also checks the object's SHA-256, because a storage can lose or damage objects.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from tunecli.errors import UsageError
from tunecli.object_storage.bucket import Bucket
from tunecli.object_storage.failures import Kind, StorageFailed, failure_of
from tunecli.object_storage.folder import Folder
from tunecli.object_storage.location import Location

PROBE_S = 10.0
"""The longest time that `probe` takes, in seconds."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""The pauses before an operation is tried again, in seconds."""
_REST_S = 30.0
"""How long after a failed series of tries an operation is tried only once, in seconds."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_MOST_PARTS = 6

_T = TypeVar("_T")


class _Backend(Protocol):
    """A kind of storage. Every method may raise OSError or StorageFailed."""

    def make(self) -> None: ...
    def put(self, name: str, source: bytes | Path) -> None: ...
    def get(self, name: str) -> bytes: ...
    def remove(self, name: str) -> None: ...
    def names(self, prefix: str) -> Iterator[str]: ...
    def remove_all(self, prefix: str) -> None: ...


class ObjectStorage:
    """Objects by name. A name has parts of letters, digits and ``_.-``, separated by slashes.

    Methods may be called from several threads. All of them raise `StorageFailed`, after further tries if the failure
    may pass, and ValueError for an invalid name.

    Attributes:
        location: where the objects are.
    """

    def __init__(
        self,
        location: Location,
        *,
        pauses_s: Iterable[float] = PAUSES_S,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a storage. A bucket is connected to by the first operation.

        Args:
            location: where the objects are.
            pauses_s: the pauses before an operation is tried again.
            pause: waits for a number of seconds.
            clock: a monotonic clock, in seconds.
        """
        self.location = location
        self._pauses_s, self._pause, self._clock = tuple(pauses_s), pause, clock
        self._backend: _Backend | None = None
        self._opening = threading.Lock()
        self._rests_until_s = -1.0

    def put(self, name: str, source: bytes | Path) -> None:
        """Store an object: bytes, or the content of a file. It replaces an object of the same name."""
        checked = _checked(name)
        self._try(lambda backend: backend.put(checked, source))

    def get(self, name: str) -> bytes:
        """Return an object's content."""
        checked = _checked(name)
        return self._try(lambda backend: backend.get(checked))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        checked = _checked(name)
        try:
            self._try(lambda backend: backend.remove(checked))
        except StorageFailed as error:
            if error.kind is not Kind.MISSING:
                raise

    def names(self, prefix: str = "") -> list[str]:
        """The sorted names of all objects below a prefix of whole parts, such as ``study/session``.

        Other things there are left out, such as the temporary file of a writer that was killed.
        """
        checked = _checked(prefix) if prefix else ""
        return sorted(filter(_is_name, self._try(lambda backend: list(backend.names(checked)))))

    def remove_all(self, prefix: str) -> None:
        """Remove all objects below a prefix of whole parts."""
        checked = _checked(prefix)
        self._try(lambda backend: backend.remove_all(checked))

    def probe(self, prefix: str, within_s: float = PROBE_S) -> None:
        """Write, read and remove an object below a prefix, to find out at once whether the storage can be used.

        Args:
            prefix: a prefix of whole parts with no object of value: everything below it is removed.
            within_s: the longest time that it takes.

        Raises:
            UsageError: the storage cannot be used; with the reason and a hint.
        """
        checked = _checked(prefix)
        self._within(within_s, lambda backend: _write_and_read(backend, checked))

    def require(self, name: str, content: bytes, within_s: float = PROBE_S) -> None:
        """Find out whether this machine sees an object that another one put.

        Args:
            name: the object's name.
            content: its content.
            within_s: the longest time that it takes.

        Raises:
            UsageError: the object cannot be read; with the reason and a hint.
        """
        checked = _checked(name)
        self._within(within_s, lambda backend: _read(backend, checked, content))

    def _within(self, seconds: float, work: Callable[[_Backend], None]) -> None:
        """Work once, in a thread, and leave it behind if it takes too long."""
        problems: list[StorageFailed] = []

        def run() -> None:
            try:
                work(self._open())
            except StorageFailed as error:
                problems.append(error)
            except Exception as error:
                problems.append(failure_of(error))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            problems = [StorageFailed(Kind.UNREACHABLE, f"it does not answer within {seconds:g} s")]
        if problems:
            raise unusable(self.location, problems[0])

    def _open(self) -> _Backend:
        with self._opening:
            if self._backend is None:
                folder = self.location.folder
                self._backend = Bucket(self.location) if folder is None else Folder(folder)
            return self._backend

    def _try(self, operation: Callable[[_Backend], _T]) -> _T:
        """Run an operation until it succeeds, fails for good, or has failed too often."""
        is_resting = self._clock() < self._rests_until_s
        for pause_s in (*(() if is_resting else self._pauses_s), None):
            try:
                done = operation(self._open())
            except StorageFailed as error:
                failure = error
            except Exception as error:
                failure = failure_of(error)
                failure.__cause__ = error
            else:
                self._rests_until_s = -1.0
                return done
            if not failure.is_transient:
                raise failure
            if pause_s is not None:
                self._pause(pause_s)
        self._rests_until_s = self._clock() + _REST_S
        raise failure


def unusable(location: Location, failure: StorageFailed) -> UsageError:
    """The error for a user whose storage cannot be used."""
    place = "bucket" if location.folder is None else "folder"
    causes = {
        Kind.NO_PLACE: f"there is no such {place}",
        Kind.MISSING: "an object that another machine put there is missing",
    }
    cause = causes.get(failure.kind, failure.cause)
    return UsageError(f"run.ray.storage: {location.shown} cannot be used: {cause}", hint=failure.hint)


def _write_and_read(backend: _Backend, prefix: str) -> None:
    name, content = f"{prefix}/probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
    backend.make()
    backend.put(name, content)
    _read(backend, name, content)
    backend.remove_all(prefix)  # `remove` would leave an empty object for the prefix in a bucket


def _read(backend: _Backend, name: str, content: bytes) -> None:
    if backend.get(name) != content:
        raise StorageFailed(Kind.OTHER, "an object was read with another content than its own")


def _checked(name: str) -> str:
    if not _is_name(name):
        raise ValueError(f"invalid name of an object: {name!r}")
    return name


def _is_name(name: str) -> bool:
    parts = name.split("/")
    return len(parts) <= _MOST_PARTS and all(_NAME.fullmatch(part) for part in parts)
