"""The domains a parameter may range over: frozen values, and the functions between values and numbers.

Two views of each domain serve every sampler. *Units*: any value corresponds to a number in [0, 1), in the
domain's own scale (a logarithmic one is uniform in the logarithm). *Positions*: a finite domain's values are
numbered from 0; so are a continuous one's grid points where `grid: n` says how many. Knows nothing of
trees, conditions or files.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TypeGuard

from tunecli.config.stepping import (
    is_same,
    n_steps,
    nearest_position,
    offset_of_share,
    share_of_offset,
    stepped,
)
from tunecli.trial import Scalar

LAST_UNIT = math.nextafter(1.0, 0.0)
"""The largest unit."""

_SIGNIFICANT_DIGITS = 12  # 0.1 + 2 * 0.1 is written 0.3, not 0.30000000000000004
_CLOSE = 1e-9  # for its size: numbers so near to each other need more digits than that, and exact differences
_NARROW_LOG = 1e-6  # for its lower end: the difference of such ends' logarithms has few digits
_WHOLE = 2**40  # beyond it, fractions of whole numbers and of their logarithms are lost in floats
_FAR_APART = 100.0  # as many times its lower end is the upper end of a range that spans magnitudes
_NARROW = 1e-10  # for its size, so that so many digits tell one point of a grid from the next


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of ``options``: values as they are, or the labels of sub-trees."""

    options: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Real:
    """A number in [``low``, ``high``]; in steps of ``step`` from ``low`` where that is set."""

    low: float
    high: float
    is_log: bool = False
    step: float | None = None
    grid: int | None = None


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in [``low``, ``high``], ``step`` apart."""

    low: int
    high: int
    is_log: bool = False
    step: int = 1
    grid: int | None = None


@dataclass(frozen=True, slots=True)
class Normal:
    """A normally distributed number; a grid takes the middles of ``grid`` equally likely slices."""

    mean: float
    deviation: float
    grid: int | None = None


Domain = Categorical | Real | Integer | Normal


def n_values(domain: Domain) -> int | None:
    """How many values the domain has; None where it is continuous."""
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


def n_grid_points(domain: Domain) -> int | None:
    """How many points a grid takes from the domain; None where it is continuous and no `grid: n` is given."""
    count = n_values(domain)
    grid = None if isinstance(domain, Categorical) else domain.grid
    if grid is None:
        return count
    return len(_integer_grid(domain, grid)) if isinstance(domain, Integer) else min(grid, count or grid)


def value_at(domain: Domain, position: int) -> Scalar:
    """The value numbered ``position`` of a finite domain, 0 ≤ position < ``n_values(domain)``."""
    match domain:
        case Categorical(options=options):
            return options[position]
        case Integer(low=low, step=step):
            return low + position * step
        case Real(low=low, high=high, step=step):
            return low if step is None else stepped(low, high, step, position)
        case Normal():
            raise ValueError("a continuous domain has no numbered values")


def grid_point_at(domain: Domain, position: int) -> Scalar:
    """The grid's point numbered ``position``, 0 ≤ position < ``n_grid_points(domain)``."""
    if isinstance(domain, Categorical) or domain.grid is None:
        return value_at(domain, position)
    match domain:
        case Integer(grid=int(grid)):
            return _integer_grid(domain, grid)[position]
        case Real():
            n_points = n_grid_points(domain) or 1
            share = 0.5 if n_points == 1 else position / (n_points - 1)
            if n_values(domain) is not None:
                last = (n_values(domain) or 1) - 1
                return value_at(domain, round(share * last))
            if share in (0.0, 1.0):  # the bounds themselves, untouched by rounding
                return domain.high if share else domain.low
            point = _between(domain.low, domain.high, share, is_log=domain.is_log)
            return _tidy(point, (domain.high - domain.low) / (n_points - 1) if n_points > 1 else math.inf)
        case Normal(grid=int(grid)):
            point = NormalDist(domain.mean, domain.deviation).inv_cdf((position + 0.5) / grid)
            return _tidy(point, domain.deviation / grid)
    raise AssertionError(domain)


def position_of(domain: Domain, value: Scalar) -> int | None:
    """The number of ``value`` among a finite domain's values; None where it is not one of them."""
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


def grid_position_of(domain: Domain, value: Scalar) -> int | None:
    """The number of ``value`` among the grid's points; None where it is not one of them."""
    if isinstance(domain, Categorical) or domain.grid is None:
        return position_of(domain, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    n_points = n_grid_points(domain) or 0
    near = _near_grid_position(domain, value, n_points)
    places = range(n_points) if near is None else range(max(0, near - 1), min(n_points, near + 2))
    return next((place for place in places if grid_point_at(domain, place) == value), None)


def _near_grid_position(domain: Integer | Real | Normal, value: float, n_points: int) -> int | None:
    """Where ``value`` is among the grid's points, if it is one, or one beside it; None where that cannot be told."""
    match domain:
        case Integer(grid=int(grid)):
            return bisect_left(_integer_grid(domain, grid), value)
        case Normal(mean=mean, deviation=deviation) if deviation > _NARROW * n_points * abs(mean):
            return round(NormalDist(mean, deviation).cdf(value) * n_points - 0.5)
        case Real(low=low, high=high, step=None, is_log=is_log) if low <= value <= high and (
            high - low > _NARROW * n_points * max(abs(low), abs(high))
        ):
            return round(_share(low, high, value, is_log=is_log) * (n_points - 1))
    return None


def value_of_unit(domain: Domain, unit: float) -> Scalar:
    """The value at ``unit`` ∈ [0, 1) of the domain's own scale.

    Whole numbers and options each own an equal share of the unit interval (a logarithmic integer its share
    of the logarithm), so a uniform unit is a uniform draw.
    """
    match domain:
        case Categorical(options=options):
            return options[min(int(unit * len(options)), len(options) - 1)]
        case Integer(low=low, high=high, is_log=is_log, step=step):
            if is_log and high > _WHOLE:
                offset = offset_of_share(low - 0.5, high - low + 1, unit) - 0.5
                position = round(min(max(offset, 0), high - low) / step)
            elif is_log:
                drawn = _between(low - 0.5, high + 0.5, unit, is_log=True)
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
                max(_between(domain.low, domain.high, unit, is_log=domain.is_log), domain.low), domain.high
            )
            if count is None:
                return drawn
            return value_at(domain, min(round((drawn - domain.low) / (domain.step or 1.0)), count - 1))
        case Normal(mean=mean, deviation=deviation):
            return NormalDist(mean, deviation).inv_cdf(min(max(unit, 1e-12), 1 - 1e-12))


def unit_of_value(domain: Domain, value: Scalar) -> float:
    """The unit, in [0, 1), at the middle of what ``value_of_unit`` maps to ``value``.

    Raises:
        ValueError: ``value`` is none of a categorical domain's options.
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
            if is_log and high > _WHOLE:
                unit = share_of_offset(low - 0.5, high - low + 1, whole - low + 0.5)
            elif is_log:
                unit = _share(low - 0.5, high + 0.5, number, is_log=True)
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
                unit = _share(low, high, number, is_log=domain.is_log)
        case Normal(mean=mean, deviation=deviation):
            unit = NormalDist(mean, deviation).cdf(number)
    return min(max(unit, 0.0), LAST_UNIT)


def shown(value: Scalar) -> str:
    """A value as a file spells it and the tables show it: ``null``, ``true``."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def described(domain: Domain) -> str:
    """The domain in a few words, as in the file."""
    match domain:
        case Categorical(options=options):
            return "choice " + ", ".join(map(shown, options))
        case Normal(mean=mean, deviation=deviation):
            return f"normal {_short(mean)} ± {_short(deviation)}"
        case Integer(is_log=is_log):
            name, has_step = "logint" if is_log else "int", domain.step != 1
        case Real(is_log=is_log):
            name, has_step = "loguniform" if is_log else "uniform", domain.step is not None
    last = last_value(domain)
    if domain.step is None or not has_step:
        return f"{name} {_short(domain.low)} … {_short(last)}"
    between = ", " if n_values(domain) == 2 else " … "
    return f"{name} {_short(domain.low)}{between}{_short(last)} by {_short(domain.step)}"


def last_value(domain: Integer | Real) -> float:
    """The greatest value that a range draws: below its upper end where its steps do not reach that."""
    count = n_values(domain)
    return domain.high if count is None else value_at(domain, count - 1)  # type: ignore[return-value]  # a number


def contains(domain: Domain, value: Scalar) -> bool:
    """Whether ``value`` may be drawn from the domain."""
    if n_values(domain) is not None:
        return position_of(domain, value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return isinstance(domain, Normal) or (isinstance(domain, Real) and domain.low <= value <= domain.high)


def is_plain_over_magnitudes(domain: Domain) -> TypeGuard[Real | Integer]:
    """Whether a range whose ends are positive and a hundred times apart is yet drawn by its plain values.

    What such a number does goes by ratios as a rule, and nearly all of its draws are of the largest magnitude.
    """
    if not isinstance(domain, Real | Integer) or domain.is_log:
        return False
    return domain.low > 0 and domain.high / _FAR_APART >= domain.low


def centre(domain: Domain) -> Scalar:
    """What stands in the middle of the domain; a categorical domain's is its first option."""
    return domain.options[0] if isinstance(domain, Categorical) else value_of_unit(domain, 0.5)


def bounds(domain: Domain) -> tuple[Scalar, ...]:
    """The values at which a domain is tried for validity: every option, or both ends.

    A normal domain has no ends; four deviations each way stand for them.
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


@lru_cache(maxsize=64)
def _integer_grid(domain: Integer, grid: int) -> tuple[int, ...]:
    last = (domain.high - domain.low) // domain.step
    shares = [0.5] if grid == 1 else [i / (grid - 1) for i in range(grid)]
    if max(abs(domain.low), abs(domain.high)) > _WHOLE:
        width = domain.high - domain.low
        offsets = (
            offset_of_share(domain.low, width, share) if domain.is_log else share * width for share in shares
        )
        places = {min(max(round(offset / domain.step), 0), last) for offset in offsets}
        return tuple(domain.low + place * domain.step for place in sorted(places))
    wanted = (_between(domain.low, domain.high, share, is_log=domain.is_log) for share in shares)
    positions = {min(max(round((value - domain.low) / domain.step), 0), last) for value in wanted}
    return tuple(domain.low + position * domain.step for position in sorted(positions))


def _between(low: float, high: float, share: float, *, is_log: bool) -> float:
    if is_log and high - low < _NARROW_LOG * low:
        return low + offset_of_share(low, high - low, share)
    if is_log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def _share(low: float, high: float, value: float, *, is_log: bool) -> float:
    if low == high:
        return 0.5
    if is_log and high - low < _NARROW_LOG * low:
        return share_of_offset(low, high - low, value - low)
    if is_log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def _is_close(domain: Real) -> bool:
    """Whether a stepped range's values are so close, compared with their size, that their logarithms hardly differ."""
    return domain.step is not None and domain.step < _CLOSE * domain.high


def _short(number: float) -> str:
    """A number in a few digits, or in all that it takes to read it back."""
    text = str(number) if isinstance(number, int) else f"{number:g}"
    return text if isinstance(number, int) or float(text) == number else repr(number)


def _tidy(value: float, spacing: float) -> float:
    """``value`` as a person would write it, where its neighbours, ``spacing`` apart, stay others."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if spacing >= _CLOSE * abs(value) else value
