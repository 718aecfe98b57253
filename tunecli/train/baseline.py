"""Simple models of scikit-learn on the data of a trial: the same rows, folds, preparation and metrics.

A linear model and gradient-boosted trees show the worth of a network on a table. Both have scikit-learn's own
settings: nothing is tuned.

Axes: N examples, F features, K classes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.losses import CrossEntropy, Focal, LossKnob, Task
from tunecli.config.secrets import resolved
from tunecli.errors import UsageError
from tunecli.messages import Job
from tunecli.train.data import loading
from tunecli.train.data.loading import Fold
from tunecli.train.data.table import Inputs
from tunecli.train.losses import TargetScale, build_loss, weighted_mean
from tunecli.train.metrics import evaluate, finite
from tunecli.train.requested_metrics import (
    RequestedMetric,
    part_of,
    requested_metrics,
    requested_values,
    tuning_metric,
)
from tunecli.train.thresholds import tuned_threshold

MOST_VALUES = 20_000_000
"""Features times training examples of all folds: with more, the trees take over a minute on one core."""
_SEED = 0  # of the trees, which draw a part to stop by if there are over 10,000 examples
_MAX_ITERATIONS = 1000  # of the logistic regression; its default, 100, ends before many tables have converged


class Fitted(NamedTuple):
    """A simple model that was fitted to each fold.

    Attributes:
        model: its name in words.
        metrics: the mean over the folds of each metric that is defined.
        seconds: wall time of the fits.
    """

    model: str
    metrics: dict[str, float]
    seconds: float


def fitted_models(job: Job) -> Iterator[Fitted]:
    """Fit a linear model, then gradient-boosted trees, and score both on the validation data of a trial.

    Args:
        job: a trial that is trained by tunecli's loop; its model and its training are ignored.

    Raises:
        UsageError: these models cannot be fitted to such data.
        DataError: the data cannot be read or split.
    """
    config = TrialConfig.model_validate(resolved(job.task.config))
    scaled = config.data.model_copy(update={"normalize": "standard"})
    folds = loading.load(scaled, Path(job.files.base_path), job.task.study_seed, torch.device("cpu"))
    _require_table(folds)
    requested, tuned = requested_metrics(job.task.objective), tuning_metric(job.task.objective)
    for name, make in _models(folds[0].task):
        began_s = time.monotonic()
        of_folds = [_scores(make(), fold, config.loss, requested, tuned) for fold in folds]
        shared = [metric for metric in of_folds[0] if all(metric in one for one in of_folds)]
        means = {metric: float(np.mean([one[metric] for one in of_folds])) for metric in shared}
        yield Fitted(name, means, time.monotonic() - began_s)


def _require_table(folds: Sequence[Fold]) -> None:
    first = folds[0]
    if first.inputs.kind != "features":
        raise UsageError(
            f"a baseline needs a table of features, and the inputs are of kind {first.inputs.kind}"
        )
    if first.y_train.ndim != 1:
        raise UsageError("a baseline has one target, and the data have several")
    if sum(fold.x_train.numel() for fold in folds) > MOST_VALUES:
        raise UsageError(f"a baseline is fitted to at most {MOST_VALUES:,} values (examples times features)")


def _models(task: Task) -> list[tuple[str, Any]]:
    """The models by name, each as a function that makes one."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    if task == "classification":
        return [
            ("logistic regression", lambda: LogisticRegression(max_iter=_MAX_ITERATIONS)),
            ("gradient boosting", lambda: HistGradientBoostingClassifier(random_state=_SEED)),
        ]
    return [
        ("ridge regression", Ridge),
        ("gradient boosting", lambda: HistGradientBoostingRegressor(random_state=_SEED)),
    ]


def _scores(
    model: Any,
    fold: Fold,
    loss: Any,
    requested: Sequence[RequestedMetric],
    tuned: RequestedMetric | None,
) -> dict[str, float]:
    """Fit a model to a fold; its metrics on the validation part, under the names of a trial's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not converged still has a score
        weights = None if fold.w_train is None else fold.w_train.numpy()
        model.fit(_columns(fold.x_train, fold.inputs), fold.y_train.numpy(), sample_weight=weights)
        outputs = _outputs(model, _columns(fold.x_valid, fold.inputs), fold)
    weight_N = fold.w_valid
    threshold = None
    if tuned is not None and fold.task in tuned.functions:  # as for the trials
        threshold = tuned_threshold(part_of(fold, outputs, fold.y_valid, weight_N, None), tuned)
    metrics = evaluate(
        fold.task, outputs, fold.y_valid, fold.target_scale, weight_N=weight_N, threshold=threshold
    )
    values = requested_values(requested, fold, outputs, fold.y_valid, weight_N, threshold)
    for name, value in values.items():
        metrics[f"val_{name}"] = float(value)
    if _is_comparable(loss, fold.task):
        target = TargetScale(fold.target_center, fold.target_scale)
        mean_loss = build_loss(loss, fold.task, target=target)
        if weight_N is None:
            metrics["val_loss"] = float(mean_loss(outputs, fold.y_valid))
        else:
            metrics["val_loss"] = float(weighted_mean(mean_loss, outputs, fold.y_valid, weight_N.float()))
    return finite(metrics)


def _is_comparable(loss: Any, task: Task) -> bool:
    """Whether the loss of a trial is defined for the outputs of these models: log-probabilities, or predictions."""
    if task == "classification":
        return loss is None or isinstance(loss, CrossEntropy | Focal)
    return loss is None or (isinstance(loss, LossKnob) and not loss.is_of_counts)


def _outputs(model: Any, x_NF: NDArray[np.float32], fold: Fold) -> Tensor:
    """The predictions in the form of a network's outputs: (N, K) logits, or (N, 1) standardised numbers."""
    if fold.task == "regression":
        return torch.from_numpy(model.predict(x_NF).astype(np.float32))[:, None]
    probability_NK = np.zeros((len(x_NF), fold.n_outputs))
    # The training part of a fold may lack a class.
    probability_NK[:, model.classes_] = model.predict_proba(x_NF)
    return torch.from_numpy(np.log(np.maximum(probability_NK, np.finfo(np.float32).tiny)).astype(np.float32))


def _columns(x_NF: Tensor, inputs: Inputs) -> NDArray[np.float32]:
    """The features as numbers: a column of codes becomes one 0/1 column for each code."""
    x: NDArray[np.float32] = x_NF.numpy()
    if not inputs.categories:
        return x
    codes_NC = x[:, inputs.n_numbers :].astype(np.int64)
    blocks = [
        np.eye(n, dtype=np.float32)[codes] for codes, n in zip(codes_NC.T, inputs.categories, strict=True)
    ]
    return np.concatenate([x[:, : inputs.n_numbers], *blocks], axis=1)
