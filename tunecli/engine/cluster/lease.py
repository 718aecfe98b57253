"""How long an agent may live: its own clock travels to the transport and back, so no late message prolongs its life.

A call that waits in the network for minutes would make an agent live on whose trials were given to others. The answer
to a beat is the agent's clock, and the next beat brings it back. That clock is older than the sending of the beat, so
an agent ends itself at most so many seconds after the last beat was sent to it, whenever it arrives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable


class Lease:
    """The time that an agent has. Its methods may be called from several threads."""

    def __init__(self, length_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with ``length_s`` seconds of a clock."""
        self._length_s, self._clock = length_s, clock
        self._since_s = clock()

    def begin(self) -> None:
        """Begin anew: the time until now does not count."""
        self._since_s = self._clock()

    def renew(self, message: bytes) -> bytes:
        """Prolong it by a beat, and return the answer.

        Args:
            message: the answer to an earlier beat; empty: this is the first one, which prolongs nothing.
        """
        now_s = self._clock()
        if message:
            self._since_s = min(now_s, max(self._since_s, float(json.loads(message))))
        return json.dumps(now_s).encode()

    @property
    def left_s(self) -> float:
        """The seconds that are left; below 0: it is over."""
        return self._since_s + self._length_s - self._clock()
