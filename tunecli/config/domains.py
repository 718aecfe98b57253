"""The domains of parameters: frozen values, and the functions between values and numbers.

Two numeric views of each domain serve every sampler. *Units*: each value corresponds to a number in [0, 1) on the
domain's own scale (for a logarithmic range, the logarithm). *Positions*: the values of a finite domain are numbered
from 0. A value of a range with a step is the float nearest to ``low + position * step``, computed from the decimal
digits in the file, so 0.1 + 2 * 0.1 is 0.3. Does not know trees, conditions or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from statistics import NormalDist
from typing import TypeGuard

from tunecli.trial import Scalar

LAST_UNIT = math.nextafter(1.0, 0.0)
"""The largest unit."""
CLOSE = 1e-9  # for its size: numbers so near to each other need more digits than that, and exact differences
_NARROW_LOG = 1e-6  # for its lower end: the difference of such ends' logarithms has few digits
LARGEST_EXACT = 2**40  # beyond it, fractions of whole numbers and of their logarithms are lost in floats
_FAR_APART = 100.0  # as many times its lower end is the upper end of a range that spans magnitudes


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of ``options``: values, or the labels of sub-trees."""

    options: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Real:
    """A number in [``low``, ``high``]; with ``step``, only the values ``low + n * step``."""

    low: float
    high: float
    is_log: bool = False
    step: float | None = None
    grid: int | None = None


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in [``low``, ``high``], in steps of ``step``."""

    low: int
    high: int
    is_log: bool = False
    step: int = 1
    grid: int | None = None


@dataclass(frozen=True, slots=True)
class Normal:
    """A normally distributed number; a grid takes the medians of ``grid`` equally likely intervals."""

    mean: float
    deviation: float
    grid: int | None = None


Domain = Categorical | Real | Integer | Normal


def n_values(domain: Domain) -> int | None:
    """Number of values of the domain; None if it is continuous."""
    match domain:
        case Categorical(options=options):
            return len(options)
        case Integer(low=low, high=high, step=step):
            return (high - low) // step + 1
        case Real(low=low, high=high, step=step):
            if low == high:
                return 1
            return None if step is None else n_steps(low, high, step) + 1
        case Normal():
            return None


def value_at(domain: Domain, position: int) -> Scalar:
    """The value at ``position`` of a finite domain, 0 ≤ position < ``n_values(domain)``."""
    match domain:
        case Categorical(options=options):
            return options[position]
        case Integer(low=low, step=step):
            return low + position * step
        case Real(low=low, high=high, step=step):
            return low if step is None else stepped(low, high, step, position)
        case Normal():
            raise ValueError("a continuous domain has no numbered values")


def last_value(domain: Integer | Real) -> float:
    """The largest value of a range; below its upper end if the steps do not reach that."""
    count = n_values(domain)
    return domain.high if count is None else value_at(domain, count - 1)  # type: ignore[return-value]  # a number


def position_of(domain: Domain, value: Scalar) -> int | None:
    """Position of ``value`` among a finite domain's values; None if the domain does not contain it."""
    count = n_values(domain)
    if count is None:
        return None
    match domain:
        case Categorical(options=options):
            matches = (
                i for i, option in enumerate(options) if type(option) is type(value) and option == value
            )
            return next(matches, None)
        case Integer(low=low, step=step):
            if isinstance(value, bool) or not isinstance(value, int) or (value - low) % step:
                return None
            position = (value - low) // step
        case Real(low=low, high=high, step=step):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return None
            position = 0 if step is None else nearest_position(low, step, value)
            if step is None or not 0 <= position < count:
                return position if value == low else None
            if not is_same(value, stepped(low, high, step, position), max(abs(low), abs(high)), step):
                return None
        case Normal():
            return None
    return position if 0 <= position < count else None


def contains(domain: Domain, value: Scalar) -> bool:
    """Whether ``value`` can be drawn from the domain."""
    if n_values(domain) is not None:
        return position_of(domain, value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return isinstance(domain, Normal) or (isinstance(domain, Real) and domain.low <= value <= domain.high)


def bounds(domain: Domain) -> tuple[Scalar, ...]:
    """The values at which a domain is validated: every option, or both ends.

    A normal domain has no ends; four deviations each way are used.
    """
    match domain:
        case Categorical(options=options):
            return options
        case Normal(mean=mean, deviation=deviation):
            return (mean - 4 * deviation, mean, mean + 4 * deviation)
        case _:
            last = n_values(domain)
            high = domain.high if last is None else value_at(domain, last - 1)
            return (domain.low,) if domain.low == high else (domain.low, high)


def centre(domain: Domain) -> Scalar:
    """The middle of the domain; the first option of a categorical domain."""
    return domain.options[0] if isinstance(domain, Categorical) else value_of_unit(domain, 0.5)


def is_plain_over_magnitudes(domain: Domain) -> TypeGuard[Real | Integer]:
    """Whether a range is not logarithmic although its ends are positive and differ by a factor of 100 or more.

    Such a parameter usually acts by ratios, and nearly all draws are of the largest magnitude.
    """
    if not isinstance(domain, Real | Integer) or domain.is_log:
        return False
    return domain.low > 0 and domain.high / _FAR_APART >= domain.low


def value_of_unit(domain: Domain, unit: float) -> Scalar:
    """The value at ``unit`` ∈ [0, 1) of the domain's own scale.

    Whole numbers and options have equal shares of the unit interval (a logarithmic integer a share of the logarithm),
    so a uniform unit is a uniform draw.
    """
    match domain:
        case Categorical(options=options):
            return options[min(int(unit * len(options)), len(options) - 1)]
        case Integer(low=low, high=high, is_log=is_log, step=step):
            if is_log and high > LARGEST_EXACT:
                offset = offset_of_share(low - 0.5, high - low + 1, unit) - 0.5
                position = round(min(max(offset, 0), high - low) / step)
            elif is_log:
                drawn = interpolate(low - 0.5, high + 0.5, unit, is_log=True)
                position = round((min(max(drawn, low), high) - low) / step)
            else:
                position = int(unit * ((high - low) // step + 1))
            return low + min(position, (high - low) // step) * step
        case Real():
            count = n_values(domain)
            if count is not None and not domain.is_log:
                return value_at(domain, min(int(unit * count), count - 1))
            if count is not None and _is_close(domain):
                offset = offset_of_share(domain.low, domain.high - domain.low, unit)
                return value_at(domain, min(round(offset / (domain.step or 1.0)), count - 1))
            drawn = min(
                max(interpolate(domain.low, domain.high, unit, is_log=domain.is_log), domain.low), domain.high
            )
            if count is None:
                return drawn
            return value_at(domain, min(round((drawn - domain.low) / (domain.step or 1.0)), count - 1))
        case Normal(mean=mean, deviation=deviation):
            return NormalDist(mean, deviation).inv_cdf(min(max(unit, 1e-12), 1 - 1e-12))


def unit_of_value(domain: Domain, value: Scalar) -> float:
    """The unit, in [0, 1), in the middle of the interval that ``value_of_unit`` maps to ``value``.

    Raises:
        ValueError: a categorical domain does not contain ``value``.
    """
    if isinstance(domain, Categorical):
        position = position_of(domain, value)
        if position is None:
            raise ValueError(f"{value!r} is none of {list(domain.options)!r}")
        return (position + 0.5) / len(domain.options)
    number = float(value)  # type: ignore[arg-type]  # numeric domains hold numbers only
    match domain:
        case Integer(low=low, high=high, is_log=is_log, step=step):
            whole = value if isinstance(value, int) else number
            if is_log and high > LARGEST_EXACT:
                unit = share_of_offset(low - 0.5, high - low + 1, whole - low + 0.5)
            elif is_log:
                unit = share_between(low - 0.5, high + 0.5, number, is_log=True)
            else:
                unit = ((whole - low) / step + 0.5) / ((high - low) // step + 1)
        case Real(low=low, high=high, step=stride):
            count = n_values(domain)
            if count is not None and not domain.is_log:
                position = 0 if stride is None else nearest_position(low, stride, number)
                unit = (min(max(position, 0), count - 1) + 0.5) / count
            elif count is not None and _is_close(domain):
                unit = share_of_offset(low, high - low, number - low)
            else:
                unit = share_between(low, high, number, is_log=domain.is_log)
        case Normal(mean=mean, deviation=deviation):
            unit = NormalDist(mean, deviation).cdf(number)
    return min(max(unit, 0.0), LAST_UNIT)


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


def _is_close(domain: Real) -> bool:
    """Whether a stepped range's values are so close, for their size, that their logarithms hardly differ."""
    return domain.step is not None and domain.step < CLOSE * domain.high


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


def offset_of_share(low: float, width: float, share: float) -> float:
    """Distance above ``low`` > 0 at ``share`` of the logarithmic range [``low``, ``low + width``]."""
    return low * math.expm1(share * math.log1p(width / low))


def share_of_offset(low: float, width: float, offset: float) -> float:
    """The inverse of :func:`offset_of_share`."""
    return math.log1p(offset / low) / math.log1p(width / low) if width else 0.5


@lru_cache(maxsize=1024)
def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))
