"""Metrics of a ranking: the area under the ROC curve, and the average precision, of several classes or labels at once.

Without weights, all counts are whole numbers until the last division: a sum of floats along an axis has no fixed order
on CUDA. Weighted examples are on the CPU.

Axes: N examples, K classes or labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor


def areas(scores_KN: Tensor, is_class_KN: Tensor, weight_N: Tensor | None = None) -> Tensor:
    """Area under the ROC curve of each class against the rest (`sklearn.metrics.roc_auc_score`).

    The Mann-Whitney statistic on mean ranks, so a tie counts one half (Hanley & McNeil 1982).

    Args:
        scores_KN: float64; a higher score is more of the class.
        is_class_KN: whether each example has the class.
        weight_N: float64 weights of the examples, at least 0.

    Returns:
        (K,) float64; NaN for a class that all examples have, or none.
    """
    if weight_N is not None:
        return _weighted_areas(scores_KN, is_class_KN, weight_N)
    n = scores_KN.shape[1]
    sorted_KN, order_KN = scores_KN.sort(1)
    first_KN, last_KN = _runs(sorted_KN)
    rank_KN = (first_KN + last_KN + 2).double() / 2.0
    n_positive_K = is_class_KN.sum(1).double()
    n_negative_K = n - n_positive_K
    wins_K = (rank_KN * is_class_KN.gather(1, order_KN)).sum(1) - n_positive_K * (n_positive_K + 1.0) / 2.0
    return wins_K / (n_positive_K * n_negative_K)


def _runs(sorted_KN: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last position of the run of equal scores that each position is in.

    It takes half the time of two binary searches.
    """
    n = sorted_KN.shape[1]
    is_other_KN = sorted_KN[:, 1:] != sorted_KN[:, :-1]
    position_N = torch.arange(n, device=sorted_KN.device)
    first_KN = fn.pad(is_other_KN * position_N[1:], (1, 0)).cummax(1).values
    last_KN = (n - 1 - fn.pad(is_other_KN * position_N.flip(0)[:-1], (0, 1)).flip(1).cummax(1).values).flip(1)
    return first_KN, last_KN


def _weighted_areas(scores_KN: Tensor, is_class_KN: Tensor, weight_N: Tensor) -> Tensor:
    sorted_KN, order_KN = scores_KN.sort(1)
    first_KN, last_KN = _runs(sorted_KN)
    weight_KN = weight_N[order_KN]
    hits_KN = is_class_KN.gather(1, order_KN)
    positive_KN, negative_KN = weight_KN * hits_KN, weight_KN * ~hits_KN
    below_KN = fn.pad(negative_KN.cumsum(1), (1, 0))
    # The negatives below an example's run, and half of those in it.
    lost_KN = (below_KN.gather(1, first_KN) + below_KN.gather(1, last_KN + 1)) / 2.0
    return (positive_KN * lost_KN).sum(1) / (positive_KN.sum(1) * negative_KN.sum(1))


def average_precisions(scores_KN: Tensor, is_class_KN: Tensor, weight_N: Tensor | None = None) -> Tensor:
    """Σ_n (R_n − R_{n−1}) P_n over the distinct scores of each class (`sklearn.metrics.average_precision_score`).

    The arguments are those of `areas`.

    Returns:
        (K,) float64; NaN for a class that no example has.
    """
    sorted_KN, order_KN = scores_KN.sort(1, descending=True)
    hits_KN = is_class_KN.gather(1, order_KN).long()
    # A threshold takes in the whole run of equal scores.
    _, end_KN = _runs(sorted_KN)
    if weight_N is None:
        position_N = torch.arange(scores_KN.shape[1], device=scores_KN.device)
        precision_KN = (hits_KN.cumsum(1) / (position_N + 1).double()).gather(1, end_KN)
        return (hits_KN * precision_KN).sum(1) / hits_KN.sum(1)
    weight_KN = weight_N[order_KN]
    weighted_KN = hits_KN * weight_KN
    precision_KN = (weighted_KN.cumsum(1) / weight_KN.cumsum(1)).gather(1, end_KN)
    precision_KN = torch.where(weighted_KN > 0, precision_KN, 0.0)  # 0 / 0 before the first weight above 0
    return (weighted_KN * precision_KN).sum(1) / weighted_KN.sum(1)


def mean_of(values_N: Tensor, weight_N: Tensor | None) -> Tensor:
    """The mean of the examples' values, weighted if there are weights."""
    return values_N.mean() if weight_N is None else (values_N * weight_N).sum() / weight_N.sum()


def mean_where(values_K: Tensor, is_counted_K: Tensor) -> Tensor:
    """The mean of the counted values; NaN if there are none."""
    return torch.where(is_counted_K, values_K, 0.0).sum() / is_counted_K.sum()
