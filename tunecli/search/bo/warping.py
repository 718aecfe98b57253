"""Losses on a scale where a Gaussian process can be right about them.

Losses of training are skewed: a few good ones close together, and a long tail up to whatever a run that learnt
nothing ends with. A model of the plain numbers spends itself on the tail. So they are bent, in the same order,
towards a normal distribution. The result does not depend on the losses' unit or origin. Pure; knows only numbers.

Axes: N losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_OUTLIER_RANGES = 3.0  # interquartile ranges above the upper quartile; Tukey's fence of what is "far out"
_LARGEST = float(np.finfo(np.float64).max)
_POWERS = np.linspace(-2.0, 2.0, 81)


@dataclass(frozen=True, slots=True)
class Warping:
    """Losses on a scale of their own, and the way back.

    Attributes:
        values: the losses there, with mean 0 and deviation 1, shape (N,).
        fence: all losses above it are taken for it.
    """

    values: Floats
    fence: float
    _losses: Floats
    _scale: _Scale
    _power: float
    _centre: float
    _deviation: float

    def losses(self, values: Floats) -> Floats:
        """What losses ``values`` of any shape stand for; none further out than the losses' own span beyond them.

        Where the losses are all alike, it is they.
        """
        bent = values * self._deviation + self._centre
        found = self._scale.losses(yeo_johnson_inverse(bent, self._power))
        low, high = float(self._losses.min()), float(self._losses.max())
        span = high - low
        nearest: Floats = np.clip(found, max(low - span, -_LARGEST), min(high + span, _LARGEST))
        return nearest


def warping(losses_N: Floats) -> Warping:
    """The losses by the power that makes them most nearly normal, with mean 0 and deviation 1.

    Yeo, Johnson (2000), "A new family of power transformations to improve normality or symmetry", after
    :func:`standardised`; the power in [-2, 2] is the most likely one of a fixed grid, so ties and tiny samples
    are no danger. Losses that are all alike are 0.

    Args:
        losses_N: finite; lower is better.
    """
    standardised_N, scale = _standardised(losses_N)
    if not standardised_N.any():
        return Warping(standardised_N, scale.highest, losses_N, scale, 1.0, 0.0, 1.0)
    likelihoods = [_log_likelihood(standardised_N, power) for power in _POWERS]
    power = float(_POWERS[int(np.argmax(likelihoods))])
    bent_N = yeo_johnson(standardised_N, power)
    centre, deviation = bent_N.mean(), (bent_N - bent_N.mean()).std()
    values_N = (bent_N - centre) / deviation
    return Warping(values_N, scale.highest, losses_N, scale, power, float(centre), float(deviation))


def warped(losses_N: Floats) -> Floats:
    """The values of :func:`warping`."""
    return warping(losses_N).values


def yeo_johnson(values_N: Floats, power: float) -> Floats:
    """Yeo and Johnson's transformation (their equation 2.1): strictly increasing, the identity for ``power`` 1."""
    bent_N = np.empty_like(values_N)
    is_upper_N = values_N >= 0
    upper, lower = np.log1p(values_N[is_upper_N]), np.log1p(-values_N[~is_upper_N])
    bent_N[is_upper_N] = np.expm1(power * upper) / power if abs(power) > 1e-9 else upper
    rest = 2.0 - power
    bent_N[~is_upper_N] = -np.expm1(rest * lower) / rest if abs(rest) > 1e-9 else -lower
    return bent_N


def yeo_johnson_inverse(bent: Floats, power: float) -> Floats:
    """The way back from :func:`yeo_johnson`; what lies beyond all that it gives comes from very far out."""
    rest = 2.0 - power
    upper, lower = np.maximum(bent, 0.0), np.maximum(-bent, 0.0)
    if abs(power) > 1e-9:
        raised = np.log(np.maximum(1.0 + power * upper, 1e-300)) / power
    else:
        raised = upper
    lowered = np.log1p(rest * lower) / rest if abs(rest) > 1e-9 else lower
    # e to the 300th is further out than any clipping lets through, and no overflow
    found: Floats = np.expm1(np.minimum(raised, 300.0)) - np.expm1(np.minimum(lowered, 300.0))
    return found


def standardised(losses_N: Floats) -> Floats:
    """The losses with mean 0 and deviation 1, once the bad outliers are pulled in to Tukey's outer fence.

    A loss of 1e9 from a trial that nearly diverged says "bad here", not that all others are alike. Good
    outliers are what is searched for and stay. Losses that are all alike are 0.
    """
    return _standardised(losses_N)[0]


@dataclass(frozen=True, slots=True)
class _Scale:
    """How losses were standardised."""

    lowest: float  # of an eighth of the losses
    highest: float  # loss within the fence, or the fence
    span: float
    mean: float
    deviation: float

    def losses(self, values: Floats) -> Floats:
        with np.errstate(over="ignore"):
            found: Floats = ((values * self.deviation + self.mean) * self.span + self.lowest) * 8
        return found


def _standardised(losses_N: Floats) -> tuple[Floats, _Scale]:
    fenced_N = losses_N / 8  # the fence is at most seven times as far out as the losses: no overflow
    lower, upper = np.quantile(fenced_N, [0.25, 0.75])
    if upper > lower:
        fenced_N = np.minimum(fenced_N, upper + _OUTLIER_RANGES * (upper - lower))
    lowest = fenced_N.min()
    raised_N = fenced_N - lowest
    span = raised_N.max()
    if span == 0:
        return np.zeros(len(losses_N)), _Scale(float(lowest), float(losses_N.max()), 0.0, 0.0, 0.0)
    scaled_N: Floats = raised_N / span  # squares of losses near 1e300 would overflow
    centred_N: Floats = scaled_N - scaled_N.mean()
    highest = 8 * float(fenced_N.max())
    scale = _Scale(float(lowest), highest, float(span), float(scaled_N.mean()), float(scaled_N.std()))
    return centred_N / scale.deviation, scale


def _log_likelihood(values_N: Floats, power: float) -> float:
    """Of a normal sample after the transformation, up to a constant (Yeo, Johnson 2000, equation 3.1)."""
    bent_N = yeo_johnson(values_N, power)
    jacobian = (power - 1.0) * float((np.sign(values_N) * np.log1p(np.abs(values_N))).sum())
    return jacobian - 0.5 * len(values_N) * float(np.log(max(bent_N.var(), 1e-300)))
