"""The lines and notes of `tunecli check` on constraints: the share of the space that is left, and odd constraints.

The shares come from all points of a small space, or from random points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from tunecli.config.concrete_trial import concrete
from tunecli.config.constraint_checks import incomputable_conditions
from tunecli.config.feasibility import Share, feasible_share, is_feasible
from tunecli.config.space import Space, default_point
from tunecli.text import counted

_RARE = 0.005  # feasible fraction of a space below which about 1,000 uniform draws may have no feasible point
_SMALL = 0.001  # a fraction below it has no digits as a percentage with one decimal


def constraint_notes(space: Space) -> Iterator[str]:
    """Notes on `search.where`, `search.forbid` and the defaults that they leave out."""
    if not space.constraints:
        return
    for combination in space.constraints.refused:
        yield f"{combination} do not work together, so no trial has them: {combination.reason}"
    default = default_point(space)
    if default is not None and not is_feasible(space, default):
        broken = "; ".join(space.constraints.broken(default, partial(concrete, space)))
        yield f"no trial uses the defaults: {broken}"
    for text, (reason, fraction) in incomputable_conditions(space).items():
        yield f"`{text}` cannot be computed at {fraction:.0%} of random points, which are not tried: {reason}"
    share = feasible_share(space)
    if not share.is_exact and share.fraction < _RARE:
        yield (
            f"{share.n_feasible:,} of {share.n_points:,} random points meet the constraints, so many draws are moved "
            "to the nearest point that does"
        )
    if space.start and not share.n_feasible:
        yield "no point is known to meet the constraints besides the start points and points near them"


def constraint_lines(
    share: Share | None, n_start: int, start_from: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """The labelled lines on constraints and start points.

    Args:
        share: how much of the space meets the constraints; None: there are no constraints.
        n_start: the number of start points.
        start_from: the earlier studies that the start points come from.
    """
    if share is not None:
        yield "constraints", _shown(share)
    if n_start:
        origin = f" of {', '.join(start_from)}" if start_from else ""
        yield "start", f"{counted(n_start, 'point')}{origin}, tried first"


def _shown(share: Share) -> str:
    """How much of the space meets the constraints."""
    if share.is_exact:
        return f"{share.n_feasible:,} of {counted(share.n_points, 'point')} meet them"
    if not share.n_feasible:
        return f"none of {share.n_points:,} random points meets them"
    is_small = share.fraction < _SMALL
    fraction = f"{100 * share.fraction:.2g}%" if is_small else f"{share.fraction:.1%}"
    return f"about {fraction} of the space meets them"
