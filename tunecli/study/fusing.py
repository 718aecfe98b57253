"""Which trials are trained as one model, and how many at a time.

Whether a study fuses is settled when it begins, by what its file says alone, since a fused trial's bits are not those
of a trial by itself; which trials then share a group, and how many, changes nobody's bits, so that may depend on who is
ready. Knows no torch: what can share a model is the signature's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunecli.spec.knobs import TrialConfig
from tunecli.spec.load import trial_models
from tunecli.spec.pruners import Pausing
from tunecli.spec.study import StudySpec
from tunecli.study.extremes import extremes
from tunecli.train.fused.signature import signature, why_not
from tunecli.trial import Job

WIDTH = 16  # beyond, a core's caches hold no more of the group: measured, 8 to 32 cost a trial the same
_READS_NOTHING = ("grid", "random", "quasirandom")
_MOST_WEIGHTS = 20_000  # on a CPU arithmetic outweighs what fusing saves beyond
_LEAST_GROUP = 4


def fused_width(spec: StudySpec, n_workers: int) -> int:
    """How many trials a group has at most; 0 where each is trained by itself.

    ``auto`` fuses where several trials are known before the first of them ends, and where their models are so small
    that what surrounds the arithmetic costs more than it.

    Args:
        spec: the study.
        n_workers: how many groups run at a time.
    """
    if not may_fuse(spec, n_workers):
        return 0
    if spec.settings.run.fuse != "auto":
        return int(spec.settings.run.fuse)
    _, largest = extremes(spec)
    n_weights = None if largest is None else largest.n_parameters
    is_small = n_weights is not None and n_weights <= _MOST_WEIGHTS
    return min(WIDTH, _room(spec, n_workers)) if is_small else 0


def may_fuse(spec: StudySpec, n_workers: int) -> bool:
    """Whether the study fuses trials as far as its file tells, whatever they cost."""
    asked, limit = spec.settings.run.fuse, spec.settings.run.trial_limit
    does_pause = isinstance(spec.settings.search.pruner, Pausing)
    if asked == "off" or does_pause or trial_models(spec.space.tree) != {TrialConfig}:
        return False
    has_limit = limit.time is not None or limit.idle is not None  # its trials need workers of their own
    return asked != "auto" or (not has_limit and _room(spec, n_workers) >= _LEAST_GROUP)


def _room(spec: StudySpec, n_workers: int) -> int:
    """How many trials a worker may have before any of their results is seen."""
    search = spec.settings.search
    if search.lookahead != "auto":
        return search.lookahead // n_workers
    return WIDTH if reads_nothing(spec) else 1


def reads_nothing(spec: StudySpec) -> bool:
    """Whether no trial depends on what came of another, so that any number may be begun at once."""
    search = spec.settings.search
    return search.sampler_name in _READS_NOTHING and search.pruner == "none"


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
    has_limit = job.time_limit_s is not None or job.idle_limit_s is not None
    if is_alone or has_limit or not job.is_fused or why_not(job):
        return Ready(job, "")
    from_epoch = job.checkpoints[0].epoch if job.checkpoints else 0
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
