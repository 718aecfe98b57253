"""The cost of code as a ratio: times depend on the machine and on its other programs, ratios of them do not."""

from __future__ import annotations

import time
from collections.abc import Callable

N_TURNS = 40


def is_at_most(times: float, measured: Callable[[], object], yardstick: Callable[[], object]) -> bool:
    """Whether ``measured`` takes at most ``times`` the processor time of ``yardstick``.

    Both run in turns in this process, and the lowest time of each counts, because other programs share the caches. More
    turns can only lower both, so the first turn that gives the answer yes ends the comparison.
    """
    lowest_s = yardstick_s = float("inf")
    for _ in range(N_TURNS):
        yardstick_s = min(yardstick_s, _processor_s(yardstick))
        lowest_s = min(lowest_s, _processor_s(measured))
        if lowest_s <= times * yardstick_s:
            return True
    return False


def _processor_s(code: Callable[[], object]) -> float:
    began_s = time.process_time()
    code()
    return time.process_time() - began_s
