"""Follows a file that another program writes: reads the lines that are new since the trial began.

Programs append to a file, rewrite it, replace it or delete it at any moment. A file may also be left by another trial
in the same folder, so only lines that were written after the start count. Loads no torch.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

LINE_BYTES = 2**20
"""Lines of this many bytes or more are not read."""
MOST_BYTES = 2**28
"""The most bytes that are read of one file during an attempt."""

_MOST_PATHS = 1000
_CHUNK_BYTES = 2**16
_BYTES_PER_READ = 2**22  # so that a stop does not wait for a long file
_PRINT_BYTES = 2**16
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path that may have wildcards.

    Attributes:
        folder: where a relative path starts.
        text: the path.
        has_wildcards: whether ``text`` has wildcards; else its special characters mean themselves.
    """

    folder: Path
    text: str
    has_wildcards: bool = False

    def paths(self) -> list[Path]:
        """The path, or the existing paths that match, at most a thousand."""
        if not self.has_wildcards:
            return [self.folder / self.text]
        matches = glob.iglob(self.text, root_dir=self.folder)  # noqa: PTH207  (a path of Path.glob must be relative)
        return [self.folder / path for path in islice(matches, _MOST_PATHS)]


class Unreadable(Exception):  # noqa: N818  (a fact about the user's file)
    """A file that cannot hold metrics; the message says why."""


def open_file(path: Path) -> int | None:
    """Open a regular file of the user, through links; None: it does not exist.

    Raises:
        Unreadable: it is another kind of file, or cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unreadable(f"cannot be read: {reason}") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise Unreadable(f"is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}, not a file")
    return descriptor


@dataclass(slots=True)
class Before:
    """A file as it was when the trial began.

    The file stays open, so that no other file gets its identity.

    Attributes:
        descriptor: the open file; None: there was none.
        facts: its status.
        digest: a hash of its first and last bytes.
        is_whole: whether it ended with a line's end.
    """

    descriptor: int | None = None
    facts: os.stat_result | None = None
    digest: str = ""
    is_whole: bool = True

    @classmethod
    def of(cls, path: Path) -> Before:
        """The present state of a file; that of no file if it cannot be read, which the trial's own read reports."""
        try:
            descriptor = open_file(path)
        except Unreadable:
            return cls()
        if descriptor is None:
            return cls()
        facts = os.fstat(descriptor)
        last = os.pread(descriptor, 1, max(0, facts.st_size - 1))
        return cls(descriptor, facts, _digest(descriptor, facts.st_size), last in (b"", b"\n"))

    def n_old_bytes(self, descriptor: int) -> int | None:
        """How many bytes at the start of a file are old; None: the file has not changed since the trial began.

        All bytes of a file that was replaced, truncated or rewritten are new.
        """
        if self.facts is None:
            return 0
        facts = os.fstat(descriptor)
        if not os.path.samestat(facts, self.facts):
            return 0
        if (facts.st_size, facts.st_mtime_ns) == (self.facts.st_size, self.facts.st_mtime_ns):
            return None
        is_longer = facts.st_size > self.facts.st_size
        return (
            self.facts.st_size if is_longer and _digest(descriptor, self.facts.st_size) == self.digest else 0
        )

    def close(self) -> None:
        """Close the file."""
        if self.descriptor is not None:
            with suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = None


def _digest(descriptor: int, n_bytes: int) -> str:
    """A hash of the first and the last bytes of the first ``n_bytes`` of a file."""
    first = os.pread(descriptor, min(_PRINT_BYTES, n_bytes), 0)
    last = os.pread(descriptor, min(_PRINT_BYTES, n_bytes), max(0, n_bytes - _PRINT_BYTES))
    return hashlib.sha256(first + last).hexdigest()


@dataclass(slots=True)
class Tail:
    """The new lines of a file.

    Attributes:
        path: the file.
        before: the file when the trial began.
        is_found: whether anything new was in it.
        n_files: how many files there have been: one more each time that the file is replaced.
        n_restarts: how often a file was rewritten from its start, or replaced, while the trial ran.
        n_too_long: the number of lines that were too long to read.
        header: the first line of the file, even if the file existed before the trial; empty: it is not known yet.
    """

    path: Path
    before: Before
    is_found: bool = False
    n_files: int = 1
    n_restarts: int = 0
    n_too_long: int = 0
    header: bytes = b""
    _descriptor: int | None = None
    _offset: int = 0
    _n_read: int = 0
    _rest: bytes = b""
    _is_skipping: bool = False
    _just_read: bytes = field(default=b"")

    def lines(self, *, is_last: bool = False) -> Iterator[bytes]:
        """The lines that were added since the last call.

        Args:
            is_last: whether the program has ended: the whole file is read, and its last line may lack its end.

        Raises:
            Unreadable: the file cannot be read, or is too large.
        """
        limit = MOST_BYTES + 1 if is_last else _BYTES_PER_READ
        descriptor = open_file(self.path)
        try:
            if descriptor is not None and self._descriptor is not None and not self._is_same(descriptor):
                yield from self._new_lines(limit)  # the rest of the file that was replaced
                yield from self._last_line()
                self._restart(None)
                self.n_files += 1
                self.n_restarts += 1
            if self._descriptor is None and descriptor is not None:
                n_old = self.before.n_old_bytes(descriptor)
                if n_old is not None:
                    self._restart(descriptor, n_old)
                    descriptor = None
        finally:
            if descriptor is not None:
                os.close(descriptor)
        yield from self._new_lines(limit)
        if is_last:
            yield from self._last_line()

    def close(self) -> None:
        """Close the file."""
        self._restart(None)
        self.before.close()

    def _is_same(self, descriptor: int) -> bool:
        assert self._descriptor is not None
        return os.path.samestat(os.fstat(descriptor), os.fstat(self._descriptor))

    def _restart(self, descriptor: int | None, offset: int = 0) -> None:
        """Read ``descriptor`` from ``offset`` on."""
        if self._descriptor is not None and self._descriptor != descriptor:
            os.close(self._descriptor)
        self._descriptor, self._offset, self._rest, self._just_read = descriptor, offset, b"", b""
        self._is_skipping = offset > 0 and not self.before.is_whole  # the end of a line that is old
        if descriptor is not None:
            self.is_found = True
            self.header = os.pread(descriptor, LINE_BYTES, 0).partition(b"\n")[0] if offset else b""

    def _new_lines(self, limit: int) -> Iterator[bytes]:
        n_left = limit
        while self._descriptor is not None and n_left > 0:
            if self._is_rewritten(self._descriptor):
                self.n_restarts += 1
                self._restart(self._descriptor)
            chunk = os.pread(self._descriptor, min(_CHUNK_BYTES, n_left), self._offset)
            if not chunk:
                return
            self._offset += len(chunk)
            self._n_read += len(chunk)
            n_left -= len(chunk)
            self._just_read = chunk[-64:]
            if self._n_read > MOST_BYTES:
                raise Unreadable(f"has more than {MOST_BYTES:,} bytes, which is too much for one trial")
            *whole, rest = (self._rest + chunk).split(b"\n")
            for line in whole:
                yield from self._line(line)
            self._rest = rest[:LINE_BYTES]

    def _is_rewritten(self, descriptor: int) -> bool:
        """Whether the file no longer has the bytes that were read last."""
        n = len(self._just_read)
        return os.pread(descriptor, n, self._offset - n) != self._just_read if n else False

    def _last_line(self) -> Iterator[bytes]:
        rest, self._rest = self._rest, b""
        yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[bytes]:
        is_skipped, self._is_skipping = self._is_skipping, False
        if len(line) >= LINE_BYTES:
            self.n_too_long += 1
        elif not is_skipped and line.strip():
            yield line.rstrip(b"\r")
