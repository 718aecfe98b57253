"""A program and everything it starts, which never outlives whoever started it.

Owns its process group, its two pipes and its end; knows nothing of what it prints. The group is led by a guard, a
shell that waits at a pipe of ours: however we end, SIGKILL included, the pipe closes and the guard kills its group.
Unlike Linux's PR_SET_PDEATHSIG, that reaches what the program itself started, and works on macOS. What leaves the group
on purpose (setsid, a daemon) is the user's to end; of that, only the program itself is killed, where we end in order.
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
"""A line on stdout of so many bytes or more is not read."""
_STDERR_BYTES = 65536
_STDOUT_BYTES = 16384
_WAIT_S = 0.2
_END_S = 10.0
_ROUNDS_AFTER_END = 64
_LINE_END = re.compile(rb"[\r\n]+")  # a progress bar's lines end in a carriage return


class Program:
    """A program under way, used in a ``with``: when that is left, nothing of it runs any more."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Start it, with nothing on its stdin.

        Args:
            arguments: the program's path, and what it gets.
            folder: its working directory.
            environment: whole.

        Raises:
            OSError: it cannot be started.
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
        self._process.kill()  # it may have left the group
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        with suppress(subprocess.TimeoutExpired):  # stuck in the kernel, where no signal reaches it
            self._process.wait(_END_S)

    def lines(self, is_enough: Callable[[], bool] = never) -> Iterator[str]:
        """What it prints on stdout, line by line as it comes, until it has ended; its stderr is read meanwhile.

        A line of 64 KB or more is left out.

        Args:
            is_enough: whether to end before the program does; asked a few times a second.
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
                if has_ended:  # what it left behind may hold its pipes open for ever
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
        """The line as text; empty where it is longer than is read, which is noted."""
        if len(line) < LINE_BYTES:
            return _text(line)
        self._n_too_long += 1
        self._first_too_long = self._first_too_long or line
        return ""

    def stop(self, within_s: float) -> None:
        """Ask it, and what it started, to end (SIGTERM), and wait that long at most; it is killed where it is left."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGTERM)
        until_s = time.monotonic() + within_s
        for _ in self.lines(lambda: time.monotonic() >= until_s):
            pass
        self.wait(lambda: time.monotonic() >= until_s)

    def wait(self, is_enough: Callable[[], bool] = never) -> int | None:
        """Wait for its end, its output having ended.

        Args:
            is_enough: as of :meth:`lines`.

        Returns:
            Its exit code, negative where a signal ended it; None where it has not ended.
        """
        while self._process.poll() is None and not is_enough():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_WAIT_S)
        return self._process.poll()

    @property
    def too_long(self) -> tuple[int, str]:
        """How many lines were too long to be read, and the beginning of the first one."""
        return self._n_too_long, _text(self._first_too_long)

    @property
    def stdout_tail(self) -> str:
        """The last 16 KB that it printed on stdout, in whole lines."""
        if len(self._stdout) < _STDOUT_BYTES:
            return _text(bytes(self._stdout))
        return _text(bytes(self._stdout.partition(b"\n")[2]))

    @property
    def stderr_tail(self) -> str:
        """The last 64 KB that it printed on stderr."""
        return _text(bytes(self._stderr))

    @property
    def is_stderr_cut(self) -> bool:
        """Whether it printed more than that."""
        return self._is_stderr_cut

    def _kill_group(self) -> None:
        # The guard is not waited for before the end, so its number is no other group's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGKILL)

    def _end_guard(self) -> None:
        self._kill_group()
        with self._guard:
            pass


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _unheard(number: int, frame: FrameType | None) -> None:
    pass


@contextmanager
def _signals_unblocked() -> Iterator[None]:
    """A worker is deaf to what its terminal or batch system sends; what it starts must not inherit that.

    One that has come already is dropped here: what to do about it is the coordinator's to decide.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    heard = [number for number in blocked if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _unheard) for number in heard}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
