"""Two signs in the spread of fresh scores: the training ignores its seed, or a few seeds end far from the rest.

Student's interval covers less than it says where a few scores are far from the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from tunecli.results.fresh import FreshRuns, finite

FAR = 5.0
"""A score is far off if it is this many robust deviations from its group's median. Simulated normal scores of 5
candidates have such a score among 5 that are quoted in under 2 % of studies."""
_TO_DEVIATION = 1.4826  # of a normal distribution from the median absolute deviation


def is_seed_ignored(runs: FreshRuns) -> bool:
    """Whether all fresh runs of each trial are equal to the last bit, in every metric that is on record."""
    if runs.is_split:
        return False
    scores = {candidate.number: list(finite(candidate.scores)) for candidate in runs.candidates}
    if runs.quote is not None:
        scores.setdefault(runs.quote.number, []).extend(finite(runs.quote.scores))
    if not any(len(values) > 1 for values in scores.values()):
        return False
    if any(len(set(values)) > 1 for values in scores.values()):
        return False
    if not runs.is_fraction:
        return True
    # A fraction may be at its limit in every run; other metrics then still differ.
    return not any(
        metrics[name] != candidate.metrics[0].get(name)
        for candidate in runs.candidates
        for metrics in candidate.metrics[1:]
        for name in metrics
        if not math.isnan(metrics[name])
    )


def spread_note(
    scores: Sequence[float], same: Sequence[float], others: Iterable[Sequence[float]], *, step: float = 0.0
) -> str:
    """A sentence on quoted scores of which a few are far from the rest; empty: there are none.

    Args:
        scores: the scores that are quoted; NaN: failed.
        same: further scores of the same configuration.
        others: the scores of other configurations, which show the usual spread too.
        step: the least difference between two scores; the usual spread is at least this.
    """
    known = [score for score in scores if math.isfinite(score)]
    if len(known) < 3:
        return ""
    alike = [*known, *same]
    spread = max(_robust_deviation([alike, *others]), _robust_deviation([alike]), step)
    if spread <= 0:
        return ""
    centre = median(score for score in alike if math.isfinite(score))
    n_below = sum(score < centre - FAR * spread for score in known)
    n_above = sum(score > centre + FAR * spread for score in known)
    if not n_below and not n_above:
        return ""
    is_low = n_below >= n_above
    n = n_below if is_low else n_above
    side = "below" if is_low else "above"
    what = f"{n} of {len(known)} fresh runs ended far {side} the others"
    return f"{what}; the interval of the mean treats that as the usual spread"


def _robust_deviation(groups: Sequence[Sequence[float]]) -> float:
    """Deviation of one score by the median distance from its group's median, over all groups; 0: unknown.

    The scores that are the median of their group say nothing of the spread, so one of each group is left out.
    """
    distances: list[float] = []
    for group in groups:
        known = [score for score in group if math.isfinite(score)]
        if len(known) >= 3:
            centre = median(known)
            distances += sorted(abs(score - centre) for score in known)[1:]
    return _TO_DEVIATION * median(distances) if distances else 0.0
