"""What a worker process does: take its terms and its jobs from a pipe, train, send events back.

One that runs the user's own code has one job, and runs it as a program of theirs would run: in the main thread of a
process that has no other, and that ends after it. All others live for the whole sweep.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import FrameType, ModuleType

from tunecli.engine.fork_server import descendants
from tunecli.engine.wire import pack_event, pack_failure_of_ours, unpack_jobs
from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Event, Job
from tunecli.store.lock import share
from tunecli.train.machine import VISIBLE
from tunecli.train.trials import run_here, run_together

STOP = b"stop"
"""The order to stop the job under way where its epoch ends; every other message but the first is jobs."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHILDREN_S = 2.0
_LOOK_S = 0.001
_EASIER_TO_KILL = b"500"  # of 1000: where memory runs out, the kernel should end a trial and not the sweep


@dataclass(frozen=True, slots=True)
class Terms:
    """The first message to a worker.

    Attributes:
        has_one_job: whether it ends with its first job.
        workers_lock: a file to hold a shared lock of, so that a study is not resumed while this process lives; empty:
            none.
        visible: the value of CUDA_VISIBLE_DEVICES; empty: unchanged.
        folder: the working folder; empty: unchanged.
        environment: all variables; None: unchanged.
    """

    has_one_job: bool
    workers_lock: str = ""
    visible: str = ""
    folder: str = ""
    environment: dict[str, str] | None = None

    def packed(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()


def serve(pipe: Connection) -> None:
    """Run the jobs that the pipe sends until it closes, or until the only job has ended.

    A disk's refusal is not the trial's fault: it is sent as such, and the coordinator stops in order.
    """
    try:
        terms = Terms(**json.loads(pipe.recv_bytes()))
    except (EOFError, OSError):
        return
    _settle(terms)
    if terms.has_one_job:
        _serve_once(pipe)
        return
    orders = _Orders(pipe)
    while (jobs := orders.next_jobs()) is not None:
        try:
            _run(jobs, orders.is_stop_wanted.is_set, lambda event: pipe.send_bytes(pack_event(event)))
        except (DiskFull, StoreFailed) as error:
            pipe.send_bytes(pack_failure_of_ours(error))
        except BrokenPipeError:
            return


def _settle(terms: Terms) -> None:
    if terms.environment is not None:
        os.environ.clear()
        os.environ.update(terms.environment)
    if terms.visible:
        # CUDA reads it once, when it is initialised, and nothing has done that yet
        os.environ[VISIBLE] = terms.visible
    if terms.folder:
        with contextlib.suppress(OSError):
            os.chdir(terms.folder)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_EASIER_TO_KILL)
    if terms.workers_lock:
        with contextlib.suppress(OSError):  # a file system without locks has none to hold
            _not_inherited(share(Path(terms.workers_lock)))
    with contextlib.suppress(OSError):  # where stderr is closed
        os.dup2(2, 1)  # stdout is data, and the user's own code may print
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _not_inherited(descriptor: int) -> None:
    """Let no process that is forked from this one keep a lock."""
    held = [descriptor]

    def let_go() -> None:
        while held:  # once: later the number may be another file's
            os.close(held.pop())

    os.register_at_fork(after_in_child=let_go)


def _run(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool], send: Callable[[Event], None]) -> None:
    for event in run_together(jobs, is_stop_wanted):
        send(event)


def _serve_once(pipe: Connection) -> None:
    """Run one job in this thread; the process starts no other, and ends with all that the job started."""
    try:
        jobs = unpack_jobs(pipe.recv_bytes())
    except (EOFError, OSError):
        return
    _hear_no_stop()
    sys.modules["__main__"] = ModuleType("__main__")
    stopping, ours = _StopOrder(pipe), os.getpid()

    def send(event: Event) -> None:
        if os.getpid() != ours:  # a child that the trial forked, and that went on as if it were the trial
            os._exit(0)
        pipe.send_bytes(pack_event(event))

    try:
        if len(jobs) == 1:
            run_here(jobs[0], stopping, send)
        else:
            _run(jobs, stopping, send)
    except (DiskFull, StoreFailed) as error:
        pipe.send_bytes(pack_failure_of_ours(error))
    except BrokenPipeError:
        return
    _end_as_a_program()


def _end_as_a_program() -> None:
    """Wait for the threads that a program waits for, run the `atexit` handlers, write out what was printed.

    Then no process that the trial started runs any more, as far as the system tells of them.
    """
    for ending in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        with contextlib.suppress(BaseException):  # the trial has ended; what fails here is on stderr
            ending()
    _flush()
    _end_children()


def _flush() -> None:
    """Flush the buffers of Python and of the C library."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def _end_children() -> None:
    if _has_no_child():
        return
    until = time.monotonic() + _CHILDREN_S
    while (living := [*descendants(os.getpid())]) and time.monotonic() < until:
        for number in living:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # none of them is ours any more
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_LOOK_S)


def _has_no_child() -> bool:
    """Whether nothing that the trial started is left: this process adopts what its children leave behind (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _hear_no_stop() -> None:
    """Ignore the signals of a terminal or a batch system here, but not in the programs that this process starts.

    They are handled and not blocked: every program that the trial starts would inherit a block.
    """
    for number in _SIGNALS:
        signal.signal(number, _unheard)
    with contextlib.suppress(AttributeError):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # its group is in the background, and it may print
    masks: dict[int, set[signal.Signals]] = {}  # by thread

    def hold_back() -> None:  # else a child might be sent one before it hears
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        masks[threading.get_ident()] = blocked  # type: ignore[assignment]

    def let_come() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop(threading.get_ident()))

    def hear_again() -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) is _unheard:
                signal.signal(
                    number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                )
        let_come()

    os.register_at_fork(before=hold_back, after_in_parent=let_come, after_in_child=hear_again)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _unheard(number: int, frame: FrameType | None) -> None:
    """The coordinator hears it too, and decides."""


class _StopOrder:
    """Whether the only job is to stop: asked of the pipe itself, so that no thread has to wait at it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._is_wanted = pipe, False

    def __call__(self) -> bool:
        if not self._is_wanted and self._pipe.poll():
            try:
                self._is_wanted = self._pipe.recv_bytes() == STOP
            except (EOFError, OSError):  # the coordinator is no more
                os._exit(1)
        return self._is_wanted


class _Orders:
    """What the coordinator sends, read by a thread, so that a job under way can be told to stop."""

    def __init__(self, pipe: Connection) -> None:
        self.is_stop_wanted = threading.Event()
        self._jobs: SimpleQueue[list[Job] | None] = SimpleQueue()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def next_jobs(self) -> list[Job] | None:
        """Wait for a job, or for several to be trained together; None where the pipe has closed."""
        return self._jobs.get()

    def _read(self, pipe: Connection) -> None:
        try:
            while True:
                message = pipe.recv_bytes()
                if message == STOP:
                    self.is_stop_wanted.set()
                    continue
                self.is_stop_wanted.clear()
                self._jobs.put(unpack_jobs(message))
        except (EOFError, OSError):
            self._jobs.put(None)
