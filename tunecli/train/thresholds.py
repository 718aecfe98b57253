"""The probability above which the second of two classes, or a label, is predicted: tuned on a part of the data.

Between two neighbouring probabilities every threshold decides alike, so the candidates are the midpoints of the
distinct probabilities, and one on either side of them: all scores follow from one sort, in O(N log N). Of equally good
ones the nearest to one half is taken. A score on the examples that chose the threshold is optimistic.

Axes: N examples, L labels, C candidates, P pairs of an example and a label.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tunecli.train.class_metrics import Classified, Confusion
from tunecli.train.label_metrics import Labelled, fraction
from tunecli.train.requested_metrics import RequestedMetric

HALF = 0.5


def tuned_threshold(part: Classified | Labelled, metric: RequestedMetric) -> float:
    """The threshold with the best value of a metric.

    Args:
        part: the outputs of a model and their targets: two classes, or labels. Outputs are never NaN.
        metric: depends on the decided classes alone, such as F1.

    Returns:
        A probability in [0, 1]; one half if the metric has no value.
    """
    if isinstance(part, Classified):
        thresholds_C, values_C = _of_two_classes(
            part, partial(metric.functions["classification"], **metric.settings)
        )
    else:
        thresholds_C, values_C = _of_labels(part, metric)
    losses_C = torch.where(values_C.isnan(), torch.inf, -values_C if metric.maximize else values_C)
    is_best_C = losses_C <= losses_C.min() + 1e-12  # sums of a curve's steps differ in the last digits
    distance_C = torch.where(is_best_C, (thresholds_C - HALF).abs(), torch.inf)
    best = int(distance_C.argmin())
    return HALF if losses_C[best] == torch.inf else float(thresholds_C[best])


def _candidates(sorted_P: Tensor) -> tuple[Tensor, Tensor]:
    """The thresholds (C,) of probabilities in descending order, and the number (C,) of probabilities above each."""
    is_end_P = torch.ones(len(sorted_P), dtype=torch.bool)
    is_end_P[:-1] = sorted_P[1:] != sorted_P[:-1]
    n_above_C = torch.cat([torch.zeros(1, dtype=torch.long), is_end_P.nonzero()[:, 0] + 1])
    edges = torch.cat([torch.ones(1, dtype=torch.float64), sorted_P, torch.zeros(1, dtype=torch.float64)])
    above_C, below_C = edges[n_above_C], edges[n_above_C + 1]
    middle_C = (above_C + below_C) / 2.0
    # The midpoint of two neighbouring floats is one of them; a probability must be above the threshold, not at it.
    thresholds_C = torch.where(middle_C < above_C, middle_C, below_C)
    # No threshold is below a probability of 0, which is never predicted.
    is_possible_C = (n_above_C < len(sorted_P)) | (sorted_P[-1] > 0)
    return thresholds_C[is_possible_C], n_above_C[is_possible_C]


def _of_two_classes(part: Classified, score: Callable[[Confusion], Tensor]) -> tuple[Tensor, Tensor]:
    sorted_N, order_N = part.p_NK[:, 1].cpu().sort(descending=True)
    thresholds_C, n_above_C = _candidates(sorted_N)
    weight_N = (
        torch.ones(len(order_N), dtype=torch.float64) if part.weight_N is None else part.weight_N[order_N]
    )
    is_second_N = (part.y_N.cpu()[order_N] == 1).double()
    found = [
        torch.cat([torch.zeros(1), (weight_N * one).cumsum(0)])[n_above_C]
        for one in (is_second_N, 1.0 - is_second_N)
    ]
    hits_C, false_C = (one.double() for one in found)
    n_second, n_first = (weight_N * is_second_N).sum(), (weight_N * (1.0 - is_second_N)).sum()
    confusion_C22 = torch.stack([n_first - false_C, false_C, n_second - hits_C, hits_C], 1).view(-1, 2, 2)
    values_C: Tensor = torch.func.vmap(lambda confusion_KK: score(Confusion(confusion_KK, part.class_names)))(
        confusion_C22
    )
    return thresholds_C, values_C


def _of_labels(part: Labelled, metric: RequestedMetric) -> tuple[Tensor, Tensor]:
    """The scores as sums over groups of labels or examples: a step of the threshold changes the counts of one group."""
    n, n_labels = part.y_NL.shape
    weight_N = torch.ones(n, dtype=torch.float64) if part.weight_N is None else part.weight_N
    sorted_P, order_P = part.p_NL.cpu().flatten().sort(descending=True, stable=True)
    thresholds_C, n_above_C = _candidates(sorted_P)
    row_P, label_P = order_P // n_labels, order_P % n_labels
    average, positive = metric.settings.get("average", "macro"), metric.settings.get("positive", "")
    is_of_rows = metric.base == "val_accuracy" or average == "samples"
    if is_of_rows:
        group_P, share_G, weight_P = (
            row_P,
            weight_N / weight_N.sum(),
            torch.ones(len(order_P), dtype=torch.float64),
        )
    else:
        is_one_group = metric.base == "val_hamming_loss" or average == "micro"
        group_P = torch.zeros_like(label_P) if is_one_group else label_P
        weight_P = weight_N[row_P]
        share_G = torch.ones(1, dtype=torch.float64) if is_one_group else _shares(part, average, positive)
    is_label_P = part.is_label_NL.cpu().flatten()[order_P].double()
    true_G = torch.zeros(len(share_G), dtype=torch.float64).index_add_(0, group_P, is_label_P * weight_P)
    total = float(weight_N.sum()) * n_labels
    value = partial(_VALUES.get(metric.base, _f1), total=total)
    own_hits_P, own_guessed_P = is_label_P * weight_P, weight_P
    hits_P, guessed_P = (_running(one_P, group_P) for one_P in (own_hits_P, own_guessed_P))
    true_P = true_G[group_P]
    step_P = value(hits_P, guessed_P, true_P) - value(hits_P - own_hits_P, guessed_P - own_guessed_P, true_P)
    none_G = torch.zeros_like(true_G)
    first = (share_G * value(none_G, none_G, true_G)).sum()
    curve = torch.cat([first[None], first + (share_G[group_P] * step_P).cumsum(0)])
    return thresholds_C, curve[n_above_C]


def _shares(part: Labelled, average: str, positive: str) -> Tensor:
    """The share (L,) of each label in an average."""
    n_labels = part.y_NL.shape[1]
    if positive:
        index = part.index_of(positive)
        return (torch.arange(n_labels) == (-1 if index is None else index)).double()
    true_L = part.counts[1].cpu()
    return (
        true_L / true_L.sum() if average == "weighted" else torch.full((n_labels,), 1.0 / n_labels).double()
    )


def _running(values_P: Tensor, group_P: Tensor) -> Tensor:
    """The sum of the values of the same group up to each position."""
    order_P = group_P.argsort(stable=True)
    sum_P = values_P[order_P].cumsum(0)
    ordered_P = group_P[order_P]
    is_first_P = torch.ones(len(ordered_P), dtype=torch.bool)
    is_first_P[1:] = ordered_P[1:] != ordered_P[:-1]
    before = torch.cat([torch.zeros(1, dtype=torch.float64), sum_P])[:-1][is_first_P]
    found_P = torch.empty_like(sum_P)
    found_P[order_P] = sum_P - before[is_first_P.long().cumsum(0) - 1]
    return found_P


def _f1(hits: Tensor, guessed: Tensor, true: Tensor, *, total: float) -> Tensor:
    return fraction(2.0 * hits, guessed + true)


def _precision(hits: Tensor, guessed: Tensor, true: Tensor, *, total: float) -> Tensor:
    return fraction(hits, guessed)


def _recall(hits: Tensor, guessed: Tensor, true: Tensor, *, total: float) -> Tensor:
    return fraction(hits, true)


def _all_right(hits: Tensor, guessed: Tensor, true: Tensor, *, total: float) -> Tensor:
    return ((hits == true) & (guessed == true)).double()


def _wrong(hits: Tensor, guessed: Tensor, true: Tensor, *, total: float) -> Tensor:
    return (guessed + true - 2.0 * hits) / total


_VALUES: dict[str, Callable[..., Tensor]] = {
    "val_f1": _f1,
    "val_precision": _precision,
    "val_recall": _recall,
    "val_accuracy": _all_right,
    "val_hamming_loss": _wrong,
}
