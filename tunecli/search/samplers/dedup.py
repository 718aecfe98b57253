"""Which points a study has proposed already, and a point it has not: what all drawing samplers end with.

A sampler brings its draws, the most wanted first; this module proposes the default first of all, never a
point twice in a finite space, and nothing once such a space is exhausted. It counts and numbers, and never
lists a space. Keeps law 1: no state outlives a call. Knows nothing of how points are drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter

import numpy as np

from tunecli.config.enumeration import point_at, position_of_point, space_size
from tunecli.config.space import Space, default_point
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

_POINT = attrgetter("parameters")


def propose(
    space: Space, history: Sequence[Observation], number: int, seed: int, draws: Iterable[Parameters]
) -> Parameters | None:
    """The point that trial ``number`` gets.

    Args:
        space: where the point lies.
        history: every trial proposed before, whatever became of it.
        number: the trial's number; trial 0 gets the space's default where it has one.
        seed: the study's seed.
        draws: the sampler's wishes, most wanted first; at least one. Read only as far as needed.

    Returns:
        The first draw that is new. Where none is: in a finite space any of the points left, each as
        likely; in an infinite one the last draw, for a repeat there is the sampler's considered wish.
        None where every point of a finite space has been proposed.
    """
    if is_exhausted(space, history):
        return None
    size = space_size(space)
    if number == 0 and (default := default_point(space)) is not None:
        return default
    for point in draws:
        if not _is_among(point, history):
            return point
    if size is None:
        return point
    positions = _positions(space, history)
    rank = _integer_below(size - len(positions), generator_for(seed, number, "unseen"))
    return point_at(space, nth_absent(rank, positions))


def is_exhausted(space: Space, history: Sequence[Observation]) -> bool:
    """Whether every point of a finite space has been proposed; ``history`` as for :func:`propose`."""
    size = space_size(space)
    return size is not None and len(history) >= size and len(_positions(space, history)) >= size


def nth_absent(rank: int, present: Collection[int]) -> int:
    """The number of rank ``rank``, counting from 0, among the integers from 0 on that are not ``present``."""
    position = rank
    for taken in sorted(present):
        if taken > position:
            break
        position += 1
    return position


def _integer_below(bound: int, generator: np.random.Generator) -> int:
    """A uniform integer in [0, ``bound``) of any size; its bias is below 2**-64."""
    n_bytes = (bound.bit_length() + 7) // 8 + 8
    return int.from_bytes(generator.bytes(n_bytes), "little") % bound


def _positions(space: Space, history: Sequence[Observation]) -> set[int]:
    found = (position_of_point(space, observation.parameters) for observation in history)
    return {position for position in found if position is not None}


def _is_among(point: Parameters, history: Sequence[Observation]) -> bool:
    # Comparing with each is quicker than hashing each: all but a few differ in their first value.
    if point not in map(_POINT, history):
        return False
    return any(
        point == observation.parameters
        and all(type(value) is type(observation.parameters[name]) for name, value in point.items())
        for observation in history
    )
