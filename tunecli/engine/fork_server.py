"""The server that workers are forked from, as its own process sees it: it loads modules, forks, ends what it forked.

A worker leads a process group of its own. When it dies, what its trial left in that group dies with it; when its
coordinator dies or asks for it, the worker is killed with all that it started. Knows nothing of trials.
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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

ONE_JOB = b"o"
MANY_JOBS = b"m"
"""A request is one of these, with two descriptors: the worker's pipe, and the channel that tells of its life."""
KILL = b"k"
"""What the coordinator writes into that channel to have the worker killed; closing it does the same."""
NUMBER = struct.Struct("q")
"""What the server writes into it: the worker's process id, and later its exit code."""

_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER of Linux's prctl
_IS_LINUX = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class _Forked:
    channel: socket.socket
    has_one_job: bool


def main(torch: str, forgotten: str) -> None:
    """Serve until the coordinator has gone and so have all workers; stdin is the socket that requests come from.

    Args:
        torch: whether to import torch before the first worker is forked; empty: no.
        forgotten: a variable that was set for this process alone, and that no program of a trial's is to inherit;
            or nothing.
    """
    os.environ.pop(forgotten, None)
    sys.argv = ["tunecli"]
    requests = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _preload(has_torch=bool(torch))
    for finalizer in [*weakref.finalize._registry]:  # type: ignore[attr-defined]
        finalizer.atexit = (
            False  # torch has a hundred, which take 30 ms and have nothing to tidy after a process's end
        )
    from tunecli.engine.worker import serve
    from tunecli.train.user_code.trial_files import remove_stale

    _Server(requests, serve, remove_stale).run()


def _preload(*, has_torch: bool) -> None:
    """Import what trials load, for the workers that are forked.

    With torch it is all that training loads, and torch's library is loaded by a thread of its own meanwhile; else what
    trials load that are wholly the user's own.
    """
    if not has_torch:
        with _out_of_sight():
            import tunecli.engine.worker
            import tunecli.train.user_code.command
            import tunecli.train.user_code.function
            from tunecli.config.schema import CommandTrial

            _prepare(CommandTrial)
        return
    loading = threading.Thread(target=_load_library)
    loading.start()
    with _out_of_sight():
        try:
            import tunecli.engine.worker
            import tunecli.train.fused.group
            import tunecli.train.loop
            import tunecli.train.user_code.function  # noqa: F401  # all are loaded for the workers that are forked
            from tunecli.config.schema import TrialConfig

            _prepare(TrialConfig)
        finally:
            loading.join()  # a process with other threads is none to fork


def _prepare(model: type[BaseModel]) -> None:
    """Do what each worker would do by itself."""
    from tunecli.config.schema import FunctionTrial
    from tunecli.train.user_code.code import note_loaded

    model.model_rebuild()
    FunctionTrial.model_rebuild()
    note_loaded()


def _load_library() -> None:
    """Let the largest of torch's libraries be there when torch asks for it; where it cannot be, torch says why."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(Path(folder, "lib", "libtorch_cpu.so")))


@contextlib.contextmanager
def _out_of_sight() -> Iterator[None]:
    """A block that loads modules.

    The collector finds no garbage in them, and takes a sixth of the time. What was loaded is then kept out of its
    sight, so that no worker looks through it, which would also give each a copy of its own.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _Server:
    def __init__(
        self, requests: socket.socket, serve: Callable[[Connection], None], tidy: Callable[[], None]
    ) -> None:
        self._requests, self._serve, self._tidy = requests, serve, tidy
        self._workers: dict[int, _Forked] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._wakes = os.pipe()
        self._is_open = True
        self._libc = ctypes.CDLL(None) if _IS_LINUX else None

    def run(self) -> None:
        for end in (self._woken, self._wakes):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)
        self._selector.register(self._requests, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while self._is_open or self._workers:
            for key, _ in self._selector.select():
                if key.fileobj is self._requests:
                    self._answer()
                elif key.fileobj == self._woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                elif key.data in self._workers:
                    self._heed(key.data)
            self._reap()

    def _answer(self) -> None:
        try:
            kind, received, _, _ = socket.recv_fds(self._requests, 1, 2)
        except OSError:
            kind, received = b"", []
        if not kind:
            self._selector.unregister(self._requests)
            self._requests.close()
            self._is_open = False
            return
        pipe, channel = received
        try:
            number = os.fork()
        except OSError:
            traceback.print_exc()
            os.close(pipe)
            os.close(channel)  # which tells that there is no worker
            return
        if number == 0:
            self._be_worker(Connection(pipe), channel)
        os.close(pipe)
        with contextlib.suppress(OSError):  # the worker calls it too, and one of them is first
            os.setpgid(number, number)
        forked = _Forked(socket.socket(fileno=channel), kind == ONE_JOB)
        self._workers[number] = forked
        self._selector.register(forked.channel, selectors.EVENT_READ, data=number)
        _tell(forked.channel, number)

    def _be_worker(self, pipe: Connection, channel: int) -> None:
        code = 1
        try:
            server = os.getppid()
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if self._libc is not None:
                self._libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
                self._libc.prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
                if os.getppid() != server:  # it died before the first of these
                    os._exit(1)
            self._selector.close()
            self._requests.close()
            for worker in self._workers.values():
                worker.channel.close()
            for descriptor in (channel, self._woken, self._wakes):
                os.close(descriptor)
            self._workers.clear()
            self._serve(pipe)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(code)

    def _heed(self, number: int) -> None:
        """The coordinator asks for a worker's end, or is no more."""
        forked = self._workers[number]
        try:
            message = forked.channel.recv(64)
        except OSError:
            message = b""
        if not message:
            self._selector.unregister(forked.channel)
        self._kill(number)

    def _kill(self, number: int) -> None:
        others = [*descendants(number)] if self._workers[number].has_one_job else []
        _end_group(number)
        for other in others:  # that left the group
            with contextlib.suppress(OSError):
                os.kill(other, signal.SIGKILL)

    def _reap(self) -> None:
        is_tidy = True
        while (ended := _next_ended()) is not None:
            number, code = ended
            forked = self._workers.pop(number, None)
            if forked is None:
                continue
            with contextlib.suppress(KeyError):
                self._selector.unregister(forked.channel)
            _tell(forked.channel, code)
            forked.channel.close()
            is_tidy = is_tidy and code == 0
        if not is_tidy:
            self._tidy()


def descendants(number: int) -> Iterator[int]:
    """All descendants of a process; none on a system that does not list them."""
    for tasks in Path(f"/proc/{number}/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            for child in map(int, tasks.read_text().split()):
                yield child
                yield from descendants(child)


def _next_ended() -> tuple[int, int] | None:
    """A child that has ended, and its exit code, negative where a signal ended it; its group is no more."""
    try:
        if hasattr(os, "waitid"):
            # before it is reaped, its number cannot be another group's
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return None
            _end_group(found.si_pid)
            number, status = os.waitpid(found.si_pid, 0)
        else:
            number, status = os.waitpid(-1, os.WNOHANG)
            if not number:
                return None
            _end_group(number)
    except ChildProcessError:
        return None
    return number, os.waitstatus_to_exitcode(status)


def _end_group(number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)


def _tell(channel: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the coordinator has gone
        channel.send(NUMBER.pack(number))


def _noted(number: int, frame: object) -> None:
    """A handler for SIGCHLD: Python writes into the wake-up pipe, which ends the server's wait."""
