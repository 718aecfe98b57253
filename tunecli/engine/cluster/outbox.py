"""The events that an agent has for its engine, kept in numbered batches until the engine acknowledges them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from tunecli.engine.cluster.wire import Batch, Item
from tunecli.messages import EpochEnded, Started

_LINGER_S = 0.02
"""How long a start or an epoch's end waits for company. An end waits for nothing: its slot is idle."""
_MOST_BLOB_BYTES = 64 << 20  # of one batch with several items


class Outbox:
    """The items of an agent. One thread adds them, others take them."""

    def __init__(self) -> None:
        """Begin without an item."""
        self._changed = threading.Condition()
        self._items: deque[tuple[Item, Sequence[bytes]]] = deque()
        self._is_urgent = False
        self._since_s = 0.0
        self._sent: tuple[Batch, Sequence[bytes]] | None = None
        self._n_batches = self._turn = 0
        self._problem = ""
        self._error: BaseException | None = None

    def add(self, items: Sequence[tuple[Item, Sequence[bytes]]]) -> None:
        """Add items, each with the blobs of its files."""
        if not items:
            return
        with self._changed:
            if not self._items:
                self._since_s = time.monotonic()
            self._items.extend(items)
            self._is_urgent = self._is_urgent or not all(
                isinstance(item.event, Started | EpochEnded) for item, _ in items
            )
            self._changed.notify_all()

    def report(self, problem: str) -> None:
        """Tell the engine why the agent cannot go on, with the next batch and all later ones."""
        with self._changed:
            self._problem = self._problem or problem
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Raise an error in every call of `take` from now on; the first one stays."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def take(self, acknowledged: int, wait_s: float) -> tuple[Batch, Sequence[bytes]]:
        """Return the next batch; the same one again until it is acknowledged.

        Only the latest caller gets one: a caller whose reply was lost may still wait, and gets an empty batch.

        Args:
            acknowledged: the number of the last batch that arrived.
            wait_s: how long to wait for an item.

        Returns:
            The batch, and the blobs of its files.
        """
        until_s = time.monotonic() + wait_s
        with self._changed:
            self._turn += 1
            turn = self._turn
            self._changed.notify_all()
            if self._sent is not None and self._sent[0].number <= acknowledged:
                self._sent = None
            while True:
                if self._error is not None:
                    raise self._error
                if turn != self._turn:
                    return Batch(), ()
                if self._sent is not None:
                    return self._sent
                now_s = time.monotonic()
                left_s = until_s - now_s
                if self._items and not self._is_urgent and not self._problem:
                    left_s = min(left_s, self._since_s + _LINGER_S - now_s)
                if self._is_urgent or self._problem or left_s <= 0.0:
                    return self._next()
                self._changed.wait(left_s)

    def _next(self) -> tuple[Batch, Sequence[bytes]]:
        if not self._items:
            return Batch(problem=self._problem), ()
        items: list[Item] = []
        blobs: list[bytes] = []
        n_bytes = 0
        while self._items and (not items or n_bytes + sum(map(len, self._items[0][1])) <= _MOST_BLOB_BYTES):
            item, own = self._items.popleft()
            items.append(item)
            blobs.extend(own)
            n_bytes += sum(map(len, own))
        self._is_urgent = bool(self._items)
        self._n_batches += 1
        self._sent = Batch(self._n_batches, items, self._problem), blobs
        return self._sent
