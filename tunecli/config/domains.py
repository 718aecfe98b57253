"""The domains of parameters: frozen values, and the functions between values and numbers.

Two numeric views of each domain serve every sampler. *Units*: each value corresponds to a number in [0, 1) on the
domain's own scale (for a logarithmic range, the logarithm). *Positions*: the values of a finite domain are numbered
from 0. A value of a range with a step is the float nearest to ``low + position * step``, computed from the decimal
digits in the file, so 0.1 + 2 * 0.1 is 0.3. Does not know trees, conditions or files.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from typing import TypeGuard

from tunecli.config.scales import (
    interpolate,
    is_same,
    multiple,
    n_steps,
    nearest_position,
    numbers_of_normal,
    offset_of_share,
    power,
    share_between,
    share_of_offset,
    stepped,
    value_of_normal,
)
from tunecli.trial import Scalar

LAST_UNIT = math.nextafter(1.0, 0.0)
"""The largest unit."""
CLOSE = 1e-9  # for its size: numbers so near to each other need more digits than that, and exact differences
LEAST_SHARE = 1e-12  # the tails of a normal distribution that no draw reaches, one on each side
LARGEST_EXACT = 2**40  # beyond it, fractions of whole numbers and of their logarithms are lost in floats
_FAR_APART = 100.0  # as many times its lower end is the upper end of a range that spans magnitudes


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of ``options``: values, or the labels of sub-trees.

    Attributes:
        options: each different from all others.
        weights: how often each option is drawn, compared with the others; empty: all equally often.
        is_ordered: whether models use the order of the options; None: they are numbers, and the space decides.
    """

    options: tuple[Scalar, ...]
    weights: tuple[float, ...] = ()
    is_ordered: bool | None = False

    def edges(self) -> tuple[float, ...]:
        """The ends of the options' shares of the unit interval: n + 1 numbers from 0 to 1."""
        total = math.fsum(self.weights)
        return (0.0, *(share / total for share in accumulate(self.weights[:-1])), 1.0)


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
    """A normally distributed number; a grid takes the medians of ``grid`` equally likely intervals.

    Attributes:
        mean, deviation: of the number; of its natural logarithm if ``is_log``.
        grid: number of points that a grid takes.
        is_log: whether the logarithm of the number is normally distributed.
        step: the number is rounded to a multiple of it; a lognormal one to at least one step.
    """

    mean: float
    deviation: float
    grid: int | None = None
    is_log: bool = False
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Powers:
    """A power of ``base`` whose exponent is searched: ``base ** exponent``. Its scale is that of the exponent."""

    base: int | float
    exponents: Integer | Real | Normal

    @property
    def is_whole(self) -> bool:
        """Whether all powers are whole numbers."""
        return isinstance(self.base, int) and isinstance(self.exponents, Integer) and self.exponents.low >= 0


Domain = Categorical | Real | Integer | Normal | Powers


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
        case Powers(exponents=exponents):
            return n_values(exponents)


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
        case Powers(exponents=exponents):
            return power_at(domain, value_at(exponents, position))


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
        case Powers(exponents=exponents):
            exponent = exponent_of(domain, value)
            return None if exponent is None else position_of(exponents, exponent)
    return position if 0 <= position < count else None


def contains(domain: Domain, value: Scalar) -> bool:
    """Whether ``value`` can be drawn from the domain."""
    if n_values(domain) is not None:
        return position_of(domain, value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    match domain:
        case Normal(step=step, is_log=is_log):
            is_multiple = step is None or is_same(
                value, multiple(step, round(value / step)), abs(value), step
            )
            return is_multiple and (value > 0 or not is_log)
        case Powers():
            return exponent_of(domain, value) is not None
        case Real(low=low, high=high):
            return low <= value <= high
        case _:
            return False


def bounds(domain: Domain) -> tuple[Scalar, ...]:
    """The values at which a domain is validated: every option, or both ends.

    A normal domain has no ends; four deviations each way are used.
    """
    match domain:
        case Categorical(options=options):
            return options
        case Normal(mean=mean, deviation=deviation):
            middle = (mean - 4 * deviation, mean, mean + 4 * deviation)
            return tuple(
                dict.fromkeys(value_of_normal(number, domain.step, is_log=domain.is_log) for number in middle)
            )
        case Powers(exponents=exponents):
            return tuple(power_at(domain, exponent) for exponent in bounds(exponents))
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
            if domain.weights:
                return options[min(bisect_right(domain.edges(), unit), len(options)) - 1]
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
            drawn = NormalDist(mean, deviation).inv_cdf(min(max(unit, LEAST_SHARE), 1 - LEAST_SHARE))
            return value_of_normal(drawn, domain.step, is_log=domain.is_log)
        case Powers(exponents=exponents):
            return power_at(domain, value_of_unit(exponents, unit))


def unit_of_value(domain: Domain, value: Scalar) -> float:
    """The unit, in [0, 1), in the middle of the interval that ``value_of_unit`` maps to ``value``.

    Raises:
        ValueError: a categorical domain does not contain ``value``.
    """
    if isinstance(domain, Categorical):
        position = position_of(domain, value)
        if position is None:
            raise ValueError(f"{value!r} is none of {list(domain.options)!r}")
        if domain.weights:
            edges = domain.edges()
            return min((edges[position] + edges[position + 1]) / 2, LAST_UNIT)
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
            distribution = NormalDist(mean, deviation)
            ends = numbers_of_normal(number, domain.step, is_log=domain.is_log)
            unit = math.fsum(map(distribution.cdf, ends)) / len(ends)
        case Powers(exponents=exponents):
            exponent = exponent_of(domain, value)
            nearest = math.log(number) / math.log(domain.base) if exponent is None else exponent
            unit = unit_of_value(exponents, nearest)
    return min(max(unit, 0.0), LAST_UNIT)


def power_at(domain: Powers, exponent: Scalar) -> int | float:
    """The power with ``exponent``."""
    assert isinstance(exponent, int | float)
    return power(domain.base, exponent, is_whole=domain.is_whole)


def exponent_of(domain: Powers, value: Scalar) -> int | float | None:
    """The exponent of the power ``value``; None if the domain does not contain it."""
    if isinstance(value, bool) or not isinstance(value, int if domain.is_whole else int | float):
        return None
    if not (math.isfinite(value) and value > 0):
        return None
    near = math.log(value) / math.log(domain.base)
    exponents = domain.exponents
    exponent: float = near
    match exponents:
        case Integer(low=low, high=high, step=step):
            exponent = low + round((near - low) / step) * step
        case Real(low=low, high=high, step=None):
            exponent = min(max(near, low), high)
        case Real(low=low, high=high, step=float(step)):
            exponent = stepped(low, high, step, max(nearest_position(low, step, near), 0))
        case Normal(step=float(step)):
            exponent = multiple(step, round(near / step))
    is_power = contains(exponents, exponent) and math.isclose(
        power_at(domain, exponent), value, rel_tol=0 if domain.is_whole else _ROUNDED, abs_tol=0
    )
    return exponent if is_power else None


_ROUNDED = 1e-12  # relative: a power of a real exponent is exact up to the rounding of its logarithm


MAX_NORMAL_VALUES = 100_000


def likely_values(domain: Normal) -> tuple[float, ...]:
    """The values of a normal domain with a step that a draw can give, ascending; empty if there are too many.

    A draw is within about 7 deviations of the mean.
    """
    ends = [value_of_unit(domain, unit) for unit in (0.0, LAST_UNIT)]
    if domain.step is None:
        return ()
    first, last = (round(float(end) / domain.step) for end in ends)  # type: ignore[arg-type]  # numbers
    if last - first >= MAX_NORMAL_VALUES:
        return ()
    return tuple(multiple(domain.step, position) for position in range(first, last + 1))


def _is_close(domain: Real) -> bool:
    """Whether a stepped range's values are so close, for their size, that their logarithms hardly differ."""
    return domain.step is not None and domain.step < CLOSE * domain.high
