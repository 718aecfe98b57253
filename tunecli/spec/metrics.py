"""The metrics an objective may name: their direction and the tasks they fit. How they are computed is train's."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.spec.knobs.losses import Task

CLASSIFICATION: tuple[Task, ...] = ("classification",)
REGRESSION: tuple[Task, ...] = ("regression",)


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Whether more is better, and which tasks have it."""

    maximize: bool
    tasks: tuple[Task, ...]


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
}
