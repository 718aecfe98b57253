"""How much each parameter matters for the recorded scores: an order for what is shown first, no claim about causes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby

from tunecli.objective import Objective
from tunecli.trial import Scalar, State, Trial

MIN_TRIALS = 8
"""With fewer complete trials chance decides, and every importance is 0."""
_N_BINS = 4
_MIN_IN_BIN = 2


def importances(trials: Iterable[Trial], objective: Objective, names: Sequence[str]) -> dict[str, float]:
    """For each parameter, the share of the variance of the scores' ranks that it accounts for, from 0 to 1.

    Only complete trials count. With several goals, the goal that a parameter matters most for counts.

    - Choices: the share of the variance between the groups of trials with one option (epsilon squared, the effect size
      of a Kruskal-Wallis test; Kelley 1935).
    - Numbers: the larger of Spearman's squared rank correlation and the share between the quarters of the values, which
      sees a best value in the middle.

    Both are reduced by what chance gives on average, so a choice gains nothing by the number of its options. A
    parameter that some trials do not have is judged by the trials that have it, times their share. Parameters are
    judged one at a time: what matters only together with another may be missed. With fewer than `MIN_TRIALS` trials
    all are 0.

    Args:
        trials: in any order.
        objective: the goals.
        names: the parameters' names, in the order of the file.
    """
    complete = [trial for trial in trials if trial.state is State.COMPLETE and trial.outcome is not None]
    found = dict.fromkeys(names, 0.0)
    for metric in (goal.metric for goal in objective.goals):
        scored = [
            (trial, value) for trial in complete if (value := _value(trial, metric, objective)) is not None
        ]
        for name in names:
            pairs = [(trial.parameters[name], value) for trial, value in scored if name in trial.parameters]
            if len(pairs) >= MIN_TRIALS:
                share = len(pairs) / len(scored)
                found[name] = max(found[name], share * _explained(pairs))
    return found


def by_importance(found: dict[str, float]) -> list[str]:
    """The names, the most important first; equal ones in the order of the file."""
    return sorted(found, key=lambda name: -found[name])


def _value(trial: Trial, metric: str, objective: Objective) -> float | None:
    outcome = trial.outcome
    if outcome is None:
        return None
    value = outcome.score if metric == objective.metric else outcome.metrics.get(metric)
    return value if value is not None and value - value == 0 else None  # finite


def _explained(pairs: Sequence[tuple[Scalar, float]]) -> float:
    ranks = _ranks([value for _, value in pairs])
    kinds = {type(value) for value, _ in pairs}
    if not kinds <= {int, float}:
        return _between_groups([(type(value), value) for value, _ in pairs], ranks)
    places = _ranks([float(value) for value, _ in pairs])  # type: ignore[arg-type]  # all are numbers
    n_bins = min(_N_BINS, len(set(places)), len(pairs) // _MIN_IN_BIN)
    bins = [int((place - 0.5) * n_bins / len(pairs)) for place in places]
    return max(_correlation(places, ranks), _between_groups(bins, ranks))


def _between_groups(groups: Sequence[Hashable], ranks: Sequence[float]) -> float:
    n, n_groups = len(ranks), len(set(groups))
    mean = (n + 1) / 2
    total = sum((rank - mean) ** 2 for rank in ranks)
    if total == 0 or not 1 < n_groups < n:
        return 0.0
    of: dict[Hashable, list[float]] = {}
    for group, rank in zip(groups, ranks, strict=True):
        of.setdefault(group, []).append(rank)
    share = sum(len(each) * (sum(each) / len(each) - mean) ** 2 for each in of.values()) / total
    return max(0.0, 1 - (1 - share) * (n - 1) / (n - n_groups))


def _correlation(places: Sequence[float], ranks: Sequence[float]) -> float:
    n, mean = len(ranks), (len(ranks) + 1) / 2
    both = sum((p - mean) * (r - mean) for p, r in zip(places, ranks, strict=True))
    of_places, of_ranks = (sum((each - mean) ** 2 for each in every) for every in (places, ranks))
    if of_places == 0 or of_ranks == 0:
        return 0.0
    return max(0.0, 1 - (1 - both**2 / (of_places * of_ranks)) * (n - 1) / (n - 2))


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1 on, equal ones sharing their mean."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    n_before = 0
    for _, group in groupby(order, key=values.__getitem__):
        alike = list(group)
        for place in alike:
            ranks[place] = n_before + (len(alike) + 1) / 2
        n_before += len(alike)
    return ranks
