"""A group of trials of one signature, from their jobs to their events: each trial's are those of the plain loop.

Owns the order of a group. A trial leaves the group as soon as it ends, and that changes nothing for the others. Every
epoch ends by the plain loop's own rules (epoch_end.py). If the group fails as a whole, each trial is run again alone,
so that only the trial at fault fails (failure-is-data). Knows neither studies nor stores.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import torch

from tunecli.config.metrics import LEARNING_RATE
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import resolved
from tunecli.errors import DiskFull, StoreFailed, UsageError
from tunecli.messages import Ended, EpochEnded, Event, Job, Order, Started, Stopped
from tunecli.train import checkpoint, devices, loop
from tunecli.train.data import loading
from tunecli.train.data.sources import read_source
from tunecli.train.epoch_end import (
    TrialProgress,
    end_epoch,
    end_training,
    ended,
    keep_last_weights,
    never,
    saves_weights,
)
from tunecli.train.failures import USER_CODE_ERRORS, failure_of, release_memory
from tunecli.train.fused.member import Member
from tunecli.train.fused.trainer import FusedTrainer, FusedValidator
from tunecli.train.loop import save_kept_weights
from tunecli.train.metrics import finite
from tunecli.trial import Failure, FailureKind, State


def run_group(jobs: Sequence[Job], is_stop_wanted: Callable[[], int] = never) -> Iterator[Event]:
    """Train several trials as one.

    Args:
        jobs: of one `signature.signature`, for each of which `signature.why_not` is empty. They train on the device of
            the first job, with its threads.
        is_stop_wanted: the coordinator's `Order`; asked once an epoch, as long as a trial has another epoch.

    Yields:
        For each job what `loop.run` yields. The events of different jobs interleave, epoch by epoch. The seconds of a
        trial are its share of the group's.

    Raises:
        DiskFull, StoreFailed: the disk refuses weights or a checkpoint. That ends the sweep, not a trial.
    """
    if _is_weighted(jobs[0]):
        # The losses of many models at once take no weights. A file of arrays shows its weights only when it is read.
        for job in jobs:
            yield from loop.run(job, is_stop_wanted)
        return
    last_epochs: dict[int, int] = {}
    over: set[int] = set()
    try:
        for event in _run(jobs, is_stop_wanted):
            last_epochs.setdefault(event.number, 0)
            if isinstance(event, EpochEnded):
                last_epochs[event.number] = event.epoch
            elif isinstance(event, Ended | Stopped):
                over.add(event.number)
            yield event
        return
    except (DiskFull, StoreFailed):
        raise
    except USER_CODE_ERRORS as error:
        failure = failure_of(error)  # clears the frames, and so frees the group's memory
    if failure.kind is FailureKind.OOM:
        loading.forget()
        execution = jobs[0].execution
        device = devices.resolve(execution.device, execution.slot, execution.avoid_devices)
        release_memory(str(device))
    for job in jobs:
        if job.number not in over:
            yield from _run_alone(job, last_epochs.get(job.number), is_stop_wanted)


def _is_weighted(job: Job) -> bool:
    """Whether the examples of a job have weights."""
    try:
        data = TrialConfig.model_validate(resolved(job.task.config)).data
        table = read_source(data, Path(job.files.base_path))
    except USER_CODE_ERRORS:
        return False  # each trial reports it
    return table.roles.weight is not None


def _run_alone(job: Job, last_epoch: int | None, is_stop_wanted: Callable[[], int]) -> Iterator[Event]:
    """Run a trial again from its start or its checkpoint, without the events that were already yielded.

    Args:
        job: the trial.
        last_epoch: the last epoch whose event was yielded, 0 if only `Started` was; None if nothing was.
        is_stop_wanted: as in :func:`run_group`.
    """
    progress, device_name = TrialProgress(), job.execution.device
    try:
        for event in _run([job], is_stop_wanted):
            is_repeated = False
            if isinstance(event, Started):
                device_name, is_repeated = event.device, last_epoch is not None
            elif isinstance(event, EpochEnded):
                progress.epochs, is_repeated = event.epoch, event.epoch <= (last_epoch or 0)
            if not is_repeated:
                yield event
    except (DiskFull, StoreFailed):
        raise
    except USER_CODE_ERRORS as error:
        yield ended(job, progress, failure_of(error), device_name)


def _run(jobs: Sequence[Job], is_stop_wanted: Callable[[], int]) -> Iterator[Event]:
    members: list[Member] = []
    first = jobs[0].execution
    torch.set_num_threads(first.threads)
    for job in jobs:
        loaded, ending, device = checkpoint.LoadedCheckpoint(), None, torch.device("cpu")
        try:
            device = devices.resolve(first.device, first.slot, first.avoid_devices)
            loaded = checkpoint.load_newest(job)
        except UsageError as error:
            ending = failure_of(error)
        device_name = job.execution.device if ending else str(device)
        yield Started(job.number, job.attempt, device_name, os.getpid(), loaded.epoch, loaded.note)
        if ending is None:
            try:
                members.append(Member(job, device, loaded))
            except USER_CODE_ERRORS as error:
                ending = failure_of(error)
                if ending.kind is FailureKind.OOM and len(jobs) > 1:
                    raise
        if ending is not None:
            yield ended(job, TrialProgress(), ending, device_name)

    def next_epoch(member: Member) -> int:
        """The epoch that a member is at, where that matters: counted in steps, the last epoch may be shorter."""
        return member.epoch if member.config.training.steps else 0

    for _, at_epoch in groupby(sorted(members, key=next_epoch), key=next_epoch):
        yield from _train([*at_epoch], is_stop_wanted)


def _train(members: Sequence[Member], is_stop_wanted: Callable[[], int]) -> Iterator[Event]:
    """Train members whose epochs have the same steps, each to its end."""
    trainer, validator = FusedTrainer(members), FusedValidator(members[0])
    while True:
        began_s = time.monotonic()
        epochs = _epoch(trainer, validator)
        share_s = (time.monotonic() - began_s) / len(epochs)
        remaining: list[Member] = []
        for member, metrics in epochs:
            job, progress = member.job, member.progress
            progress.charge(share_s)
            early_stop, n_epochs = member.config.training.early_stop, member.learner.n_epochs
            end = end_epoch(job, progress, metrics, early_stop, n_epochs)
            if end.keeps_weights:
                progress.weights = [member.learner.weights()]
            if not isinstance(end.ending, Failure):
                yield EpochEnded(job.number, job.attempt, progress.epochs, n_epochs, metrics, share_s)
            if end.ending is None:
                member.learner.observe(metrics.get("val_loss", math.inf))
                remaining.append(member)
            else:
                yield _ended(member, end.ending)
        order = Order(is_stop_wanted()) if remaining else Order.GO_ON
        if order is Order.FINISH:
            for member in remaining:
                yield _finished(member)
            return
        is_stopping = order is Order.STOP
        for member in remaining:
            began_s = time.monotonic()
            if member.keeper.is_due(member.progress.epochs, is_stopping=is_stopping):
                progress = member.progress
                states = (one.state() for one in [member])
                written = member.keeper.write(progress.epochs, progress.state(), states)
                progress.charge(time.monotonic() - began_s)
                if written is not None:
                    yield written
            if is_stopping:
                yield Stopped(member.job.number, member.job.attempt)
        if is_stopping or not remaining:
            return
        trainer.keep(remaining)


def _epoch(trainer: FusedTrainer, validator: FusedValidator) -> list[tuple[Member, dict[str, float]]]:
    """Train and validate one epoch; each member with its metrics, which are empty if it diverged."""
    losses = dict(zip(trainer.members, trainer.train_epoch(), strict=True))
    finite_members = [member for member, loss in losses.items() if math.isfinite(loss)]
    validated = dict(zip(finite_members, validator.validate(finite_members, trainer), strict=True))
    return [
        (member, _metrics(member, loss, validated[member]) if member in validated else {})
        for member, loss in losses.items()
    ]


def _metrics(member: Member, train_loss: float, validated: Mapping[str, float]) -> dict[str, float]:
    """An epoch's metrics in the order of the plain loop, without those that are not finite."""
    return finite({"train_loss": train_loss, **validated, LEARNING_RATE: member.last_rate, **member.costs})


def _finished(member: Member) -> Ended:
    """The event that ends a member at a time limit, complete with its result so far."""
    member.progress.is_finished_early = True
    keep_last_weights(member.job, member.progress, lambda: [member.learner.weights()])
    return _ended(member, State.COMPLETE)


def _ended(member: Member, ending: Failure | State) -> Ended:
    """The event that ends a member. A complete one is tested and its weights are saved, as its job asks."""
    job, progress, sha256 = member.job, member.progress, ""
    if ending is State.COMPLETE:
        ending = end_training(
            job,
            progress,
            lambda: member.learner.test(progress.weights[0], member.further.with_threshold(progress.metrics)),
        )
    if ending is State.COMPLETE:
        if saves_weights(job, progress.kept_loss):
            progress.decided = loop.decided_of([member.learner], progress)
        sha256 = save_kept_weights(job, progress, str(member.device))
    return ended(job, progress, ending, str(member.device), sha256)
