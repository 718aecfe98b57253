"""The fork server's process: it imports what trials need, forks workers, and kills them.

A fork from a process that has loaded torch takes 17 ms; a new process takes 1.5 s. Each worker leads a process group of
its own. When the worker dies, the server kills the rest of its group; when the coordinator dies or asks for it, the
server kills the worker with all programs that it started. It writes the output of a single-use worker to the trial's
log. The server does not read jobs or events. A template (`tunecli.engine.template`) is a server of its own, which this
one forks like a worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tunecli.engine.worker_output import WorkerOutput

SINGLE_USE = b"s"
REUSED = b"r"
TEMPLATE = b"t"
"""A request is one of these three, with two descriptors: the new process's pipe, and its channel. A template has the
socket of its requests in place of a pipe."""
KILL = b"k"
"""The coordinator writes this into a worker's channel, or closes the channel, to have the worker killed."""
STARTED = struct.Struct("q")
"""The server's first message in a worker's channel: the process id."""
ENDED = struct.Struct("qq")
"""The server's last message: the exit code, and the errno of a failed write to the trial's log, or 0."""

_FLUSH_S = 0.5

_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER of Linux's prctl
_IS_LINUX = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class _Worker:
    channel: socket.socket
    runs_user_code: bool
    output: WorkerOutput | None  # of a single-use worker


def main(torch: str, forgotten: str) -> None:
    """Serve until the coordinator and all workers have ended; stdin is the socket that requests come from.

    Args:
        torch: empty if torch is not imported before the first fork.
        forgotten: an environment variable to remove, because it was set for this process and a trial's programs must
            not inherit it; empty: none.
    """
    os.environ.pop(forgotten, None)
    sys.argv = ["tunecli"]
    requests = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    _preload(has_torch=bool(torch))
    # Torch has a hundred finalizers, which take 30 ms at the end of a process and have no effect there.
    for finalizer in [*weakref.finalize._registry]:  # type: ignore[attr-defined]  # private
        finalizer.atexit = False
    from tunecli.engine.worker import serve
    from tunecli.engine.worker_output import WorkerOutput
    from tunecli.train.user_code.trial_files import remove_stale

    _Server(requests, serve, WorkerOutput, remove_stale).run()


def _preload(*, has_torch: bool) -> None:
    """Import the modules that trials need, so that forked workers have them.

    With torch these are all modules of training, and a thread loads torch's library at the same time. Without torch
    these are the modules that run the user's own function or command.
    """
    if not has_torch:
        with _frozen_imports():
            import tunecli.engine.worker
            import tunecli.train.user_code.command
            import tunecli.train.user_code.function
            from tunecli.config.schema import CommandTrial

            _prepare(CommandTrial)
        return
    loading = threading.Thread(target=_load_library)
    loading.start()
    with _frozen_imports():
        try:
            import tunecli.engine.worker
            import tunecli.train.fused.group
            import tunecli.train.loop
            import tunecli.train.user_code.function  # noqa: F401  # all are loaded for the workers that are forked
            from tunecli.config.schema import TrialConfig

            _prepare(TrialConfig)
        finally:
            loading.join()  # a process with other threads must not fork


def _prepare(model: type[BaseModel]) -> None:
    """Do once the work that each worker would repeat."""
    from tunecli.config.schema import FunctionTrial
    from tunecli.train.user_code.code import note_loaded

    model.model_rebuild()
    FunctionTrial.model_rebuild()
    note_loaded()


def _load_library() -> None:
    """Load the largest of torch's libraries before torch asks for it; if that fails, torch reports the error."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(Path(folder, "lib", "libtorch_cpu.so")))


@contextlib.contextmanager
def _frozen_imports() -> Iterator[None]:
    """A context that imports modules without garbage collection, and then freezes them.

    The collector finds no garbage in modules and takes a sixth of the import time. Without the freeze, it would scan
    these objects in each worker, and so copy their memory pages.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _Server:
    def __init__(
        self,
        requests: socket.socket,
        serve: Callable[[Connection, WorkerOutput | None], None],
        make_output: Callable[[], WorkerOutput],
        clean_up: Callable[[], None],
    ) -> None:
        """Prepare to serve.

        Args:
            requests: the socket that requests come from.
            serve: runs in each worker, with the worker's end of its pipe, and a single-use worker's output.
            make_output: makes the pipe for the output of a single-use worker.
            clean_up: runs after a worker that failed or was killed.
        """
        self._requests, self._serve, self._clean_up = requests, serve, clean_up
        self._make_output = make_output
        self._workers: dict[int, _Worker] = {}  # by process id
        self._selector = selectors.DefaultSelector()
        self._wakeup_read, self._wakeup_write = os.pipe()  # SIGCHLD writes into it, and so ends the wait
        self._is_open = True
        self._libc = ctypes.CDLL(None) if _IS_LINUX else None

    def run(self) -> None:
        for end in (self._wakeup_read, self._wakeup_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _on_child_ended)
        self._selector.register(self._requests, selectors.EVENT_READ)
        self._selector.register(self._wakeup_read, selectors.EVENT_READ)
        while self._is_open or self._workers:
            for key, _ in self._selector.select(self._flush_outputs()):
                if key.fileobj is self._requests:
                    self._take_request()
                elif key.fileobj == self._wakeup_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wakeup_read, 4096)
                elif isinstance(key.data, int):
                    if key.data in self._workers:
                        self._take_order(key.data)
                elif not key.data.read():  # everybody has closed the worker's end
                    self._selector.unregister(key.fileobj)
            self._reap()

    def _flush_outputs(self) -> float | None:
        """Write what logs hold back, if it is time; return the longest time until the next call."""
        outputs = [worker.output for worker in self._workers.values() if worker.output is not None]
        waiting = [output for output in outputs if output.is_waiting]
        for output in waiting:
            output.flush()
        return _FLUSH_S if waiting else None

    def _take_request(self) -> None:
        try:
            kind, received, _, _ = socket.recv_fds(self._requests, 1, 2)
        except OSError:
            kind, received = b"", []
        if not kind:
            self._selector.unregister(self._requests)
            self._requests.close()
            self._is_open = False
            return
        connection, channel = received
        output: WorkerOutput | None = None
        try:
            output = self._make_output() if kind == SINGLE_USE else None
            process_id = os.fork()
        except OSError:
            traceback.print_exc()
            os.close(connection)
            os.close(channel)  # tells the coordinator that there is no worker
            if output is not None:
                output.close_write_end()
                output.close()
            return
        if process_id == 0:
            self._run_child(kind, connection, channel, output)
        os.close(connection)
        with contextlib.suppress(OSError):  # the worker calls it too; either may be first
            os.setpgid(process_id, process_id)
        worker = _Worker(socket.socket(fileno=channel), kind != REUSED, output)
        self._workers[process_id] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, data=process_id)
        if output is not None:
            output.close_write_end()
            self._selector.register(output, selectors.EVENT_READ, data=output)
        _report(worker.channel, STARTED.pack(process_id))

    def _run_child(self, kind: bytes, connection: int, channel: int, output: WorkerOutput | None) -> NoReturn:
        """Become a worker or a template, in the forked child: close the server's descriptors, serve, and exit."""
        code = 1
        try:
            self._leave_server(channel, adopts_orphans=kind != TEMPLATE)
            if kind == TEMPLATE:
                self._run_template(socket.socket(fileno=connection))
            else:
                if output is not None:
                    output.close_read_end()
                self._serve(Connection(connection), output)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(code)

    def _leave_server(self, channel: int, *, adopts_orphans: bool) -> None:
        """Lead a process group, die with the server, and close the server's descriptors."""
        server = os.getppid()
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if self._libc is not None:
            self._libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            self._libc.prctl(_ADOPT_ORPHANS, int(adopts_orphans), 0, 0, 0)
            if os.getppid() != server:  # the server died before PR_SET_PDEATHSIG took effect
                os._exit(1)
        self._selector.close()
        self._requests.close()
        for worker in self._workers.values():
            worker.channel.close()
            if worker.output is not None:
                worker.output.close()
        for descriptor in (channel, self._wakeup_read, self._wakeup_write):
            os.close(descriptor)
        self._workers.clear()

    def _run_template(self, requests: socket.socket) -> None:
        """Load modules, and fork workers from then on; end at once if the modules forbid that or cannot be loaded."""
        from tunecli.engine import template

        try:
            effect = template.load(template.take_order(requests))
        except BaseException:  # each trial meets the error itself, and reports it
            return
        if not effect:
            requests.sendall(template.IS_READY)
            _Server(requests, self._serve, self._make_output, self._clean_up).run()

    def _take_order(self, process_id: int) -> None:
        """Kill a worker, because the coordinator asked for it or has ended."""
        worker = self._workers[process_id]
        try:
            message = worker.channel.recv(64)
        except OSError:
            message = b""
        if not message:
            self._selector.unregister(worker.channel)
        self._kill(process_id)

    def _kill(self, process_id: int) -> None:
        started_programs = [*descendants(process_id)] if self._workers[process_id].runs_user_code else []
        _kill_group(process_id)
        for program in started_programs:  # some may have left the group
            with contextlib.suppress(OSError):
                os.kill(program, signal.SIGKILL)

    def _reap(self) -> None:
        """Report the workers that have ended to the coordinator."""
        has_failed = False
        while (ended := _next_ended()) is not None:
            process_id, code = ended
            worker = self._workers.pop(process_id, None)
            if worker is None:
                continue
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.channel)
            log_errno = 0
            if worker.output is not None:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(worker.output)
                log_errno = worker.output.finish()
            _report(worker.channel, ENDED.pack(code, log_errno))
            worker.channel.close()
            has_failed = has_failed or code != 0
        if has_failed:
            self._clean_up()


def descendants(process_id: int) -> Iterator[int]:
    """The process ids of all descendants of a process; empty on a system that does not list them."""
    for tasks in Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            for child in map(int, tasks.read_text().split()):
                yield child
                yield from descendants(child)


def _next_ended() -> tuple[int, int] | None:
    """Reap a child that has ended, and kill the rest of its group.

    Returns:
        Its process id and its exit code, which is negative if a signal ended it; None if no child has ended.
    """
    try:
        if hasattr(os, "waitid"):
            # Kill the group before the child is reaped: until then its id cannot belong to another group.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            _kill_group(ended.si_pid)
            process_id, status = os.waitpid(ended.si_pid, 0)
        else:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if not process_id:
                return None
            _kill_group(process_id)
    except ChildProcessError:
        return None
    return process_id, os.waitstatus_to_exitcode(status)


def _kill_group(process_id: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, signal.SIGKILL)


def _report(channel: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # the coordinator has ended
        channel.send(message)


def _on_child_ended(number: int, frame: object) -> None:
    """Handle SIGCHLD: the handler does nothing, but Python writes into the wake-up pipe, which ends the wait."""
