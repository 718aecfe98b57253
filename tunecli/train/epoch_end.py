"""The rules for an epoch's end, which the plain loop, the fused trainer and the user's own training all apply.

Owns a trial's progress, and the decisions that an epoch's metrics lead to: whether the trial has failed, which epoch is
kept, and whether it is pruned, stopped early or complete. Loads no torch.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tunecli.config.schema.training import EarlyStop
from tunecli.messages import Ended, Job
from tunecli.objective import Objective
from tunecli.trial import Failure, FailureKind, Outcome, State

if TYPE_CHECKING:
    from torch import Tensor

    from tunecli.train.data.loading import Fold

_SAVED = (
    "epochs",
    "kept_epoch",
    "metrics",
    "weights",
    "kept_loss",
    "least_loss",
    "mark_loss",
    "stale_epochs",
)


@dataclass(slots=True)
class TrialProgress:
    """How far a trial has come, over all its attempts. A *loss* is ``sign * objective``: lower is better.

    Attributes:
        epochs: number of epochs trained.
        kept_epoch: the epoch whose metrics and weights are the trial's result so far; 0 before the first.
        metrics: the kept epoch's metrics.
        weights: the kept epoch's weights, one entry for each model; empty if they are not needed.
        kept_loss: the kept epoch's loss.
        least_loss: the lowest loss of any epoch.
        mark_loss: the loss that early stopping compares with. An epoch is an improvement if its loss is lower by more
            than ``min_delta``.
        stale_epochs: number of epochs since the last improvement.
        earlier_s: seconds that earlier attempts trained, up to the checkpoint.
        is_finished_early: whether the trial finishes at a time limit with its result so far.
        folds: the data of each fold without their examples, for the model file.
        decided: the counts of each class or label with the kept weights, for the model file; see `Evaluator.decided`.
    """

    epochs: int = 0
    kept_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    weights: list[dict[str, Tensor]] = field(default_factory=list)
    kept_loss: float = math.inf
    least_loss: float = math.inf
    mark_loss: float = math.inf
    stale_epochs: int = 0
    earlier_s: float = 0.0
    is_finished_early: bool = False
    folds: tuple[Fold, ...] = ()
    decided: tuple[tuple[float, float, float], ...] = ()
    _began_s: float | None = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds that the trial has trained, over all its attempts, by the monotonic clock."""
        return self.earlier_s + (0.0 if self._began_s is None else time.monotonic() - self._began_s)

    def charge(self, seconds: float) -> None:
        """Add seconds, and stop this trial's own clock: trials that train as one share the time."""
        self.earlier_s, self._began_s = self.earlier_s + seconds, None

    def keep(self, loss: float, metrics: Mapping[str, float], early_stop: EarlyStop | None) -> bool:
        """Take in the last epoch's loss and metrics.

        Returns:
            Whether that epoch is kept: always without early stopping, with it only the best one.
        """
        self.least_loss = min(self.least_loss, loss)
        if early_stop is not None and loss >= self.kept_loss:
            return False
        self.kept_epoch, self.kept_loss, self.metrics = self.epochs, loss, dict(metrics)
        return True

    def is_out_of_patience(self, loss: float, early_stop: EarlyStop) -> bool:
        """Take in the last epoch's loss; whether ``patience`` epochs in a row have brought no improvement."""
        if loss < self.mark_loss - early_stop.min_delta:
            self.mark_loss, self.stale_epochs = loss, 0
        else:
            self.stale_epochs += 1
        return self.stale_epochs >= early_stop.patience

    def state(self) -> dict[str, Any]:
        """The whole state, as plain data and tensors."""
        return {**{name: getattr(self, name) for name in _SAVED}, "seconds": self.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state`.

        Raises:
            KeyError: ``state`` lacks an entry.
        """
        self.earlier_s = state["seconds"]
        for name in _SAVED:
            setattr(self, name, state[name])


class EpochEnd(NamedTuple):
    """The decisions at an epoch's end.

    Attributes:
        ending: how the trial ends: pruned, complete, or a failure; None: another epoch follows.
        keeps_weights: whether to copy the weights after this epoch.
    """

    ending: Failure | State | None
    keeps_weights: bool = False


def end_epoch(
    job: Job,
    progress: TrialProgress,
    metrics: Mapping[str, float],
    early_stop: EarlyStop | None,
    n_epochs: int,
) -> EpochEnd:
    """Take the next epoch's metrics into ``progress``, and apply every rule to them.

    Args:
        job: the trial.
        progress: up to the epoch before.
        metrics: the epoch's metrics, without those that are not finite.
        early_stop: the setting, if any.
        n_epochs: planned length of the trial.
    """
    progress.epochs += 1
    epoch, metric = progress.epochs, job.task.objective.metric
    if (failure := metrics_failure(metrics, metric, epoch)) is not None:
        return EpochEnd(failure)
    loss = job.task.objective.sign * metrics[metric]
    is_kept = progress.keep(loss, metrics, early_stop)
    is_last = epoch in (n_epochs, job.limits.end_epoch)
    may_be_result = early_stop is not None or is_last
    keeps_weights = is_kept and may_be_result and (job.task.open_test or saves_weights(job, loss))
    ending: State | None = None
    if is_pruned(job, epoch - 1, epoch, progress.least_loss):
        ending = State.PRUNED
    elif is_last or (early_stop is not None and progress.is_out_of_patience(loss, early_stop)):
        ending = State.COMPLETE
    return EpochEnd(ending, keeps_weights)


def end_training(
    job: Job, progress: TrialProgress, test: Callable[[], Mapping[str, float]]
) -> Failure | State:
    """How a trial ends after its last epoch: complete, or failed because a goal has no value.

    Args:
        job: the trial.
        progress: the test metrics are added to its metrics.
        test: measures the kept weights on the test part; called only if the job opens that part.
    """
    if job.task.open_test:
        progress.metrics = {**progress.metrics, **test()}
    return missing_goal(job.task.objective, progress.metrics) or State.COMPLETE


def keep_last_weights(
    job: Job, progress: TrialProgress, weights: Callable[[], list[dict[str, Tensor]]]
) -> None:
    """Keep the weights of a trial that finishes before its last epoch, if that epoch is its result.

    Args:
        job: the trial.
        progress: up to the epoch that has ended.
        weights: copies the models' weights.
    """
    if progress.kept_epoch == progress.epochs and (
        job.task.open_test or saves_weights(job, progress.kept_loss)
    ):
        progress.weights = weights()


def ended(
    job: Job, progress: TrialProgress, ending: Failure | State, device_name: str, weights_sha256: str = ""
) -> Ended:
    """The event that ends a trial.

    Args:
        job: the trial.
        progress: the trial's progress at its end.
        ending: complete, pruned, or the failure.
        device_name: the device that it ran on.
        weights_sha256: SHA-256 of the weights file, if one was written.
    """
    failure = ending if isinstance(ending, Failure) else None
    outcome = Outcome(
        state=State.FAILED if isinstance(ending, Failure) else ending,
        score=None if failure or job.task.refit is not None else progress.metrics[job.task.objective.metric],
        metrics={} if failure else progress.metrics,
        epochs=progress.epochs,
        kept_epoch=0 if failure else progress.kept_epoch,
        seconds=progress.seconds,
        device=device_name,
        failure=failure,
        weights_sha256=weights_sha256,
    )
    # The engine knows which limit it was.
    limit = (
        Failure(FailureKind.TIMEOUT, "its time limit") if progress.is_finished_early and not failure else None
    )
    return Ended(job.number, job.attempt, outcome, ended_by=limit)


def metrics_failure(metrics: Mapping[str, float], metric: str, epoch: int) -> Failure | None:
    """The failure of a trial whose losses or objective are not finite; None if all are.

    The validation loss is required for every objective: a model whose outputs are NaN still has an accuracy,
    because argmax assigns its outputs to some class.
    """
    missing = next((name for name in ("train_loss", "val_loss", metric) if name not in metrics), None)
    if missing is None:
        return None
    if "val_loss" in metrics and missing != "train_loss":
        cause = f"{missing} is not defined on this validation part, although val_loss is {metrics['val_loss']:.4g}"
        return Failure(FailureKind.ERROR, cause)
    return Failure(FailureKind.DIVERGED, f"{missing} is not a finite number after epoch {epoch}")


def missing_goal(objective: Objective, metrics: Mapping[str, float]) -> Failure | None:
    """The failure of a trial that has no value for one of the goals or constraints; None if it has all."""
    missing = next((name for name in objective.metrics if name not in metrics), None)
    if missing is None:
        return None
    return Failure(
        FailureKind.ERROR, f"{missing} has no value at the trial's end, but the objective needs one"
    )


def saves_weights(job: Job, loss: float) -> bool:
    """Whether the weights of a trial that ends with this loss are saved."""
    return bool(job.files.weights_path) and (job.files.keep_below is None or loss < job.files.keep_below)


def is_pruned(job: Job, last_epoch: int, epoch: int, least_loss: float) -> bool:
    """Whether a trial is pruned at an epoch's end: its lowest loss is above the pruner's bound for that epoch.

    Only the bound of the reported epoch counts. Bounds of epochs that were skipped do not: the losses there are not
    known. The first report past the last bound is compared with that bound; later ones are not.

    Args:
        job: the trial, with its bounds.
        last_epoch: the epoch reported before, 0 at first.
        epoch: the epoch that ended, from 1.
        least_loss: the lowest ``sign * objective`` so far, this epoch's included.
    """
    bounds, epochs = job.limits.stop_above, job.limits.stop_epochs
    last_bound_epoch = epochs[-1] if epochs else len(bounds)
    if last_epoch >= last_bound_epoch:
        return False
    index = bisect_right(epochs, epoch) - 1 if epochs else min(epoch, last_bound_epoch) - 1
    bound = bounds[index] if index >= 0 else None
    return bound is not None and least_loss > bound


def never() -> bool:
    """A stop request that never comes."""
    return False
