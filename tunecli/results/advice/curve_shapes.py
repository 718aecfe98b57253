"""The shape of one training curve: noise from epoch to epoch, whether it still falls at its end, whether it has risen.

All functions take values of which less is better, one for each epoch, all finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

MIN_EPOCHS = 12
"""A shorter curve is not judged: its quarters have less than three epochs."""
_SMOOTHED_FRACTION = 0.1
_MIN_SMOOTHED = 3
_MIN_THIRDS = 6


@dataclass(frozen=True, slots=True)
class Trend:
    """The end of a curve.

    Attributes:
        fall: of a straight line through the last quarter; negative: the quarter rises.
        t: the fall divided by its standard error; infinite: the quarter has no noise.
        further_fall: the expected fall in half a training more.
        whole_fall: from the first value to the lowest smoothed one; at least 0.
    """

    fall: float
    t: float
    further_fall: float
    whole_fall: float


@dataclass(frozen=True, slots=True)
class Rise:
    """How far a smoothed curve ends above its least value.

    Attributes:
        height: at least 0.
        error: the standard error of the height.
        epoch_index: the index of the least smoothed value.
        depth: the fall from the first value to the least smoothed one; at least 0.
    """

    height: float
    error: float
    epoch_index: int
    depth: float


def step_noise(values: Sequence[float]) -> float:
    """The deviation of the noise of one value, from second differences, less their mean.

    A second difference of independent values has 6 times their variance, and cancels a straight trend (Gasser, Sroka,
    Jennen-Steinmetz (1986), "Residual variance and residual pattern in nonlinear regression"). Less the mean of the m
    differences it cancels a parabola too; the sum of their squares is then (6 m - 4 / m) times the variance, because
    the differences are correlated: 6, -4, 1 at distances 0, 1, 2. Fewer than four values have no noise.
    """
    n = len(values) - 2
    if n < 2:
        return 0.0
    seconds = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    mean = fmean(seconds)
    variance = math.fsum((second - mean) ** 2 for second in seconds) / (6 * n - 4 / n)
    if n > _MIN_THIRDS:  # on a long stretch the trend is no parabola, and third differences cancel more of it
        thirds = [after - before for before, after in pairwise(seconds)]
        variance = min(variance, fmean(third * third for third in thirds) / 20)
    return math.sqrt(variance)


def trend(values: Sequence[float]) -> Trend:
    """How the last quarter falls, and how far half a training more would fall.

    The further fall continues the falls of the last three quarters: each quarter falls by a fraction of the quarter
    before it, and that fraction shrinks as it did last. The fraction is constant in an exponential decay, and shrinks
    under a cosine schedule, which levels off. A straight line would extend both too far.

    Args:
        values: at least `MIN_EPOCHS`.
    """
    n = len(values) // 4
    slope, error = _line(values[-n:])
    falls = [-_line(values[-k * n : -(k - 1) * n])[0] * n for k in (3, 2)] + [-slope * n]
    ratios = [_ratio(after, before) for before, after in pairwise(falls)]
    change = _ratio(ratios[1], ratios[0])
    next_ratio = ratios[1] * change
    return Trend(
        falls[-1],
        -slope / error if error > 0 else math.copysign(math.inf, -slope) if slope else 0.0,
        max(0.0, falls[-1]) * next_ratio * (1 + next_ratio * change),
        max(0.0, values[0] - min(smoothed(values))),
    )


def rise(values: Sequence[float]) -> Rise:
    """How far the smoothed curve has risen since its least value.

    Args:
        values: at least `MIN_EPOCHS`.
    """
    smooth = smoothed(values)
    least = min(range(len(smooth)), key=smooth.__getitem__)
    end = smooth[-1]
    n_averaged = window(len(values))
    # The difference of two means of `n_averaged` values.
    error = step_noise(values) * math.sqrt(2 / n_averaged)
    return Rise(end - smooth[least], error, least, max(0.0, values[0] - smooth[least]))


def smoothed(values: Sequence[float]) -> list[float]:
    """The mean of the values around each index, over a tenth of the curve; at the ends over the last whole window."""
    width = window(len(values))
    half = width // 2
    starts = (min(max(0, index - half), len(values) - width) for index in range(len(values)))
    return [fmean(values[start : start + width]) for start in starts]


def window(n: int) -> int:
    """The number of values that are averaged for a curve of ``n``."""
    return min(n, max(_MIN_SMOOTHED, round(_SMOOTHED_FRACTION * n)))


def _ratio(after: float, before: float) -> float:
    """``after / before``, from 0 to 1; 1 if ``before`` is 0 or less."""
    return min(1.0, max(0.0, after / before)) if before > 0 else 1.0


def _line(values: Sequence[float]) -> tuple[float, float]:
    """Slope of the least-squares line over 0, 1, 2, … and its standard error."""
    n = len(values)
    middle, mean = (n - 1) / 2, fmean(values)
    spread = math.fsum((index - middle) ** 2 for index in range(n))
    slope = math.fsum((index - middle) * value for index, value in enumerate(values)) / spread
    residuals = math.fsum(
        (value - mean - slope * (index - middle)) ** 2 for index, value in enumerate(values)
    )
    return slope, math.sqrt(residuals / max(1, n - 2) / spread)
