"""An independent reading of a pruner's bounds, which `tunecli.train.epoch_end.is_pruned` is compared with."""

from __future__ import annotations

import math
from bisect import bisect_right

from tunecli.search.protocols import Bounds, LossCurve


def bound_at(bounds: Bounds, last_epoch: int, epoch: int) -> float | None:
    """The bound for a report of ``epoch`` after one of ``last_epoch`` (0: none); None without a bound.

    The first report after the last bound is compared with that bound; later ones are not.
    """
    if not bounds.epochs or last_epoch >= bounds.epochs[-1]:
        return None
    index = bisect_right(bounds.epochs, epoch) - 1
    return bounds.losses[index] if index >= 0 else None


def decide(bounds: Bounds, curve: LossCurve) -> bool:
    """Whether a trial ends after the last report of ``curve``: its lowest loss is above the bound."""
    if not curve:
        return False
    last_epoch = curve[-2][0] if len(curve) > 1 else 0
    bound = bound_at(bounds, last_epoch, curve[-1][0])
    lowest = min((loss for _, loss in curve if math.isfinite(loss)), default=math.inf)
    return bound is not None and lowest > bound
