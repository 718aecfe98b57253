"""Metrics of labels: a multi-label classification, whose examples have any number of labels.

A label is predicted where its probability is above one half, or above a threshold. Each function takes a part's
`Labelled` and the metric's settings, and returns a float64 scalar on the device of the outputs, NaN where the metric is
undefined. Tests compare each with scikit-learn's metric of a multilabel indicator.

Axes: N examples, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as fn
from torch import Tensor

from tunecli.train.ranks import areas, average_precisions, mean_of, mean_where


@dataclass(frozen=True)
class Labelled:
    """The outputs of a model on a part, with its labels.

    Attributes:
        logits_NL: the outputs.
        y_NL: 1 where an example has a label, else 0.
        class_names: one per label; empty: the labels are named by their numbers.
        weight_N: float64 weights of the examples, or None. With weights, all tensors are on the CPU.
        threshold: the probability above which a label is predicted; None: one half.
    """

    logits_NL: Tensor
    y_NL: Tensor
    class_names: Sequence[str] = ()
    weight_N: Tensor | None = None
    threshold: float | None = None

    @cached_property
    def p_NL(self) -> Tensor:
        """Probabilities, float64."""
        return self.logits_NL.double().sigmoid()

    @cached_property
    def is_label_NL(self) -> Tensor:
        """Whether an example has a label."""
        return self.y_NL > 0

    @cached_property
    def is_guess_NL(self) -> Tensor:
        """Whether a label is predicted."""
        return self.logits_NL > 0 if self.threshold is None else self.p_NL > self.threshold

    @cached_property
    def counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """By label, float64 (L,): number (or weight) of examples that have it and get it, have it, and get it."""
        is_label_NL, is_guess_NL = self.is_label_NL, self.is_guess_NL
        return self._sum(is_label_NL & is_guess_NL), self._sum(is_label_NL), self._sum(is_guess_NL)

    def _sum(self, is_counted_NL: Tensor) -> Tensor:
        if self.weight_N is None:
            return is_counted_NL.sum(0).double()
        return self.weight_N @ is_counted_NL.double()

    def index_of(self, name: str) -> int | None:
        """The index of a label; None if there is no such label."""
        names = [*self.class_names] or [str(label) for label in range(self.logits_NL.shape[1])]
        return names.index(name) if name in names else None


def standard(part: Labelled) -> dict[str, Tensor]:
    """The metrics that are always computed, by their names after ``val_``."""
    return {
        "accuracy": accuracy(part),
        "f1": f1(part),
        "auroc": auroc(part),
        "hamming_loss": hamming_loss(part),
    }


def accuracy(part: Labelled) -> Tensor:
    """Share of examples whose labels are all right (`sklearn.metrics.accuracy_score`: subset accuracy)."""
    return mean_of((part.is_guess_NL == part.is_label_NL).all(1).double(), part.weight_N)


def hamming_loss(part: Labelled) -> Tensor:
    """Share of wrong pairs of an example and a label (`sklearn.metrics.hamming_loss`)."""
    return mean_of((part.is_guess_NL != part.is_label_NL).double().mean(1), part.weight_N)


def auroc(part: Labelled) -> Tensor:
    """Mean over the labels of the area under the ROC curve (`sklearn.metrics.roc_auc_score`).

    A label that all examples have, or none, is left out.
    """
    areas_L = areas(part.logits_NL.double().T.contiguous(), part.is_label_NL.T.contiguous(), part.weight_N)
    return mean_where(areas_L, ~areas_L.isnan())


def average_precision(part: Labelled) -> Tensor:
    """Mean over the labels of the average precision (`sklearn.metrics.average_precision_score`).

    A label that no example has is left out.
    """
    scores_LN, is_label_LN = part.logits_NL.double().T.contiguous(), part.is_label_NL.T.contiguous()
    values_L = average_precisions(scores_LN, is_label_LN, part.weight_N)
    return mean_where(values_L, ~values_L.isnan())


def precision(part: Labelled, average: str = "macro", positive: str = "") -> Tensor:
    """Right among the predicted labels (`sklearn.metrics.precision_score`, ``zero_division=0``)."""
    hits_L, _, guessed_L = part.counts
    if average == "samples":
        return _of_samples(part, 1.0, 0.0)
    return _averaged(part, hits_L, guessed_L, average, positive)


def recall(part: Labelled, average: str = "macro", positive: str = "") -> Tensor:
    """Predicted among the labels of the examples (`sklearn.metrics.recall_score`, ``zero_division=0``)."""
    hits_L, true_L, _ = part.counts
    if average == "samples":
        return _of_samples(part, 0.0, 1.0)
    return _averaged(part, hits_L, true_L, average, positive)


def f1(part: Labelled, average: str = "macro", positive: str = "") -> Tensor:
    """2 TP / (2 TP + FP + FN) (`sklearn.metrics.f1_score`, ``zero_division=0``)."""
    hits_L, true_L, guessed_L = part.counts
    if average == "samples":
        return _of_samples(part, 0.5, 0.5)
    return _averaged(part, hits_L, (true_L + guessed_L) / 2.0, average, positive)


def _averaged(part: Labelled, above_L: Tensor, below_L: Tensor, average: str, positive: str) -> Tensor:
    """The average of a fraction over the labels; NaN for a single label that no example has."""
    _, true_L, _ = part.counts
    if average == "micro":
        return fraction(above_L.sum(), below_L.sum())
    values_L = fraction(above_L, below_L)
    if positive:
        index = part.index_of(positive)
        if index is None:
            return values_L.new_tensor(torch.nan)
        return torch.where(true_L[index] > 0, values_L[index], torch.nan)
    if average == "weighted":
        return fraction((values_L * true_L).sum(), true_L.sum())
    return values_L.mean()


def _of_samples(part: Labelled, guessed_share: float, true_share: float) -> Tensor:
    """The mean over the examples of hits / (guessed_share · predicted + true_share · had), 0 where that is 0 / 0."""
    hits_N = (part.is_label_NL & part.is_guess_NL).sum(1).double()
    guessed_N, true_N = part.is_guess_NL.sum(1).double(), part.is_label_NL.sum(1).double()
    return mean_of(fraction(hits_N, guessed_share * guessed_N + true_share * true_N), part.weight_N)


def fraction(above: Tensor, below: Tensor) -> Tensor:
    """A fraction, 0 where it is 0 / 0 (``zero_division=0`` of scikit-learn)."""
    return torch.where(below > 0, above / below, 0.0)


def log_loss(part: Labelled) -> Tensor:
    """Mean over the labels of the binary cross entropy of their probabilities (`sklearn.metrics.log_loss` of each)."""
    losses_NL = fn.binary_cross_entropy_with_logits(
        part.logits_NL.double(), part.y_NL.double(), reduction="none"
    )
    return mean_of(losses_NL.mean(1), part.weight_N)


def brier(part: Labelled) -> Tensor:
    """Mean over the labels of the squared error of their probabilities (`sklearn.metrics.brier_score_loss` of each)."""
    error_NL = part.p_NL - part.y_NL.double()
    return mean_of(error_NL.square().mean(1), part.weight_N)
