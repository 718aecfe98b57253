"""What a worker process does: take jobs from a pipe, train them, send events back; end with its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection, wait

from tunecli.engine.wire import pack_disk_full, pack_event, unpack_job
from tunecli.errors import DiskFull
from tunecli.train.trials import run


def serve(pipe: Connection) -> None:
    """Run jobs from ``pipe`` until it closes.

    A full disk is no fault of the trial: it is sent as what it is, for the coordinator to stop in order.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):  # where stderr is closed
        os.dup2(2, 1)  # stdout is data, and the user's own code may print
    while True:
        try:
            job = unpack_job(pipe.recv_bytes())
        except EOFError:
            return
        try:
            for event in run(job):
                pipe.send_bytes(pack_event(event))
        except DiskFull as error:
            pipe.send_bytes(pack_disk_full(error))
        except BrokenPipeError:
            return


def _end_with_parent() -> None:
    """A daemon child outlives a parent that is killed; the parent's sentinel tells in any case."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
