"""Transform recorded losses before a model is fitted: scalarize several objectives into one loss, and warp losses.

**Scalarization** gives each trial other weights, so that a sweep covers the Pareto front: Knowles (2006), "ParEGO: A
Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems".

**Warping** is for the Gaussian process. Losses of training are skewed: a few good ones close together, and a long tail
up to the loss of a run that learnt nothing. A model of the raw losses spends its capacity on the tail. The warp is
monotonic, approximately normalises the losses, and does not depend on their unit or origin.

Axes: N losses or trials, K objectives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunecli.seeding import generator_for
from tunecli.trial import Observation

Floats = NDArray[np.float64]

# Knowles's ρ, the weight of the sum: without it a dominated point could have the lowest scalarized loss.
_AUGMENTATION = 0.05
_CAP_IQRS = 3.0  # interquartile ranges above the upper quartile: Tukey's outer fence
_LARGEST = float(np.finfo(np.float64).max)
_POWERS = np.linspace(-2.0, 2.0, 81)


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


@dataclass(frozen=True, slots=True)
class Warping:
    """Warped losses, and the inverse of the warp.

    Attributes:
        values_N: the warped losses, with mean 0 and standard deviation 1.
        outlier_cap: larger losses were replaced by this loss before the warp, in the unit of the losses.
    """

    values_N: Floats
    outlier_cap: float
    _losses_N: Floats
    _scale: _Scale
    _power: float
    _mean: float
    _deviation: float

    def losses(self, values: Floats) -> Floats:
        """Return the losses at warped ``values`` of any shape, in the unit of the losses.

        The result is clipped to the range of the losses, extended by its own length on both sides. If all losses are
        equal, the result is that loss.
        """
        bent = values * self._deviation + self._mean
        unclipped = self._scale.losses(yeo_johnson_inverse(bent, self._power))
        low, high = float(self._losses_N.min()), float(self._losses_N.max())
        span = high - low
        clipped: Floats = np.clip(unclipped, max(low - span, -_LARGEST), min(high + span, _LARGEST))
        return clipped


def warping(losses_N: Floats) -> Warping:
    """Fit the warp: standardise, apply the most likely Yeo-Johnson power in [-2, 2], and standardise again.

    Yeo, Johnson (2000), "A new family of power transformations to improve normality or symmetry". The power comes from
    a fixed grid, so ties and tiny samples are safe. Equal losses become 0.

    Args:
        losses_N: finite; lower is better.
    """
    standardised_N, scale = _standardised(losses_N)
    if not standardised_N.any():
        return Warping(standardised_N, scale.highest, losses_N, scale, 1.0, 0.0, 1.0)
    likelihoods = [_log_likelihood(standardised_N, power) for power in _POWERS]
    power = float(_POWERS[int(np.argmax(likelihoods))])
    bent_N = yeo_johnson(standardised_N, power)
    mean, deviation = bent_N.mean(), (bent_N - bent_N.mean()).std()
    values_N = (bent_N - mean) / deviation
    return Warping(values_N, scale.highest, losses_N, scale, power, float(mean), float(deviation))


def warped(losses_N: Floats) -> Floats:
    """Return the warped losses, (N,); see :func:`warping`."""
    return warping(losses_N).values_N


def yeo_johnson(values_N: Floats, power: float) -> Floats:
    """Return the Yeo-Johnson transform (equation 2.1): strictly increasing, and the identity for ``power`` 1."""
    bent_N = np.empty_like(values_N)
    is_upper_N = values_N >= 0
    upper, lower = np.log1p(values_N[is_upper_N]), np.log1p(-values_N[~is_upper_N])
    bent_N[is_upper_N] = np.expm1(power * upper) / power if abs(power) > 1e-9 else upper
    rest = 2.0 - power
    bent_N[~is_upper_N] = -np.expm1(rest * lower) / rest if abs(rest) > 1e-9 else -lower
    return bent_N


def yeo_johnson_inverse(bent: Floats, power: float) -> Floats:
    """Return the inverse of :func:`yeo_johnson`; a value outside its range maps to a very large number."""
    rest = 2.0 - power
    upper, lower = np.maximum(bent, 0.0), np.maximum(-bent, 0.0)
    if abs(power) > 1e-9:
        raised = np.log(np.maximum(1.0 + power * upper, 1e-300)) / power
    else:
        raised = upper
    lowered = np.log1p(rest * lower) / rest if abs(rest) > 1e-9 else lower
    # e^300 is beyond every clip of `Warping.losses`, and does not overflow.
    values: Floats = np.expm1(np.minimum(raised, 300.0)) - np.expm1(np.minimum(lowered, 300.0))
    return values


def standardised(losses_N: Floats) -> Floats:
    """Return the losses with mean 0 and standard deviation 1, after large outliers are reduced to Tukey's outer fence.

    A loss of 1e9 from a trial that nearly diverged shows that its region is bad, not that all others are equal. Low
    outliers are the goal of the search, and stay. Equal losses become 0.
    """
    return _standardised(losses_N)[0]


@dataclass(frozen=True, slots=True)
class _Scale:
    """The constants of a standardisation.

    Attributes:
        lowest: an eighth of the lowest loss.
        highest: the highest loss after the cap, in the unit of the losses.
        span, mean, deviation: the range of the capped losses / 8, and the mean and deviation after division by it.
    """

    lowest: float
    highest: float
    span: float
    mean: float
    deviation: float

    def losses(self, values: Floats) -> Floats:
        with np.errstate(over="ignore"):
            losses: Floats = ((values * self.deviation + self.mean) * self.span + self.lowest) * 8
        return losses


def _standardised(losses_N: Floats) -> tuple[Floats, _Scale]:
    capped_N = losses_N / 8  # the cap is at most seven times as large as the losses: no overflow
    lower, upper = np.quantile(capped_N, [0.25, 0.75])
    if upper > lower:
        capped_N = np.minimum(capped_N, upper + _CAP_IQRS * (upper - lower))
    lowest = capped_N.min()
    raised_N = capped_N - lowest
    span = raised_N.max()
    if span == 0:
        return np.zeros(len(losses_N)), _Scale(float(lowest), float(losses_N.max()), 0.0, 0.0, 0.0)
    scaled_N: Floats = raised_N / span  # squares of losses near 1e300 would overflow
    centred_N: Floats = scaled_N - scaled_N.mean()
    highest = 8 * float(capped_N.max())
    scale = _Scale(float(lowest), highest, float(span), float(scaled_N.mean()), float(scaled_N.std()))
    return centred_N / scale.deviation, scale


def _log_likelihood(values_N: Floats, power: float) -> float:
    """Return the log-likelihood of ``power`` under normality, up to a constant (Yeo, Johnson 2000, equation 3.1)."""
    bent_N = yeo_johnson(values_N, power)
    jacobian = (power - 1.0) * float((np.sign(values_N) * np.log1p(np.abs(values_N))).sum())
    return jacobian - 0.5 * len(values_N) * float(np.log(max(bent_N.var(), 1e-300)))
