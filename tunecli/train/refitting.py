"""Training on all rows: the epochs that a trial keeps, on its training and validation rows together.

Nothing is validated, so there is no score, and every choice that needs one is made as in the trial: the number of
epochs is its kept epoch, and links of the learning rate that wait for a plateau see its recorded losses.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator
from pathlib import Path

import torch

from tunecli.config.metrics import LEARNING_RATE, THRESHOLD
from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import resolved
from tunecli.messages import EpochEnded, Event, Job, Order
from tunecli.train.artifact.writing import without_rows
from tunecli.train.data import loading
from tunecli.train.epoch_end import TrialProgress
from tunecli.train.learner import learners_of
from tunecli.train.workload import steps_per_epoch
from tunecli.trial import Failure, FailureKind, State


def train_on_all_rows(
    job: Job, device: torch.device, progress: TrialProgress, is_stop_wanted: Callable[[], int]
) -> Generator[Event, None, Failure | State | None]:
    """Train the epochs that a trial keeps on all rows but those of the test part.

    Schedules keep the length that the trial has, so the rate falls as it did. A training whose length is set in steps
    takes as many steps as the trial, and so fewer epochs.

    Args:
        job: the trial, with the validation losses of its kept epochs in ``refit``.
        device: the device to train on.
        progress: gets the weights, the data's facts and the training loss.
        is_stop_wanted: the coordinator's `Order`.

    Yields:
        An `EpochEnded` for each epoch, with the metrics ``train_loss`` and ``lr``.

    Returns:
        How the training ended: complete, or failed since a loss is not finite. None after a stop request.
    """
    torch.set_num_threads(job.execution.threads)
    config, base_path = TrialConfig.model_validate(resolved(job.task.config)), Path(job.files.base_path)
    config = _with_length(job, config, device)
    fold = loading.load_all_rows(config.data, base_path, job.task.study_seed, device)
    learners = learners_of(job, config, base_path, [fold])
    progress.folds = (without_rows(fold),)
    losses = job.task.refit or ()
    n_epochs = _n_epochs(job, config, len(fold.y_train), device)
    for epoch in range(1, n_epochs + 1):
        began_s = time.monotonic()
        train_losses = [learner.train_epoch(epoch) for learner in learners]
        progress.epochs = progress.kept_epoch = epoch
        if not all(map(math.isfinite, train_losses)):
            cause = f"train_loss is not a finite number after epoch {epoch}"
            return Failure(FailureKind.DIVERGED, cause)
        progress.metrics = {
            "train_loss": statistics.fmean(train_losses),
            LEARNING_RATE: learners[0].updater.last_rate,
        }
        seconds = time.monotonic() - began_s
        yield EpochEnded(job.number, job.attempt, epoch, n_epochs, progress.metrics, seconds)
        loss = losses[min(epoch, len(losses)) - 1]
        for learner in learners:
            learner.observe(math.inf if loss is None else loss)
        if epoch < n_epochs and Order(is_stop_wanted()) is not Order.GO_ON:
            return None
    progress.weights = [learner.weights() for learner in learners]
    if job.task.threshold is not None:
        progress.metrics[THRESHOLD] = job.task.threshold
    return State.COMPLETE


def _with_length(job: Job, config: TrialConfig, device: torch.device) -> TrialConfig:
    """The trial with the number of epochs that it has, if that follows from the number of its training rows."""
    training = config.training
    if training.steps is not None or training.fixed_epochs is not None:
        return config
    folds = loading.load(config.data, Path(job.files.base_path), job.task.study_seed, device)
    epochs = max(config.n_epochs(steps_per_epoch(config, len(fold.y_train))) for fold in folds)
    return config.model_copy(update={"training": training.model_copy(update={"epochs": epochs})})


def _n_epochs(job: Job, config: TrialConfig, n_rows: int, device: torch.device) -> int:
    """The number of epochs to train: those of the trial, or as many steps if the file sets the length in steps."""
    n_kept = len(job.task.refit or ())
    if config.training.steps is None:
        return n_kept
    base_path = Path(job.files.base_path)
    folds = loading.load(config.data, base_path, job.task.study_seed, device)
    n_each = statistics.fmean(steps_per_epoch(config, len(fold.y_train)) for fold in folds)
    n_whole = steps_per_epoch(config, n_rows)
    n_steps = min(config.training.steps, n_kept * n_each)
    if n_steps >= config.training.steps:
        return config.n_epochs(n_whole)
    return max(1, round(n_steps / n_whole))
