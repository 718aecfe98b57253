"""The metrics that an objective can name: their direction, and the tasks that have them. `train` computes them.

A metric is one entry of `METRICS`, one line of `METRIC_LINES` and, if it is computed on request, one function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunecli.config.schema.losses import Task

CLASSIFICATION: tuple[Task, ...] = ("classification",)
REGRESSION: tuple[Task, ...] = ("regression",)
LABELS: tuple[Task, ...] = ("multilabel",)
ALL_TASKS = CLASSIFICATION + LABELS + REGRESSION
LATENCY = "latency_ms"
N_PARAMETERS = "n_parameters"
MEASURED = (N_PARAMETERS, LATENCY)
"""Cost of using a model; measured only if the file names it, because timing takes time."""
LEARNING_RATE = "lr"
"""Recorded for each epoch and no objective: the learning rate of the first optimizer group at the epoch's last step."""

THRESHOLD = "val_threshold"
"""Recorded for each epoch where the file asks for it, and no objective: the tuned threshold of the decided classes."""
DECIDED = (
    "val_accuracy",
    "val_balanced_accuracy",
    "val_f1",
    "val_hamming_loss",
    "val_kappa",
    "val_mcc",
    "val_precision",
    "val_recall",
)
"""Metrics of the classes or labels that are decided, so that they depend on a threshold."""

Setting = Literal["average", "positive", "weights", "k", "alpha", "target"]
"""The settings of metrics; `metric_names.MetricSettings` has their types."""
TARGET: Setting = "target"
Need = Literal["", "classes", "variation", "nonzero", "nonnegative"]
"""What the validation targets need, so that a metric is defined: two classes, two values, no zero, none below zero."""


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """The facts about a metric.

    Attributes:
        maximize: whether a higher value is better.
        tasks: the tasks that have the metric.
        is_count: whether it is a whole number.
        is_clock: whether a clock measures it.
        best: the best value that is possible; None: there is none.
        needs: what the validation targets need; empty: nothing.
        function: ``module:function`` in tunecli/train, which computes it only if the file names it; that of labels is
            in label_metrics.py. Empty: it is always computed, or its code is elsewhere.
        settings: its settings, which become a part of its name. A metric that is always computed has its function for
            the names with settings.
        is_standard: whether the metric without settings is always computed.
    """

    maximize: bool
    tasks: tuple[Task, ...]
    is_count: bool = False
    is_clock: bool = False
    best: float | None = None
    needs: Need = ""
    function: str = ""
    settings: tuple[Setting, ...] = ()
    is_standard: bool = False


def _of_classes(
    function: str,
    *settings: Setting,
    maximize: bool = True,
    needs: Need = "",
    is_standard: bool = False,
    tasks: tuple[Task, ...] = CLASSIFICATION,
) -> MetricFacts:
    """A metric between 0 and 1 (or from -1 to 1) of classes or labels, computed on request."""
    function = f"class_metrics:{function}"
    best = 1.0 if maximize else 0.0
    return MetricFacts(
        maximize, tasks, False, False, best, needs, function, settings, is_standard=is_standard
    )


def _of_numbers(
    function: str,
    *settings: Setting,
    maximize: bool = False,
    needs: Need = "",
    is_standard: bool = False,
) -> MetricFacts:
    """A metric of a regression, computed on request, also of one of several targets."""
    function = f"number_metrics:{function}"
    best, with_target = 1.0 if maximize else 0.0, (*settings, TARGET)
    return MetricFacts(
        maximize, REGRESSION, False, False, best, needs, function, with_target, is_standard=is_standard
    )


METRICS: dict[str, MetricFacts] = {
    "val_loss": MetricFacts(False, ALL_TASKS, is_standard=True),
    "val_accuracy": _of_classes("accuracy", is_standard=True, tasks=CLASSIFICATION + LABELS),
    "val_balanced_accuracy": _of_classes("balanced_accuracy", is_standard=True),
    "val_f1": _of_classes("f1", "average", "positive", is_standard=True, tasks=CLASSIFICATION + LABELS),
    "val_auroc": MetricFacts(True, CLASSIFICATION + LABELS, best=1.0, needs="classes", is_standard=True),
    "val_hamming_loss": _of_classes("hamming_loss", maximize=False, is_standard=True, tasks=LABELS),
    "val_average_precision": _of_classes("average_precision", needs="classes", tasks=CLASSIFICATION + LABELS),
    "val_precision": _of_classes("precision", "average", "positive", tasks=CLASSIFICATION + LABELS),
    "val_recall": _of_classes("recall", "average", "positive", tasks=CLASSIFICATION + LABELS),
    "val_mcc": _of_classes("mcc", needs="classes"),
    "val_kappa": _of_classes("kappa", "weights", needs="classes"),
    "val_top_k": _of_classes("top_k", "k"),
    "val_log_loss": _of_classes("log_loss", maximize=False, tasks=CLASSIFICATION + LABELS),
    "val_brier": _of_classes("brier", maximize=False, tasks=CLASSIFICATION + LABELS),
    "val_calibration_error": _of_classes("calibration_error", maximize=False),
    "val_mae": _of_numbers("mae", is_standard=True),
    "val_rmse": _of_numbers("rmse", is_standard=True),
    "val_r2": _of_numbers("r2", maximize=True, needs="variation", is_standard=True),
    "val_median_absolute_error": _of_numbers("median_absolute_error"),
    "val_max_error": _of_numbers("max_error"),
    "val_mape": _of_numbers("mape", needs="nonzero"),
    "val_msle": _of_numbers("msle", needs="nonnegative"),
    "val_rmsle": _of_numbers("rmsle", needs="nonnegative"),
    "val_pinball": _of_numbers("pinball", "alpha"),
    "val_spearman": _of_numbers("spearman", maximize=True, needs="variation"),
    "train_loss": MetricFacts(False, ALL_TASKS, is_standard=True),
    N_PARAMETERS: MetricFacts(False, ALL_TASKS, is_count=True, best=0.0),
    LATENCY: MetricFacts(False, ALL_TASKS, is_clock=True, best=0.0),
}
"""``n_parameters`` counts all weights that a model trains, those that a cut holds at zero too. ``latency_ms`` is the
median time, in milliseconds, of a forward pass of one example on the trial's device, once it has warmed up."""

METRIC_LINES: dict[str, str] = {
    "val_loss": "The training loss on the validation part, with label smoothing, focal gamma and class weights in it; "
    "for regression it is on the standardised target.",
    "val_accuracy": "Share of examples whose most likely class is right; of labels, share of examples whose labels are "
    "all right.",
    "val_balanced_accuracy": "Mean over the classes of the share of each that is right (recall, macro average).",
    "val_f1": "F1 score, macro average: the mean of each class's or label's F1, with two classes too. It is not the F1 "
    "of the positive class. `average` and `positive` choose another one.",
    "val_auroc": "Area under the ROC curve: with two classes, that of the second; with more, the mean of each class "
    "against the rest (macro average); of labels, the mean of each label.",
    "val_hamming_loss": "Share of wrong pairs of an example and a label.",
    "val_average_precision": "Area under the precision-recall curve, as a sum of steps: with two classes, that of the "
    "second; with more, the mean of each class against the rest (macro average); of labels, the mean of each label.",
    "val_precision": "Share of the examples assigned to a class that belong to it, macro average; `average` and "
    "`positive` choose another one. It is 0 for a class that no example is assigned to.",
    "val_recall": "Share of a class's examples that are assigned to it, macro average; `average` and `positive` choose "
    "another one.",
    "val_mcc": "Matthews correlation coefficient, also for more than two classes: 1 is perfect, 0 is as good as chance "
    "or as one class for all examples.",
    "val_kappa": "Cohen's kappa, the agreement beyond chance. `weights: linear` or `quadratic` counts how far a class "
    "is from the right one, in the order of the classes.",
    "val_top_k": "Share of examples whose class is among the k most likely ones. It needs `k`.",
    "val_log_loss": "Cross entropy of the predicted probabilities, for every loss that is trained; probabilities are "
    "at least 2.2e-16. Of labels, the mean of each label's.",
    "val_brier": "Brier score: the squared error of the second class's probability; with more than two classes, the "
    "sum of the squared errors of all classes; of labels, the mean of each label's.",
    "val_calibration_error": "Expected calibration error: the gap between the probability of the most likely class and "
    "the share that is right, in 15 bins of equal width.",
    "val_mae": "Mean absolute error, in the target's own units. With several targets, each metric is the mean of each "
    "target's; `target` chooses one of them.",
    "val_rmse": "Root of the mean squared error, in the target's own units.",
    "val_r2": "Coefficient of determination: 1 is perfect, 0 is as good as the mean of the validation targets.",
    "val_median_absolute_error": "Median of the absolute errors, in the target's own units.",
    "val_max_error": "Largest absolute error, in the target's own units.",
    "val_mape": "Mean of the absolute errors, each divided by the size of its target: 0.1 is ten per cent. It is not "
    "defined where a target is 0.",
    "val_msle": "Mean squared difference of log(1 + target) and log(1 + prediction), for targets of at least 0; a "
    "prediction below 0 counts as 0.",
    "val_rmsle": "Root of val_msle.",
    "val_pinball": "Pinball loss of the quantile `alpha` (0.5 by default: half of val_mae), in the target's own units.",
    "val_spearman": "Rank correlation of predictions and targets (Spearman): 1 is the same order. It is 0 if all "
    "predictions are equal.",
    "train_loss": "Mean of the loss over an epoch's training batches, in the units of val_loss, with augmentation and "
    "`data.balance` in it.",
    N_PARAMETERS: "Weights that the model trains, those that a cut holds at zero too; counted only where the file "
    "names it.",
    LATENCY: "Median time in milliseconds of a forward pass of one example, after a warm-up; measured only where the "
    "file names it.",
}
"""A description of each metric in one line."""


def is_clock(name: str) -> bool:
    """Whether a metric, or its deviation over folds or repeats, is measured by a clock and so never repeats."""
    facts = METRICS.get(name.removesuffix("_std"))
    return facts is not None and facts.is_clock
