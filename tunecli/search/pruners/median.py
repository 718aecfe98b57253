"""Running means of sparse curves and their median, epoch by epoch.

Owns the arithmetic of the median stopping rule: what the curves tell by an epoch, in time for about as many numbers as
they tell. Knows no pruner and no study.

Axes: E distinct epochs, B epochs of a block, C curves that go on, N curves that have ended.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PAIR = np.dtype([("epoch", np.int64), ("loss", np.float64)])
_FIRST_BLOCK = 64
_MOST_NUMBERS = 1 << 20  # of a block
_MOST_CELLS_PER_LOSS = 16  # of a table with a row for each curve and a column for each epoch


def medians_of_means(curves: Sequence[Sequence[tuple[int, float]]]) -> tuple[list[int], list[float]]:
    """The median over the curves of the mean that each has told so far, at every epoch that any of them tells.

    Args:
        curves: at least one; of each the pairs (epoch, finite loss), the epochs ascending, at least one pair.

    Returns:
        The distinct epochs, ascending, and the median at each. A curve that has told nothing yet counts as infinite,
        one that has ended with the mean of all it told; between its epochs its mean stays.
    """
    longest_first = sorted(curves, key=lambda curve: curve[-1][0], reverse=True)
    lengths_C = np.array([len(curve) for curve in longest_first])
    pairs = np.fromiter(chain.from_iterable(longest_first), _PAIR, int(lengths_C.sum()))
    epochs_E, places = np.unique(pairs["epoch"], return_inverse=True)
    ends_C = places[np.cumsum(lengths_C) - 1] + 1
    if int(ends_C.sum()) <= max(_MOST_CELLS_PER_LOSS * len(pairs), _MOST_NUMBERS):
        owners = np.repeat(np.arange(len(curves)), lengths_C)
        medians = np.concatenate(list(_by_blocks(pairs["loss"], owners, places, ends_C))).tolist()
    else:
        medians = list(_one_by_one(longest_first, epochs_E.tolist()))
    return epochs_E.tolist(), medians


def _one_by_one(curves: Sequence[Sequence[tuple[int, float]]], epochs: Sequence[int]) -> Iterator[float]:
    """The same, loss by loss: for curves whose epochs have little in common."""
    told = sorted((epoch, place, loss) for place, curve in enumerate(curves) for epoch, loss in curve)
    infinite = float("inf")
    sums, counts, leasts, means = ([start] * len(curves) for start in (0.0, 0.0, infinite, infinite))
    in_order = list(means)
    lower, upper = (len(curves) - 1) // 2, len(curves) // 2
    begin = 0
    for epoch in epochs:
        while begin < len(told) and told[begin][0] == epoch:
            _, place, loss = told[begin]
            sums[place] += loss
            counts[place] += 1.0
            leasts[place] = min(leasts[place], loss)
            mean = max(sums[place] / counts[place], leasts[place])
            del in_order[bisect_left(in_order, means[place])]
            insort(in_order, mean)
            means[place] = mean
            begin += 1
        yield (in_order[lower] + in_order[upper]) / 2


def _by_blocks(losses: Floats, owners: Ints, places: Ints, ends_C: Ints) -> Iterator[Floats]:
    """The medians, where a curve that has ended stays at its last mean; in blocks (B,).

    Args:
        losses: of all the curves, one after the other, those that go on longest first.
        owners: which curve each loss is of, ascending.
        places: which of the distinct epochs each loss was told at.
        ends_C: one more than the place of each curve's last epoch, descending.
    """
    ended_N = np.empty(0)
    for means_CB, is_over_C in _means(losses, owners, places, ends_C):
        yield _medians(ended_N, means_CB)
        ended_N = np.sort(np.concatenate([ended_N, means_CB[is_over_C, -1]]), kind="stable")


def _means(
    losses: Floats, owners: Ints, places: Ints, ends_C: Ints
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """The mean of the losses told so far, of each curve that goes on, and whether it ends there, block by block.

    A block is at most as long as all before it, so most of a curve's epochs in it are its own; where it has ended, and
    where it told nothing, its mean stays, which is infinite before the first loss.
    """
    order = np.argsort(places, kind="stable")
    losses, owners, places = losses[order], owners[order], places[order]
    n_curves = len(ends_C)
    sums_C, counts_C, leasts_C = np.zeros(n_curves), np.zeros(n_curves), np.full(n_curves, np.inf)
    begin, last = 0, int(ends_C[0])
    while begin < last:
        n = int(np.count_nonzero(ends_C > begin))
        end = min(last, begin + min(max(begin, _FIRST_BLOCK), max(_MOST_NUMBERS // n, 1)))
        own = slice(*np.searchsorted(places, (begin, end)))
        at = owners[own], places[own] - begin
        losses_CB, counts_CB = np.zeros((n, end - begin)), np.zeros((n, end - begin))
        leasts_CB = np.full((n, end - begin), np.inf)
        losses_CB[at], counts_CB[at], leasts_CB[at] = losses[own], 1.0, losses[own]
        sums_CB = _continued(np.add, sums_C[:n], losses_CB)
        counts_CB = _continued(np.add, counts_C[:n], counts_CB)
        leasts_CB = _continued(np.minimum, leasts_C[:n], leasts_CB)
        # A rounded mean may lie below all that it is the mean of, and then an equal trial would count as a worse one.
        means_CB = np.maximum(sums_CB / np.maximum(counts_CB, 1.0), leasts_CB)
        yield means_CB, ends_C[:n] <= end
        begin = end


def _continued(accumulate: np.ufunc, so_far_C: Floats, block_CB: Floats) -> Floats:
    """Accumulate a block, starting from the state of the blocks before it; its last column becomes the new state."""
    block_CB[:, 0] = accumulate(so_far_C, block_CB[:, 0])
    accumulated_CB: Floats = accumulate.accumulate(block_CB, axis=1)
    so_far_C[:] = accumulated_CB[:, -1]
    return accumulated_CB


def _medians(ended_N: Floats, means_CB: Floats) -> Floats:
    """The medians of each column with all of ``ended_N``, which is sorted; shape (B,).

    Of those that have ended only as many can be in the middle as there are others, next to their own middle.
    """
    n_going, n_epochs = means_CB.shape
    n = len(ended_N) + n_going
    lower, upper = (n - 1) // 2, n // 2
    n_below = max(0, lower - n_going)
    near_M = ended_N[n_below : upper + 1]
    all_KB = np.vstack([np.broadcast_to(near_M[:, None], (len(near_M), n_epochs)), means_CB])
    sorted_KB = np.partition(all_KB, (lower - n_below, upper - n_below), axis=0)
    medians_B: Floats = (sorted_KB[lower - n_below] + sorted_KB[upper - n_below]) / 2
    return medians_B
