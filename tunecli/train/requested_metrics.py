"""The metrics that a file names beside those that are always computed, for the plain loop and for fused trials.

`MetricFacts.function` names the function of each in class_metrics.py or number_metrics.py; that of labels has the same
name in label_metrics.py.

Axes: N examples, K classes, labels or targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tunecli.config.metric_names import NamedMetric, metric_of
from tunecli.config.metrics import THRESHOLD
from tunecli.config.schema.losses import Task
from tunecli.objective import Objective
from tunecli.registry.implementations import implementation
from tunecli.train.class_metrics import Classified
from tunecli.train.data.loading import Fold
from tunecli.train.label_metrics import Labelled
from tunecli.train.number_metrics import Predicted, in_units
from tunecli.train.user_code.metric import UserMetric, user_metrics


class RequestedMetric(NamedTuple):
    """A metric to compute.

    Attributes:
        name: its name after ``val_`` and ``test_``.
        functions: for each task that has the metric, its function of a `Classified`, `Labelled` or `Predicted`, with
            the settings as keyword arguments, to a float64 scalar.
        settings: the settings, without the name of a target.
        target: the target that is scored alone; empty: all targets.
        base: its key in `METRICS`.
        maximize: whether a higher value is better.
    """

    name: str
    functions: Mapping[Task, Callable[..., Tensor]]
    settings: Mapping[str, Any]
    target: str = ""
    base: str = ""
    maximize: bool = True


class FurtherMetrics(NamedTuple):
    """The metrics to compute beside those that are always computed.

    Attributes:
        own: the user's own functions.
        requested: built-in ones that the file names.
        tuned: the metric that chooses the threshold of the decided classes on the validation part; None: none does.
        threshold: the threshold, where it is fixed or chosen already.
    """

    own: tuple[UserMetric, ...] = ()
    requested: tuple[RequestedMetric, ...] = ()
    tuned: RequestedMetric | None = None
    threshold: float | None = None

    def with_threshold(self, metrics: Mapping[str, float]) -> FurtherMetrics:
        """The same with the threshold that is recorded among the metrics of an epoch, if any."""
        return self._replace(tuned=None, threshold=metrics.get(THRESHOLD))


NO_FURTHER = FurtherMetrics()


def further_metrics(objective: Objective, base_path: Path) -> FurtherMetrics:
    """The metrics that an objective names and that are not always computed.

    Args:
        objective: the goals, the constraints and the further metrics to record.
        base_path: the folder in which the user's modules are searched first.

    Raises:
        ImportError, AttributeError: as `user_metric`.
    """
    own, requested = user_metrics(objective, base_path), requested_metrics(objective)
    return FurtherMetrics(own, requested, tuning_metric(objective), objective.threshold)


def tuning_metric(objective: Objective) -> RequestedMetric | None:
    """The metric that chooses the threshold of the decided classes; None: none does."""
    metric = metric_of(objective.metric) if objective.tunes_threshold else None
    return None if metric is None else _requested(metric)


def requested_metrics(objective: Objective) -> tuple[RequestedMetric, ...]:
    """The metrics among those that an objective names which are computed only on request.

    The user's own metrics are not among them, even if they have the name of one.
    """
    own = {goal.metric for goal in objective.goals if goal.python}
    known = (metric_of(name) for name in objective.recorded if name not in own)
    return tuple(
        _requested(metric) for metric in known if metric and metric.is_on_request and metric.facts.function
    )


def _requested(metric: NamedMetric) -> RequestedMetric:
    functions: dict[Task, Callable[..., Tensor]] = {}
    for task in metric.facts.tasks:
        module, _, name = metric.facts.function.partition(":")
        if task == "multilabel":
            module = "label_metrics"
        functions[task] = implementation(f"tunecli.train.{module}:{name}")
    settings = {key: value for key, value in metric.settings.items() if key != "target"}
    return RequestedMetric(
        metric.name.removeprefix("val_"),
        functions,
        settings,
        metric.settings.get("target", ""),
        metric.base,
        metric.facts.maximize,
    )


def requested_values(
    requested: Sequence[RequestedMetric],
    fold: Fold,
    outputs: Tensor,
    y: Tensor,
    weight_N: Tensor | None = None,
    threshold: float | None = None,
) -> dict[str, Tensor]:
    """The values of requested metrics on a part of a fold, by their names after ``val_``.

    Args:
        requested: the metrics; those of another task are left out.
        fold: the data of the model, for the names of the classes and the scale of the target.
        outputs: (N, K) logits, or (N, K) standardised predictions.
        y: classes, labels, or standardised targets.
        weight_N: float64 weights of the examples, on the CPU; None: all count the same.
        threshold: the probability above which the second of two classes, or a label, is decided; None: one half.

    Returns:
        Float64 scalars on the device of the outputs, with weights on the CPU; NaN where a metric is undefined.
    """
    wanted = [metric for metric in requested if fold.task in metric.functions]
    if not wanted:
        return {}
    if outputs.device.type == "mps" or weight_N is not None:  # mps has no float64
        outputs, y = outputs.cpu(), y.cpu()
    if fold.task == "regression":
        return _of_targets(wanted, fold, outputs, y, weight_N)
    part = part_of(fold, outputs, y, weight_N, threshold)
    return {metric.name: metric.functions[fold.task](part, **metric.settings) for metric in wanted}


def part_of(
    fold: Fold, outputs: Tensor, y: Tensor, weight_N: Tensor | None, threshold: float | None
) -> Classified | Labelled:
    """The outputs on a part of a fold of classes or labels, with their targets; arguments as for `requested_values`."""
    kind = Classified if fold.task == "classification" else Labelled
    return kind(outputs, y, fold.class_names, weight_N, threshold)


def _of_targets(
    wanted: Sequence[RequestedMetric], fold: Fold, outputs_NK: Tensor, y: Tensor, weight_N: Tensor | None
) -> dict[str, Tensor]:
    """The values for each target or, where a metric names none, their mean."""
    scale, center = fold.target_scale, fold.target_center
    guess_NK = in_units(outputs_NK.squeeze(1) if y.dim() == 1 else outputs_NK, scale, center)
    y_NK = in_units(y, scale, center)
    parts = [Predicted(guess_NK, y_NK, weight_N)]
    if y.dim() == 2:
        parts = [Predicted(*columns, weight_N) for columns in zip(guess_NK.T, y_NK.T, strict=True)]
    names = fold.target_names or tuple(map(str, range(len(parts))))
    values = {}
    for metric in wanted:
        chosen = [part for part, name in zip(parts, names, strict=True) if metric.target in ("", name)]
        scores = [metric.functions["regression"](part, **metric.settings) for part in chosen]
        missing = y_NK.new_tensor(torch.nan)  # no target has that name
        values[metric.name] = scores[0] if len(scores) == 1 else torch.stack(scores or [missing]).mean()
    return values
