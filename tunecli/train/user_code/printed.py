"""The output of Python in a process that several trials share, for the trial's log.

Such a process is the sweep's own (`run.engine: inline`) or a worker of a study with `run.isolate: off`. Only
``sys.stdout`` and ``sys.stderr`` are replaced: C libraries and other programs print on stderr as before.
Loads no torch.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

from tunecli.errors import DiskFull, StoreFailed
from tunecli.train.user_code.trial_log import LogFile, TrialLog


class PrintedOutput:
    """Logs the output of Python in the blocks of `logged`."""

    def __init__(self, file: LogFile, *, is_shown: bool) -> None:
        """Write nothing yet.

        Args:
            file: where the log goes.
            is_shown: whether stderr shows the output too.
        """
        self._file, self._log, self._is_shown = file, TrialLog(file), is_shown
        self._error: DiskFull | StoreFailed | None = None
        self._text: io.TextIOWrapper | None = None  # the user's code may keep it from one block to the next
        self._is_closed = False

    @contextmanager
    def logged(self) -> Iterator[None]:
        """A block whose output is logged.

        Raises:
            DiskFull, StoreFailed: the disk refuses the log; raised at the block's end, not where the code prints.
        """
        if not self._file.is_on:
            yield
            return
        if self._text is None:
            writer: Any = _Writer(self, sys.stderr if self._is_shown else None)
            self._text = io.TextIOWrapper(writer, "utf-8", "backslashreplace", write_through=True)
        with redirect_stdout(self._text), redirect_stderr(self._text):
            yield
        if self._error is not None:
            raise self._error

    def add(self, data: bytes) -> None:
        """Add output; after an error, and after `close`, it is dropped."""
        if self._error is None and not self._is_closed:
            try:
                self._log.add(data)
            except (DiskFull, StoreFailed) as error:
                self._error = error

    def close(self) -> None:
        """Close the log.

        Raises:
            DiskFull, StoreFailed: the disk refuses the log.
        """
        self._is_closed = True
        self._log.close()


class _Writer(io.RawIOBase):
    """The binary stream below ``sys.stdout``. Its descriptor is that of stderr, for programs that inherit it."""

    def __init__(self, output: PrintedOutput, shown: TextIO | None) -> None:
        self._output, self._shown = output, shown

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        written = bytes(data)
        self._output.add(written)
        if self._shown is not None:
            with suppress(OSError, ValueError):  # a closed terminal never stops the training
                self._shown.write(written.decode(errors="replace"))
        return len(written)

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        with suppress(OSError):
            return self._shown is not None and os.isatty(2)
        return False
