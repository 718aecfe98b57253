"""Exact arithmetic of ranges with a step: how many values such a range has, which they are, and which is nearest.

A stepped value is the float next to ``low + position * step``, computed from the decimal digits that the file shows.
So 0.1 + 2 * 0.1 is 0.3, and a range from 1000000000 in steps of 0.001 keeps all of its values. Offsets from the lower
end serve the logarithmic ranges whose values are too close together for a difference of two logarithms.
"""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
_MOST_SLACK = 0.01  # of a step: an upper end so near to a further value is that value
_ROUNDED = 1e-12  # relative: earlier versions wrote values with 12 digits, and studies on record hold those
_SAME = 1e-6  # of a step, at most, two spellings of one value lie apart
_ULPS_A_STEP = 4


@lru_cache(maxsize=1024)
def n_steps(low: float, high: float, step: float) -> int:
    """How many steps lie between ``low`` and ``high``.

    An upper end that misses a value by a rounding error (a step of 0.3333333333 from 0 to 1) counts as that value.
    """
    ratio = _EXACT.divide(_EXACT.subtract(_decimal(high), _decimal(low)), _decimal(step))
    slack = min(1e-9 + 1e-12 * float(ratio), _MOST_SLACK)
    return int(_EXACT.add(ratio, Decimal(slack)).to_integral_value(ROUND_FLOOR))


def stepped(low: float, high: float, step: float, position: int) -> float:
    """The value ``position`` steps above ``low``, and never above ``high``."""
    if position == 0:
        return low
    return min(float(_EXACT.fma(_decimal(step), position, _decimal(low))), high)


def nearest_position(low: float, step: float, value: float) -> int:
    """The number of steps from ``low`` to ``value``, rounded to a whole number; it may lie outside the range."""
    ratio = _EXACT.divide(_EXACT.subtract(Decimal(repr(float(value))), _decimal(low)), _decimal(step))
    return int(ratio.to_integral_value(ROUND_HALF_EVEN))


def is_same(value: float, exact: float, size: float, step: float) -> bool:
    """Whether ``value`` is ``exact`` but for rounding, in a range of numbers as large as ``size``."""
    rounding = _ROUNDED * abs(exact) + _ULPS_A_STEP * math.ulp(size)
    return value == exact or abs(value - exact) <= min(rounding, _SAME * step)


def is_too_fine(low: float, high: float, step: float) -> bool:
    """Whether floats of this size cannot tell values apart that lie ``step`` apart."""
    return step < _ULPS_A_STEP * math.ulp(max(abs(low), abs(high)))


def offset_of_share(low: float, width: float, share: float) -> float:
    """How far above ``low`` > 0 the logarithmic range [``low``, ``low + width``] is at ``share`` of its logarithm."""
    return low * math.expm1(share * math.log1p(width / low))


def share_of_offset(low: float, width: float, offset: float) -> float:
    """The way back from :func:`offset_of_share`."""
    return math.log1p(offset / low) / math.log1p(width / low) if width else 0.5


@lru_cache(maxsize=1024)
def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))
