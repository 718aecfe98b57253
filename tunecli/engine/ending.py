"""How a process ends that ran a trial of the user's own code: as a program does, and with all that it started.

How long its threads and its `atexit` handlers may take is the engine's to bound, which kills what does not end.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

from tunecli.engine.forking import descendants

_CHILDREN_S = 2.0
_LOOK_S = 0.001


def end_as_a_program() -> None:
    """Wait for the threads that a program waits for, run the `atexit` handlers, write out what was printed.

    Then no process that the trial started runs any more, as far as the system tells of them.
    """
    for ending in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        with contextlib.suppress(BaseException):  # the trial has ended; what fails here is on stderr
            ending()
    flush()
    _end_children()


def flush() -> None:
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
