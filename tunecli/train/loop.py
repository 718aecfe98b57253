"""One trial, from a Job to its events: the plain loop that every faster one is held to (law 4).

Owns the course of a trial: epochs, folds in lockstep, early stopping, which epoch is kept, and how a failure
becomes data (law 6). Knows neither studies nor stores; what a trial gives is a function of its Job.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from tunecli.errors import DiskFull, UsageError
from tunecli.seeding import seed_for
from tunecli.spec.knobs import TrialConfig
from tunecli.spec.knobs.training import EarlyStop
from tunecli.train import devices, weights
from tunecli.train.data import loading
from tunecli.train.failures import failure_of
from tunecli.train.learner import Learner
from tunecli.train.metrics import finite
from tunecli.train.own.metric import OwnMetric, own_metric
from tunecli.trial import Ended, EpochEnded, Event, Failure, FailureKind, Job, Outcome, Started, State


def run(job: Job) -> Iterator[Event]:
    """Train one trial.

    Args:
        job: everything about it.

    Yields:
        `Started`, an `EpochEnded` for every epoch whose loss and objective are numbers, then exactly one
        `Ended`. A trial that fails ends as failed: diverged, out of memory, or an error with its traceback.

    Raises:
        DiskFull: no room is left for the weights, which is no fault of the trial.
    """
    began_s = time.monotonic()
    device, failure = torch.device("cpu"), None
    try:
        device = devices.resolve(job.device)
    except UsageError as error:
        failure = failure_of(error)
    device_name = job.device if failure else str(device)
    yield Started(job.number, job.attempt, device_name, os.getpid())

    course = _Course()
    sha256 = ""
    if failure is None:
        try:
            failure = yield from _train(job, device, course)
            if course.weights and failure is None and _is_worth_keeping(job, course.best_loss):
                sha256 = weights.save(Path(job.weights_path), _named(course.weights), job.config)
        except DiskFull:
            raise
        except Exception as error:
            failure = failure_of(error)
    if failure is not None and failure.kind is FailureKind.OOM:
        loading.forget()
        devices.release_memory(device)
    outcome = Outcome(
        state=State.FAILED if failure else State.COMPLETE,
        score=None if failure else course.metrics[job.objective.metric],
        metrics={} if failure else course.metrics,
        epochs=course.epochs,
        kept_epoch=0 if failure else course.kept_epoch,
        seconds=time.monotonic() - began_s,
        device=device_name,
        failure=failure,
        weights_sha256=sha256,
    )
    yield Ended(job.number, job.attempt, outcome)


@dataclass(slots=True)
class _Course:
    """How far a trial has come.

    Attributes:
        epochs: how many were trained.
        kept_epoch, metrics, weights: the epoch that is the trial's so far; one model's weights an entry, and only
            where they are wanted.
        best_loss: the least ``sign * objective`` so far.
        mark_loss: what has to be beaten by more than ``min_delta``.
        stale_epochs: how long it has not been.
    """

    epochs: int = 0
    kept_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    weights: list[dict[str, Tensor]] = field(default_factory=list)
    best_loss: float = math.inf
    mark_loss: float = math.inf
    stale_epochs: int = 0

    def is_over(self, loss: float, early_stop: EarlyStop) -> bool:
        """Note an epoch's ``sign * objective``; whether patience has run out."""
        if loss < self.mark_loss - early_stop.min_delta:
            self.mark_loss, self.stale_epochs = loss, 0
        else:
            self.stale_epochs += 1
        return self.stale_epochs >= early_stop.patience


def _train(job: Job, device: torch.device, course: _Course) -> Generator[Event, None, Failure | None]:
    """Train, keeping ``course`` up to date; return what went numerically wrong, if anything."""
    torch.set_num_threads(job.threads)
    config, base_path = TrialConfig.model_validate(dict(job.config)), Path(job.base_path)
    folds = loading.load(config.data, base_path, job.study_seed, device, open_test=job.open_test)
    names: list[tuple[int, ...]] = [()] if len(folds) == 1 else [(number,) for number in range(len(folds))]
    seeds = [job.seed, *(seed_for(job.seed, "repeat", number) for number in range(1, job.repeats))]
    learners = [
        Learner(config, fold, own_seed, name, base_path)
        for own_seed in seeds
        for fold, name in zip(folds, names, strict=True)
    ]
    metric, early_stop = job.objective.metric, config.training.early_stop
    measure = own_metric(job.objective, base_path)
    total = max(learner.n_epochs for learner in learners)
    for epoch in range(1, total + 1):
        began_s = time.monotonic()
        metrics = _epoch(learners, epoch, metric, measure)
        course.epochs = epoch
        missing = next((name for name in ("train_loss", metric) if name not in metrics), None)
        if missing is not None and "val_loss" in metrics and missing != "train_loss":
            cause = f"{missing} is not defined on this validation part, though val_loss is {metrics['val_loss']:.4g}"
            return Failure(FailureKind.ERROR, cause)
        if missing is not None:
            return Failure(FailureKind.DIVERGED, f"{missing} is not a finite number after epoch {epoch}")
        loss = job.objective.sign * metrics[metric]
        is_last = epoch == total
        if early_stop is None or loss < course.best_loss:
            course.best_loss, course.kept_epoch, course.metrics = loss, epoch, metrics
            if (early_stop is not None or is_last) and (job.open_test or _is_worth_keeping(job, loss)):
                course.weights = [learner.weights() for learner in learners]
        yield EpochEnded(job.number, job.attempt, epoch, total, metrics, time.monotonic() - began_s)
        if early_stop is not None and course.is_over(loss, early_stop):
            break
        for learner in learners:
            learner.observe(metrics.get("val_loss", math.inf))
    if job.open_test:
        tested = [learner.test(kept, measure) for learner, kept in zip(learners, course.weights, strict=True)]
        course.metrics = {**course.metrics, **_mean(tested)}
    return None


def _epoch(
    learners: Sequence[Learner], epoch: int, metric: str, measure: OwnMetric | None
) -> dict[str, float]:
    """One epoch of every fold and repeat, and their mean metrics; those that are not finite are absent."""
    found: list[Mapping[str, float]] = []
    for learner in learners:
        train_loss = learner.train_epoch(epoch)
        if not math.isfinite(train_loss):
            return {}
        found.append({"train_loss": train_loss, **learner.validate(measure)})
    metrics = _mean(found)
    if len(found) > 1 and metric in metrics:
        metrics[f"{metric}_std"] = statistics.pstdev(each[metric] for each in found)
    return finite(metrics)


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every metric that all have."""
    names = [name for name in found[0] if all(name in each for each in found)]
    return {name: statistics.fmean(each[name] for each in found) for name in names}


def _is_worth_keeping(job: Job, loss: float) -> bool:
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
