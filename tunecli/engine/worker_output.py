"""The output of a single-use worker: a pipe leads it to the fork server, which writes the trial's log.

The server outlives every worker, so the log of a killed worker is whole, and a worker needs no thread of its own. The
worker's first line in the pipe names the log; the worker sends it before the user's code runs.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import asdict

from tunecli.errors import DiskFull, StoreFailed
from tunecli.train.user_code.trial_log import LogFile, TrialLog

_CHUNK_BYTES = 65536
_LAST_ROUNDS = 64  # a process that the trial left behind may print without end


class WorkerOutput:
    """The server's end of the pipe of one worker.

    Attributes:
        log_errno: the system's number of the error that ended the log; 0: the log is whole.
    """

    def __init__(self) -> None:
        """Make the pipe.

        Raises:
            OSError: too many files are open.
        """
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._announced = bytearray()
        self._log: TrialLog | None = None
        self.log_errno = 0

    def fileno(self) -> int:
        """The descriptor that becomes readable when the worker prints."""
        return self._read_end

    def close_write_end(self) -> None:
        """Close the worker's end in the server."""
        os.close(self.write_end)

    def close(self) -> None:
        """Close the server's end, for example in a worker."""
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
            self._announced += chunk
            line, end, chunk = bytes(self._announced).partition(b"\n")
            if not end:
                return True
            self._log = TrialLog(LogFile(**json.loads(line)))
            self._announced.clear()
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


def print_to_log(write_end: int, file: LogFile) -> None:
    """Send all output of this process and its children to the server; do nothing if the log is off.

    Args:
        write_end: the worker's end of the pipe, which is closed.
        file: where the server logs it.
    """
    if file.is_on:
        announcement = memoryview(json.dumps(asdict(file)).encode() + b"\n")
        while announcement:
            announcement = announcement[os.write(write_end, announcement) :]
        for descriptor in (1, 2):
            os.dup2(write_end, descriptor)
    if write_end > 2:
        os.close(write_end)
