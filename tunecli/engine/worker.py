"""What a worker process does: take jobs from a pipe, train them, send events back; end with its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection, wait

from tunecli.engine.wire import pack_event, unpack_job


def serve(pipe: Connection) -> None:
    """Run jobs from ``pipe`` until it closes.

    The terminal's Ctrl-C reaches the whole process group; what to do about it is the coordinator's to decide,
    so a worker does not hear it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from tunecli.train.loop import run  # here, so that the coordinator can name this function without torch

    while True:
        try:
            job = unpack_job(pipe.recv_bytes())
        except EOFError:
            return
        try:
            for event in run(job):
                pipe.send_bytes(pack_event(event))
        except BrokenPipeError:
            return


def _end_with_parent() -> None:
    """A daemon child outlives a parent that is killed; the parent's sentinel tells in any case."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
