"""The metrics that a file names beside those that are always computed, for the plain loop and for fused trials.

`MetricFacts.function` names the function of each in class_metrics.py or number_metrics.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from tunecli.config.metric_names import NamedMetric, metric_of
from tunecli.config.schema.losses import Task
from tunecli.objective import Objective
from tunecli.registry.implementations import implementation
from tunecli.train.class_metrics import Classified
from tunecli.train.data.loading import Fold
from tunecli.train.number_metrics import Predicted, in_units
from tunecli.train.user_code.metric import UserMetric, user_metrics


class RequestedMetric(NamedTuple):
    """A metric to compute.

    Attributes:
        name: its name after ``val_`` and ``test_``.
        function: of a `Classified` or a `Predicted`, with the settings as keyword arguments, to a float64 scalar.
        settings: the settings.
        tasks: the tasks that have the metric.
    """

    name: str
    function: Callable[..., Tensor]
    settings: Mapping[str, Any]
    tasks: tuple[Task, ...]


class FurtherMetrics(NamedTuple):
    """The metrics to compute beside those that are always computed.

    Attributes:
        own: the user's own functions.
        requested: built-in ones that the file names.
    """

    own: tuple[UserMetric, ...] = ()
    requested: tuple[RequestedMetric, ...] = ()


NO_FURTHER = FurtherMetrics()


def further_metrics(objective: Objective, base_path: Path) -> FurtherMetrics:
    """The metrics that an objective names and that are not always computed.

    Args:
        objective: the goals, the constraints and the further metrics to record.
        base_path: the folder in which the user's modules are searched first.

    Raises:
        ImportError, AttributeError: as `user_metric`.
    """
    return FurtherMetrics(user_metrics(objective, base_path), requested_metrics(objective))


def requested_metrics(objective: Objective) -> tuple[RequestedMetric, ...]:
    """The metrics among those that an objective names which are computed only on request.

    The user's own metrics are not among them, whatever their names.
    """
    own = {goal.metric for goal in objective.goals if goal.python}
    known = (metric_of(name) for name in objective.recorded if name not in own)
    return tuple(
        _requested(metric) for metric in known if metric and metric.is_on_request and metric.facts.function
    )


def _requested(metric: NamedMetric) -> RequestedMetric:
    function = implementation(f"tunecli.train.{metric.facts.function}")
    return RequestedMetric(metric.name.removeprefix("val_"), function, metric.settings, metric.facts.tasks)


def requested_values(
    requested: Sequence[RequestedMetric], fold: Fold, outputs: Tensor, y_N: Tensor
) -> dict[str, Tensor]:
    """The values of requested metrics on a part of a fold, by their names after ``val_``.

    Args:
        requested: the metrics; those of another task are left out.
        fold: the data of the model, for the names of the classes and the scale of the target.
        outputs: (N, K) logits, or (N, 1) standardised predictions.
        y_N: classes, or standardised targets.

    Returns:
        Float64 scalars on the device of the outputs; NaN where a metric is undefined.
    """
    if not requested:
        return {}
    if outputs.device.type == "mps":  # it has no float64
        outputs, y_N = outputs.cpu(), y_N.cpu()
    part: Classified | Predicted
    if fold.task == "classification":
        part = Classified(outputs, y_N, fold.class_names)
    else:
        scale, center = fold.target_scale, fold.target_center
        part = Predicted(in_units(outputs.squeeze(1), scale, center), in_units(y_N, scale, center))
    return {
        metric.name: metric.function(part, **metric.settings)
        for metric in requested
        if fold.task in metric.tasks
    }
