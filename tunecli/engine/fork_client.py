"""The coordinator's side of the fork server: start it, and ask it for workers and templates.

A process has at most one server. `head_start` also starts it early, with settings guessed from the command line and the
study's file, before anything else is imported; so this module imports very little. If the guess is wrong, the engine
starts another server.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunecli.engine.worker_process import WorkerProcess

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# -P and our own sys.path from the first line: no module of tunecli or Python is ever loaded from the working folder.
_PROGRAM = "import sys; sys.path[:] = sys.argv[3:]; from tunecli.engine.fork_server import main; main(*sys.argv[1:3])"
_HASH_SEED = "PYTHONHASHSEED"
_BLOCKED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class _Server:
    """A running server, with the settings that it was started with.

    Attributes:
        process_id: of the server.
        threads: of each worker.
        has_torch: whether it loaded torch.
        requests: the socket that takes requests for workers.
        environment: the coordinator's environment variables at the start.
    """

    process_id: int
    threads: int
    has_torch: bool
    requests: socket.socket
    environment: Mapping[str, str]

    def can_serve(self, threads: int, needs_torch: bool) -> bool:
        return self.threads == threads and (self.has_torch or not needs_torch)


_running: _Server | None = None
_is_guess = False
"""Whether the running server was guessed, and no engine has used it yet."""


def start_server(threads: int, *, needs_torch: bool = True) -> None:
    """Start the server, unless a suitable one runs.

    The server has a process group of its own and blocks the signals that the coordinator handles: Ctrl-C or hang-up in
    a terminal, and SIGTERM from a batch system, reach all processes, and only the coordinator decides what to do.

    Args:
        threads: of each worker.
        needs_torch: whether trials need torch.
    """
    global _is_guess, _running
    if _running is not None:
        is_right = _running.can_serve(threads, needs_torch) and (
            not _is_guess or _running.has_torch == needs_torch
        )
        if not is_right:
            _stop(at_once=_is_guess)
    if _running is None:
        _running = _start(threads, needs_torch)
    _is_guess = False


def guess_server(threads: int, *, has_torch: bool) -> bool:
    """Start the server with guessed settings.

    Args:
        threads: of each worker.
        has_torch: whether it loads torch.

    Returns:
        Whether it was started; False if a server runs already.
    """
    global _is_guess
    if _running is not None:
        return False
    start_server(threads, needs_torch=has_torch)
    _is_guess = True
    return True


def give_up_guess() -> None:
    """End a guessed server that no engine has used; it could go on loading for seconds."""
    if _is_guess:
        _stop(at_once=True)


def server_id() -> int | None:
    """The server's process id; None if no server runs."""
    return None if _running is None else _running.process_id


def fork_worker(*, is_single_use: bool, template: Template | None = None) -> tuple[Connection, WorkerProcess]:
    """Fork a worker from the server.

    Args:
        is_single_use: whether the worker ends with its first job, with all programs that the job started.
        template: the template to fork it from; None, or one that has ended: from the server itself.

    Returns:
        The pipe to the worker, which waits for its `WorkerSetup`, and its process.

    Raises:
        OSError: no server can be started.
        RuntimeError: `start_server` was not called.
    """
    from multiprocessing.connection import Pipe

    from tunecli.engine.fork_server import REUSED, SINGLE_USE

    pipe, workers_pipe = Pipe()
    try:
        kind = SINGLE_USE if is_single_use else REUSED
        return pipe, _forked(kind, workers_pipe.fileno(), template)
    finally:
        workers_pipe.close()


def _forked(kind: bytes, connection: int, template: Template | None = None) -> WorkerProcess:
    """Request a process that has the descriptor ``connection``."""
    global _running
    if _running is None:
        raise RuntimeError("there is no server to fork a worker from")
    channel, servers_channel = socket.socketpair()
    descriptors = [connection, servers_channel.fileno()]
    try:
        if template is not None and template.takes(kind, descriptors):
            return WorkerProcess(channel)
        try:
            socket.send_fds(_running.requests, [kind], descriptors)
        except (BrokenPipeError, ConnectionResetError):  # the server was killed
            last = _running
            _stop(at_once=True)
            _running = _start(last.threads, last.has_torch)
            socket.send_fds(_running.requests, [kind], descriptors)
    finally:
        servers_channel.close()
    return WorkerProcess(channel)


class Template:
    """A process that has loaded the modules of trials, and forks workers; see `tunecli.engine.template`.

    It takes requests from the beginning, and serves them once the modules are loaded. If that fails, the template
    ends, and the requested workers never begin.
    """

    def __init__(self, order: bytes) -> None:
        """Fork the template from the server; ``order`` is a packed `LoadOrder`.

        Raises:
            OSError: no server can be started.
        """
        from tunecli.engine.fork_server import TEMPLATE
        from tunecli.engine.template import send_order

        self._requests, templates_requests = socket.socketpair()
        try:
            self._process = _forked(TEMPLATE, templates_requests.fileno())
        finally:
            templates_requests.close()
        self._began_s, self._is_ready = time.monotonic(), False
        with contextlib.suppress(OSError):  # it has ended already
            send_order(self._requests, order)

    def takes(self, kind: bytes, descriptors: list[int]) -> bool:
        """Pass a request on; return whether the template may serve it."""
        if not self.is_alive():
            return False
        try:
            socket.send_fds(self._requests, [kind], descriptors)
        except OSError:
            return False
        return True

    def is_alive(self, within_s: float = math.inf) -> bool:
        """Whether the template serves requests, or still loads its modules; it is ended if that takes too long.

        Args:
            within_s: the longest time for loading the modules.
        """
        if not self._is_ready and self._process.is_alive():
            with contextlib.suppress(OSError):
                self._is_ready = bool(self._requests.recv(1, socket.MSG_DONTWAIT))
            if not self._is_ready and time.monotonic() - self._began_s > within_s:
                self.close()
        return self._process.is_alive()

    def retire(self) -> None:
        """Let the template end with its last worker."""
        self._requests.close()

    def close(self) -> None:
        """Close the connections to the template, which ends it and its workers, if no other process has them too."""
        self._process.close()
        self._requests.close()


_MOST_TEMPLATES = 16  # a machine with eight GPUs needs one for each
_templates: dict[bytes, Template] = {}
"""Templates by their order; the last used one comes last."""
_retired: list[Template] = []
"""Retired templates: each ends with its last worker."""


def template_for(order: bytes) -> Template:
    """The template of an order, started at the first call. One that has ended is not started again.

    Only the templates that were used last are kept; the others end with their last worker.

    Args:
        order: a packed `LoadOrder`.

    Raises:
        OSError: no server can be started.
    """
    if order not in _templates:
        while len(_templates) >= _MOST_TEMPLATES:
            _retired.append(_templates.pop(next(iter(_templates))))
            _retired[-1].retire()
        for template in [one for one in _retired if not one.is_alive()]:
            template.close()
            _retired.remove(template)
        _templates[order] = Template(order)
    _templates[order] = _templates.pop(order)
    return _templates[order]


def changed_environment() -> dict[str, str] | None:
    """The environment variables for a worker, if they have changed since the server's start; else None."""
    if _running is None or dict(os.environ) == _running.environment:
        return None
    return {**_thread_variables(_running.threads), **os.environ}


def _thread_variables(threads: int) -> dict[str, str]:
    return {name: str(threads) for name in _THREAD_VARIABLES if name not in os.environ}


def _start(threads: int, has_torch: bool) -> _Server:
    requests, servers_requests = socket.socketpair()
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    # Without a fixed hash seed each server would order sets of strings differently, and scores could differ.
    hash_seed = {} if _HASH_SEED in os.environ else {_HASH_SEED: "0"}
    for_main = ["torch" if has_torch else "", ",".join(hash_seed)]
    arguments = [sys.executable, *flags, "-P", "-c", _PROGRAM, *for_main, *safe_path()]
    environment = {**os.environ, **hash_seed, **_thread_variables(threads)}
    try:
        process_id = os.posix_spawn(
            sys.executable,
            arguments,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, servers_requests.fileno(), 0)],
            setpgroup=0,
            setsigmask=_BLOCKED_SIGNALS,
        )
    except BaseException:
        requests.close()
        raise
    finally:
        servers_requests.close()
    return _Server(process_id, threads, has_torch, requests, dict(os.environ))


def safe_path() -> list[str]:
    """``sys.path`` without the working folder, unless this package is installed in it."""
    home, here = Path(__file__).resolve().parents[2], Path.cwd()

    def is_safe(entry: str) -> bool:
        try:
            folder = Path(entry).resolve()
        except OSError:
            return False
        return folder == home or (bool(entry) and folder != here)

    return [str(Path(entry).absolute()) for entry in sys.path if is_safe(entry)]


def _stop(*, at_once: bool) -> None:
    """Close the requests, so that the server ends after its last worker; or kill it at once."""
    global _is_guess, _running
    for template in (*_templates.values(), *_retired):
        template.close()
    _templates.clear()
    _retired.clear()
    if _running is not None:
        _running.requests.close()
        if at_once:
            with contextlib.suppress(ProcessLookupError):
                os.kill(_running.process_id, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(_running.process_id, 0)
    _running, _is_guess = None, False


def _forget() -> None:
    """Let the server end with its last worker; a forked child has no server, and must not keep its parent's alive."""
    _stop(at_once=False)


os.register_at_fork(after_in_child=_forget)
atexit.register(_forget)
