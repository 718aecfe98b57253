"""The median stopping rule, and its arithmetic: running means of sparse curves and their median at every epoch.

The arithmetic takes about as much time as there are reported losses.

Axes: E distinct epochs, B epochs of a block, C curves that continue, N curves that have ended, M of these near the
median, K = M + C.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tunecli.registry.pruners import Median
from tunecli.search.protocols import Bounds, LossCurve

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MAX_LOSS = 1e300  # a sum of a million of them is finite
_PAIR = np.dtype([("epoch", np.int64), ("loss", np.float64)])
_FIRST_BLOCK_SIZE = 64
_MAX_BLOCK_CELLS = 1 << 20
_MAX_CELLS_PER_LOSS = 16  # of a table with a row for each curve and a column for each epoch


def median(settings: Median, curves: Sequence[LossCurve]) -> Bounds:
    """Bound a trial's lowest loss by the median of the other trials' average losses up to the same epoch.

    Golovin, Solnik, Moitra, Kochanski, Karro, Sculley (2017), "Google Vizier: A Service for Black-Box Optimization",
    section 3.2. A trial's average at an epoch is over the losses that it reported up to that epoch. So a complete trial
    that is shorter counts with its average over all epochs, and a trial that has reported no loss yet as infinitely
    bad. See :class:`tunecli.search.protocols.StoppingPruner`.
    """
    finite = [kept for curve in curves if (kept := [pair for pair in curve if abs(pair[1]) < _MAX_LOSS])]
    if not finite or len(finite) < settings.startup_trials:
        return Bounds()
    epochs, medians = medians_of_means(finite)
    losses = [
        loss if epoch > settings.warmup_epochs and math.isfinite(loss) else None
        for epoch, loss in zip(epochs, medians, strict=True)
    ]
    epochs, losses = _with_bound_after_warmup(settings.warmup_epochs, epochs, losses, medians)
    last = max(curve[-1][0] for curve in curves if curve)
    if epochs[-1] < last:  # a curve may end with losses that are not finite
        epochs, losses = [*epochs, last], [*losses, losses[-1]]
    return _without_repeats(epochs, losses)


def _with_bound_after_warmup(
    warmup: int, epochs: list[int], losses: list[float | None], medians: Sequence[float]
) -> tuple[list[int], list[float | None]]:
    """Return the same with a bound at the first epoch after the warm-up: the median at the last reported one in it."""
    index = bisect_right(epochs, warmup)
    is_reported = index < len(epochs) and epochs[index] == warmup + 1
    if 0 < index < len(epochs) and not is_reported and math.isfinite(medians[index - 1]):
        epochs.insert(index, warmup + 1)
        losses.insert(index, medians[index - 1])
    return epochs, losses


def _without_repeats(epochs: Sequence[int], losses: Sequence[float | None]) -> Bounds:
    """Return the bounds without those that equal the one before; the last one always stays."""
    last = len(epochs) - 1
    kept = [i for i in range(len(epochs)) if i in (0, last) or losses[i] != losses[i - 1]]
    return Bounds(tuple(epochs[i] for i in kept), tuple(losses[i] for i in kept))


def medians_of_means(curves: Sequence[LossCurve]) -> tuple[list[int], list[float]]:
    """Return the median over the curves of the mean loss so far, at every epoch that any of them reports.

    Args:
        curves: at least one; each at least one pair (epoch, finite loss), the epochs ascending.

    Returns:
        The distinct epochs, ascending, and the median at each. A curve that has not reported yet counts as infinite,
        and one that has ended with the mean of all its losses; between its epochs a curve's mean stays.
    """
    longest_first = sorted(curves, key=lambda curve: curve[-1][0], reverse=True)
    lengths_C = np.array([len(curve) for curve in longest_first])
    pairs = np.fromiter(chain.from_iterable(longest_first), _PAIR, int(lengths_C.sum()))
    epochs_E, indices = np.unique(pairs["epoch"], return_inverse=True)
    ends_C = indices[np.cumsum(lengths_C) - 1] + 1
    if int(ends_C.sum()) <= max(_MAX_CELLS_PER_LOSS * len(pairs), _MAX_BLOCK_CELLS):
        owners = np.repeat(np.arange(len(curves)), lengths_C)
        medians = np.concatenate(list(_by_blocks(pairs["loss"], owners, indices, ends_C))).tolist()
    else:
        medians = list(_one_by_one(longest_first, epochs_E.tolist()))
    return epochs_E.tolist(), medians


def _one_by_one(curves: Sequence[LossCurve], epochs: Sequence[int]) -> Iterator[float]:
    """Yield the median at each epoch, updated loss by loss: for curves whose epochs have little in common."""
    reports = sorted((epoch, owner, loss) for owner, curve in enumerate(curves) for epoch, loss in curve)
    infinite = float("inf")
    sums, counts, minima, means = ([start] * len(curves) for start in (0.0, 0.0, infinite, infinite))
    in_order = list(means)
    lower, upper = (len(curves) - 1) // 2, len(curves) // 2
    begin = 0
    for epoch in epochs:
        while begin < len(reports) and reports[begin][0] == epoch:
            _, owner, loss = reports[begin]
            sums[owner] += loss
            counts[owner] += 1.0
            minima[owner] = min(minima[owner], loss)
            mean = max(sums[owner] / counts[owner], minima[owner])
            del in_order[bisect_left(in_order, means[owner])]
            insort(in_order, mean)
            means[owner] = mean
            begin += 1
        yield (in_order[lower] + in_order[upper]) / 2


def _by_blocks(losses: Floats, owners: Ints, indices: Ints, ends_C: Ints) -> Iterator[Floats]:
    """Yield the medians of each block of epochs, (B,); a curve that has ended keeps its last mean.

    Args:
        losses: of all curves one after another, those that end last first.
        owners: the curve of each loss, ascending.
        indices: the index of each loss's epoch among the distinct epochs.
        ends_C: one more than the index of each curve's last epoch, descending.
    """
    ended_N = np.empty(0)
    for means_CB, is_over_C in _means(losses, owners, indices, ends_C):
        yield _medians(ended_N, means_CB)
        ended_N = np.sort(np.concatenate([ended_N, means_CB[is_over_C, -1]]), kind="stable")


def _means(
    losses: Floats, owners: Ints, indices: Ints, ends_C: Ints
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Yield for each block the mean loss so far of each curve that continues, (C, B), and whether it ends there, (C,).

    A block is at most as long as all blocks before it, so most of its epochs belong to every curve in it. After a
    curve's end, and at epochs that it does not report, its mean stays; it is infinite before the first loss.
    """
    order = np.argsort(indices, kind="stable")
    losses, owners, indices = losses[order], owners[order], indices[order]
    n_curves = len(ends_C)
    sums_C, counts_C, minima_C = np.zeros(n_curves), np.zeros(n_curves), np.full(n_curves, np.inf)
    begin, last = 0, int(ends_C[0])
    while begin < last:
        n = int(np.count_nonzero(ends_C > begin))
        end = min(last, begin + min(max(begin, _FIRST_BLOCK_SIZE), max(_MAX_BLOCK_CELLS // n, 1)))
        own = slice(*np.searchsorted(indices, (begin, end)))
        at = owners[own], indices[own] - begin
        losses_CB, counts_CB = np.zeros((n, end - begin)), np.zeros((n, end - begin))
        minima_CB = np.full((n, end - begin), np.inf)
        losses_CB[at], counts_CB[at], minima_CB[at] = losses[own], 1.0, losses[own]
        sums_CB = _accumulate(np.add, sums_C[:n], losses_CB)
        counts_CB = _accumulate(np.add, counts_C[:n], counts_CB)
        minima_CB = _accumulate(np.minimum, minima_C[:n], minima_CB)
        # Rounding can put a mean below its minimum, and then an equal trial would count as worse.
        means_CB = np.maximum(sums_CB / np.maximum(counts_CB, 1.0), minima_CB)
        yield means_CB, ends_C[:n] <= end
        begin = end


def _accumulate(operation: np.ufunc, state_C: Floats, block_CB: Floats) -> Floats:
    """Return the accumulated block, starting from ``state_C``, which becomes the block's last column."""
    block_CB[:, 0] = operation(state_C, block_CB[:, 0])
    accumulated_CB: Floats = operation.accumulate(block_CB, axis=1)
    state_C[:] = accumulated_CB[:, -1]
    return accumulated_CB


def _medians(ended_N: Floats, means_CB: Floats) -> Floats:
    """Return the median of each column together with the sorted ``ended_N``, (B,).

    Of the ended curves only those next to their own middle can be the median, as many as there are others.
    """
    n_continuing, n_epochs = means_CB.shape
    n = len(ended_N) + n_continuing
    lower, upper = (n - 1) // 2, n // 2
    n_below = max(0, lower - n_continuing)
    near_M = ended_N[n_below : upper + 1]
    all_KB = np.vstack([np.broadcast_to(near_M[:, None], (len(near_M), n_epochs)), means_CB])
    sorted_KB = np.partition(all_KB, (lower - n_below, upper - n_below), axis=0)
    medians_B: Floats = (sorted_KB[lower - n_below] + sorted_KB[upper - n_below]) / 2
    return medians_B
