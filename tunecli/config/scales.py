"""Scales of numbers: linear and logarithmic shares, and exact steps and powers.

Steps and powers are computed from the decimal digits that the file has, and the nearest float is taken. So 0.1 + 2 *
0.1 is 0.3, and 10 ** -5 is 1e-05, on every machine.
"""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache

_NARROW_LOG = 1e-6  # for its lower end: the difference of such ends' logarithms has few digits
_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
_MOST_SLACK = 0.01  # of a step: an upper end so near to a further value is that value
_ROUNDED = 1e-12  # relative: earlier versions wrote values with 12 digits, and studies on record hold those
_SAME = 1e-6  # of a step, at most, two spellings of one value lie apart
_ULPS_A_STEP = 4


@lru_cache(maxsize=1024)
def n_steps(low: float, high: float, step: float) -> int:
    """Number of steps between ``low`` and ``high``.

    An upper end that misses a value by a rounding error (a step of 0.3333333333 from 0 to 1) counts as that value.
    """
    ratio = _EXACT.divide(_EXACT.subtract(_decimal(high), _decimal(low)), _decimal(step))
    slack = min(1e-9 + 1e-12 * float(ratio), _MOST_SLACK)
    return int(_EXACT.add(ratio, Decimal(slack)).to_integral_value(ROUND_FLOOR))


def stepped(low: float, high: float, step: float, position: int) -> float:
    """The value ``position`` steps above ``low``, at most ``high``."""
    if position == 0:
        return low
    return min(float(_EXACT.fma(_decimal(step), position, _decimal(low))), high)


def nearest_position(low: float, step: float, value: float) -> int:
    """Number of steps from ``low`` to ``value``, rounded; it may be outside the range."""
    ratio = _EXACT.divide(_EXACT.subtract(Decimal(repr(float(value))), _decimal(low)), _decimal(step))
    return int(ratio.to_integral_value(ROUND_HALF_EVEN))


def is_same(value: float, exact: float, size: float, step: float) -> bool:
    """Whether ``value`` equals ``exact`` up to rounding, in a range of numbers as large as ``size``."""
    rounding = _ROUNDED * abs(exact) + _ULPS_A_STEP * math.ulp(size)
    return value == exact or abs(value - exact) <= min(rounding, _SAME * step)


def is_too_fine(low: float, high: float, step: float) -> bool:
    """Whether floats of this size cannot represent values that are ``step`` apart."""
    return step < _ULPS_A_STEP * math.ulp(max(abs(low), abs(high)))


def multiple(step: float, position: int) -> float:
    """``position * step``."""
    return float(_EXACT.multiply(_decimal(step), position))


def power(base: float, exponent: float, *, is_whole: bool) -> int | float:
    """``base ** exponent``; a whole number if ``is_whole``, which needs a whole base and an exponent of at least 0.

    Powers with a whole exponent are exact, up to the rounding to a float.

    Raises:
        OverflowError: the power is too large for a float.
    """
    if is_whole:
        whole: int = int(base) ** int(exponent)
        return whole
    if isinstance(exponent, int):
        return float(Fraction(repr(base)) ** exponent)
    return math.pow(base, exponent)


def interpolate(low: float, high: float, share: float, *, is_log: bool) -> float:
    if is_log and high - low < _NARROW_LOG * low:
        return low + offset_of_share(low, high - low, share)
    if is_log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def share_between(low: float, high: float, value: float, *, is_log: bool) -> float:
    if low == high:
        return 0.5
    if is_log and high - low < _NARROW_LOG * low:
        return share_of_offset(low, high - low, value - low)
    if is_log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def offset_of_share(low: float, width: float, share: float) -> float:
    """Distance above ``low`` > 0 at ``share`` of the logarithmic range [``low``, ``low + width``]."""
    return low * math.expm1(share * math.log1p(width / low))


def share_of_offset(low: float, width: float, offset: float) -> float:
    """The inverse of :func:`offset_of_share`."""
    return math.log1p(offset / low) / math.log1p(width / low) if width else 0.5


@lru_cache(maxsize=1024)
def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def value_of_normal(number: float, step: float | None, *, is_log: bool) -> float:
    """The value at ``number`` of a normal distribution: the number or its exponential, rounded to a step.

    An exponential is never rounded to 0.
    """
    value = math.exp(number) if is_log else number
    if step is None:
        return value
    position = round(value / step)
    return multiple(step, max(position, 1) if is_log else position)


def numbers_of_normal(value: float, step: float | None, *, is_log: bool) -> tuple[float, ...]:
    """The ends of the interval of numbers whose `value_of_normal` is ``value``; one number without a step."""
    ends: tuple[float, ...] = (value,)
    if step is not None:
        low, high = value - 0.5 * step, value + 0.5 * step
        ends = (0.0 if is_log and low <= step else low, high)
    if not is_log:
        return ends
    return tuple(math.log(end) if end > 0 else -math.inf for end in ends)
