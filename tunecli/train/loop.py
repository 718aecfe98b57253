"""One trial, from a Job to its events: the plain loop, which every faster way to train is tested against.

Owns the order of a trial: epochs, folds in lockstep, checkpoints, pauses, and how a failure becomes data. The result
of a trial is a function of its Job, whether it is trained in one go or continued from a checkpoint. Knows neither
studies nor stores.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tunecli.config.metrics import LEARNING_RATE, THRESHOLD
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import resolved
from tunecli.errors import DiskFull, StoreFailed, UsageError
from tunecli.messages import EpochEnded, Event, Job, Order, Paused, Started, Stopped
from tunecli.train import checkpoint, devices
from tunecli.train.artifact.layout import bare_weights
from tunecli.train.artifact.writing import facts_of_job, packed, without_rows
from tunecli.train.data import loading
from tunecli.train.data.loading import Fold
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
from tunecli.train.learner import Learner, learners_of
from tunecli.train.metrics import finite, inference_cost
from tunecli.train.refitting import train_on_all_rows
from tunecli.train.requested_metrics import FurtherMetrics, further_metrics
from tunecli.trial import Failure, FailureKind, State


def run(job: Job, is_stop_wanted: Callable[[], int] = never) -> Iterator[Event]:
    """Train one trial.

    Args:
        job: the trial, with its device, seeds, bounds and paths.
        is_stop_wanted: the coordinator's `Order`; asked at the end of each epoch except the last.

    Yields:
        `Started`; an `EpochEnded` for every epoch whose losses and objective are finite; a `Checkpointed` after each
        epoch at which a checkpoint was written; then exactly one `Ended`, or `Stopped` after a stop request, or
        `Paused` after ``until_epoch``. A failed trial ends as data: diverged, out of memory, device lost, or an error
        with its traceback.

    Raises:
        DiskFull, StoreFailed: the disk refuses the weights or a checkpoint. That ends the sweep, not the trial.
    """
    progress, device, loaded = TrialProgress(), torch.device("cpu"), checkpoint.LoadedCheckpoint()
    ending: Failure | State | None = None
    try:
        device = devices.resolve(job.execution.device, job.execution.slot, job.execution.avoid_devices)
        loaded = checkpoint.load_newest(job)
    except UsageError as error:
        ending = failure_of(error)
    device_name = job.execution.device if ending else str(device)
    yield Started(job.number, job.attempt, device_name, os.getpid(), loaded.epoch, loaded.note)

    sha256 = ""
    if ending is None:
        try:
            if job.task.refit is not None:
                ending = yield from train_on_all_rows(job, device, progress, is_stop_wanted)
            else:
                ending = yield from _train(job, device, progress, loaded, is_stop_wanted)
            if ending is State.COMPLETE:
                sha256 = save_kept_weights(job, progress, device_name)
        except (DiskFull, StoreFailed):
            raise
        except USER_CODE_ERRORS as error:
            ending = failure_of(error)
    if ending is None:
        yield Stopped(job.number, job.attempt)
        return
    is_paused = ending is State.PAUSED
    if isinstance(ending, Failure) and ending.kind is FailureKind.OOM:
        progress.weights.clear()
        loaded.release()
        loading.forget()
        release_memory(str(device))
    end = ended(job, progress, ending, device_name, sha256)
    yield Paused(end.number, end.attempt, end.outcome) if is_paused else end


def save_kept_weights(job: Job, progress: TrialProgress, device_name: str) -> str:
    """Write the model file of a complete trial, if its job saves it.

    Args:
        job: the trial.
        progress: its progress, with the kept weights and the folds.
        device_name: the device that trained it.

    Returns:
        The file's SHA-256, in hexadecimal; empty if no file was written.

    Raises:
        DiskFull, StoreFailed: the disk refuses it.
    """
    if not progress.weights or not saves_weights(job, progress.kept_loss):
        return ""
    score, folds = progress.metrics.get(job.task.objective.metric), progress.folds
    facts = facts_of_job(job, score, progress.kept_epoch, len(folds), device_name)
    facts = replace(facts, threshold=progress.metrics.get(THRESHOLD), decided=progress.decided)
    content = packed(progress.weights, folds, job.task.config, facts)
    if job.files.has_only_weights:
        content = bare_weights(content)
    return checkpoint.write_whole(Path(job.files.weights_path), content, "weights")


def _train(
    job: Job,
    device: torch.device,
    progress: TrialProgress,
    loaded: checkpoint.LoadedCheckpoint,
    is_stop_wanted: Callable[[], int],
) -> Generator[Event, None, Failure | State | None]:
    """Train, keeping ``progress`` up to date.

    Returns:
        How the trial ended: complete, pruned, paused, or with a numerical failure. None after a stop request.
    """
    torch.set_num_threads(job.execution.threads)
    config, base_path = TrialConfig.model_validate(resolved(job.task.config)), Path(job.files.base_path)
    learners, costs = _learners(job, config, base_path, device)
    progress.folds = folds_of(learners, job.task.repeats)
    if loaded.epoch:
        progress.restore(loaded.progress())
        for number, learner in enumerate(learners):
            learner.restore(loaded.learner(number, device))
        loaded.release()
        if job.limits.until_epoch is not None and progress.epochs >= job.limits.until_epoch:
            # an earlier attempt wrote the checkpoint, and died before it reported the pause
            return State.PAUSED
    keeper = checkpoint.Keeper(job, device)
    metric, early_stop = job.task.objective.metric, config.training.early_stop
    measures = further_metrics(job.task.objective, base_path)
    n_epochs = max(learner.n_epochs for learner in learners)
    for epoch in range(progress.epochs + 1, n_epochs + 1):
        began_s = time.monotonic()
        metrics = {**_epoch(learners, epoch, metric, measures), **costs}
        end = end_epoch(job, progress, metrics, early_stop, n_epochs)
        if isinstance(end.ending, Failure):
            return end.ending
        if end.keeps_weights:
            progress.weights = [learner.weights() for learner in learners]
        yield EpochEnded(job.number, job.attempt, epoch, n_epochs, metrics, time.monotonic() - began_s)
        if end.ending is State.PRUNED:
            return State.PRUNED
        if end.ending is State.COMPLETE:
            break
        for learner in learners:
            learner.observe(metrics.get("val_loss", math.inf))
        is_pausing = epoch == job.limits.until_epoch
        order = Order.STOP if is_pausing else Order(is_stop_wanted())
        if order is Order.FINISH:
            progress.is_finished_early = True
            keep_last_weights(job, progress, lambda: [learner.weights() for learner in learners])
            break
        is_stopping = order is Order.STOP
        if keeper.is_due(epoch, is_stopping=is_stopping):
            written = keeper.write(
                progress.epochs, progress.state(), (learner.state() for learner in learners)
            )
            if written is not None:
                yield written
        if is_stopping:
            return State.PAUSED if is_pausing else None
    ending = end_training(job, progress, lambda: _test(learners, progress, measures))
    if ending is State.COMPLETE and saves_weights(job, progress.kept_loss):
        progress.decided = decided_of(learners, progress)
    return ending


def _learners(
    job: Job, config: TrialConfig, base_path: Path, device: torch.device
) -> tuple[list[Learner], dict[str, float]]:
    """One learner for every fold of every repeat; and the mean inference cost of the folds' models, if asked for."""
    folds = loading.load(config.data, base_path, job.task.study_seed, device, open_test=job.task.open_test)
    learners = learners_of(job, config, base_path, folds)
    costs = [  # of the first seed's learners: those of further seeds have models of the same size
        inference_cost(job.task.objective, learner.model, config, fold, job.task.seed, base_path)
        for learner, fold in zip(learners, folds, strict=False)
    ]
    return learners, _mean(costs)


def folds_of(learners: Sequence[Learner], n_repeats: int) -> tuple[Fold, ...]:
    """The data of each fold without their examples: the learners of further repeats have the same folds."""
    return tuple(without_rows(learner.fold) for learner in learners[: len(learners) // n_repeats])


def _epoch(
    learners: Sequence[Learner], epoch: int, metric: str, measures: FurtherMetrics
) -> dict[str, float]:
    """Train and validate one epoch of every fold and repeat; their mean metrics, without those that are not finite."""
    metrics_of: list[Mapping[str, float]] = []
    for learner in learners:
        train_loss = learner.train_epoch(epoch)
        if not math.isfinite(train_loss):
            return {}
        metrics_of.append({"train_loss": train_loss, **learner.validate(measures)})
    metrics = _mean(metrics_of)
    if len(metrics_of) > 1 and metric in metrics:
        metrics[f"{metric}_std"] = statistics.pstdev(one[metric] for one in metrics_of)
    return finite({**metrics, LEARNING_RATE: learners[0].updater.last_rate})


def _test(learners: Sequence[Learner], progress: TrialProgress, measures: FurtherMetrics) -> dict[str, float]:
    """The mean test metrics of the kept weights."""
    measures = measures.with_threshold(progress.metrics)
    return _mean(
        [learner.test(kept, measures) for learner, kept in zip(learners, progress.weights, strict=True)]
    )


def decided_of(
    learners: Sequence[Learner], progress: TrialProgress
) -> tuple[tuple[float, float, float], ...]:
    """The counts of each class or label with the kept weights, added up over the models."""
    threshold = progress.metrics.get(THRESHOLD)
    of_models = [
        learner.decided(kept, threshold) for learner, kept in zip(learners, progress.weights, strict=False)
    ]
    of_classes = [[*zip(*counts, strict=True)] for counts in zip(*of_models, strict=True)]
    return tuple((sum(hits), sum(true), sum(guessed)) for hits, true, guessed in of_classes)


def _mean(metrics_of: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric that all the entries have."""
    names = [name for name in metrics_of[0] if all(name in one for one in metrics_of)]
    return {name: statistics.fmean(one[name] for one in metrics_of) for name in names}
