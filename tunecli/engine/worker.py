"""The worker process: it reads its setup and its jobs from a pipe, trains, and sends events back.

A single-use worker runs one job with the user's own code, as a program would run it: in the main thread of a process
that starts no other thread, and that ends after the job. All other workers live for the whole sweep. They run the
user's own code only where the study does not keep its trials apart.
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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import FrameType, ModuleType

from tunecli.engine.fork_server import descendants
from tunecli.engine.template import replay_output
from tunecli.engine.wire import pack_event, pack_storage_error, unpack_jobs
from tunecli.engine.worker_output import WorkerOutput, print_to_log
from tunecli.errors import DiskFull, StoreFailed
from tunecli.messages import Event, Job, Order
from tunecli.store.lock import share_workers_lock
from tunecli.train.trials import run_here, run_shared, uses_user_code
from tunecli.train.user_code.printed import PrintedOutput
from tunecli.train.user_code.trial_log import log_file

STOP, FINISH = b"stop", b"finish"
"""The messages that ask the running job to stop or to finish at its epoch's end, see `Order`. The first message is the
setup, all others are jobs."""
_ORDERS = {STOP: Order.STOP, FINISH: Order.FINISH}
_HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KILL_CHILDREN_S = 2.0  # the longest time to kill the programs of a trial
_POLL_S = 0.001
_OOM_SCORE = b"500"  # of 1000: if memory runs out, the kernel should kill a trial and not the coordinator


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """The first message to a worker.

    Attributes:
        workers_lock: the file of which it holds a shared lock while it lives, so that the study cannot be resumed
            until then; empty: none.
        visible: the variables that choose the accelerators that it sees, with their values.
        folder: the working folder; empty: unchanged.
        environment: all environment variables; None: unchanged.
    """

    workers_lock: str = ""
    visible: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    environment: dict[str, str] | None = None

    def packed(self) -> bytes:
        """The setup as JSON."""
        return json.dumps(asdict(self)).encode()


def serve(pipe: Connection, output: WorkerOutput | None) -> None:
    """Run the jobs from the pipe until it closes; a single-use worker, which has an ``output``, runs one job.

    If the disk fails, the worker sends that instead of an event: it is not the trial's fault, and it ends the sweep.
    """
    try:
        setup = WorkerSetup(**json.loads(pipe.recv_bytes()))
    except (EOFError, OSError):
        return
    _apply(setup)
    if output is not None:
        _serve_once(pipe, output)
        return
    orders, is_prepared = _Orders(pipe), False
    while (jobs := orders.next_jobs()) is not None:
        if not is_prepared and not all(job.execution.is_isolated for job in jobs):
            _ignore_signals()
            is_prepared = True
        try:
            with _printed_logged(jobs):
                run_shared(jobs, orders.order, lambda event: pipe.send_bytes(pack_event(event)))
        except (DiskFull, StoreFailed) as error:
            pipe.send_bytes(pack_storage_error(error))
        except BrokenPipeError:
            return


@contextlib.contextmanager
def _printed_logged(jobs: Sequence[Job]) -> Iterator[None]:
    """A block that logs the output of the user's Python code; a command has a log of its own."""
    if not uses_user_code(jobs[0]):
        yield
        return
    printed = PrintedOutput(log_file(jobs[0]), is_shown=False)
    try:
        with printed.logged():
            yield
    finally:
        printed.close()


def _apply(setup: WorkerSetup) -> None:
    if setup.environment is not None:
        os.environ.clear()
        os.environ.update(setup.environment)
    # CUDA reads its variable once, at its initialisation, which has not happened yet.
    os.environ.update(setup.visible)
    if setup.folder:
        with contextlib.suppress(OSError):
            os.chdir(setup.folder)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    if setup.workers_lock:
        with contextlib.suppress(OSError):  # the file system may have no locks
            _close_in_children(share_workers_lock(Path(setup.workers_lock)))
    with contextlib.suppress(OSError):  # stderr may be closed
        os.dup2(2, 1)  # stdout is data, and the user's code may print
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # any stream


def _close_in_children(descriptor: int) -> None:
    """Close a descriptor in every process that is forked from this one, so that none of them keeps a lock."""
    to_close = [descriptor]

    def close() -> None:
        while to_close:  # only once, in a child of a child too: its number may belong to another file by then
            os.close(to_close.pop())

    os.register_at_fork(after_in_child=close)


def _serve_once(pipe: Connection, output: WorkerOutput) -> None:
    """Run one job in this thread, then end the process and all programs that the job started.

    Args:
        pipe: jobs and orders come from it.
        output: the pipe for the trial's log, and the file that names the log.
    """
    try:
        jobs = unpack_jobs(pipe.recv_bytes())
    except (EOFError, OSError):
        return
    print_to_log(output, log_file(jobs[0]))
    _ignore_signals()
    sys.modules["__main__"] = ModuleType("__main__")
    replay_output()
    is_stop_wanted, worker_id = _StopOrder(pipe), os.getpid()

    def send(event: Event) -> None:
        if os.getpid() != worker_id:  # the trial forked, and its child goes on as if it were the trial
            os._exit(0)
        pipe.send_bytes(pack_event(event))

    try:
        if len(jobs) == 1:
            run_here(jobs[0], is_stop_wanted, send)
        else:
            run_shared(jobs, is_stop_wanted, send)
    except (DiskFull, StoreFailed) as error:
        pipe.send_bytes(pack_storage_error(error))
    except BrokenPipeError:
        return
    _exit_like_a_program()


def _exit_like_a_program() -> None:
    """Do what Python does at a program's end: join threads, run `atexit` handlers, flush; then kill its children.

    The engine limits how long this may take, and kills a worker that does not end.
    """
    for ending in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]  # private
        with contextlib.suppress(BaseException):  # the trial has ended already; the error is on stderr
            ending()
    _flush()
    _kill_children()


def _flush() -> None:
    """Flush the buffers of Python and of the C library."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def _kill_children() -> None:
    """Kill all descendants of this process, as far as the system lists them."""
    if _has_no_child():
        return
    until = time.monotonic() + _KILL_CHILDREN_S
    while (living := [*descendants(os.getpid())]) and time.monotonic() < until:
        for process_id in living:
            with contextlib.suppress(OSError):
                os.kill(process_id, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_POLL_S)


def _has_no_child() -> bool:
    """Whether nothing that the trial started still runs. On Linux this process adopts the orphans of its children."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _ignore_signals() -> None:
    """Ignore the signals of a terminal or a batch system in this process, but not in programs that it starts.

    The signals get a handler. If they were blocked, every program that the trial starts would inherit the block.
    """
    for number in _HANDLED_SIGNALS:
        signal.signal(number, _ignored)
    with contextlib.suppress(AttributeError):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # the process group is in the background, and may print
    masks: dict[int, set[signal.Signals]] = {}  # by thread

    def block() -> None:  # a signal must not reach the child before its handlers are restored
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED_SIGNALS)
        masks[threading.get_ident()] = blocked  # type: ignore[assignment]  # all are Signals

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop(threading.get_ident()))

    def restore_handlers() -> None:
        for number in _HANDLED_SIGNALS:
            if signal.getsignal(number) is _ignored:
                signal.signal(
                    number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                )
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=restore_handlers)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED_SIGNALS)


def _ignored(number: int, frame: FrameType | None) -> None:
    """Do nothing: the coordinator gets the signal too, and decides."""


class _StopOrder:
    """The coordinator's order to the only job. It reads the pipe itself, so it needs no thread."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._order = pipe, Order.GO_ON

    def __call__(self) -> Order:
        if not self._order and self._pipe.poll():
            try:
                self._order = _ORDERS.get(self._pipe.recv_bytes(), Order.GO_ON)
            except (EOFError, OSError):  # the coordinator has ended
                os._exit(1)
        return self._order


class _Orders:
    """The coordinator's messages. A thread reads them, so that an order reaches a running job."""

    def __init__(self, pipe: Connection) -> None:
        self._order = Order.GO_ON
        self._jobs: SimpleQueue[list[Job] | None] = SimpleQueue()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def order(self) -> Order:
        """The coordinator's order to the running job."""
        return self._order

    def next_jobs(self) -> list[Job] | None:
        """Wait for a job, or for jobs to train together; None once the pipe has closed."""
        return self._jobs.get()

    def _read(self, pipe: Connection) -> None:
        try:
            while True:
                message = pipe.recv_bytes()
                if message in _ORDERS:
                    self._order = self._order or _ORDERS[message]
                    continue
                self._order = Order.GO_ON
                self._jobs.put(unpack_jobs(message))
        except (EOFError, OSError):
            self._jobs.put(None)
