"""The metrics an objective may name: their direction and the tasks they fit. How they are computed is train's."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.spec.knobs.losses import Task

CLASSIFICATION: tuple[Task, ...] = ("classification",)
REGRESSION: tuple[Task, ...] = ("regression",)


LATENCY = "latency_ms"
N_PARAMETERS = "n_parameters"
MEASURED = (N_PARAMETERS, LATENCY)
"""What a model costs to use: measured only where the file names it, since a clock takes its time."""


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Whether more is better, and which tasks have it; whether it is a whole number, and whether a clock's."""

    maximize: bool
    tasks: tuple[Task, ...]
    is_count: bool = False
    is_clock: bool = False


METRICS: dict[str, MetricFacts] = {
    "val_loss": MetricFacts(False, CLASSIFICATION + REGRESSION),
    "val_accuracy": MetricFacts(True, CLASSIFICATION),
    "val_balanced_accuracy": MetricFacts(True, CLASSIFICATION),
    "val_f1": MetricFacts(True, CLASSIFICATION),
    "val_auroc": MetricFacts(True, CLASSIFICATION),
    "val_mae": MetricFacts(False, REGRESSION),
    "val_rmse": MetricFacts(False, REGRESSION),
    "val_r2": MetricFacts(True, REGRESSION),
    "train_loss": MetricFacts(False, CLASSIFICATION + REGRESSION),
    N_PARAMETERS: MetricFacts(False, CLASSIFICATION + REGRESSION, is_count=True),
    LATENCY: MetricFacts(False, CLASSIFICATION + REGRESSION, is_clock=True),
}
"""``n_parameters`` counts all weights that a model trains, those that a cut holds at zero too. ``latency_ms`` is the
median time, in milliseconds, of a forward pass of one example on the trial's device, once it has warmed up."""


def is_clock(name: str) -> bool:
    """Whether a metric, or its deviation over folds or repeats, is a clock's: it is never the same twice."""
    facts = METRICS.get(name.removesuffix("_std"))
    return facts is not None and facts.is_clock
