"""The metrics that an objective can name: their direction, and the tasks that have them. `train` computes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunecli.config.schema.losses import Task

CLASSIFICATION: tuple[Task, ...] = ("classification",)
REGRESSION: tuple[Task, ...] = ("regression",)
LATENCY = "latency_ms"
N_PARAMETERS = "n_parameters"
MEASURED = (N_PARAMETERS, LATENCY)
"""Cost of using a model; measured only if the file names it, because timing takes time."""


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Whether a higher value is better, which tasks have the metric, and whether it is a count or a clock's."""

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

METRIC_LINES: dict[str, str] = {
    "val_loss": "The training loss on the validation part, with label smoothing, focal gamma and class weights in it; "
    "for regression it is on the standardised target.",
    "val_accuracy": "Share of examples whose most likely class is right.",
    "val_balanced_accuracy": "Mean over the classes of the share of each that is right (recall, macro average).",
    "val_f1": "F1 score, macro average: the mean of each class's F1, with two classes too. It is not the F1 of the "
    "positive class.",
    "val_auroc": "Area under the ROC curve: with two classes, that of the second; with more, the mean of each class "
    "against the rest (macro average).",
    "val_mae": "Mean absolute error, in the target's own units.",
    "val_rmse": "Root of the mean squared error, in the target's own units.",
    "val_r2": "Coefficient of determination: 1 is perfect, 0 is as good as the mean of the validation targets.",
    "train_loss": "Mean of the loss over an epoch's training batches, in the units of val_loss, with augmentation and "
    "`data.balance` in it.",
    N_PARAMETERS: "Weights that the model trains, those that a cut holds at zero too.",
    LATENCY: "Median time in milliseconds of a forward pass of one example, after a warm-up; measured only where the "
    "file names it.",
}
"""A description of each metric in one line."""


def is_clock(name: str) -> bool:
    """Whether a metric, or its deviation over folds or repeats, is measured by a clock and so never repeats."""
    facts = METRICS.get(name.removesuffix("_std"))
    return facts is not None and facts.is_clock


_LOWER_IS_BETTER = (
    "loss losses error errors err ppl perplexity rmse rmsle mse msle mae mape smape nll logloss wer "
    "cer per bpc bpb bpd fid rms crossentropy xent brier ece regret rank1error top1error top5error "
    "deviance misclassification eer hter lpips"
)
_HIGHER_IS_BETTER = (
    "acc accuracy accuracies auc auroc aucroc roc auprc aucpr f1 f1score fscore fbeta precision "
    "recall reward rewards return returns r2 iou miou dice jaccard bleu rouge rougel meteor cider mcc "
    "kappa psnr ssim sharpe ndcg mrr elbo map likelihood acc1 acc5 top1 top5 specificity sensitivity "
    "elo winrate em"
)
_INVERTING = (
    "neg negative negated minus inverse inv not non reduction drop improvement gain decrease increase "
    "ratio delta diff log1p"
)
_LESS, _MORE, _TURNS = (
    frozenset(words.split()) for words in (_LOWER_IS_BETTER, _HIGHER_IS_BETTER, _INVERTING)
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")


def maximized_by_name(name: str) -> bool | None:
    """Whether a higher value of a user's own metric is better, as far as its name shows; None if it does not.

    ``test_loss`` and ``val/ppl`` are minimized, ``acc`` and ``eval_f1_macro`` maximized. A name with words of both
    kinds, or with an inverting word (``neg_loss``), is ambiguous.
    """
    words = {word.lower() for word in _WORDS.findall(name)} | {
        part.lower() for part in re.split(r"[_./-]", name)
    }
    if words & _TURNS or bool(words & _LESS) == bool(words & _MORE):
        return None
    return bool(words & _MORE)
