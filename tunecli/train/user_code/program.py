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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple, Self

from tunecli.train.epoch_end import never
from tunecli.train.user_code.trial_log import TrialLog

_GUARD = "trap '' INT TERM HUP; read _; kill -KILL 0"
_CHUNK_BYTES = 65536
LINE_BYTES = 65536
"""Lines of this many bytes or more are not read."""
_STDERR_BYTES = 65536
_STDOUT_BYTES = 16384
_WAIT_S = 0.2
_END_S = 10.0
_ROUNDS_AFTER_END = 64
_LINE_END = re.compile(rb"[\r\n]+")  # the lines of a progress bar end in a carriage return


class Stream(StrEnum):
    """One of a program's two output streams, or the pipe on which a shim in the program reports metrics."""

    STDOUT = "stdout"
    STDERR = "stderr"
    SHIM = "shim"


class Line(NamedTuple):
    """A line that a program printed, and the stream that it printed it on."""

    text: str
    stream: Stream = Stream.STDOUT


@dataclass(slots=True)
class _Output:
    """The output on one stream.

    Attributes:
        tail_bytes: the most bytes that ``tail`` keeps.
        tail: the end of the output.
        is_cut: whether the output was longer than ``tail``.
        rest: the line that is not complete yet, as far as it can matter.
        unlogged: output that is not in the log yet.
    """

    tail_bytes: int
    tail: bytearray = field(default_factory=bytearray)
    is_cut: bool = False
    rest: bytes = b""
    unlogged: bytes = b""

    def add(self, chunk: bytes) -> list[bytes]:
        """Add output; return the lines that it completes."""
        self.tail += chunk
        self.is_cut = self.is_cut or len(self.tail) > self.tail_bytes
        del self.tail[: -self.tail_bytes]
        self.unlogged += chunk
        *whole, rest = _LINE_END.split(self.rest + chunk)
        self.rest = rest[:LINE_BYTES]
        return whole

    def unlogged_lines(self) -> bytes:
        """The complete lines for the log; also a partial one that is long."""
        if len(self.unlogged) > LINE_BYTES:
            return self.unlogged_rest()
        end = max(self.unlogged.rfind(b"\n"), self.unlogged.rfind(b"\r")) + 1
        lines, self.unlogged = self.unlogged[:end], self.unlogged[end:]
        return lines

    def unlogged_rest(self) -> bytes:
        """Everything for the log that it does not have yet."""
        rest, self.unlogged = self.unlogged, b""
        return rest


class Program:
    """A running program, used as a context manager: at the block's end, nothing of it runs any more."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        log: TrialLog | None = None,
        shim_pipe: int | None = None,
    ) -> None:
        """Start the program, with an empty stdin.

        Args:
            arguments: the program's path and its arguments.
            folder: its working directory.
            environment: its complete environment.
            log: gets the lines of both streams, in the order in which they come; None: they are not logged.
            shim_pipe: descriptor of a further pipe to read lines from, which are not logged; None: there is none.

        Raises:
            OSError: the program cannot be started.
        """
        self._log, self._shim_pipe = log, shim_pipe
        self._outputs = {Stream.STDOUT: _Output(_STDOUT_BYTES), Stream.STDERR: _Output(_STDERR_BYTES)}
        if shim_pipe is not None:
            self._outputs[Stream.SHIM] = _Output(0)
        self._n_too_long, self._first_too_long, self._stream_too_long = 0, b"", Stream.STDOUT
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

    def lines(self, is_enough: Callable[[], bool] = never, *, has_ticks: bool = False) -> Iterator[Line]:
        """The lines of its stdout, its stderr and its shim's pipe as they come, until the program has ended.

        Lines of 64 KB or more are left out; see `too_long`.

        Args:
            is_enough: whether to return before the program has ended; called a few times a second.
            has_ticks: whether to yield an empty line a few times a second, also while the program prints, and after it
                has closed both streams.

        Raises:
            DiskFull, StoreFailed: the disk refuses the log.
        """
        rounds_left, tick_s = _ROUNDS_AFTER_END, time.monotonic()
        with selectors.DefaultSelector() as selector:
            for stream, pipe in self._pipes():
                os.set_blocking(pipe, False)
                selector.register(pipe, selectors.EVENT_READ, stream)
            while selector.get_map() and rounds_left:
                has_ended = self._process.poll() is not None
                if not has_ended and is_enough():
                    return
                if has_ended:  # processes that it left behind may keep its pipes open
                    self._kill_group()
                    rounds_left -= 1
                elif has_ticks and time.monotonic() - tick_s >= _WAIT_S:
                    yield Line("")
                    tick_s = time.monotonic()
                ready = selector.select(0 if has_ended else _WAIT_S)
                if has_ended and not ready:
                    break
                if not ready:
                    self._log_partial_lines()
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    if not chunk:
                        selector.unregister(key.fileobj)
                        continue
                    lines = self._outputs[key.data].add(chunk)
                    self._log_whole_lines(key.data)
                    yield from self._lines(key.data, lines)
        self._log_partial_lines()
        for stream, output in self._outputs.items():
            yield from self._lines(stream, [output.rest])
            output.rest = b""
        while has_ticks and self._process.poll() is None and not is_enough():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_WAIT_S)
            yield Line("")

    def _pipes(self) -> list[tuple[Stream, int]]:
        assert self._process.stdout is not None and self._process.stderr is not None
        pipes = [
            (Stream.STDOUT, self._process.stdout.fileno()),
            (Stream.STDERR, self._process.stderr.fileno()),
        ]
        return [*pipes, *([] if self._shim_pipe is None else [(Stream.SHIM, self._shim_pipe)])]

    def _lines(self, stream: Stream, lines: Iterable[bytes]) -> Iterator[Line]:
        """The lines as texts, without empty ones. A line that is too long is counted instead."""
        for line in lines:
            if len(line) >= LINE_BYTES:
                if not self._n_too_long:
                    self._first_too_long, self._stream_too_long = line, stream
                self._n_too_long += 1
            elif line:
                yield Line(_text(line), stream)

    def _log_whole_lines(self, stream: Stream) -> None:
        """Log the lines of one stream that are complete, so that lines of both streams do not mix."""
        lines = self._outputs[stream].unlogged_lines()
        if self._log is not None and stream is not Stream.SHIM:
            self._log.add(lines)

    def _log_partial_lines(self) -> None:
        if self._log is not None:
            for stream in (Stream.STDOUT, Stream.STDERR):
                self._log.add(self._outputs[stream].unlogged_rest())
            self._log.flush()

    def stop(self, within_s: float) -> None:
        """Send SIGTERM to the program and everything it started, and wait for its end, at most ``within_s`` seconds."""
        for _ in self.last_output(within_s):
            pass

    def last_output(self, within_s: float) -> Iterator[Line]:
        """The lines that the program prints while `stop` ends it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGTERM)
        until_s = time.monotonic() + within_s
        yield from self.lines(lambda: time.monotonic() >= until_s)
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
    def too_long(self) -> tuple[int, str, Stream]:
        """Number of lines that were too long to read, the first bytes of the first one as text, and its stream."""
        return self._n_too_long, _text(self._first_too_long), self._stream_too_long

    @property
    def stdout_tail(self) -> str:
        """The last 16 KB of its stdout, in whole lines."""
        output = self._outputs[Stream.STDOUT]
        tail = bytes(output.tail)
        return _text(tail.partition(b"\n")[2] if output.is_cut else tail)

    @property
    def stderr_tail(self) -> str:
        """The last 64 KB of its stderr."""
        return _text(bytes(self._outputs[Stream.STDERR].tail))

    @property
    def is_stderr_cut(self) -> bool:
        """Whether its stderr was longer than `stderr_tail`."""
        return self._outputs[Stream.STDERR].is_cut

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
