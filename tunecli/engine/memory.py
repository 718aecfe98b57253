"""The memory of a trial: the sum over its processes, and the failure of a trial that uses more than its limit.

Reads ``/proc``, so it measures memory on Linux only. Pages that several processes share, such as those
of a library or of data that were loaded before a fork, count once, in equal parts (the proportional set size of Linux).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from tunecli.engine.fork_server import descendants
from tunecli.messages import Ended, Job
from tunecli.text import shown_bytes
from tunecli.trial import Failure, FailureKind, Outcome, State

_PROC = Path("/proc")
_WATCH_S = 0.1
_COST_SHARE = (
    20.0  # pause after a measurement, as a multiple of its cost: measuring takes less than 5 % of the time
)


class MemoryLimit:
    """Watches a worker and the processes that it started, a few times a second."""

    def __init__(self, jobs: Sequence[Job], clock: Callable[[], float] = time.monotonic) -> None:
        """Watch the worker of ``jobs``. Jobs that are trained together share the sum of their limits."""
        limits = [job.limits.memory_bytes for job in jobs]
        self.limit_bytes = sum(n for n in limits if n is not None) if None not in limits else 0
        self._clock, self._next_s = clock, 0.0

    def excess(self, process_id: int) -> int:
        """The bytes that the worker uses, if they exceed the limit; else 0, also between two looks."""
        began_s = self._clock()
        if not self.limit_bytes or not process_id or began_s < self._next_s:
            return 0
        used_bytes = used_by([process_id, *descendants(process_id)], self.limit_bytes)
        ended_s = self._clock()
        self._next_s = ended_s + max(_WATCH_S, _COST_SHARE * (ended_s - began_s))
        return used_bytes if used_bytes > self.limit_bytes else 0


def exceeded(job: Job, used_bytes: int, seconds: float, device: str) -> Ended:
    """The end of a job whose processes used ``used_bytes``, more than its limit."""
    limit = shown_bytes(job.limits.memory_bytes or 0)
    cause = f"it used {shown_bytes(used_bytes)} of memory, more than run.trial_limit.memory, {limit}"
    failure = Failure(FailureKind.OOM, cause)
    outcome = Outcome(State.FAILED, seconds=seconds, device=device, failure=failure)
    return Ended(job.number, job.attempt, outcome)


def used_by(process_ids: Iterable[int], limit_bytes: int, proc: Path = _PROC) -> int:
    """Bytes of main memory that some processes use together; 0 on a system without ``proc``.

    Args:
        process_ids: the processes; those that have ended use nothing.
        limit_bytes: the limit of interest. The sum of the resident sizes is cheap to read, and is an upper bound.
            Only if it exceeds the limit, shared pages are counted in parts.
        proc: the folder where Linux shows its processes.
    """
    folders = [proc / str(process_id) for process_id in process_ids]
    resident_bytes = sum(_field_bytes(folder / "status", "VmRSS:") for folder in folders)
    if resident_bytes <= limit_bytes:
        return resident_bytes
    return sum(_field_bytes(folder / "smaps_rollup", "Pss:") for folder in folders)


def _field_bytes(path: Path, name: str) -> int:
    with suppress(OSError, ValueError, IndexError):  # the process has ended
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0
