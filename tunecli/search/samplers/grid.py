"""Grid search: every point of the grid once, in the order of the file; the last key changes fastest.

A point is computed from its position, so a grid of 10^18 points costs no memory. Tried points come from the history
and not from the trial's number, since a study may begin with the trials of another one (record-is-the-state).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tunecli.config.enumeration import grid_point, grid_position_of_point, grid_size, n_grid_points
from tunecli.config.feasibility import feasible_default, feasible_grid_positions
from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.search.draws import nth_absent
from tunecli.trial import Observation, Parameters


def grid(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Return the next point of the grid that was not tried; None after the last one.

    A default on the grid is the first point, and the others follow in order. Points that are not feasible are left
    out. Trials that are missing from the history
    count as the next ones in that order. See :class:`tunecli.search.protocols.Sampler`.

    Raises:
        UsageError: a continuous range has neither ``grid:`` nor ``step:``.
    """
    size = require_grid(space)
    positions = (grid_position_of_point(space, trial.parameters) for trial in history)
    present = {position for position in positions if position is not None}
    rank = number - len(history)
    if not space.constraints and rank >= size - len(present):
        return None
    default = feasible_default(space)
    first = None if default is None else grid_position_of_point(space, default)
    if first is not None and first not in present:
        if rank == 0:
            return grid_point(space, first)
        rank, present = rank - 1, present | {first}
    if space.constraints:
        absent = (position for position in feasible_grid_positions(space) if position not in present)
        position = next(islice(absent, rank, None), None)
        return None if position is None else grid_point(space, position)
    return grid_point(space, nth_absent(rank, present))


def require_grid(space: Space) -> int:
    """Return the number of points of the grid.

    Raises:
        UsageError: a continuous range has neither ``grid:`` nor ``step:``.
    """
    size = grid_size(space)
    if size is None:
        continuous = [p.name for p in space.parameters if n_grid_points(p.domain) is None]
        raise UsageError(
            f"a grid cannot be made of continuous ranges: {', '.join(dict.fromkeys(continuous))}",
            hint="write `grid: n` or `step:` beside each, or take another sampler",
        )
    return size
