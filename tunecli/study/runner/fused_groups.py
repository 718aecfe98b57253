"""Which of the jobs that wait are trained together, as one model.

Who shares a group, and how many, changes nobody's bits, so that may depend on who is ready. Knows no torch: what can
share a model is the signature's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunecli.messages import Job
from tunecli.train.fused.signature import signature, why_not


@dataclass(frozen=True, slots=True)
class Ready:
    """A job that waits for a worker, and what its group must have in common with it; empty: it is trained alone."""

    job: Job
    kind: str


def ready(job: Job, *, is_alone: bool) -> Ready:
    """The job, to be dispatched.

    Args:
        job: the trial's.
        is_alone: whether it is to be trained by itself: an attempt at it failed, perhaps through a neighbour.
    """
    has_limit = job.limits.time_s is not None or job.limits.idle_s is not None
    if is_alone or has_limit or not job.execution.is_fused or why_not(job):
        return Ready(job, "")
    from_epoch = job.resume.checkpoints[0].epoch if job.resume.checkpoints else 0
    return Ready(job, f"{signature(job)} from {from_epoch}")


def group_of(waiting: Sequence[Ready], n_idle: int, width: int) -> list[Ready]:
    """Which of the jobs that wait are to be trained together next: the first, and others that can share its model.

    Args:
        waiting: at least one, in the order of their numbers.
        n_idle: how many workers wait; as many groups are made where there are jobs for them.
        width: how many a group has at most.
    """
    first = waiting[0]
    if not first.kind:
        return [first]
    alike = [each for each in waiting if each.kind == first.kind]
    share = -(-len(alike) // max(1, n_idle))
    return alike[: max(1, min(width, share))]
