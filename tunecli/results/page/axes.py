"""Axes of figures: scales that are always finite, ticks at round values, and numbers as short texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.config.axes import position_between
from tunecli.results.report import Axis, AxisKind

_LARGEST = 1e307  # differences and sums of such values stay finite
_LONGEST_LABEL = 7
# Tukey's fence (Exploratory Data Analysis, 1977): further out, a value is an outlier.
_FENCE = 1.5
_NEAR_FENCE = 3.0


@dataclass(frozen=True, slots=True)
class Scale:
    """The finite ends of an axis, ``low < high``; values beyond the ends lie on the edge."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """The position of a value, from 0 to 1; of NaN it is 0."""
        if math.isnan(value):
            return 0.0
        half = self.high / 2 - self.low / 2
        return (
            min(1.0, max(0.0, (value / 2 - self.low / 2) / half))
            if math.isfinite(value)
            else float(value > 0)
        )

    def beyond(self, value: float) -> float:
        """The position of a finite value, from -1 to 2, for lines that leave the plot."""
        half = self.high / 2 - self.low / 2
        return min(2.0, max(-1.0, (value / 2 - self.low / 2) / half))

    def contains(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Ticks:
    """Marks on an axis.

    Attributes:
        positions: from 0 to 1, ascending.
        labels: a text for each; those that begin with ``+`` are differences from the first one.
    """

    positions: tuple[float, ...]
    labels: tuple[str, ...]


def padded(values: Iterable[float]) -> Scale:
    """A scale over all finite values with some room on both sides; 0 to 1 if there are none."""
    finite = [min(_LARGEST, max(-_LARGEST, value)) for value in values if math.isfinite(value)]
    if not finite:
        return Scale(0.0, 1.0)
    low, high = min(finite), max(finite)
    room = 0.05 * (high - low)
    smallest = max(abs(low), abs(high)) * 1e-14
    if high - low <= smallest:  # equal values, or values that differ by rounding alone
        room = max(0.05 * abs(high), smallest, 1e-300)
    return Scale(low - room, high + room)


def without_outliers(scores: Iterable[float], *, maximize: bool) -> Scale:
    """A scale over the scores that are worth telling apart: the best one, and no outlier on the worse side.

    The fence lies beyond the third quartile by 1.5 times its distance from the best score, or beyond the median by 3
    times its distance, if that is nearer: a few bad trials leave room for the good ones. Three quarters of the scores
    are always on the scale.
    """
    sign = -1.0 if maximize else 1.0
    losses = sorted(sign * min(_LARGEST, max(-_LARGEST, score)) for score in scores if math.isfinite(score))
    if len(losses) > 3:
        third = losses[math.ceil(0.75 * len(losses)) - 1]
        median = losses[(len(losses) - 1) // 2]
        near = median + _NEAR_FENCE * min(median - losses[0], _LARGEST / 10)
        fence = max(third, min(near, third + _FENCE * min(third - losses[0], _LARGEST)))
        losses = [loss for loss in losses if loss <= fence]
    return padded(sign * loss for loss in losses)


def ticks(scale: Scale, n: int = 5) -> Ticks:
    """About ``n`` ticks at multiples of 1, 2 or 5 times a power of ten.

    Where labels would need many digits, they are differences from the first tick.
    """
    values = _round_values(scale.low, scale.high, n)
    if len(values) < 3 and len(finer := _round_values(scale.low, scale.high, 2 * n)) <= n + 1:
        values = finer
    labels = _labels(values)
    if max(map(len, labels), default=0) > _LONGEST_LABEL and len(values) > 1:
        base = values[0]
        differences = (f"+{number(value - base, 2)}" for value in values[1:])
        return Ticks(tuple(map(scale.at, values)), (number(base, 12), *differences))
    return Ticks(tuple(map(scale.at, values)), tuple(labels))


def axis_ticks(axis: Axis, n: int = 4) -> Ticks:
    """The ticks of a numeric parameter: round values, powers of ten on a logarithmic axis, whole numbers for whole."""
    if not (math.isfinite(axis.low) and math.isfinite(axis.high) and axis.low < axis.high):
        return Ticks((0.5,), (number(axis.low),))
    if axis.is_log and axis.low > 0:
        values = _log_values(axis.low, axis.high, n)
    else:
        values = _round_values(axis.low, axis.high, n)
    if axis.kind is AxisKind.WHOLE:
        values = sorted({float(round(value)) for value in values if axis.low <= round(value) <= axis.high})
    if len(values) < 2:
        values = [axis.low, axis.high]
    labels = _power_labels(values) if axis.is_log else map(number, values)
    return Ticks(tuple(position_on(axis, value) for value in values), tuple(labels))


def _power_labels(values: Sequence[float]) -> Iterable[str]:
    """Powers of ten in one form, ``1e-4``, ``1e-2``, ``1``, if one of them is long; other values as numbers."""
    exponents = [round(math.log10(value)) if value > 0 else 0 for value in values]
    are_powers = all(math.isclose(value, 10.0**at) for value, at in zip(values, exponents, strict=True))
    if not are_powers or (min(exponents) > -3 and max(exponents) < 4):
        return map(number, values)
    return ("1" if at == 0 else f"1e{at}" for at in exponents)


def position_on(axis: Axis, value: float) -> float:
    """The position of a value on a numeric parameter's axis, from 0 to 1."""
    return position_between(axis.low, axis.high, value, is_log=axis.is_log)


def value_at(axis: Axis, position: float) -> str:
    """The value at a position of a parameter's axis as a text; of an option its label."""
    if axis.kind is AxisKind.OPTIONS:
        index = min(max(0, round(position)), len(axis.options) - 1)
        return axis.options[index] if axis.options else ""
    if axis.is_log and axis.low > 0:
        value = math.exp(math.log(axis.low) + position * (math.log(axis.high) - math.log(axis.low)))
    else:
        value = axis.low * (1 - position) + axis.high * position
    return number(float(round(value)) if axis.kind is AxisKind.WHOLE else value, 3)


def _round_values(low: float, high: float, n: int) -> list[float]:
    span = high / n - low / n
    if not (math.isfinite(span) and span > 0):
        return [low, high] if low < high else [low]
    power = 10.0 ** math.floor(math.log10(span)) if span > 1e-300 else span
    step = next((factor * power for factor in (1, 2, 5, 10) if factor * power >= span), span)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if not 0 <= last - first <= 4 * n or abs(first) > 1e15:
        return [low, high]
    digits = max(0, -math.floor(math.log10(step)) + 1) if step < 1 else 0
    return [round(index * step, digits) if digits < 300 else index * step for index in range(first, last + 1)]


def _log_values(low: float, high: float, n: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 1:
        stride = max(1, math.ceil((last - first) / n))
        return [10.0**power for power in range(first, last + 1, stride)]
    steps = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    inside = [value for value in steps if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)]
    return inside if len(inside) > 1 else [low, high]


def _labels(values: Sequence[float]) -> list[str]:
    """The shortest texts that distinguish the values, all with the same number of decimals."""
    for digits in range(3, 16):
        texts = [number(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            n_decimals = max((len(text.partition(".")[2]) for text in texts if "e" not in text), default=0)
            is_plain = not any("e" in text for text in texts)
            return [f"{value:.{n_decimals}f}" for value in values] if is_plain else texts
    return [number(value, 16) for value in values]


def number(value: float, digits: int = 4) -> str:
    """A number with ``digits`` significant digits: ``0.9861``, ``1e-5``, ``12,000``."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}" if abs(value) >= 1e4 else str(int(value))
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"


def percent(fraction: float) -> str:
    """A fraction from 0 to 1 in percent: ``33 %``, ``< 1 %``."""
    if 0 < fraction < 0.01:
        return "< 1 %"
    return f"{round(100 * fraction)} %"
