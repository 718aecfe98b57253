"""An agent's uploads to a storage, in threads of their own: a slow one delays the events of its trial alone.

The events of a trial keep their order: those after a checkpoint wait until it is in the storage. If uploads are slower
than the trial writes checkpoints, those that a newer one has overtaken are never sent, so nothing piles up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tunecli.engine.cluster.node_files import NodeFiles
from tunecli.engine.cluster.outbox import Content
from tunecli.engine.cluster.wire import Item
from tunecli.messages import Checkpointed, EpochEnded, Event, Started

N_UPLOADS = 8
"""Number of uploads at a time."""


class Sender:
    """Turns events into items with their files in the storage, several trials at a time."""

    def __init__(
        self,
        files: NodeFiles,
        add: Callable[[Sequence[tuple[Item, Sequence[Content]]]], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """Begin without an event.

        Args:
            files: the files of the node.
            add: takes the items of a trial, in their order.
            fail: takes an error of our own code.
        """
        self._files, self._add, self._fail = files, add, fail
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[Event]] = {}  # of each trial with an upload under way
        self._pool = ThreadPoolExecutor(N_UPLOADS, thread_name_prefix="tunecli-upload")

    def send(self, event: Event) -> None:
        """Send an event when those of its trial before it are sent."""
        with self._lock:
            if (waiting := self._waiting.get(event.number)) is not None:
                waiting.append(event)
                return
            is_alone = isinstance(event, Started | EpochEnded)
            if not is_alone:
                self._waiting[event.number] = deque([event])
        if is_alone:  # it has no file
            self._add([self._files.item(event)])
            return
        with suppress(RuntimeError):  # it is closed
            self._pool.submit(self._send_all, event.number)

    def close(self, *, is_waiting: bool) -> None:
        """Send nothing any more.

        Args:
            is_waiting: wait for the uploads under way, so that none ends after this.
        """
        self._pool.shutdown(wait=is_waiting, cancel_futures=True)

    def _send_all(self, number: int) -> None:
        try:
            while (event := self._next(number)) is not None:
                self._add([self._files.item(event)])
        except Exception as error:
            self._fail(error)

    def _next(self, number: int) -> Event | None:
        """The next event of a trial; None: there is none, and a later one begins anew."""
        with self._lock:
            waiting = self._waiting[number]
            while waiting:
                event = waiting.popleft()
                if isinstance(event, Checkpointed) and any(isinstance(one, Checkpointed) for one in waiting):
                    self._files.discard(event)
                    continue
                return event
            del self._waiting[number]
            return None
