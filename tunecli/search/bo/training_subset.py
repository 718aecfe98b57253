"""Which trials of a long record a model is fitted to: it pays for each with the cube of their number.

The best ones, since the next point lies near them, and a spread over all ranks below, so that the model goes on
knowing what is bad. Pure, and the same whatever order trials ended in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tunecli.trial import Observation

_T = TypeVar("_T")

Scored = tuple[Observation, float]
"""A trial and its loss, which is finite."""


def most_telling(
    scored: Sequence[Scored], failed: Sequence[Observation], limit: int
) -> tuple[list[Scored], list[Observation]]:
    """All, or of more than ``limit`` that many; in the order of their numbers.

    Of the finished trials half are the best ones and half spread over the ranks of the others; of the failed, which
    get no more than a quarter where there are too many of both, the latest are kept.
    """
    n_failed = min(len(failed), max(limit // 4, limit - len(scored)))
    kept_failed = list(failed[len(failed) - n_failed :])
    room = limit - n_failed
    if len(scored) <= room:
        return list(scored), kept_failed
    ranked = sorted(scored, key=lambda pair: (pair[1], pair[0].number))
    return sorted(best_and_spread(ranked, room), key=lambda pair: pair[0].number), kept_failed


def best_and_spread(ranked: Sequence[_T], room: int) -> list[_T]:
    """Of more than ``room``, which is at least 1, that many: half the first ones, half spread over all others."""
    n_best = room // 2
    others, n_others = ranked[n_best:], room - n_best
    return [*ranked[:n_best], *(others[i * len(others) // n_others] for i in range(n_others))]
