"""The jobs that wait for a worker, and the group that is trained next.

A sweep on 1,000 workers keeps thousands of jobs waiting. So taking a group costs as much as the group is large, and
does not depend on how many jobs wait. Knows no torch: the signature says which trials can share a model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tunecli.messages import Job
from tunecli.train.fused.signature import signature, why_not


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits for a worker.

    Attributes:
        job: the job.
        group_key: jobs with the same key can be trained as one model; empty: this one is trained alone.
    """

    job: Job
    group_key: str


def waiting_job(job: Job, *, is_alone: bool) -> WaitingJob:
    """The job with the key of its group.

    Args:
        job: the trial's job.
        is_alone: whether to train it by itself: an attempt at it failed, perhaps through a neighbour in its group.
    """
    has_limit = job.limits.time_s is not None or job.limits.idle_s is not None
    if is_alone or has_limit or not job.execution.is_fused or why_not(job):
        return WaitingJob(job, "")
    from_epoch = job.resume.checkpoints[0].epoch if job.resume.checkpoints else 0
    return WaitingJob(job, f"{signature(job)} from {from_epoch}")


class WaitingJobs:
    """The waiting jobs in the order in which they were added, each number once."""

    def __init__(self) -> None:
        # Ordered dictionaries give their first entry at once; that of a plain one is found by a walk over the places
        # of all that were removed before it.
        self._jobs: OrderedDict[int, WaitingJob] = OrderedDict()
        self._by_key: dict[str, OrderedDict[int, WaitingJob]] = {}  # jobs with a group's key

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[WaitingJob]:
        return iter(self._jobs.values())

    def add(self, waiting: WaitingJob) -> None:
        """Add a job after the others."""
        number = waiting.job.number
        assert number not in self._jobs, "a job waits once"
        self._jobs[number] = waiting
        if waiting.group_key:
            self._by_key.setdefault(waiting.group_key, OrderedDict())[number] = waiting

    def clear(self) -> None:
        """Remove all jobs."""
        self._jobs.clear()
        self._by_key.clear()

    def take_group(self, n_idle: int, width: int) -> list[WaitingJob]:
        """Remove and return the jobs to train together next: the first one, and others that can share its model.

        At least one job must wait.

        Args:
            n_idle: number of idle workers; as many groups are made if there are jobs for them.
            width: the largest size of a group.
        """
        first = next(iter(self))
        if not first.group_key:
            del self._jobs[first.job.number]
            return [first]
        alike = self._by_key[first.group_key]
        share = -(-len(alike) // max(1, n_idle))
        group = list(islice(alike.values(), max(1, min(width, share))))
        for waiting in group:
            del self._jobs[waiting.job.number], alike[waiting.job.number]
        if not alike:
            del self._by_key[first.group_key]
        return group
