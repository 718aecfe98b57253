"""The output of a single-use worker: a pipe leads it to the fork server, which writes the trial's log.

The server outlives every worker, so the log of a killed worker is whole, and a worker needs no thread of its own. The
worker names its log in a file without a name, before the user's code runs. The server reads that file at the first byte
of output, so a silent trial costs the server nothing.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict

from tunecli.errors import DiskFull, StoreFailed
from tunecli.train.user_code.trial_log import LogFile, TrialLog

_CHUNK_BYTES = 65536
_LAST_ROUNDS = 64  # a process that the trial left behind may print without end


class WorkerOutput:
    """The server's end of the pipe of one worker.

    Attributes:
        log_name: descriptor of the file in which the worker names its log.
        write_end: the worker's end of the pipe.
        log_errno: the system's number of the error that ended the log; 0: the log is whole.
    """

    def __init__(self) -> None:
        """Make the pipe, and the file that names the log.

        Raises:
            OSError: too many files are open, or there is no room for the file.
        """
        self.log_name = _nameless_file()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._log: TrialLog | None = None
        self.log_errno = 0

    def fileno(self) -> int:
        """The descriptor that becomes readable when the worker prints."""
        return self._read_end

    def close_write_end(self) -> None:
        """Close the worker's end in the server."""
        os.close(self.write_end)

    def close(self) -> None:
        """Close the server's end of the pipe, for example in a worker, and the server's copy of the file."""
        os.close(self._read_end)
        os.close(self.log_name)

    def close_read_end(self) -> None:
        """Close the server's end of the pipe, in the worker that uses the rest."""
        os.close(self._read_end)

    @property
    def is_waiting(self) -> bool:
        """Whether `flush` has something to write."""
        return self._log is not None and self._log.is_waiting

    def read(self) -> bool:
        """Take output from the pipe, at most 64 KB.

        Returns:
            Whether there was something.
        """
        try:
            chunk = os.read(self._read_end, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            return False
        if self._log is None:
            name = os.pread(self.log_name, os.fstat(self.log_name).st_size, 0)
            self._log = TrialLog(LogFile(**json.loads(name)))
        self._try(lambda log: log.add(chunk))
        return True

    def flush(self) -> None:
        """Write what waits, if it is time."""
        self._try(TrialLog.flush)

    def finish(self) -> int:
        """Take the rest of the output of a worker that has ended, and close the log.

        Returns:
            `log_errno`.
        """
        for _ in range(_LAST_ROUNDS):
            if not self.read():
                break
        self._try(TrialLog.close)
        self.close()
        return self.log_errno

    def _try(self, action: Callable[[TrialLog], None]) -> None:
        """Call ``action`` with the log. After an error the output is dropped, so that the worker never waits."""
        if self._log is None or self.log_errno:
            return
        try:
            action(self._log)
        except (DiskFull, StoreFailed) as error:
            cause = error.__cause__
            self.log_errno = (cause.errno if isinstance(cause, OSError) else 0) or errno.EIO


def print_to_log(output: WorkerOutput, file: LogFile) -> None:
    """Send all output of this process and its children to the server; do nothing if the log is off.

    Args:
        output: the worker's output, whose descriptors are closed.
        file: where the server logs it.
    """
    if file.is_on:
        name = json.dumps(asdict(file)).encode()
        while name:
            name = name[os.write(output.log_name, name) :]
        for descriptor in (1, 2):
            os.dup2(output.write_end, descriptor)
    for descriptor in (output.write_end, output.log_name):
        if descriptor > 2:
            os.close(descriptor)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("log")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
