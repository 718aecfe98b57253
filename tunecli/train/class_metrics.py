"""Metrics of a classification that are computed only if the file names them.

Each function takes a part's `Classified` and the metric's settings, and returns a float64 scalar on the device of the
outputs, NaN where the metric is undefined. Tests compare each with scikit-learn.

Axes: N examples, K classes, B bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as fn
from torch import Tensor

from tunecli.train.ranks import average_precisions, mean_of, mean_where

_N_BINS = 15
_LEAST_PROBABILITY = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Confusion:
    """Number (or weight) of examples by class and by decided class, float64; and the names of the classes, if any."""

    confusion_KK: Tensor
    class_names: Sequence[str] = ()

    @property
    def has_one_class(self) -> Tensor:
        """Whether all examples have one class."""
        return (self.confusion_KK.sum(1) > 0).sum() < 2

    def index_of(self, name: str) -> int | None:
        """The index of a class; None if there is no such class."""
        names = [*self.class_names] or [str(k) for k in range(len(self.confusion_KK))]
        return names.index(name) if name in names else None


@dataclass(frozen=True)
class Classified:
    """The outputs of a model on a part, with its classes.

    Attributes:
        logits_NK: the outputs.
        y_N: the classes.
        class_names: one per class; empty: the classes are named by their numbers.
        weight_N: float64 weights of the examples, or None. With weights, all tensors are on the CPU.
        threshold: of two classes, the probability above which the second one is decided; None: the likelier class is.
    """

    logits_NK: Tensor
    y_N: Tensor
    class_names: Sequence[str] = ()
    weight_N: Tensor | None = None
    threshold: float | None = None

    @cached_property
    def guess_N(self) -> Tensor:
        """The decided classes."""
        if self.threshold is None:
            return self.logits_NK.argmax(1)
        return (self.p_NK[:, 1] > self.threshold).long()

    @cached_property
    def confusion_KK(self) -> Tensor:
        """Number (or weight) of examples by class and by decided class, float64."""
        k = self.logits_NK.shape[1]
        cells_N = self.y_N * k + self.guess_N
        return torch.bincount(cells_N, self.weight_N, minlength=k**2).double().view(k, k)

    @cached_property
    def p_NK(self) -> Tensor:
        """Probabilities, float64."""
        return torch.softmax(self.logits_NK.double(), 1)

    @property
    def counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """By class, float64 (K,): number (or weight) of examples that have it and get it, have it, and get it."""
        return _counts(self)

    @property
    def has_one_class(self) -> Tensor:
        """Whether all examples have one class."""
        return Confusion(self.confusion_KK).has_one_class

    def index_of(self, name: str) -> int | None:
        """The index of a class; None if there is no such class."""
        return Confusion(self.confusion_KK, self.class_names).index_of(name)


Decided = Classified | Confusion
"""The values that a metric of the decided classes is computed from."""


def class_scores(logits_NK: Tensor, y_N: Tensor) -> tuple[Tensor, Tensor]:
    """The scores that rank the examples for a class, and whether each example has it.

    Returns:
        (K, N) float64 scores and (K, N) truth values; of two classes only the second, (1, N).
    """
    if logits_NK.shape[1] == 2:
        return (logits_NK[:, 1].double() - logits_NK[:, 0].double())[None], (y_N == 1)[None]
    # Log-probabilities, because probabilities near 1 round to ties.
    scores_KN = torch.log_softmax(logits_NK.double(), 1).T.contiguous()
    return scores_KN, y_N == torch.arange(logits_NK.shape[1], device=y_N.device)[:, None]


def average_precision(part: Classified) -> Tensor:
    """Σ_n (R_n − R_{n−1}) P_n over the distinct scores (`sklearn.metrics.average_precision_score`).

    The second of two classes; of more, the mean over the classes that have examples.
    """
    scores_KN, is_class_KN = class_scores(part.logits_NK, part.y_N)
    values_K = average_precisions(scores_KN, is_class_KN, part.weight_N)
    mean = mean_where(values_K, ~values_K.isnan())
    return torch.where(part.has_one_class, torch.nan, mean)


def accuracy(part: Decided) -> Tensor:
    """Share of examples whose class is right (`sklearn.metrics.accuracy_score`)."""
    hits_K, true_K, _ = _counts(part)
    return hits_K.sum() / true_K.sum()


def balanced_accuracy(part: Decided) -> Tensor:
    """Mean of the recall of the classes that have examples (`sklearn.metrics.balanced_accuracy_score`)."""
    hits_K, true_K, _ = _counts(part)
    return mean_where(hits_K / true_K, true_K > 0)


def precision(part: Decided, average: str = "macro", positive: str = "") -> Tensor:
    """Right among those assigned to a class (`sklearn.metrics.precision_score`, ``zero_division=0``)."""
    hits_K, true_K, guessed_K = _counts(part)
    return _averaged(part, hits_K, guessed_K, true_K, guessed_K, average, positive)


def recall(part: Decided, average: str = "macro", positive: str = "") -> Tensor:
    """Right among those of a class (`sklearn.metrics.recall_score`, ``zero_division=0``)."""
    hits_K, true_K, guessed_K = _counts(part)
    return _averaged(part, hits_K, true_K, true_K, guessed_K, average, positive)


def f1(part: Decided, average: str = "macro", positive: str = "") -> Tensor:
    """2 TP / (2 TP + FP + FN) (`sklearn.metrics.f1_score`, ``zero_division=0``)."""
    hits_K, true_K, guessed_K = _counts(part)
    return _averaged(part, 2.0 * hits_K, true_K + guessed_K, true_K, guessed_K, average, positive)


def _counts(part: Decided) -> tuple[Tensor, Tensor, Tensor]:
    confusion_KK = part.confusion_KK
    return confusion_KK.diagonal(), confusion_KK.sum(1), confusion_KK.sum(0)


def _averaged(
    part: Decided,
    above_K: Tensor,
    below_K: Tensor,
    true_K: Tensor,
    guessed_K: Tensor,
    average: str,
    positive: str,
) -> Tensor:
    """The average of a fraction over the classes; NaN for a single class that has no example."""
    if average == "micro":
        return above_K.sum() / below_K.sum()
    values_K = torch.where(below_K > 0, above_K / below_K, 0.0)
    if positive or average == "binary":
        index = part.index_of(positive) if positive else 1 if len(true_K) == 2 else None
        if index is None:
            return values_K.new_tensor(torch.nan)
        return torch.where(true_K[index] > 0, values_K[index], torch.nan)
    weights_K = true_K if average == "weighted" else (true_K + guessed_K > 0).double()
    return (values_K * weights_K).sum() / weights_K.sum()


def mcc(part: Decided) -> Tensor:
    """Matthews correlation coefficient of K classes (Gorodkin 2004; `sklearn.metrics.matthews_corrcoef`).

    0 if the model assigns all examples to one class.
    """
    hits_K, true_K, guessed_K = _counts(part)
    n = true_K.sum()
    covariance = hits_K.sum() * n - true_K @ guessed_K
    spread_true, spread_guessed = n**2 - true_K @ true_K, n**2 - guessed_K @ guessed_K
    value = torch.where(spread_guessed > 0, covariance / (spread_true * spread_guessed).sqrt(), 0.0)
    return torch.where(part.has_one_class, torch.nan, value)


def kappa(part: Decided, weights: str = "") -> Tensor:
    """Cohen's kappa, 1 − Σ w C / Σ w E, with E the counts by chance (Cohen 1968; `sklearn.metrics.cohen_kappa_score`).

    The distance of two classes is that of their indices, whether or not the classes between them have examples.
    """
    confusion_KK = part.confusion_KK
    index_K = torch.arange(len(confusion_KK), device=confusion_KK.device).double()
    distance_KK = (index_K[:, None] - index_K).abs()
    if not weights:
        distance_KK = (distance_KK > 0).double()
    elif weights == "quadratic":
        distance_KK = distance_KK**2
    expected_KK = torch.outer(confusion_KK.sum(1), confusion_KK.sum(0)) / confusion_KK.sum()
    value = 1.0 - (distance_KK * confusion_KK).sum() / (distance_KK * expected_KK).sum()
    return torch.where(part.has_one_class, torch.nan, value)


def top_k(part: Classified, k: int) -> Tensor:
    """Share of examples whose class is among the k with the largest outputs (`sklearn.metrics.top_k_accuracy_score`).

    Of equal outputs, the class with the larger index comes first, as there.
    """
    logits_NK, y_N1 = part.logits_NK, part.y_N[:, None]
    own_N1 = logits_NK.gather(1, y_N1)
    is_later_NK = torch.arange(logits_NK.shape[1], device=y_N1.device) > y_N1
    n_before_N = ((logits_NK > own_N1) | ((logits_NK == own_N1) & is_later_NK)).sum(1)
    return mean_of((n_before_N < k).double(), part.weight_N)


def log_loss(part: Classified) -> Tensor:
    """−mean log p of the true class (`sklearn.metrics.log_loss`, which clips p as here)."""
    p_N = part.p_NK.gather(1, part.y_N[:, None]).squeeze(1)
    return -mean_of(p_N.clamp(_LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY).log(), part.weight_N)


def brier(part: Classified) -> Tensor:
    """Brier score (Brier 1950), halved for two classes (`sklearn.metrics.brier_score_loss`)."""
    n_classes = part.logits_NK.shape[1]
    value = mean_of((part.p_NK - fn.one_hot(part.y_N, n_classes)).square().sum(1), part.weight_N)
    return value / 2.0 if n_classes == 2 else value


def calibration_error(part: Classified) -> Tensor:
    """Σ_b |B_b| / N · |accuracy − confidence| in the bins ((b − 1) / 15, b / 15] (Guo et al. 2017, equation 3)."""
    confidence_N, guess_N = part.p_NK.max(1)
    edges_B = torch.linspace(0.0, 1.0, _N_BINS + 1, dtype=torch.float64, device=confidence_N.device)[1:-1]
    gap_N = (guess_N == part.y_N).double() - confidence_N
    # A product with the bins' masks adds in a fixed order; a scatter on an accelerator does not.
    mask_NB = fn.one_hot(torch.bucketize(confidence_N, edges_B), _N_BINS).double()
    if part.weight_N is not None:
        return ((gap_N * part.weight_N) @ mask_NB).abs().sum() / part.weight_N.sum()
    return (gap_N @ mask_NB).abs().sum() / len(gap_N)
