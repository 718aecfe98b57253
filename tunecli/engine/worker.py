"""What a worker process does: take orders from a pipe, train, send events back; end with its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import SimpleQueue

from tunecli.engine.wire import pack_event, pack_failure_of_ours, unpack_jobs
from tunecli.errors import DiskFull, StoreFailed
from tunecli.store.lock import share
from tunecli.train.accelerators import VISIBLE
from tunecli.train.trials import run_together
from tunecli.trial import Job

STOP = b"stop"
"""The order to stop the job under way where its epoch ends; every other message is jobs."""


def serve(pipe: Connection, workers_lock: Path | None = None, visible: str = "") -> None:
    """Run jobs from ``pipe`` until it closes.

    What a disk refuses is no fault of the trial: it is sent as what it is, for the coordinator to stop in order.

    Args:
        pipe: both ways.
        workers_lock: a file to hold a shared lock of, so that a study is not resumed while this process lives.
        visible: what CUDA_VISIBLE_DEVICES is to be; empty: as it is.
    """
    if visible:
        os.environ[VISIBLE] = (
            visible  # CUDA reads it once, when it is initialised, and nothing has done that yet
        )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if workers_lock is not None:
        with contextlib.suppress(OSError):  # a file system without locks has none to hold
            share(workers_lock)
    with contextlib.suppress(OSError):  # where stderr is closed
        os.dup2(2, 1)  # stdout is data, and the user's own code may print
    orders = _Orders(pipe)
    while (jobs := orders.next_jobs()) is not None:
        try:
            for event in run_together(jobs, orders.is_stop_wanted.is_set):
                pipe.send_bytes(pack_event(event))
        except (DiskFull, StoreFailed) as error:
            pipe.send_bytes(pack_failure_of_ours(error))
        except BrokenPipeError:
            return


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


def _end_with_parent() -> None:
    """A daemon child outlives a parent that is killed; the parent's sentinel tells in any case."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
