"""When a trial is to end before it would: one rule for every kind of trial. Loads no torch."""

from __future__ import annotations

from bisect import bisect_right

from tunecli.messages import Job


def never() -> bool:
    """Nobody asks to stop."""
    return False


def is_pruned(job: Job, last_epoch: int, epoch: int, least_loss: float) -> bool:
    """Whether a trial ends after an epoch, because its losses are worse than the bound of that epoch.

    Only the bound of the epoch that ended counts, and not those of epochs that were passed over: the losses of those
    are not known. The first report past the last bound is compared with that bound; later ones are not.

    Args:
        job: the trial, with its bounds.
        last_epoch: the epoch that was reported before, 0 at first.
        epoch: the one that ended, from 1.
        least_loss: the least ``sign * objective`` so far, this epoch's among them.
    """
    bounds, epochs = job.stop_above, job.stop_epochs
    end = epochs[-1] if epochs else len(bounds)
    if last_epoch >= end:
        return False
    place = bisect_right(epochs, epoch) - 1 if epochs else min(epoch, end) - 1
    bound = bounds[place] if place >= 0 else None
    return bound is not None and least_loss > bound
