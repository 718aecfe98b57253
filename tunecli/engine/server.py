"""The process that workers are forked from: it loads what training needs once, and meanwhile the study can be checked.

There is one a process. It is started from a mere guess of what the file asks for, too, before anything else is loaded:
so this module loads next to nothing, and a guess that was wrong is put right when the engine is made.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from typing import Any

_PRELOAD = "tunecli.engine.preloaded_own"
_PRELOAD_TORCH = "tunecli.engine.preloaded"
# The one of this process. Nothing public asks whether it runs, or ends it.
_SERVER: Any = forkserver._forkserver
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class _Guess:
    threads: int
    has_torch: bool


_guessed: _Guess | None = None
"""What the server was started with; None where there is none, or an engine has taken it."""


def start_server(threads: int, *, needs_torch: bool = True) -> ForkServerContext:
    """Start the server, if it does not run yet, or runs by a guess that was wrong.

    It is deaf to the signals that the coordinator answers, and its workers inherit that: a terminal's Ctrl-C or
    hang-up, and a batch system's TERM, reach the whole process group; what to do about them is the coordinator's to
    decide. Blocked and not ignored, so that none is lost to the coordinator.

    Args:
        threads: of each worker.
        needs_torch: whether trials do.
    """
    global _guessed
    context = multiprocessing.get_context("forkserver")
    if _guessed not in (None, _Guess(threads, needs_torch)):
        _stop()
    _guessed = None
    context.set_forkserver_preload([_PRELOAD_TORCH if needs_torch else _PRELOAD])
    resource_tracker.ensure_running()  # first, since starting it within would unblock the signals
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    ours = [variable for variable in _THREAD_VARIABLES if variable not in os.environ]
    try:
        for variable in ours:  # read once, when the server loads its libraries
            os.environ[variable] = str(threads)
        forkserver.ensure_running()
    finally:
        for variable in ours:
            del os.environ[variable]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def guess_server(threads: int, *, has_torch: bool) -> bool:
    """Start the server as a study will most likely want it.

    Args:
        threads: of each worker.
        has_torch: whether it loads torch.

    Returns:
        Whether it was started; False where there is one.
    """
    global _guessed
    if _is_running():
        return False
    start_server(threads, needs_torch=has_torch)
    _guessed = _Guess(threads, has_torch)
    return True


def give_up_guess() -> None:
    """End a server that was guessed and that no engine has taken: it would go on loading for seconds."""
    global _guessed
    if _guessed is not None:
        _stop()
    _guessed = None


def _is_running() -> bool:
    return _SERVER._forkserver_pid is not None


def _stop() -> None:
    os.kill(_SERVER._forkserver_pid, signal.SIGKILL)
    _SERVER._stop()
