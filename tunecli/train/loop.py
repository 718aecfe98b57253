"""One trial, from a Job to its events: the plain loop that every faster one is held to (law 4).

Owns the order of things in a trial: epochs, folds in lockstep, early stopping, pruning, checkpoints, and how a failure
becomes data (law 6). Knows neither studies nor stores; what a trial gives is a function of its Job, whether it was
trained in one go or went on from a checkpoint.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import resolved
from tunecli.errors import DiskFull, StoreFailed, UsageError
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Paused, Started, Stopped
from tunecli.objective import Objective
from tunecli.seeding import seed_for
from tunecli.train import checkpoint, devices, weights
from tunecli.train.course import Course
from tunecli.train.data import loading
from tunecli.train.failures import failure_of, release_memory
from tunecli.train.inference_cost import footprint
from tunecli.train.learner import Learner
from tunecli.train.metrics import finite
from tunecli.train.stopping import is_pruned, never
from tunecli.train.user_code.metric import OwnMetric, own_metrics
from tunecli.trial import Failure, FailureKind, Outcome, State


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Train one trial.

    Args:
        job: everything about it.
        is_stop_wanted: whether to stop where the epoch ends; asked at each epoch's end but the last.

    Yields:
        `Started`, an `EpochEnded` for every epoch whose loss and objective are numbers, a `Checkpointed` after those
        where one was written, then exactly one `Ended` or, where a stop was wanted, `Stopped`, or `Paused` after
        ``until_epoch``, a checkpoint before it. A trial that fails ends as failed: diverged, out of memory, its device
        lost, or an error with its traceback.

    Raises:
        DiskFull, StoreFailed: the disk takes no weights or no checkpoint, which is no fault of the trial.
    """
    course, device, found = Course(), torch.device("cpu"), checkpoint.Found()
    ending: Failure | State | None = None
    try:
        device = devices.resolve(job.device, job.slot, job.avoid_devices)
        found = checkpoint.find(job)
    except UsageError as error:
        ending = failure_of(error)
    device_name = job.device if ending else str(device)
    yield Started(job.number, job.attempt, device_name, os.getpid(), found.epoch, found.note)

    sha256 = ""
    if ending is None:
        try:
            ending = yield from _train(job, device, course, found, is_stop_wanted)
            if ending is State.COMPLETE and course.weights and is_worth_keeping(job, course.kept_loss):
                sha256 = weights.save(Path(job.weights_path), _named(course.weights), job.config)
        except (DiskFull, StoreFailed):
            raise
        except (Exception, SystemExit) as error:  # the user's own code ends its trial alone; Ctrl-C is for us
            ending = failure_of(error)
    if ending is None:
        yield Stopped(job.number, job.attempt)
        return
    is_paused = ending is State.WAITING
    if isinstance(ending, Failure) and ending.kind is FailureKind.OOM:
        course.weights.clear()
        found.forget()
        loading.forget()
        release_memory(str(device))
    told = ended(job, course, State.PRUNED if is_paused else ending, device_name, sha256)
    yield Paused(told.number, told.attempt, told.outcome) if is_paused else told


def ended(
    job: Job, course: Course, ending: Failure | State, device_name: str, weights_sha256: str = ""
) -> Ended:
    """How a trial ended, from its course.

    Args:
        job: the trial.
        course: as far as it came.
        ending: complete, pruned, or the failure.
        device_name: where it ran.
        weights_sha256: of the weights file, where there is one.
    """
    failure = ending if isinstance(ending, Failure) else None
    outcome = Outcome(
        state=State.FAILED if isinstance(ending, Failure) else ending,
        score=None if failure else course.metrics[job.objective.metric],
        metrics={} if failure else course.metrics,
        epochs=course.epochs,
        kept_epoch=0 if failure else course.kept_epoch,
        seconds=course.seconds,
        device=device_name,
        failure=failure,
        weights_sha256=weights_sha256,
    )
    return Ended(job.number, job.attempt, outcome)


def _train(
    job: Job,
    device: torch.device,
    course: Course,
    found: checkpoint.Found,
    is_stop_wanted: Callable[[], bool],
) -> Generator[Event, None, Failure | State | None]:
    """Train, keeping ``course`` up to date.

    Returns:
        How the trial ended: complete, pruned, or what went numerically wrong; waiting where it pauses; None where a
        stop was wanted.
    """
    torch.set_num_threads(job.threads)
    config, base_path = TrialConfig.model_validate(resolved(job.config)), Path(job.base_path)
    learners, costs = _learners(job, config, base_path, device)
    if found.epoch:
        course.restore(found.course())
        for number, learner in enumerate(learners):
            learner.restore(found.learner(number, device))
        found.forget()
        if job.until_epoch is not None and course.epochs >= job.until_epoch:
            return State.WAITING  # the checkpoint was the last that an attempt could do before it was gone
    keeper = checkpoint.Keeper(job, device)
    metric, early_stop = job.objective.metric, config.training.early_stop
    measures = own_metrics(job.objective, base_path)
    total = max(learner.n_epochs for learner in learners)
    for epoch in range(course.epochs + 1, total + 1):
        began_s = time.monotonic()
        metrics = {**_epoch(learners, epoch, metric, measures), **costs}
        course.epochs = epoch
        if (failure := missing_of(metrics, metric, epoch)) is not None:
            return failure
        loss = job.objective.sign * metrics[metric]
        is_kept = course.take(loss, metrics, early_stop)
        may_be_last = early_stop is not None or epoch == total
        if is_kept and may_be_last and (job.open_test or is_worth_keeping(job, loss)):
            course.weights = [learner.weights() for learner in learners]
        yield EpochEnded(job.number, job.attempt, epoch, total, metrics, time.monotonic() - began_s)
        if is_pruned(job, epoch - 1, epoch, course.least_loss):
            return State.PRUNED
        if epoch == total or (early_stop is not None and course.is_over(loss, early_stop)):
            break
        for learner in learners:
            learner.observe(metrics.get("val_loss", math.inf))
        is_pausing = epoch == job.until_epoch
        is_stopping = is_pausing or is_stop_wanted()
        if keeper.is_due(epoch, is_stopping=is_stopping):
            kept = keeper.write(epoch, course.state(), (learner.state() for learner in learners))
            if kept is not None:
                yield Checkpointed(job.number, job.attempt, kept)
        if is_stopping:
            return State.WAITING if is_pausing else None
    if job.open_test:
        tested = [
            learner.test(kept, measures) for learner, kept in zip(learners, course.weights, strict=True)
        ]
        course.metrics = {**course.metrics, **_mean(tested)}
    return lacking_of(job.objective, course.metrics) or State.COMPLETE


def _learners(
    job: Job, config: TrialConfig, base_path: Path, device: torch.device
) -> tuple[list[Learner], dict[str, float]]:
    """One for every fold, for every repeat; and what the model of a fold costs to use, where that is asked."""
    folds = loading.load(config.data, base_path, job.study_seed, device, open_test=job.open_test)
    names: list[tuple[int, ...]] = [()] if len(folds) == 1 else [(number,) for number in range(len(folds))]
    seeds = [job.seed, *(seed_for(job.seed, "repeat", number) for number in range(1, job.repeats))]
    learners = [
        Learner(config, fold, own_seed, name, base_path, job.micro_batches)
        for own_seed in seeds
        for fold, name in zip(folds, names, strict=True)
    ]
    costs = [
        footprint(job.objective, learner, config, fold, job.seed, base_path)
        for learner, fold in zip(learners, folds, strict=False)
    ]
    return learners, _mean(costs)


def _epoch(
    learners: Sequence[Learner], epoch: int, metric: str, measures: Sequence[OwnMetric]
) -> dict[str, float]:
    """One epoch of every fold and repeat, and their mean metrics; those that are not finite are absent."""
    found: list[Mapping[str, float]] = []
    for learner in learners:
        train_loss = learner.train_epoch(epoch)
        if not math.isfinite(train_loss):
            return {}
        found.append({"train_loss": train_loss, **learner.validate(measures)})
    metrics = _mean(found)
    if len(found) > 1 and metric in metrics:
        metrics[f"{metric}_std"] = statistics.pstdev(each[metric] for each in found)
    return finite(metrics)


def missing_of(metrics: Mapping[str, float], metric: str, epoch: int) -> Failure | None:
    """The failure of a trial whose losses or objective are not finite numbers; None where they are.

    A model that answers NaN still has an accuracy, that of the class which such answers happen to be taken for. So the
    validation loss counts whatever the objective is.
    """
    missing = next((name for name in ("train_loss", "val_loss", metric) if name not in metrics), None)
    if missing is None:
        return None
    if "val_loss" in metrics and missing != "train_loss":
        cause = (
            f"{missing} is not defined on this validation part, though val_loss is {metrics['val_loss']:.4g}"
        )
        return Failure(FailureKind.ERROR, cause)
    return Failure(FailureKind.DIVERGED, f"{missing} is not a finite number after epoch {epoch}")


def lacking_of(objective: Objective, metrics: Mapping[str, float]) -> Failure | None:
    """What is wrong where a trial ended without a number for each of its goals and constraints."""
    missing = next((name for name in objective.metrics if name not in metrics), None)
    if missing is None:
        return None
    return Failure(
        FailureKind.ERROR, f"{missing} is not a number at the trial's end, and the objective names it"
    )


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every metric that all have."""
    names = [name for name in found[0] if all(name in each for each in found)]
    return {name: statistics.fmean(each[name] for each in found) for name in names}


def is_worth_keeping(job: Job, loss: float) -> bool:
    """Whether a trial's weights are kept that ends with this ``sign * objective``."""
    return bool(job.weights_path) and (job.keep_below is None or loss < job.keep_below)


def _named(models: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """The weights of all models under names of their own."""
    if len(models) == 1:
        return models[0]
    return {
        f"model{number}.{name}": tensor
        for number, model in enumerate(models)
        for name, tensor in model.items()
    }
