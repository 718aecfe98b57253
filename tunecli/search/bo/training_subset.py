"""The trials of a long record that a model is fitted to, since its cost grows with the cube of their number.

They do not depend on the order in which trials ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from tunecli.search.bo.feasibility import feasibility_rank, violation_matrix
from tunecli.trial import Observation

_T = TypeVar("_T")

ScoredTrial = tuple[Observation, float]
"""A trial, and the finite loss or rank that it is sorted by."""


def finite_loss(trial: Observation) -> float | None:
    """Return the loss, or None if it is missing or not finite."""
    loss = trial.loss
    return loss if loss is not None and math.isfinite(loss) else None


def feasibility_ranks(with_loss: Sequence[ScoredTrial]) -> dict[int, float]:
    """Return the feasibility rank of each trial by number; empty without constraints: then the loss is the rank."""
    violations_NC = violation_matrix([trial.violations for trial, _ in with_loss])
    if not violations_NC.shape[1]:
        return {}
    ranks = feasibility_rank([loss for _, loss in with_loss], violations_NC)
    return {trial.number: float(rank) for (trial, _), rank in zip(with_loss, ranks, strict=True)}


def training_subset(
    scored: Sequence[ScoredTrial], failed: Sequence[Observation], limit: int
) -> tuple[list[ScoredTrial], list[Observation]]:
    """Return at most ``limit`` trials for the fit, by number: the finished ones with their scores, and the failed ones.

    If there are too many of both, the latest failures get a quarter of the places. Half of the remaining places go to
    the best finished trials, since the next point is near them. The other half is spread evenly over the ranks of the
    other finished trials, so that the model still knows bad regions.

    Args:
        scored: the finished trials, by number.
        failed: the failed ones, by number.
        limit: the most trials of the fit, at least 4.
    """
    n_failed = min(len(failed), max(limit // 4, limit - len(scored)))
    latest_failed = list(failed[len(failed) - n_failed :])
    n_places = limit - n_failed
    if len(scored) <= n_places:
        return list(scored), latest_failed
    ranked = sorted(scored, key=lambda pair: (pair[1], pair[0].number))
    return sorted(best_and_spread(ranked, n_places), key=lambda pair: pair[0].number), latest_failed


def best_and_spread(ranked: Sequence[_T], n_places: int) -> list[_T]:
    """Return ``n_places`` items, 1 ≤ ``n_places`` < len: half of them the first, half spread evenly over the others."""
    n_best = n_places // 2
    others, n_others = ranked[n_best:], n_places - n_best
    return [*ranked[:n_best], *(others[i * len(others) // n_others] for i in range(n_others))]
