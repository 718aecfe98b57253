"""Importance of each parameter for the recorded scores.

It orders the columns on a screen, and claims nothing about causes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby

from tunecli.objective import Objective
from tunecli.trial import Scalar, State, Trial

MIN_TRIALS = 8
"""With fewer complete trials than this, chance dominates, and every importance is 0."""
_N_BINS = 4
_MIN_IN_BIN = 2


def importances(trials: Iterable[Trial], objective: Objective, names: Sequence[str]) -> dict[str, float]:
    """By parameter, the fraction of the variance of the scores' ranks that it explains, from 0 to 1.

    Only complete trials count. With several goals, each parameter gets its largest value over the goals.

    - Choices: the variance between the groups of trials with the same option, as a fraction (epsilon squared, the
      effect size of a Kruskal-Wallis test; Kelley 1935).
    - Numbers: the larger of Spearman's squared rank correlation and the fraction between the quarters of the values,
      which detects a best value in the middle.

    Both are reduced by their average under chance, so a choice gains nothing from a large number of options. A
    parameter that only some trials have is computed from those trials, and multiplied by their fraction. Each parameter
    is considered alone, so an effect of two parameters together may be missed. With fewer than `MIN_TRIALS` trials all
    values are 0.

    Args:
        trials: in any order.
        objective: the goals.
        names: the parameters' names, in the order of the file.
    """
    complete = [trial for trial in trials if trial.state is State.COMPLETE and trial.outcome is not None]
    importance_of = dict.fromkeys(names, 0.0)
    for metric in (goal.metric for goal in objective.goals):
        scored = [
            (trial, value) for trial in complete if (value := _value(trial, metric, objective)) is not None
        ]
        for name in names:
            pairs = [(trial.parameters[name], value) for trial, value in scored if name in trial.parameters]
            if len(pairs) >= MIN_TRIALS:
                fraction = len(pairs) / len(scored)
                importance_of[name] = max(importance_of[name], fraction * _explained_fraction(pairs))
    return importance_of


def by_importance(importance_of: dict[str, float]) -> list[str]:
    """The names, the most important first; equally important ones in the order of the file."""
    return sorted(importance_of, key=lambda name: -importance_of[name])


def _value(trial: Trial, metric: str, objective: Objective) -> float | None:
    outcome = trial.outcome
    if outcome is None:
        return None
    value = outcome.score if metric == objective.metric else outcome.metrics.get(metric)
    return value if value is not None and value - value == 0 else None  # finite


def _explained_fraction(pairs: Sequence[tuple[Scalar, float]]) -> float:
    ranks = _ranks([value for _, value in pairs])
    kinds = {type(value) for value, _ in pairs}
    if not kinds <= {int, float}:
        return _between_groups([(type(value), value) for value, _ in pairs], ranks)
    value_ranks = _ranks([float(value) for value, _ in pairs])  # type: ignore[arg-type]  # all are numbers
    n_bins = min(_N_BINS, len(set(value_ranks)), len(pairs) // _MIN_IN_BIN)
    bins = [int((value_rank - 0.5) * n_bins / len(pairs)) for value_rank in value_ranks]
    return max(_correlation(value_ranks, ranks), _between_groups(bins, ranks))


def _between_groups(groups: Sequence[Hashable], ranks: Sequence[float]) -> float:
    n, n_groups = len(ranks), len(set(groups))
    mean = (n + 1) / 2
    total = sum((rank - mean) ** 2 for rank in ranks)
    if total == 0 or not 1 < n_groups < n:
        return 0.0
    ranks_of: dict[Hashable, list[float]] = {}
    for group, rank in zip(groups, ranks, strict=True):
        ranks_of.setdefault(group, []).append(rank)
    between = sum(len(members) * (sum(members) / len(members) - mean) ** 2 for members in ranks_of.values())
    return max(0.0, 1 - (1 - between / total) * (n - 1) / (n - n_groups))


def _correlation(value_ranks: Sequence[float], ranks: Sequence[float]) -> float:
    n, mean = len(ranks), (len(ranks) + 1) / 2
    covariance = sum((v - mean) * (r - mean) for v, r in zip(value_ranks, ranks, strict=True))
    value_variance = sum((v - mean) ** 2 for v in value_ranks)
    rank_variance = sum((r - mean) ** 2 for r in ranks)
    if value_variance == 0 or rank_variance == 0:
        return 0.0
    return max(0.0, 1 - (1 - covariance**2 / (value_variance * rank_variance)) * (n - 1) / (n - 2))


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal values get the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    n_before = 0
    for _, group in groupby(order, key=values.__getitem__):
        ties = list(group)
        for index in ties:
            ranks[index] = n_before + (len(ties) + 1) / 2
        n_before += len(ties)
    return ranks
