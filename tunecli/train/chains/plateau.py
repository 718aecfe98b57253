"""When a loss has stopped falling: torch's ``ReduceLROnPlateau`` as a fold over the epochs' losses.

Owns what a plateau is; knows no rate. The state is a tuple of plain numbers, so a checkpoint keeps it as it is
(law 1), and a loss that is no number counts as no improvement. Loads no torch.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tunecli.config.schema.learning_rate import OnPlateau


class Plateaus(NamedTuple):
    """What is remembered of the losses so far.

    Attributes:
        best: the lowest loss, None before the first.
        n_bad: epochs in a row that did not improve on it.
        n_cooling: epochs still to come in which none counts.
        n: plateaus found.
        n_epochs: epochs told of.
    """

    best: float | None = None
    n_bad: int = 0
    n_cooling: int = 0
    n: int = 0
    n_epochs: int = 0


def observe(knob: OnPlateau, seen: Plateaus, loss: float) -> Plateaus:
    """Take in the loss of one more epoch, lower being better.

    Equals ``torch.optim.lr_scheduler.ReduceLROnPlateau.step`` in its mode ``min``, but for two things: its ``eps``
    ignores cuts of less than 1e-8, and its relative threshold lets a loss below 0 get worse and calls it better.
    """
    best = math.inf if seen.best is None else seen.best
    is_relative = knob.threshold_mode == "relative"
    is_better = loss < best - knob.threshold * (abs(best) if is_relative and seen.best is not None else 1.0)
    n_bad = 0 if is_better or seen.n_cooling else seen.n_bad + 1
    is_plateau = n_bad > knob.patience
    return Plateaus(
        loss if is_better else seen.best,
        0 if is_plateau else n_bad,
        knob.cooldown if is_plateau else max(0, seen.n_cooling - 1),
        seen.n + is_plateau,
        seen.n_epochs + 1,
    )


def skip(seen: Plateaus) -> Plateaus:
    """Let an epoch pass whose loss does not count."""
    return seen._replace(n_epochs=seen.n_epochs + 1)
