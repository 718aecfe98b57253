"""Counting and numbering the points of a space by mixed radix, without ever listing them.

A choice's points are the sum of its branches', a map's the product of its keys', a list's the sum over its
lengths. So a grid of 10^18 points costs what one of ten does. Two numberings share the arithmetic: that of
all values of a finite space, and that of the grid (`grid: n` of a continuous range).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tunecli.config import expressions
from tunecli.config.domains import (
    Domain,
    grid_point_at,
    grid_position_of,
    n_grid_points,
    n_values,
    position_of,
    value_at,
)
from tunecli.config.expressions import Choice, Expression, Group, Listing, Numeric
from tunecli.config.space import Space, children, is_among, join
from tunecli.trial import Parameters, Scalar


def space_size(space: Space) -> int | None:
    """How many different points there are; None where a parameter is continuous."""
    return _count(space.tree, n_values)


def grid_size(space: Space) -> int | None:
    """How many points the grid has; None where a continuous parameter names no `grid: n`."""
    return _count(space.tree, n_grid_points)


def point_at(space: Space, position: int) -> Parameters:
    """The point numbered ``position`` of a finite space, 0 ≤ position < ``space_size``; the last key turns fastest."""
    return _unrank(space, position, n_values, value_at)


def grid_point(space: Space, position: int) -> Parameters:
    """The grid's point numbered ``position``, 0 ≤ position < ``grid_size``; the last key turns fastest."""
    return _unrank(space, position, n_grid_points, grid_point_at)


def position_of_point(space: Space, point: Parameters) -> int | None:
    """The number of ``point`` in a finite space; None where it is none of its points."""
    return _rank(space.tree, "", point, n_values, position_of)


def grid_position_of_point(space: Space, point: Parameters) -> int | None:
    """The number of ``point`` in the grid; None where it is not on it."""
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
        case Listing(items=items, lengths=lengths):
            total = 0
            for length in _lengths(lengths, count):
                counts = [_count(item, count) for item in items[:length]]
                if None in counts:
                    return None
                total += prod(filter(None, counts))
            return total
        case Group() | expressions.Sequence():
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
            case Listing(items=items, lengths=lengths):
                for length in _lengths(lengths, count):
                    n = prod(_count(item, count) or 0 for item in items[:length])
                    if rest < n:
                        point[join(name, "length")] = length
                        visit_all(list(enumerate(items[:length])), name, rest)
                        return
                    rest -= n
            case Group() | expressions.Sequence():
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
        case Listing(items=items, lengths=lengths):
            before = 0
            for length in _lengths(lengths, count):
                if point.get(join(name, "length")) == length:
                    inside = _rank_all(list(enumerate(items[:length])), name, point, count, find)
                    return None if inside is None else before + inside
                before += prod(_count(item, count) or 0 for item in items[:length])
            return None
        case Group() | expressions.Sequence():
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
