"""The server that workers are forked from, as the coordinator sees it: started, guessed, asked for a worker.

There is one a process. It is started from a mere guess of what the file asks for, too, before anything else is loaded:
so this module loads next to nothing, and a guess that was wrong is put right when the engine is made.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# -P, and a path of our own from the first line on: the working folder is never searched for what we load.
_PROGRAM = "import sys; sys.path[:] = sys.argv[3:]; from tunecli.engine.fork_server import main; main(*sys.argv[1:3])"
_HASH_SEED = "PYTHONHASHSEED"
_HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class _Server:
    """A running server: the settings it was started with, and the socket that takes requests for workers."""

    process_id: int
    threads: int
    has_torch: bool
    requests: socket.socket
    environment: Mapping[str, str]

    def can_serve(self, threads: int, needs_torch: bool) -> bool:
        return self.threads == threads and (self.has_torch or not needs_torch)


_running: _Server | None = None
_is_guess = False
"""Whether no engine has taken it yet."""


def start_server(threads: int, *, needs_torch: bool = True) -> None:
    """Start the server, unless one runs that will do.

    It has a process group of its own, and is deaf to the signals that the coordinator answers: a terminal's Ctrl-C or
    hang-up, and a batch system's TERM, reach all processes; what to do about them is the coordinator's to decide.

    Args:
        threads: of each worker.
        needs_torch: whether trials do.
    """
    global _is_guess, _running
    if _running is not None:
        is_right = _running.can_serve(threads, needs_torch) and (
            not _is_guess or _running.has_torch == needs_torch
        )
        if not is_right:
            _stop(at_once=_is_guess)
    if _running is None:
        _running = _started(threads, needs_torch)
    _is_guess = False


def guess_server(threads: int, *, has_torch: bool) -> bool:
    """Start the server as a study will most likely want it.

    Args:
        threads: of each worker.
        has_torch: whether it loads torch.

    Returns:
        Whether it was started; False where there is one.
    """
    global _is_guess
    if _running is not None:
        return False
    start_server(threads, needs_torch=has_torch)
    _is_guess = True
    return True


def give_up_guess() -> None:
    """End a server that was guessed and that no engine has taken: it would go on loading for seconds."""
    if _is_guess:
        _stop(at_once=True)


def server_id() -> int | None:
    """The server's process id; None where none runs."""
    return None if _running is None else _running.process_id


def forked(*, has_one_job: bool) -> tuple[Connection, WorkerProcess]:
    """A new worker, which waits for its terms, and the pipe to it.

    Args:
        has_one_job: whether it ends with its first job, and all that the job started with it.

    Raises:
        OSError: no server can be started.
        RuntimeError: `start_server` was not called.
    """
    global _running
    from multiprocessing.connection import Pipe

    from tunecli.engine.fork_server import MANY_JOBS, ONE_JOB

    if _running is None:
        raise RuntimeError("there is no server to fork a worker from")
    ours, theirs = Pipe()
    channel, its_channel = socket.socketpair()
    try:
        kind = ONE_JOB if has_one_job else MANY_JOBS
        descriptors = [theirs.fileno(), its_channel.fileno()]
        try:
            socket.send_fds(_running.requests, [kind], descriptors)
        except (BrokenPipeError, ConnectionResetError):  # it was killed
            last = _running
            _stop(at_once=True)
            _running = _started(last.threads, last.has_torch)
            socket.send_fds(_running.requests, [kind], descriptors)
    finally:
        theirs.close()
        its_channel.close()
    return ours, WorkerProcess(channel)


def changed_environment() -> dict[str, str] | None:
    """The environment of workers, where it is another than when the server was started."""
    if _running is None or dict(os.environ) == _running.environment:
        return None
    return {**_of_threads(_running.threads), **os.environ}


class WorkerProcess:
    """A process that was asked for.

    Attributes:
        exit_code: negative where a signal ended it; None while it lives, and where its server ended before it.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._is_over = False
        self._number = 0
        self.exit_code: int | None = None

    def fileno(self) -> int:
        """What becomes readable when something is known of it, its end above all."""
        return self._channel.fileno()

    def is_alive(self) -> bool:
        """Whether it lives, as far as its server has told."""
        from tunecli.engine.fork_server import NUMBER

        while not self._is_over:
            try:
                message = self._channel.recv(NUMBER.size)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            if not message:
                self._is_over = True
                if self._number:  # its server ended; on Linux it did with it, elsewhere it may live
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self._number, signal.SIGKILL)
            elif not self._number:
                (self._number,) = NUMBER.unpack(message)
            else:
                (self.exit_code,) = NUMBER.unpack(message)
                self._is_over = True
        return not self._is_over

    def kill(self) -> None:
        """Let it be killed, with all that its trial started."""
        from tunecli.engine.fork_server import KILL

        with contextlib.suppress(OSError):
            self._channel.send(KILL)

    def join(self, timeout_s: float) -> None:
        """Wait for its end, so long at most."""
        until = time.monotonic() + timeout_s
        while self.is_alive() and (left := until - time.monotonic()) > 0.0:
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            poll.poll(left * 1000.0)

    def close(self) -> None:
        """Know no more of it; it is killed where it lives."""
        self._channel.close()
        self._is_over = True


def _of_threads(threads: int) -> dict[str, str]:
    return {name: str(threads) for name in _THREAD_VARIABLES if name not in os.environ}


def _started(threads: int, has_torch: bool) -> _Server:
    ours, theirs = socket.socketpair()
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    # Else the order of a set of strings would be another in each server, and so might a trial's score.
    seeded = {} if _HASH_SEED in os.environ else {_HASH_SEED: "0"}
    for_main = ["torch" if has_torch else "", ",".join(seeded)]
    arguments = [sys.executable, *flags, "-P", "-c", _PROGRAM, *for_main, *_safe_path()]
    environment = {**os.environ, **seeded, **_of_threads(threads)}
    try:
        number = os.posix_spawn(
            sys.executable,
            arguments,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
            setpgroup=0,
            setsigmask=_HELD_BACK,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Server(number, threads, has_torch, ours, dict(os.environ))


def _safe_path() -> list[str]:
    """Python's path as it is here, without the working folder, unless this package lies there."""
    home, here = Path(__file__).resolve().parents[2], Path.cwd()

    def is_safe(entry: str) -> bool:
        try:
            place = Path(entry).resolve()
        except OSError:
            return False
        return place == home or (bool(entry) and place != here)

    return [str(Path(entry).absolute()) for entry in sys.path if is_safe(entry)]


def _stop(*, at_once: bool) -> None:
    """Let the server go: it ends with its last worker, or at once."""
    global _is_guess, _running
    if _running is not None:
        _running.requests.close()
        if at_once:
            with contextlib.suppress(ProcessLookupError):
                os.kill(_running.process_id, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(_running.process_id, 0)
    _running, _is_guess = None, False


def _forget() -> None:
    """Let the server end with its last worker.

    A process that is forked from this one has none; it must not keep this one's from ending either.
    """
    global _is_guess, _running
    if _running is not None:
        _running.requests.close()
    _running, _is_guess = None, False


os.register_at_fork(after_in_child=_forget)
atexit.register(_forget)
