"""A program and everything it starts, none of which outlives this process.

Owns its process group, its two pipes and its end; does not know the meaning of its output. The group is led by a guard,
a shell that waits at a pipe of ours: when this process ends, even by SIGKILL, the pipe closes and the guard kills its
group. Unlike Linux's PR_SET_PDEATHSIG, this reaches the processes that the program started, and works on macOS. A
process that leaves the group on purpose (setsid, a daemon) survives; if it is the program itself, it is killed when
this process ends in order.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from tunecli.train.epoch_end import never

_GUARD = "trap '' INT TERM HUP; read _; kill -KILL 0"
_CHUNK_BYTES = 65536
LINE_BYTES = 65536
"""Lines on stdout of this many bytes or more are not read."""
_STDERR_BYTES = 65536
_STDOUT_BYTES = 16384
_WAIT_S = 0.2
_END_S = 10.0
_ROUNDS_AFTER_END = 64
_LINE_END = re.compile(rb"[\r\n]+")  # the lines of a progress bar end in a carriage return


class Program:
    """A running program, used as a context manager: at the block's end, nothing of it runs any more."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Start the program, with an empty stdin.

        Args:
            arguments: the program's path and its arguments.
            folder: its working directory.
            environment: its complete environment.

        Raises:
            OSError: the program cannot be started.
        """
        self._stderr, self._stdout = bytearray(), bytearray()
        self._is_stderr_cut = False
        self._n_too_long, self._first_too_long = 0, b""
        quiet = subprocess.DEVNULL
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD], stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, process_group=0
        )
        try:
            with _signals_unblocked():
                self._process = subprocess.Popen(
                    arguments,
                    cwd=folder,
                    env=dict(environment),
                    stdin=quiet,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    process_group=self._guard.pid,
                )
        except BaseException:
            self._end_guard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_guard()
        self._process.kill()  # the program may have left the group
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        with suppress(subprocess.TimeoutExpired):  # the kernel may block signals to it for a while
            self._process.wait(_END_S)

    def lines(self, is_enough: Callable[[], bool] = never) -> Iterator[str]:
        """The lines of its stdout as they come, until the program has ended. Its stderr is read at the same time.

        Lines of 64 KB or more are left out; see `too_long`.

        Args:
            is_enough: whether to return before the program has ended; called a few times a second.
        """
        assert self._process.stdout is not None and self._process.stderr is not None
        rest, rounds_left = b"", _ROUNDS_AFTER_END
        with selectors.DefaultSelector() as selector:
            for pipe in (self._process.stdout, self._process.stderr):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map() and rounds_left:
                has_ended = self._process.poll() is not None
                if not has_ended and is_enough():
                    return
                if has_ended:  # processes that it left behind may keep its pipes open
                    self._kill_group()
                    rounds_left -= 1
                ready = selector.select(0 if has_ended else _WAIT_S)
                if has_ended and not ready:
                    break
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is self._process.stderr:
                        self._stderr += chunk
                        self._is_stderr_cut = self._is_stderr_cut or len(self._stderr) > _STDERR_BYTES
                        del self._stderr[:-_STDERR_BYTES]
                    else:
                        self._stdout += chunk
                        del self._stdout[:-_STDOUT_BYTES]
                        *whole, rest = _LINE_END.split(rest + chunk)
                        yield from filter(None, map(self._line, whole))
                        rest = rest[:LINE_BYTES]
        if line := self._line(rest):
            yield line

    def _line(self, line: bytes) -> str:
        """The line as text; empty for a line that is too long, which is counted."""
        if len(line) < LINE_BYTES:
            return _text(line)
        self._n_too_long += 1
        self._first_too_long = self._first_too_long or line
        return ""

    def stop(self, within_s: float) -> None:
        """Send SIGTERM to the program and everything it started, and wait for its end, at most ``within_s`` seconds."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGTERM)
        until_s = time.monotonic() + within_s
        for _ in self.lines(lambda: time.monotonic() >= until_s):
            pass
        self.wait(lambda: time.monotonic() >= until_s)

    def wait(self, is_enough: Callable[[], bool] = never) -> int | None:
        """Wait for the program's end, after its output has ended.

        Args:
            is_enough: as in `lines`.

        Returns:
            Its exit code, negative for a signal; None if it has not ended.
        """
        while self._process.poll() is None and not is_enough():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_WAIT_S)
        return self._process.poll()

    @property
    def too_long(self) -> tuple[int, str]:
        """Number of lines that were too long to read, and the first bytes of the first one as text."""
        return self._n_too_long, _text(self._first_too_long)

    @property
    def stdout_tail(self) -> str:
        """The last 16 KB of its stdout, in whole lines."""
        if len(self._stdout) < _STDOUT_BYTES:
            return _text(bytes(self._stdout))
        return _text(bytes(self._stdout.partition(b"\n")[2]))

    @property
    def stderr_tail(self) -> str:
        """The last 64 KB of its stderr."""
        return _text(bytes(self._stderr))

    @property
    def is_stderr_cut(self) -> bool:
        """Whether its stderr was longer than `stderr_tail`."""
        return self._is_stderr_cut

    def _kill_group(self) -> None:
        # The guard stays unwaited until the end, so no other group can get its number.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGKILL)

    def _end_guard(self) -> None:
        self._kill_group()
        with self._guard:
            pass


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


@contextmanager
def _signals_unblocked() -> Iterator[None]:
    """A block without blocked signals: a worker blocks those of its terminal or batch system, its programs must not.

    Pending signals are dropped: the coordinator handles them.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    handled = [number for number in blocked if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _ignore) for number in handled}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
