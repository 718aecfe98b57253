"""Actions that are due later, such as the repetition of a call that failed."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from itertools import count


class Agenda:
    """Actions with the times at which they are due; nothing happens by itself."""

    def __init__(self) -> None:
        """Begin without an action."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def add(self, wait_s: float, action: Callable[[], None]) -> None:
        """Add an action that is due in ``wait_s`` seconds."""
        heapq.heappush(self._due, (time.monotonic() + wait_s, next(self._numbers), action))

    def clear(self) -> None:
        """Forget all actions."""
        self._due.clear()

    def wait_s(self, most_s: float) -> float:
        """The seconds until the first action is due, at most ``most_s``."""
        return max(0.0, min(most_s, self._due[0][0] - time.monotonic())) if self._due else most_s

    def due(self) -> Iterator[Callable[[], None]]:
        """Yield the actions that are due, each once; an action may add others, or clear all."""
        while self._due and self._due[0][0] <= time.monotonic():
            yield heapq.heappop(self._due)[2]
