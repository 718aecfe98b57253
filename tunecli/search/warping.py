"""Losses on a scale where a Gaussian process can be right about them.

Losses of training are skewed: a few good ones close together, and a long tail up to whatever a run that learnt
nothing ends with. A model of the plain numbers spends itself on the tail. So they are bent, in the same order,
towards a normal distribution. The result does not depend on the losses' unit or origin. Pure; knows only numbers.

Axes: N losses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_OUTLIER_RANGES = 3.0  # interquartile ranges above the upper quartile; Tukey's fence of what is "far out"
_POWERS = np.linspace(-2.0, 2.0, 81)


def warped(losses_N: Floats) -> Floats:
    """The losses by the power that makes them most nearly normal, with mean 0 and deviation 1.

    Yeo, Johnson (2000), "A new family of power transformations to improve normality or symmetry", after
    :func:`standardised`; the power in [-2, 2] is the most likely one of a fixed grid, so ties and tiny samples
    are no danger. Losses that are all alike are 0.

    Args:
        losses_N: finite; lower is better.
    """
    standardised_N = standardised(losses_N)
    if not standardised_N.any():
        return standardised_N
    likelihoods = [_log_likelihood(standardised_N, power) for power in _POWERS]
    bent_N = yeo_johnson(standardised_N, float(_POWERS[int(np.argmax(likelihoods))]))
    centred_N = bent_N - bent_N.mean()
    scaled_N: Floats = centred_N / centred_N.std()
    return scaled_N


def yeo_johnson(values_N: Floats, power: float) -> Floats:
    """Yeo and Johnson's transformation (their equation 2.1): strictly increasing, the identity for ``power`` 1."""
    bent_N = np.empty_like(values_N)
    is_upper_N = values_N >= 0
    upper, lower = np.log1p(values_N[is_upper_N]), np.log1p(-values_N[~is_upper_N])
    bent_N[is_upper_N] = np.expm1(power * upper) / power if abs(power) > 1e-9 else upper
    rest = 2.0 - power
    bent_N[~is_upper_N] = -np.expm1(rest * lower) / rest if abs(rest) > 1e-9 else -lower
    return bent_N


def standardised(losses_N: Floats) -> Floats:
    """The losses with mean 0 and deviation 1, once the bad outliers are pulled in to Tukey's outer fence.

    A loss of 1e9 from a trial that nearly diverged says "bad here", not that all others are alike. Good
    outliers are what is searched for and stay. Losses that are all alike are 0.
    """
    fenced_N = losses_N / 8  # the fence is at most seven times as far out as the losses: no overflow
    lower, upper = np.quantile(fenced_N, [0.25, 0.75])
    if upper > lower:
        fenced_N = np.minimum(fenced_N, upper + _OUTLIER_RANGES * (upper - lower))
    raised_N = fenced_N - fenced_N.min()
    span = raised_N.max()
    if span == 0:
        return np.zeros(len(losses_N))
    scaled_N: Floats = raised_N / span  # squares of losses near 1e300 would overflow
    centred_N: Floats = scaled_N - scaled_N.mean()
    return centred_N / float(scaled_N.std())


def _log_likelihood(values_N: Floats, power: float) -> float:
    """Of a normal sample after the transformation, up to a constant (Yeo, Johnson 2000, equation 3.1)."""
    bent_N = yeo_johnson(values_N, power)
    jacobian = (power - 1.0) * float((np.sign(values_N) * np.log1p(np.abs(values_N))).sum())
    return jacobian - 0.5 * len(values_N) * float(np.log(max(bent_N.var(), 1e-300)))
