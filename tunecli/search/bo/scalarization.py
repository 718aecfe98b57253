"""Several goals as one loss, another one for each trial, so that a sweep comes to all of the Pareto front.

Pure; the weights of a trial are a function of seed and number (law 1).

Axes: N trials, K goals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo.warping import warped
from tunecli.seeding import generator_for
from tunecli.trial import Observation

Floats = NDArray[np.float64]

_AUGMENTATION = (
    0.05  # of the sum, so that no point is taken that another beats in one goal alone (Knowles's ρ)
)


def with_one_loss(history: Sequence[Observation], number: int, seed: int) -> Sequence[Observation]:
    """The trials as trial ``number`` is to see them: of those with several losses, one that weighs them.

    Knowles (2006), "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective
    Optimization Problems": the augmented Chebyshev function of losses that are scaled to the range that was seen, under
    weights that are drawn uniformly for each trial. Before they are scaled the losses are bent as those of a single
    goal are (`warping`): else a metric such as a number of weights, most of whose range is one bad trial, would draw
    all weights to one end of the front. Trials whose losses are not all finite have none.
    """
    told = [each for each in history if each.losses]
    if not told:
        return history
    sound = [each for each in told if np.isfinite(each.losses).all()]
    values: dict[int, float] = {}
    if sound:
        losses_NK = np.array([each.losses for each in sound])
        weights_K = generator_for(seed, number, "weights").dirichlet(np.ones(losses_NK.shape[1]))
        values_N = chebyshev(scaled(losses_NK), weights_K)
        values = dict(zip((each.number for each in sound), values_N.tolist(), strict=True))
    return [replace(each, loss=values.get(each.number)) if each.losses else each for each in history]


def scaled(losses_NK: Floats) -> Floats:
    """Each goal's losses, bent towards a normal distribution, from 0 at the best to 1 at the worst."""
    bent_NK = np.stack([warped(losses_N) for losses_N in losses_NK.T], axis=1)
    raised_NK = bent_NK - bent_NK.min(axis=0)
    spans_K = raised_NK.max(axis=0)
    found_NK: Floats = raised_NK / np.where(spans_K > 0, spans_K, 1.0)
    return found_NK


def chebyshev(losses_NK: Floats, weights_K: Floats) -> Floats:
    """max wₖ lₖ + ρ Σ wₖ lₖ, (N,): Knowles (2006), equation 2."""
    weighted_NK = weights_K * losses_NK
    found_N: Floats = weighted_NK.max(axis=1) + _AUGMENTATION * weighted_NK.sum(axis=1)
    return found_N
