"""Simple models of scikit-learn on the data of a trial: the same rows, folds, preparation and metrics.

A linear model and gradient-boosted trees show the worth of a network on a table, on texts and on time series. Both have
scikit-learn's own settings: nothing is tuned.

Axes: N examples, K classes, labels or targets.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.losses import Bce, CrossEntropy, Focal, LossKnob, Task
from tunecli.config.secrets import resolved
from tunecli.errors import UsageError
from tunecli.messages import Job
from tunecli.train.baseline_inputs import baseline_data, last_values, n_values_of, repeated, rows_of
from tunecli.train.data import loading
from tunecli.train.data.loading import Fold
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
"""Features times training examples of all folds times targets: with more, the trees take over a minute on one core."""
_SEED = 0  # of the trees, which draw a part to stop by if there are over 10,000 examples
_TINY = float(np.finfo(np.float32).tiny)
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

    Several targets, and labels, are fitted one by one. Of a time series, the first model repeats the last value. Texts
    have no trees, which need a dense table.

    Args:
        job: a trial that is trained by tunecli's loop; its model and its training are ignored.

    Raises:
        UsageError: these models cannot be fitted to such data.
        DataError: the data cannot be read or split.
    """
    config = TrialConfig.model_validate(resolved(job.task.config))
    data, base_path = baseline_data(config.data), Path(job.files.base_path)
    folds = loading.load(data, base_path, job.task.study_seed, torch.device("cpu"))
    _require_rows_of_numbers(folds)
    objective = job.task.objective
    requested, tuned = requested_metrics(objective), tuning_metric(objective)
    scoring = _Scoring(config.loss, requested, tuned, objective.threshold)
    if data.series is not None and (last := last_values(data, base_path, job.task.study_seed)):
        outputs = [repeated(last_N, fold) for last_N, fold in zip(last, folds, strict=True)]
        yield Fitted("repeating the last value", _mean_scores(folds, outputs, scoring), 0.0)
    rows = [rows_of(fold) for fold in folds]
    for name, make in _models(folds[0]):
        began_s = time.monotonic()
        outputs = [
            _outputs(make, fold, *rows_of_fold) for fold, rows_of_fold in zip(folds, rows, strict=True)
        ]
        yield Fitted(name, _mean_scores(folds, outputs, scoring), time.monotonic() - began_s)


def _require_rows_of_numbers(folds: Sequence[Fold]) -> None:
    if folds[0].inputs.kind == "image":
        raise UsageError(
            "a baseline needs a table of features, texts or a time series, and the inputs are images"
        )
    if n_values_of(folds) > MOST_VALUES:
        values = "examples times features times targets"
        raise UsageError(f"a baseline is fitted to at most {MOST_VALUES:,} values ({values})")


def _models(fold: Fold) -> list[tuple[str, Any]]:
    """The models by name, each as a function that makes one."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    if fold.task == "regression":
        models = [
            ("ridge regression", Ridge),
            ("gradient boosting", lambda: HistGradientBoostingRegressor(random_state=_SEED)),
        ]
    else:
        models = [
            ("logistic regression", lambda: LogisticRegression(max_iter=_MAX_ITERATIONS)),
            ("gradient boosting", lambda: HistGradientBoostingClassifier(random_state=_SEED)),
        ]
    return models[:1] if fold.inputs.n_tokens else models


class _Scoring(NamedTuple):
    """What the outputs of a simple model are scored by: the trial's loss and metrics."""

    loss: Any
    requested: Sequence[RequestedMetric]
    tuned: RequestedMetric | None
    threshold: float | None


def _mean_scores(folds: Sequence[Fold], outputs: Sequence[Tensor], scoring: _Scoring) -> dict[str, float]:
    """The mean over the folds of each metric that all have."""
    of_folds = [_scores(output, fold, scoring) for output, fold in zip(outputs, folds, strict=True)]
    shared = [metric for metric in of_folds[0] if all(metric in one for one in of_folds)]
    return {metric: float(np.mean([one[metric] for one in of_folds])) for metric in shared}


def _scores(outputs: Tensor, fold: Fold, scoring: _Scoring) -> dict[str, float]:
    """The metrics on the validation part of a fold, under the names of a trial's."""
    weight_N, tuned = fold.w_valid, scoring.tuned
    threshold = scoring.threshold
    if tuned is not None and fold.task in tuned.functions:  # as for the trials
        threshold = tuned_threshold(part_of(fold, outputs, fold.y_valid, weight_N, None), tuned)
    metrics = evaluate(
        fold.task, outputs, fold.y_valid, fold.target_scale, weight_N=weight_N, threshold=threshold
    )
    values = requested_values(scoring.requested, fold, outputs, fold.y_valid, weight_N, threshold)
    for name, value in values.items():
        metrics[f"val_{name}"] = float(value)
    if _is_comparable(scoring.loss, fold.task):
        target = TargetScale(fold.target_center, fold.target_scale)
        mean_loss = build_loss(scoring.loss, fold.task, target=target)
        if weight_N is None:
            metrics["val_loss"] = float(mean_loss(outputs, fold.y_valid))
        else:
            metrics["val_loss"] = float(weighted_mean(mean_loss, outputs, fold.y_valid, weight_N.float()))
    return finite(metrics)


def _is_comparable(loss: Any, task: Task) -> bool:
    """Whether the loss of a trial is defined for the outputs of these models: log-probabilities, or predictions."""
    match task:
        case "classification":
            return loss is None or isinstance(loss, CrossEntropy | Focal)
        case "multilabel":
            return loss is None or isinstance(loss, Bce | Focal)
        case "regression":
            return loss is None or (isinstance(loss, LossKnob) and not loss.is_of_counts)


def _outputs(make: Callable[[], Any], fold: Fold, x_train: Any, x_valid: Any) -> Tensor:
    """Fit models to a fold; their validation predictions in the form of a network's outputs (N, K).

    These are logits, or standardised numbers.
    """
    y = fold.y_train.numpy()
    weights = None if fold.w_train is None else fold.w_train.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not converged still has a score
        if fold.task == "classification":
            model = make().fit(x_train, y, sample_weight=weights)
            probability_NK = np.zeros((x_valid.shape[0], fold.n_outputs))
            # The training part of a fold may lack a class.
            probability_NK[:, model.classes_] = model.predict_proba(x_valid)
            return torch.from_numpy(np.log(np.maximum(probability_NK, _TINY)).astype(np.float32))
        columns = []
        for y_N in y.reshape(len(y), -1).T:
            if fold.task == "regression":
                columns.append(make().fit(x_train, y_N, sample_weight=weights).predict(x_valid))
            else:
                columns.append(_label_logits(make, x_train, y_N > 0, weights, x_valid))
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def _label_logits(
    make: Callable[[], Any],
    x_train: Any,
    is_label_N: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
    x_valid: Any,
) -> NDArray[np.float64]:
    """The logits (N,) of one label; those of a label that all training examples agree on are constant."""
    if is_label_N.all() or not is_label_N.any():
        probability_N = np.full(x_valid.shape[0], float(is_label_N[0]))
    else:
        probability_N = make().fit(x_train, is_label_N, sample_weight=weights).predict_proba(x_valid)[:, 1]
    log_N, log_rest_N = (np.log(np.maximum(one, _TINY)) for one in (probability_N, 1.0 - probability_N))
    logits_N: NDArray[np.float64] = log_N - log_rest_N
    return logits_N
