"""The events that an agent has for its engine, kept in numbered batches until the engine acknowledges them.

A checkpoint waits on the node's disk, and is removed if a later one of its trial overtakes it before it was sent. So
the memory of an agent does not grow while the coordinator computes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tunecli.engine.cluster.wire import Batch, Item
from tunecli.messages import Checkpointed, EpochEnded, Started

_LINGER_S = 0.02
"""How long a start or an epoch's end waits for company. An end waits for nothing: its slot is idle."""
_MOST_BLOB_BYTES = 64 << 20  # of one batch with several items


Content = bytes | Path
"""A blob, or a file that holds it until it has arrived; the file belongs to the outbox."""


@dataclass(eq=False, slots=True)
class _Entry:
    """An item that waits, with the contents of its files; one that was overtaken is not sent."""

    item: Item
    contents: Sequence[Content]
    is_overtaken: bool = False

    @property
    def n_bytes(self) -> int:
        return sum(map(_n_bytes, self.contents))


class Outbox:
    """The items of an agent. One thread adds them, others take them."""

    def __init__(self) -> None:
        """Begin without an item."""
        self._changed = threading.Condition()
        self._items: deque[_Entry] = deque()
        self._checkpoints: dict[int, _Entry] = {}  # the last one of each trial that waits
        self._is_urgent = False
        self._since_s = 0.0
        self._sent: tuple[Batch, Sequence[Content]] | None = None
        self._n_batches = self._turn = 0
        self._problem = ""
        self._error: BaseException | None = None

    def add(self, items: Sequence[tuple[Item, Sequence[Content]]]) -> None:
        """Add items, each with the contents of its files."""
        if not items:
            return
        with self._changed:
            if not self._items:
                self._since_s = time.monotonic()
            for item, contents in items:
                entry = _Entry(item, contents)
                self._items.append(entry)
                self._overtake(entry)
            self._is_urgent = self._is_urgent or not all(
                item.event is None or isinstance(item.event, Started | EpochEnded) for item, _ in items
            )
            self._changed.notify_all()

    def _overtake(self, entry: _Entry) -> None:
        """Drop a checkpoint that waits if this is a later one of its trial."""
        if not isinstance(entry.item.event, Checkpointed):
            return
        number = entry.item.event.number
        if (earlier := self._checkpoints.get(number)) is not None:
            earlier.is_overtaken = True
            _remove(earlier.contents)
        self._checkpoints[number] = entry

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
                _remove(self._sent[1])
                self._sent = None
            while True:
                if self._error is not None:
                    raise self._error
                if turn != self._turn:
                    return Batch(), ()
                if self._sent is not None:
                    return self._sent[0], [*map(_read, self._sent[1])]
                now_s = time.monotonic()
                left_s = until_s - now_s
                if self._items and not self._is_urgent and not self._problem:
                    left_s = min(left_s, self._since_s + _LINGER_S - now_s)
                if self._is_urgent or self._problem or left_s <= 0.0:
                    return self._next()
                self._changed.wait(left_s)

    def _next(self) -> tuple[Batch, Sequence[bytes]]:
        items: list[Item] = []
        contents: list[Content] = []
        n_bytes = 0
        while self._items and (not items or n_bytes + self._items[0].n_bytes <= _MOST_BLOB_BYTES):
            entry = self._items.popleft()
            if entry.is_overtaken:
                continue
            if isinstance(entry.item.event, Checkpointed):
                self._checkpoints.pop(entry.item.event.number, None)
            items.append(entry.item)
            contents.extend(entry.contents)
            n_bytes += entry.n_bytes
        if not items:
            return Batch(problem=self._problem), ()
        self._is_urgent = bool(self._items)
        self._n_batches += 1
        self._sent = Batch(self._n_batches, items, self._problem), contents
        return self._sent[0], [*map(_read, contents)]


def _n_bytes(content: Content) -> int:
    if isinstance(content, bytes):
        return len(content)
    try:
        return content.stat().st_size
    except OSError:
        return 0


def _read(content: Content) -> bytes:
    """The blob; an empty one if its file is gone, which the receiver takes for a damaged one."""
    if isinstance(content, bytes):
        return content
    try:
        return content.read_bytes()
    except OSError:
        return b""


def _remove(contents: Sequence[Content]) -> None:
    for content in contents:
        if isinstance(content, Path):
            with suppress(OSError):
                content.unlink()
