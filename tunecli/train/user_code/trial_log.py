"""The log of a trial: the output of its program or function, as one text file in the run folder.

The file is made at the first byte. Each attempt adds a header line and its output. An attempt keeps the head and the
tail of its output; a line between them says how many bytes are left out. The head is written at once, the tail a few
times a second, so a killed process loses little. The file is no part of the record and is never synced. Loads no torch.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tunecli.config.secrets import RedactedStream, redactor_of
from tunecli.config.surroundings import secret_names
from tunecli.durable_files import open_regular
from tunecli.errors import from_os_error
from tunecli.messages import Job

HEADER = re.compile(rb"^--- attempt ([0-9]+), begun .{1,40} ---$", re.MULTILINE)
"""The first line of an attempt's output."""
LEFT_OUT = re.compile(rb"^--- ([0-9,]+) bytes are left out here ---$", re.MULTILINE)
"""The line between the head and the tail of an attempt's output."""

_MOST_TAIL_BYTES = 512 * 1024  # kept in memory
_FLUSH_S = 0.5
_EDGE_BYTES = 4096
_MARK_BYTES = 64


@dataclass(frozen=True, slots=True)
class LogFile:
    """Where and how the output of an attempt is logged.

    Attributes:
        path: the file; empty: nothing is logged.
        limit_bytes: the largest size of the file; 0: nothing is logged.
        attempt: the number of the attempt.
        secrets: values that are replaced by ``${env:NAME}``, by the names of their environment variables.
    """

    path: str
    limit_bytes: int
    attempt: int = 1
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether anything is logged."""
        return bool(self.path) and self.limit_bytes > 0


def log_file(job: Job) -> LogFile:
    """The log of a job's attempt. Read it before the job runs: the user's code may change its environment."""
    names = secret_names(job.task)
    secrets = {name: os.environ[name] for name in names if name in os.environ}
    return LogFile(job.files.log_path, job.files.log_limit_bytes, job.attempt, secrets)


class TrialLog:
    """Writes the log of one attempt; used as a context manager, which closes it."""

    def __init__(self, file: LogFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Write nothing yet.

        Args:
            file: where the log goes.
            clock: monotonic seconds.
        """
        self._file, self._clock = file, clock
        redactor = redactor_of(tuple(file.secrets.items()))
        self._stream = RedactedStream(redactor) if file.is_on and redactor else None
        self._descriptor: int | None = None
        self._end_at = 0  # the position in the file behind the head
        self._head_left = 0
        self._tail = bytearray()
        self._tail_bytes = 0
        self._n_left_out = 0
        self._is_tail_written = True
        self._flushed_s = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_waiting(self) -> bool:
        """Whether `flush` has something to write."""
        return not self._is_tail_written or (self._stream is not None and self._stream.is_waiting)

    def add(self, data: bytes) -> None:
        """Add output.

        Raises:
            DiskFull: the disk is full.
            StoreFailed: the disk refuses, or the path is not a regular file.
        """
        if not self._file.is_on or not data:
            return
        try:
            self._write(data if self._stream is None else self._stream.add(data))
            self._flush_if_due()
        except OSError as error:
            raise from_os_error(error, self._file.path, is_users_path=False) from error

    def flush(self) -> None:
        """Write waiting output, if the last flush was more than half a second ago.

        Raises:
            DiskFull, StoreFailed: as for `add`.
        """
        try:
            self._flush_if_due()
        except OSError as error:
            raise from_os_error(error, self._file.path, is_users_path=False) from error

    def close(self) -> None:
        """Write everything that waits, and close the file.

        Raises:
            DiskFull, StoreFailed: as for `add`.
        """
        try:
            if self._stream is not None:
                self._write(self._stream.rest())
            self._write_tail()
        except OSError as error:
            raise from_os_error(error, self._file.path, is_users_path=False) from error
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _flush_if_due(self) -> None:
        if self.is_waiting and self._clock() - self._flushed_s >= _FLUSH_S:
            if self._stream is not None:
                self._write(self._stream.whole_lines())
            self._write_tail()
            self._flushed_s = self._clock()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._descriptor is None:
            self._open()
        head = data[: self._head_left]
        if head:
            self._put(head, self._end_at)
            self._end_at += len(head)
            self._head_left -= len(head)
        if len(data) > len(head):
            self._tail += data[len(head) :]
            if (n := len(self._tail) - self._tail_bytes) > 0:
                del self._tail[:n]
                self._n_left_out += n
            self._is_tail_written = False

    def _open(self) -> None:
        """Open the file, shorten the output of earlier attempts, and write the header."""
        path = Path(self._file.path)
        path.parent.mkdir(exist_ok=True)
        if path.parent.is_symlink():  # it may lead out of the run folder
            raise OSError(errno.ELOOP, "its folder is a symbolic link", str(path))
        self._descriptor = descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
        at = _shortened(descriptor, self._file.limit_bytes // 2)
        is_mid_line = at > 0 and os.pread(descriptor, 1, at - 1) != b"\n"
        begun = time.strftime("%Y-%m-%d %H:%M:%S %z")
        header = f"--- attempt {self._file.attempt}, begun {begun} ---\n".encode()
        self._end_at = at
        self._put(b"\n" * is_mid_line + header, at)
        self._end_at += is_mid_line + len(header)
        left = max(0, self._file.limit_bytes - self._end_at - _MARK_BYTES)
        self._tail_bytes = min(left // 2, _MOST_TAIL_BYTES)
        self._head_left = left - self._tail_bytes

    def _write_tail(self) -> None:
        if self._is_tail_written:
            return
        tail, n_left_out = bytes(self._tail), self._n_left_out
        if n_left_out:
            cut = tail.find(b"\n", 0, len(tail) // 2) + 1  # begin with a whole line
            n_left_out += cut
            is_mid_line = os.pread(self._open_descriptor, 1, self._end_at - 1) != b"\n"
            tail = _left_out(n_left_out, is_mid_line=is_mid_line) + tail[cut:]
        self._put(tail, self._end_at)
        os.ftruncate(self._open_descriptor, self._end_at + len(tail))
        self._is_tail_written = True

    @property
    def _open_descriptor(self) -> int:
        assert self._descriptor is not None
        return self._descriptor

    def _put(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:
            n = os.pwrite(self._open_descriptor, view, at)
            view, at = view[n:], at + n


def _shortened(descriptor: int, most: int) -> int:
    """Leave out the middle of a file that has more than ``most`` bytes; return its size."""
    size = os.fstat(descriptor).st_size
    if size <= most:
        return size
    tail_bytes = min(most // 2, _MOST_TAIL_BYTES)
    tail = os.pread(descriptor, tail_bytes, size - tail_bytes)
    tail = tail[tail.find(b"\n") + 1 :]
    at = most - tail_bytes
    edge_at = max(0, at - _EDGE_BYTES)
    edge = os.pread(descriptor, at - edge_at, edge_at)
    line_end = edge.rfind(b"\n") + 1
    at = edge_at + line_end if line_end else at
    mark = _left_out(size - at - len(tail), is_mid_line=not line_end)
    # A kill between the two steps leaves a longer file, which the next attempt shortens.
    os.pwrite(descriptor, mark + tail, at)
    os.ftruncate(descriptor, at + len(mark) + len(tail))
    return at + len(mark) + len(tail)


def _left_out(n_bytes: int, *, is_mid_line: bool) -> bytes:
    return b"\n" * is_mid_line + f"--- {n_bytes:,} bytes are left out here ---\n".encode()


def last_bytes(path: Path, n_bytes: int) -> bytes:
    """The last bytes of a log; empty if it is missing, cannot be read, or is not a regular file."""
    with suppress(OSError), os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - n_bytes))
        return file.read(n_bytes)
    return b""
