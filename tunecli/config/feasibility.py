"""Which points of a constrained space are feasible: counted and listed if the space is small, else sampled.

A point is feasible if it meets `search.where`, `search.forbid` and the rules of tunecli for combinations of choices.
Everything here is a function of the space alone, and is computed once for each space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from tunecli.config.concrete_trial import concrete
from tunecli.config.enumeration import grid_point, grid_size, point_at, space_size
from tunecli.config.space import Space, default_point, point_of_units, units_of_point
from tunecli.seeding import generator_for
from tunecli.trial import Parameters

MAX_LISTED = 20_000
"""A finite space with more points is sampled, not listed."""
N_SAMPLED = 10_000
"""Random points by which the feasible share of a space is estimated."""
_N_KEPT = 64  # feasible points of the sample that are kept
_MAX_SKIPPED = 200_000  # a grid ends after so many points in a row that are not feasible
_N_STEPS = 32  # on the line from a point that is not feasible to one that is


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a space is feasible.

    Attributes:
        n_feasible, n_points: of the listed or sampled points.
        is_exact: whether the points are all points of the space.
    """

    n_feasible: int
    n_points: int
    is_exact: bool

    @property
    def fraction(self) -> float:
        """The feasible fraction of the points."""
        return self.n_feasible / max(self.n_points, 1)


def is_feasible(space: Space, point: Parameters) -> bool:
    """Whether a search may propose the point."""
    return not space.constraints or space.constraints.allow(point, partial(concrete, space))


def feasible_default(space: Space) -> Parameters | None:
    """The point of the file's defaults; None if there is none, or if it is not feasible."""
    default = default_point(space)
    return default if default is not None and is_feasible(space, default) else None


def feasible_positions(space: Space) -> Sequence[int] | None:
    """The positions of the feasible points of a finite space, ascending; None if it is not finite or too large."""
    size = space_size(space)
    if size is None or size > MAX_LISTED:
        return None
    if not space.constraints:
        return range(size)
    if "positions" not in space.memo:
        space.memo["positions"] = tuple(p for p in range(size) if is_feasible(space, point_at(space, p)))
    positions: tuple[int, ...] = space.memo["positions"]
    return positions


def n_feasible(space: Space) -> int | None:
    """Number of feasible points; an upper bound if there are many points, None if a parameter is continuous."""
    positions = feasible_positions(space)
    return space_size(space) if positions is None else len(positions)


def n_feasible_grid(space: Space) -> int | None:
    """Number of feasible points of the grid; an upper bound if the grid is large, None if it is not finite."""
    size = grid_size(space)
    if size is None or not space.constraints or size > MAX_LISTED:
        return size
    return sum(1 for _ in feasible_grid_positions(space))


def n_of_small_grid(space: Space, most: int) -> int | None:
    """Number of feasible points of the grid if it is at most ``most``, however large the grid is; else None."""
    if grid_size(space) is None:
        return None
    n_points = sum(1 for _ in islice(feasible_grid_positions(space), most + 1))
    return n_points if n_points <= most else None


def feasible_grid_positions(space: Space) -> Iterator[int]:
    """Yield the positions of the feasible points of a finite grid, ascending; compute each when it is needed."""
    size = grid_size(space) or 0
    if not space.constraints:
        yield from range(size)
        return
    known: list[int] = space.memo.setdefault("grid", [])  # the first positions
    place, position = 0, -1
    while True:
        while place < len(known):
            position = known[place]
            place += 1
            yield position
        candidates = range(position + 1, min(size, position + 1 + _MAX_SKIPPED))
        following = next((p for p in candidates if is_feasible(space, grid_point(space, p))), None)
        if following is None:
            return
        known.append(following)


def feasible_share(space: Space) -> Share:
    """How much of the space is feasible: counted if the space is finite and small, else estimated by a sample."""
    positions = feasible_positions(space)
    if positions is not None:
        return Share(len(positions), space_size(space) or 0, is_exact=True)
    return _sample(space)[0]


def has_feasible_point(space: Space) -> bool:
    """Whether a feasible point is known: a start point, the default, or one of the listed or sampled points."""
    if space.start or feasible_default(space) is not None:
        return True
    positions = feasible_positions(space)
    if positions is not None:
        return bool(positions)
    return any(is_feasible(space, point) for point in islice(random_points(space), N_SAMPLED))


def feasible_points(space: Space) -> Sequence[Parameters]:
    """Up to 64 feasible points: of the file's start and defaults first, then of a small space, or of the sample."""
    own = [point for point in (*space.start, feasible_default(space)) if point is not None]
    positions = feasible_positions(space)
    if positions is None:
        return [*own, *_sample(space)[1]]
    return [*own, *(point_at(space, position) for position in positions[:_N_KEPT])]


def _sample(space: Space) -> tuple[Share, Sequence[Parameters]]:
    if "sample" not in space.memo:
        points = islice(random_points(space), N_SAMPLED)
        feasible = [point for point in points if is_feasible(space, point)]
        share = Share(len(feasible), N_SAMPLED, is_exact=False)
        space.memo["sample"] = share, feasible[:_N_KEPT]
    sample: tuple[Share, Sequence[Parameters]] = space.memo["sample"]
    return sample


def random_points(space: Space) -> Iterator[Parameters]:
    """Yield uniform points, without end; the same ones for each search of the space."""
    generator = generator_for(0, "feasible share")
    while True:
        for units in generator.random((256, len(space.parameters))).tolist():
            yield point_of_units(space, units)


def nearest_feasible(
    space: Space, point: Parameters, anchor: Parameters, is_wanted: Callable[[Parameters], bool]
) -> Parameters | None:
    """The first wanted point on the straight line of units from ``point`` to the feasible point ``anchor``.

    Args:
        space: the space of the points.
        point: a point that is not feasible.
        anchor: a feasible point.
        is_wanted: whether a point may be returned.

    Returns:
        None if no point on the line is wanted.
    """
    pairs = list(zip(units_of_point(space, point), units_of_point(space, anchor), strict=True))
    for step in range(1, _N_STEPS + 1):
        part = step / _N_STEPS
        units = [_between(one, other, part) for one, other in pairs]
        if is_wanted(moved := point_of_units(space, units)):
            return moved
    return anchor if is_wanted(anchor) else None


def _between(one: float | None, other: float | None, part: float) -> float:
    if one is None or other is None:  # the parameter is inactive at one end
        return 0.5 if one is None and other is None else one if other is None else other  # type: ignore[return-value]
    return one + part * (other - one)
