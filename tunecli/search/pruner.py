"""What to stop: the `Pruner` protocol, every pruner that ends trials by its name, and the study's way in.

A pruner is a pure function of the curves of the complete trials that a trial may see (laws 1 and 5). It gives bounds
that are known before the trial begins, so whoever trains it needs no word from the coordinator to end it, and it ends
at the same epoch wherever and whenever it runs. Knows neither studies nor what the losses measure.

Axes: E epochs, B epochs of a block, C curves that go on, N curves that have ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tunecli.spec.pruners import Median, Pausing

Floats = NDArray[np.float64]
Curve = Sequence[float]
"""A trial's loss (``sign * objective``, lower is better) after each of its epochs, the first one first."""
Bounds = tuple[float | None, ...]
"""For each epoch, the first one first, what the least loss so far must not be above; None where there is no such bound.
Epochs past the end have none."""

_LARGEST = 1e300  # a million of them have a finite sum
_FIRST_BLOCK = 64
_MOST_NUMBERS = 1 << 20  # of a block


class Pruner(Protocol):
    """Says how well a trial must do to go on."""

    def __call__(self, knob: Any, curves: Sequence[Curve], /) -> Bounds:
        """The bounds for a trial.

        Args:
            knob: what the file says of the pruner, by its model of `tunecli.spec.pruners`.
            curves: of the complete trials that the trial may see, in any order. A loss that is not finite, or beyond
                1e300, is no news: it is as if that epoch had not told any.
        """


def stop_bounds(knob: Literal["none"] | Median | Pausing, curves: Sequence[Curve]) -> Bounds:
    """The bounds for a trial by the pruner that the file names; see :class:`Pruner`. One that pauses gives none."""
    return PRUNERS[knob.name](knob, curves) if isinstance(knob, Median) else ()


def decide(bounds: Sequence[float | None], losses: Curve) -> bool:
    """Whether a trial with these ``losses`` so far is to end now, after the last of them."""
    bound = bounds[len(losses) - 1] if 0 < len(losses) <= len(bounds) else None
    return bound is not None and min(filter(math.isfinite, losses), default=math.inf) > bound


def median(knob: Median, curves: Sequence[Curve]) -> Bounds:
    """The median stopping rule: a trial ends whose best so far is worse than the median of the others' averages so far.

    Golovin, Solnik, Moitra, Kochanski, Karro, Sculley (2017), "Google Vizier: A Service for Black-Box Optimization",
    section 3.2. A complete trial that is shorter counts with the average over all its epochs, and one that has told no
    loss yet as infinitely bad. Takes time for about as many numbers as there are epochs in all the curves.
    """
    told = [curve for curve in curves if any(map(_is_told, curve))]
    if not told or len(told) < knob.startup_trials:
        return ()
    medians_E = np.concatenate(list(_medians_of_averages(told)))
    return tuple(
        each if epoch > knob.warmup_epochs and math.isfinite(each) else None
        for epoch, each in enumerate(medians_E.tolist(), start=1)
    )


PRUNERS: Mapping[str, Pruner] = MappingProxyType({"median": median})
"""Every pruner by what ``search.pruner`` calls it, ``none`` apart."""


def _is_told(loss: float) -> bool:
    return abs(loss) < _LARGEST


def _medians_of_averages(curves: Sequence[Curve]) -> Iterator[Floats]:
    """The median of the averages after each epoch, where a curve that has ended stays at its last; in blocks (B,)."""
    ended_N = np.empty(0)
    for averages_CB, is_over_C in _averages(curves):
        yield _medians(ended_N, averages_CB)
        ended_N = np.sort(np.concatenate([ended_N, averages_CB[is_over_C, -1]]), kind="stable")


def _averages(curves: Sequence[Curve]) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """The mean of the losses told so far, of each curve that goes on, and whether it ends there, block by block.

    A block is at most as long as all before it, so most of a curve's epochs in it are its own; where it has ended, and
    where it told nothing, its mean stays, which is infinite before the first loss.
    """
    longest_first = sorted(curves, key=len, reverse=True)
    lengths_C = np.array([len(curve) for curve in longest_first])
    losses = np.fromiter(chain.from_iterable(longest_first), np.float64, count=int(lengths_C.sum()))
    begins_C = np.cumsum(lengths_C) - lengths_C
    sums_C, counts_C, leasts_C = np.zeros(len(curves)), np.zeros(len(curves)), np.full(len(curves), np.inf)
    begin, last = 0, int(lengths_C[0])
    while begin < last:
        n = int(np.count_nonzero(lengths_C > begin))
        end = min(last, begin + min(max(begin, _FIRST_BLOCK), max(_MOST_NUMBERS // n, 1)))
        epochs_B = np.arange(begin, end)
        is_own_CB = epochs_B < lengths_C[:n, None]
        losses_CB = losses[np.where(is_own_CB, begins_C[:n, None] + epochs_B, 0)]
        is_told_CB = is_own_CB & (np.abs(losses_CB) < _LARGEST)
        sums_CB = _continued(np.add, sums_C[:n], np.where(is_told_CB, losses_CB, 0.0))
        counts_CB = _continued(np.add, counts_C[:n], is_told_CB.astype(np.float64))
        leasts_CB = _continued(np.minimum, leasts_C[:n], np.where(is_told_CB, losses_CB, np.inf))
        # A rounded mean may lie below all that it is the mean of, and then an equal trial would count as a worse one.
        means_CB = np.maximum(sums_CB / np.maximum(counts_CB, 1.0), leasts_CB)
        yield means_CB, lengths_C[:n] <= end
        begin = end


def _continued(accumulate: np.ufunc, so_far_C: Floats, block_CB: Floats) -> Floats:
    """The accumulated block, begun with what there was before it, which its last column replaces."""
    block_CB[:, 0] = accumulate(so_far_C, block_CB[:, 0])
    accumulated_CB: Floats = accumulate.accumulate(block_CB, axis=1)
    so_far_C[:] = accumulated_CB[:, -1]
    return accumulated_CB


def _medians(ended_N: Floats, averages_CB: Floats) -> Floats:
    """The medians of each column with all of ``ended_N``, which is sorted; shape (B,).

    Of those that have ended only as many can be in the middle as there are others, next to their own middle.
    """
    n_going, n_epochs = averages_CB.shape
    n = len(ended_N) + n_going
    lower, upper = (n - 1) // 2, n // 2
    n_below = max(0, lower - n_going)
    near_M = ended_N[n_below : upper + 1]
    all_KB = np.vstack([np.broadcast_to(near_M[:, None], (len(near_M), n_epochs)), averages_CB])
    sorted_KB = np.partition(all_KB, (lower - n_below, upper - n_below), axis=0)
    medians_B: Floats = (sorted_KB[lower - n_below] + sorted_KB[upper - n_below]) / 2
    return medians_B
