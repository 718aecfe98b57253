"""Grid search: every point of the grid once, in the order of the file, the last key turning fastest.

Lazy: a point is computed from its place, so a grid of 10^18 points costs no memory. The history is read for what was
tried already, since a study may begin with the trials of another (law 1).
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.config.enumeration import grid_point, grid_position_of_point, grid_size, n_grid_points
from tunecli.config.space import Space, default_point
from tunecli.errors import UsageError
from tunecli.search.draws import nth_absent
from tunecli.trial import Observation, Parameters


def grid(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """The next point of the grid that was not tried; None past its end; see `Sampler`.

    The default goes first where it lies on the grid, and the others follow in their order. Trials that are missing from
    the history are taken to be the next ones of that order.

    Raises:
        UsageError: a continuous parameter does not say how many points the grid takes from it.
    """
    size = require_grid(space)
    positions = (grid_position_of_point(space, observation.parameters) for observation in history)
    present = {position for position in positions if position is not None}
    rank = number - len(history)
    if rank >= size - len(present):
        return None
    default = default_point(space)
    first = None if default is None else grid_position_of_point(space, default)
    if first is not None and first not in present:
        if rank == 0:
            return grid_point(space, first)
        rank, present = rank - 1, present | {first}
    return grid_point(space, nth_absent(rank, present))


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
