"""What to stop: the `Pruner` protocol, the bounds that end trials, and the study's way in.

A pruner is a pure function of the curves of the complete trials that a trial may see (laws 1 and 5). It gives bounds
that are known before the trial begins, so whoever trains it needs no word from the coordinator to end it, and it ends
at the same epoch wherever and whenever it runs. Knows neither studies nor what the losses measure.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tunecli.knob import NamedKnob
from tunecli.registry.implementations import implementation
from tunecli.registry.pruners import Median, is_pausing, pruner_info
from tunecli.search.pruners.median import medians_of_means

Curve = Sequence[tuple[int, float]]
"""The epochs at whose end a trial told its loss (``sign * objective``, lower is better), ascending, each with it."""

_LARGEST = 1e300  # a million of them have a finite sum


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the least loss of a trial so far must not be above, by epoch.

    Attributes:
        epochs: ascending; a bound holds from its epoch on, up to the next one's.
        losses: the bound of each; None: there is no bound.

    Before the first epoch and past the last one there is no bound.
    """

    epochs: tuple[int, ...] = ()
    losses: tuple[float | None, ...] = ()

    def at(self, last_epoch: int, epoch: int) -> float | None:
        """The bound of a trial that reports ``epoch`` and last reported ``last_epoch``; 0: nothing yet.

        The first report past the last bound is compared with that bound; later ones are not.
        """
        if not self.epochs or last_epoch >= self.epochs[-1]:
            return None
        place = bisect_right(self.epochs, epoch) - 1
        return self.losses[place] if place >= 0 else None


class Pruner(Protocol):
    """Says how well a trial must do to go on."""

    def __call__(self, knob: Any, curves: Sequence[Curve], /) -> Bounds:
        """The bounds for a trial.

        Args:
            knob: what the file says of the pruner, by the settings model of its registry entry.
            curves: of the complete trials that the trial may see, in any order. A loss that is not finite, or beyond
                1e300, is no news: it is as if that epoch had not told any.
        """


def stop_bounds(knob: Literal["none"] | NamedKnob, curves: Sequence[Curve]) -> Bounds:
    """The bounds for a trial by the pruner that the file names; see :class:`Pruner`. One that pauses gives none."""
    if isinstance(knob, str) or is_pausing(knob):
        return Bounds()
    pruner: Pruner = implementation(pruner_info(knob.name).implementation)
    return pruner(knob, curves)


def decide(bounds: Bounds, curve: Curve) -> bool:
    """Whether a trial with this ``curve`` so far is to end now, after its last report."""
    if not curve:
        return False
    last_epoch = curve[-2][0] if len(curve) > 1 else 0
    bound = bounds.at(last_epoch, curve[-1][0])
    least = min((loss for _, loss in curve if math.isfinite(loss)), default=math.inf)
    return bound is not None and least > bound


def median(knob: Median, curves: Sequence[Curve]) -> Bounds:
    """The median stopping rule: a trial ends whose best so far is worse than the median of the others' averages so far.

    Golovin, Solnik, Moitra, Kochanski, Karro, Sculley (2017), "Google Vizier: A Service for Black-Box Optimization",
    section 3.2. The average of a trial at an epoch is over the losses that it told up to that epoch. So a complete
    trial that is shorter counts with the average over all its epochs, and one that has told no loss yet as infinitely
    bad.
    """
    told = [kept for curve in curves if (kept := [pair for pair in curve if abs(pair[1]) < _LARGEST])]
    if not told or len(told) < knob.startup_trials:
        return Bounds()
    epochs, medians = medians_of_means(told)
    losses = [
        each if epoch > knob.warmup_epochs and math.isfinite(each) else None
        for epoch, each in zip(epochs, medians, strict=True)
    ]
    epochs, losses = _begun_after(knob.warmup_epochs, epochs, losses, medians)
    last = max(curve[-1][0] for curve in curves if curve)
    if epochs[-1] < last:  # a curve may end with losses that are no news
        epochs, losses = [*epochs, last], [*losses, losses[-1]]
    return _shortened(epochs, losses)


def _begun_after(
    warmup: int, epochs: list[int], losses: list[float | None], medians: Sequence[float]
) -> tuple[list[int], list[float | None]]:
    """The same, with the median of the epochs let pass holding from the first one on that is not."""
    place = bisect_right(epochs, warmup)
    is_told_there = place < len(epochs) and epochs[place] == warmup + 1
    if 0 < place < len(epochs) and not is_told_there and math.isfinite(medians[place - 1]):
        epochs.insert(place, warmup + 1)
        losses.insert(place, medians[place - 1])
    return epochs, losses


def _shortened(epochs: Sequence[int], losses: Sequence[float | None]) -> Bounds:
    """The same bounds without repeats of the bound before; the last one is always kept."""
    last = len(epochs) - 1
    kept = [i for i in range(len(epochs)) if i in (0, last) or losses[i] != losses[i - 1]]
    return Bounds(tuple(epochs[i] for i in kept), tuple(losses[i] for i in kept))
