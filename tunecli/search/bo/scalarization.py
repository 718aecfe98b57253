"""Combine the losses of several objectives into one, with other weights for each trial, to cover the Pareto front.

Knowles (2006), "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective
Optimization Problems". The weights of a trial are a function of the study's seed and the trial's number
(seeds-by-name).

Axes: N trials, K objectives.
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

# Knowles's ρ, the weight of the sum: without it a dominated point could have the lowest scalarized loss.
_AUGMENTATION = 0.05


def scalarize(history: Sequence[Observation], number: int, seed: int) -> Sequence[Observation]:
    """Return the trials with one loss each, as trial ``number`` sees them.

    The loss of a trial with several is ParEGO's augmented Chebyshev function, with weights that are drawn uniformly
    from the simplex for each ``number``. Each objective's losses are first warped as those of a single objective are:
    else a metric like a parameter count, where one bad trial spans most of the range, would draw all weights to one end
    of the front. A trial with a loss that is not finite gets None. Trials with a single loss stay as they are.

    Args:
        history: every earlier trial, by number.
        number: the number of the trial that is suggested.
        seed: the study's seed.
    """
    with_losses = [trial for trial in history if trial.losses]
    if not with_losses:
        return history
    finite = [trial for trial in with_losses if np.isfinite(trial.losses).all()]
    loss_by_number: dict[int, float] = {}
    if finite:
        losses_NK = np.array([trial.losses for trial in finite])
        weights_K = generator_for(seed, number, "weights").dirichlet(np.ones(losses_NK.shape[1]))
        values_N = augmented_chebyshev(scaled(losses_NK), weights_K)
        loss_by_number = dict(zip((trial.number for trial in finite), values_N.tolist(), strict=True))
    return [
        replace(trial, loss=loss_by_number.get(trial.number)) if trial.losses else trial for trial in history
    ]


def scaled(losses_NK: Floats) -> Floats:
    """Return each objective's warped losses, scaled from 0 (best) to 1 (worst), (N, K)."""
    warped_NK = np.stack([warped(losses_N) for losses_N in losses_NK.T], axis=1)
    raised_NK = warped_NK - warped_NK.min(axis=0)
    spans_K = raised_NK.max(axis=0)
    scaled_NK: Floats = raised_NK / np.where(spans_K > 0, spans_K, 1.0)
    return scaled_NK


def augmented_chebyshev(losses_NK: Floats, weights_K: Floats) -> Floats:
    """Return maxₖ wₖ lₖ + ρ Σₖ wₖ lₖ, (N,): Knowles (2006), equation 2."""
    weighted_NK = weights_K * losses_NK
    scalar_N: Floats = weighted_NK.max(axis=1) + _AUGMENTATION * weighted_NK.sum(axis=1)
    return scalar_N
