"""Count and number the points of a space, and of its grid, by mixed radix, without listing them.

The number of points of a choice is the sum over its branches; of a map, the product over its keys; of a list, the sum
over its lengths. So a grid of 10^18 points costs the same as a grid of ten. Two numberings share the arithmetic: all
values of a finite space, and the points of the grid (`grid: n` of a continuous range).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from statistics import NormalDist

from tunecli.config.domains import (
    CLOSE,
    LARGEST_EXACT,
    Categorical,
    Domain,
    Integer,
    Normal,
    Powers,
    Real,
    exponent_of,
    n_values,
    position_of,
    power_at,
    value_at,
    value_of_unit,
)
from tunecli.config.expressions import (
    Choice,
    Expression,
    FixedList,
    Group,
    Numeric,
    VariableList,
    children,
    is_among,
    join,
)
from tunecli.config.scales import interpolate, offset_of_share, share_between
from tunecli.config.space import Space
from tunecli.trial import Parameters, Scalar

_SIGNIFICANT_DIGITS = 12  # 0.1 + 2 * 0.1 is written 0.3, not 0.30000000000000004
_NARROW = 1e-10  # for its size, so that so many digits tell one point of a grid from the next


def space_size(space: Space) -> int | None:
    """Number of different points; None if a parameter is continuous."""
    return _count(space.tree, n_values)


def grid_size(space: Space) -> int | None:
    """Number of grid points; None if a continuous parameter has no `grid: n`."""
    return _count(space.tree, n_grid_points)


def point_at(space: Space, position: int) -> Parameters:
    """The point at ``position`` of a finite space, 0 ≤ position < ``space_size``; the last key changes fastest."""
    return _unrank(space, position, n_values, value_at)


def grid_point(space: Space, position: int) -> Parameters:
    """The grid point at ``position``, 0 ≤ position < ``grid_size``; the last key changes fastest."""
    return _unrank(space, position, n_grid_points, grid_point_at)


def position_of_point(space: Space, point: Parameters) -> int | None:
    """Position of ``point`` in a finite space; None if the space does not contain it."""
    return _rank(space.tree, "", point, n_values, position_of)


def grid_position_of_point(space: Space, point: Parameters) -> int | None:
    """Position of ``point`` in the grid; None if it is not on the grid."""
    return _rank(space.tree, "", point, n_grid_points, grid_position_of)


Counter = Callable[[Domain], int | None]


def _count(expression: Expression, count: Counter) -> int | None:
    counts: list[int | None]
    match expression:
        case Numeric(domain=domain):
            return count(domain)
        case Choice(options=options):
            counts = [_count(option, count) for option in options]
            return None if None in counts else sum(filter(None, counts))
        case VariableList(items=items, lengths=lengths):
            total = 0
            for length in _lengths(lengths, count):
                counts = [_count(item, count) for item in items[:length]]
                if None in counts:
                    return None
                total += prod(filter(None, counts))
            return total
        case Group() | FixedList():
            counts = [_count(item, count) for _, item in children(expression)]
            return None if None in counts else prod(filter(None, counts))
        case _:
            return 1


def _lengths(domain: Domain, count: Counter) -> list[int]:
    at = grid_point_at if count is n_grid_points else value_at
    return [length for i in range(count(domain) or 0) if isinstance(length := at(domain, i), int)]


def _unrank(
    space: Space, position: int, count: Counter, at: Callable[[Domain, int], Scalar]
) -> dict[str, Scalar]:
    point: dict[str, Scalar] = {}

    def visit(expression: Expression, name: str, rest: int) -> None:
        match expression:
            case Numeric(domain=domain):
                point[name] = at(domain, rest)
            case Choice(labels=labels, options=options):
                for label, option in zip(labels, options, strict=True):
                    n = _count(option, count) or 0
                    if rest < n:
                        point[expression.name_at(name)] = label
                        visit(option, name, rest)
                        return
                    rest -= n
            case VariableList(items=items, lengths=lengths):
                for length in _lengths(lengths, count):
                    n = prod(_count(item, count) or 0 for item in items[:length])
                    if rest < n:
                        point[join(name, "length")] = length
                        visit_all(list(enumerate(items[:length])), name, rest)
                        return
                    rest -= n
            case Group() | FixedList():
                visit_all(children(expression), name, rest)

    def visit_all(children: Sequence[tuple[str | int, Expression]], name: str, rest: int) -> None:
        digits = []
        for _, item in reversed(children):
            rest, digit = divmod(rest, _count(item, count) or 1)
            digits.append(digit)
        for (step, item), digit in zip(children, reversed(digits), strict=True):
            visit(item, join(name, step), digit)

    visit(space.tree, "", position)
    return point


def _rank(
    expression: Expression,
    name: str,
    point: Parameters,
    count: Counter,
    find: Callable[[Domain, Scalar], int | None],
) -> int | None:
    match expression:
        case Numeric(domain=domain):
            return find(domain, point[name]) if name in point else None
        case Choice(labels=labels, options=options):
            before, chosen = 0, expression.name_at(name)
            for label, option in zip(labels, options, strict=True):
                if chosen in point and is_among(point[chosen], (label,)):
                    inside = _rank(option, name, point, count, find)
                    return None if inside is None else before + inside
                before += _count(option, count) or 0
            return None
        case VariableList(items=items, lengths=lengths):
            before = 0
            for length in _lengths(lengths, count):
                if point.get(join(name, "length")) == length:
                    inside = _rank_all(list(enumerate(items[:length])), name, point, count, find)
                    return None if inside is None else before + inside
                before += prod(_count(item, count) or 0 for item in items[:length])
            return None
        case Group() | FixedList():
            return _rank_all(children(expression), name, point, count, find)
        case _:
            return 0


def _rank_all(
    children: Sequence[tuple[str | int, Expression]],
    name: str,
    point: Parameters,
    count: Counter,
    find: Callable[[Domain, Scalar], int | None],
) -> int | None:
    position = 0
    for step, item in children:
        digit = _rank(item, join(name, step), point, count, find)
        if digit is None:
            return None
        position = position * (_count(item, count) or 1) + digit
    return position


def n_grid_points(domain: Domain) -> int | None:
    """Number of points that a grid takes from the domain; None if it is continuous and has no `grid: n`."""
    if isinstance(domain, Powers):
        return n_grid_points(domain.exponents)
    count = n_values(domain)
    grid = None if isinstance(domain, Categorical) else domain.grid
    if grid is None:
        return count
    if isinstance(domain, Normal):
        return grid if domain.step is None else len(_normal_grid(domain, grid))
    return len(_integer_grid(domain, grid)) if isinstance(domain, Integer) else min(grid, count or grid)


def grid_point_at(domain: Domain, position: int) -> Scalar:
    """The grid point at ``position`` of a domain, 0 ≤ position < ``n_grid_points``."""
    if isinstance(domain, Powers):
        return power_at(domain, grid_point_at(domain.exponents, position))
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
            point = interpolate(domain.low, domain.high, share, is_log=domain.is_log)
            return _rounded_if_distinct(
                point, (domain.high - domain.low) / (n_points - 1) if n_points > 1 else math.inf
            )
        case Normal(grid=int(grid), step=None):
            point = NormalDist(domain.mean, domain.deviation).inv_cdf((position + 0.5) / grid)
            spacing = domain.deviation / grid
            if domain.is_log:
                return _rounded_if_distinct(math.exp(point), math.exp(point) * spacing)
            return _rounded_if_distinct(point, spacing)
        case Normal(grid=int(grid)):
            return _normal_grid(domain, grid)[position]
    raise AssertionError(domain)


def grid_position_of(domain: Domain, value: Scalar) -> int | None:
    """Position of ``value`` among the domain's grid points; None if it is not one of them."""
    if isinstance(domain, Categorical) or _grid_of(domain) is None:
        return position_of(domain, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    n_points = n_grid_points(domain) or 0
    if isinstance(domain, Powers):
        exponent = exponent_of(domain, value)
        near = None if exponent is None else _near_grid_position(domain.exponents, exponent, n_points)
    else:
        near = _near_grid_position(domain, value, n_points)
    places = range(n_points) if near is None else range(max(0, near - 1), min(n_points, near + 2))
    return next((place for place in places if grid_point_at(domain, place) == value), None)


def _grid_of(domain: Integer | Real | Normal | Powers) -> int | None:
    return domain.exponents.grid if isinstance(domain, Powers) else domain.grid


def _near_grid_position(domain: Integer | Real | Normal, value: float, n_points: int) -> int | None:
    """Position of the grid point nearest to ``value``, within one; None if it is unknown."""
    match domain:
        case Integer(grid=int(grid)):
            return bisect_left(_integer_grid(domain, grid), value)
        case Normal(grid=int(grid), step=float()):
            return bisect_left(_normal_grid(domain, grid), value)
        case Normal(mean=mean, deviation=deviation) if deviation > _NARROW * n_points * abs(mean):
            if domain.is_log and value <= 0:
                return None
            number = math.log(value) if domain.is_log else value
            return round(NormalDist(mean, deviation).cdf(number) * n_points - 0.5)
        case Real(low=low, high=high, step=None, is_log=is_log) if low <= value <= high and (
            high - low > _NARROW * n_points * max(abs(low), abs(high))
        ):
            return round(share_between(low, high, value, is_log=is_log) * (n_points - 1))
    return None


@lru_cache(maxsize=64)
def _normal_grid(domain: Normal, grid: int) -> tuple[float, ...]:
    """The medians of a normal domain with a step: rounded to the step, each value once."""
    medians = (value_of_unit(domain, (position + 0.5) / grid) for position in range(grid))
    return tuple(sorted({float(median) for median in medians}))  # type: ignore[arg-type]  # numbers


@lru_cache(maxsize=64)
def _integer_grid(domain: Integer, grid: int) -> tuple[int, ...]:
    last = (domain.high - domain.low) // domain.step
    shares = [0.5] if grid == 1 else [i / (grid - 1) for i in range(grid)]
    if max(abs(domain.low), abs(domain.high)) > LARGEST_EXACT:
        width = domain.high - domain.low
        offsets = (
            offset_of_share(domain.low, width, share) if domain.is_log else share * width for share in shares
        )
        places = {min(max(round(offset / domain.step), 0), last) for offset in offsets}
        return tuple(domain.low + place * domain.step for place in sorted(places))
    wanted = (interpolate(domain.low, domain.high, share, is_log=domain.is_log) for share in shares)
    positions = {min(max(round((value - domain.low) / domain.step), 0), last) for value in wanted}
    return tuple(domain.low + position * domain.step for position in sorted(positions))


def _rounded_if_distinct(value: float, spacing: float) -> float:
    """``value`` rounded to 12 digits, if neighbours that are ``spacing`` apart stay different."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if spacing >= CLOSE * abs(value) else value
