"""When a trial is to end before it would: one rule for every kind of trial. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence


def never() -> bool:
    """Nobody asks to stop."""
    return False


def is_pruned(stop_above: Sequence[float | None], last_epoch: int, epoch: int, least_loss: float) -> bool:
    """Whether a trial is to end at an epoch's end, being worse than it may be by then.

    Args:
        stop_above: of each epoch from the first on, the loss above which the least loss so far ends the trial; None,
            and past its end: no loss does.
        last_epoch: the epoch that was asked about before, 0 at first. The bounds of those that were passed over
            count too.
        epoch: the one that ended, from 1.
        least_loss: the least ``sign * objective`` so far, this epoch's among them.
    """
    return any(bound is not None and least_loss > bound for bound in stop_above[last_epoch:epoch])
