"""Grid search: every point of the grid once, in the order of the file, the last key turning fastest.

Lazy: a trial's point is computed from its number, so a grid of 10^18 points costs no memory. The history is
not read (law 1 in its plainest form).
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.errors import UsageError
from tunecli.spec.domains import n_grid_points
from tunecli.spec.lattice import grid_point, grid_position_of_point, grid_size
from tunecli.spec.space import Space, default_point
from tunecli.trial import Observation, Parameters


def grid(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """The grid's point for trial ``number``; None past its end. See :class:`tunecli.search.sampler.Sampler`.

    The default goes first where it lies on the grid, and the others follow in their order.

    Raises:
        UsageError: a continuous parameter does not say how many points the grid takes from it.
    """
    size = require_grid(space)
    if number >= size:
        return None
    default = default_point(space)
    first = None if default is None else grid_position_of_point(space, default)
    if first is None or number > first:
        return grid_point(space, number)
    return grid_point(space, number - 1 if number else first)


def require_grid(space: Space) -> int:
    """How many points the grid has.

    Raises:
        UsageError: a continuous parameter does not say how many points the grid takes from it.
    """
    size = grid_size(space)
    if size is None:
        endless = [p.name for p in space.parameters if n_grid_points(p.domain) is None]
        raise UsageError(
            f"a grid cannot be made of continuous ranges: {', '.join(dict.fromkeys(endless))}",
            hint="write `grid: n` or `step:` beside each, or take another sampler",
        )
    return size
