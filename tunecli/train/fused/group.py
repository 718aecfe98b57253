"""A group of trials of one signature, from their jobs to their events: each trial's are those of the plain loop.

Owns the order of things in a group: who has ended leaves it at once, and what became of the others does not depend on
that. Each trial ends, is pruned, kept and stopped by the plain loop's own rules; a group that fails as a whole is run
again one by one, so that only the trial at fault fails (law 6). Knows neither studies nor stores.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch

from tunecli.errors import DiskFull, StoreFailed, UsageError
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Started, Stopped
from tunecli.train import checkpoint, devices, weights
from tunecli.train.course import Course
from tunecli.train.data import loading
from tunecli.train.failures import failure_of, release_memory
from tunecli.train.fused.member import Member
from tunecli.train.fused.trainer import FusedTrainer
from tunecli.train.fused.validation import Examiner
from tunecli.train.loop import ended, is_worth_keeping, lacking_of, missing_of
from tunecli.train.metrics import finite
from tunecli.train.stopping import is_pruned, never
from tunecli.trial import Failure, FailureKind, State


def run_group(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Train several trials as one.

    Args:
        jobs: of one `signature.signature`, each a trial that `signature.why_not` has nothing against. They train on the
            device of the first, with its threads.
        is_stop_wanted: whether to stop where the epoch ends; asked once an epoch, as long as a trial has another.

    Yields:
        For each job what `loop.run` yields; those of different jobs lie between each other, epoch by epoch. A trial's
        seconds are its share of the group's.

    Raises:
        DiskFull, StoreFailed: the disk takes no weights or no checkpoint, which is no fault of a trial.
    """
    told: dict[int, int] = {}
    over: set[int] = set()
    try:
        for event in _run(jobs, is_stop_wanted):
            told.setdefault(event.number, 0)
            if isinstance(event, EpochEnded):
                told[event.number] = event.epoch
            elif isinstance(event, Ended | Stopped):
                over.add(event.number)
            yield event
        return
    except (DiskFull, StoreFailed):
        raise
    except Exception as error:
        failure = failure_of(error)  # which lets go of what the group held
    if failure.kind is FailureKind.OOM:
        loading.forget()
        release_memory(str(devices.resolve(jobs[0].device, jobs[0].slot, jobs[0].avoid_devices)))
    for job in jobs:
        if job.number not in over:
            yield from _alone(job, told.get(job.number), is_stop_wanted)


def _alone(job: Job, n_told: int | None, is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    """A trial once more from its start, or its checkpoint, without what has been told of it already.

    Args:
        job: the trial.
        n_told: the last epoch that was told of, 0 where it only started; None where nothing was.
        is_stop_wanted: as in :func:`run_group`.
    """
    course, device_name = Course(), job.device
    try:
        for event in _run([job], is_stop_wanted):
            is_told = False
            if isinstance(event, Started):
                device_name, is_told = event.device, n_told is not None
            elif isinstance(event, EpochEnded):
                course.epochs, is_told = event.epoch, event.epoch <= (n_told or 0)
            if not is_told:
                yield event
    except (DiskFull, StoreFailed):
        raise
    except Exception as error:
        yield ended(job, course, failure_of(error), device_name)


def _run(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    members: list[Member] = []
    first = jobs[0]
    torch.set_num_threads(first.threads)
    for job in jobs:
        found, ending, device = checkpoint.Found(), None, torch.device("cpu")
        try:
            device = devices.resolve(first.device, first.slot, first.avoid_devices)
            found = checkpoint.find(job)
        except UsageError as error:
            ending = failure_of(error)
        device_name = job.device if ending else str(device)
        yield Started(job.number, job.attempt, device_name, os.getpid(), found.epoch, found.note)
        if ending is None:
            try:
                members.append(Member(job, device, found))
            except Exception as error:
                ending = failure_of(error)
                if ending.kind is FailureKind.OOM and len(jobs) > 1:
                    raise
        if ending is not None:
            yield ended(job, Course(), ending, device_name)
    # where steps are counted the last epoch may be cut short, and then all have to be in the same
    by_sizes = sorted(members, key=lambda member: member.epoch if member.config.training.steps else 0)
    for _, several in groupby(
        by_sizes, key=lambda member: member.epoch if member.config.training.steps else 0
    ):
        yield from _train([*several], is_stop_wanted)


def _train(members: Sequence[Member], is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    """Train members whose epochs are of the same steps, to the end of each."""
    together, examiner = FusedTrainer(members), Examiner(members[0])
    while True:
        began_s = time.monotonic()
        epochs = _epoch(together, examiner)
        share_s = (time.monotonic() - began_s) / len(epochs)
        goes_on: list[Member] = []
        for member, metrics in epochs:
            member.course.charge(share_s)
            ending = yield from _end_epoch(member, metrics, share_s)
            if ending is None:
                goes_on.append(member)
            else:
                yield _ended(member, ending)
        is_stopping = bool(goes_on) and is_stop_wanted()
        for member in goes_on:
            began_s = time.monotonic()
            if member.keeper.is_due(member.course.epochs, is_stopping=is_stopping):
                kept = member.keeper.write(
                    member.course.epochs, member.course.state(), (each.state() for each in [member])
                )
                member.course.charge(time.monotonic() - began_s)
                if kept is not None:
                    yield Checkpointed(member.job.number, member.job.attempt, kept)
            if is_stopping:
                yield Stopped(member.job.number, member.job.attempt)
        if is_stopping or not goes_on:
            return
        together.keep(goes_on)


def _epoch(together: FusedTrainer, examiner: Examiner) -> list[tuple[Member, dict[str, float]]]:
    """One epoch of every member, and what it came to: its metrics, or none where it diverged."""
    losses = dict(zip(together.members, together.train_epoch(), strict=True))
    sound = [member for member, loss in losses.items() if math.isfinite(loss)]
    validated = dict(zip(sound, examiner.validate(sound, together), strict=True))
    return [
        (
            member,
            finite({"train_loss": loss, **validated[member], **member.costs}) if member in validated else {},
        )
        for member, loss in losses.items()
    ]


def _end_epoch(
    member: Member, metrics: dict[str, float], seconds: float
) -> Generator[Event, None, Failure | State | None]:
    """Take what an epoch came to, as the plain loop does; how the trial ended, or None where it goes on."""
    job, course, config = member.job, member.course, member.config
    metric, early_stop = job.objective.metric, config.training.early_stop
    epoch, total = course.epochs + 1, member.learner.n_epochs
    course.epochs = epoch
    if (failure := missing_of(metrics, metric, epoch)) is not None:
        return failure
    loss = job.objective.sign * metrics[metric]
    is_kept = course.take(loss, metrics, early_stop)
    may_be_last = early_stop is not None or epoch == total
    if is_kept and may_be_last and (job.open_test or is_worth_keeping(job, loss)):
        course.weights = [member.learner.weights()]
    yield EpochEnded(job.number, job.attempt, epoch, total, metrics, seconds)
    if is_pruned(job, epoch - 1, epoch, course.least_loss):
        return State.PRUNED
    if epoch == total or (early_stop is not None and course.is_over(loss, early_stop)):
        return lacking_of(job.objective, course.metrics) or State.COMPLETE
    member.learner.observe(metrics.get("val_loss", math.inf))
    return None


def _ended(member: Member, ending: Failure | State) -> Ended:
    """The end of a member, its weights kept where they are to be."""
    job, course, sha256 = member.job, member.course, ""
    if ending is State.COMPLETE:
        if job.open_test:
            course.metrics = {**course.metrics, **member.learner.test(course.weights[0])}
        if course.weights and is_worth_keeping(job, course.kept_loss):
            sha256 = weights.save(Path(job.weights_path), course.weights[0], job.config)
    return ended(job, course, ending, str(member.device), sha256)
