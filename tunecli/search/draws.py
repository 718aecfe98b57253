"""Draw points of a space: uniform draws, Sobol draws, and the first draw that a study has not tried yet.

Samplers end with :func:`propose`: trial 0 gets the default, a finite space never gets the same point twice, and an
exhausted one gets None. Only feasible points are proposed (:mod:`tunecli.config.feasibility`). It computes with
positions of points and never lists a large space. Every draw is a function of the study's seed and the trial's number
(seeds-by-name).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from tunecli.config.enumeration import point_at, position_of_point, space_size
from tunecli.config.feasibility import (
    feasible_default,
    feasible_points,
    feasible_positions,
    is_feasible,
    nearest_feasible,
)
from tunecli.config.space import Space, default_point, point_of_units
from tunecli.search.observations import Observations
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

MAX_SOBOL_DIMENSIONS = 21_201
"""The number of direction numbers that Joe and Kuo (2008) tabulate, and SciPy uses."""

N_ATTEMPTS = 16
"""Uniform draws before :func:`propose` enumerates; with half the space tried, all repeat with odds of 1 in 65,536."""

_POINT = attrgetter("parameters")
_N_BATCHES, _BATCH_SIZE = 16, 64  # uniform draws for a constrained space, until enough of them are feasible
_N_SKIPPED = 4096  # points of a Sobol sequence that are passed over before its first feasible one
_N_SKIPPED_EACH = 64  # and further ones for each feasible point


def propose(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    draws: Iterable[Parameters] = (),
    *,
    is_default_first: bool = True,
) -> Parameters | None:
    """Return the point of trial ``number``: the first draw that is new.

    Args:
        space: the space of the point.
        history: every earlier trial, in any state.
        number: the trial's number; trial 0 gets the space's default if it has one.
        seed: the study's seed.
        draws: the sampler's points, the preferred first; read only as far as needed. Points that are not feasible are
            skipped. Uniform draws follow them.
        is_default_first: whether trial 0 gets the space's default before any draw.

    Returns:
        The first new draw. If every draw was tried before: in a finite space one of the remaining points with equal
        probability, in an infinite one the last draw. None if every point of a finite space has been tried.
    """
    if is_exhausted(space, history):
        return None
    if space.constraints:
        return _propose_feasible(space, history, number, seed, draws, is_default_first=is_default_first)
    size = space_size(space)
    if number == 0 and is_default_first and (default := default_point(space)) is not None:
        return default
    for point in chain(draws, uniform_draws(space, number, seed)):
        if not _is_among(point, history):
            return point
    if size is None:
        return point
    positions = _positions(space, history)
    rank = _integer_below(size - len(positions), generator_for(seed, number, "unseen"))
    return point_at(space, nth_absent(rank, positions))


def _propose_feasible(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    draws: Iterable[Parameters],
    *,
    is_default_first: bool,
) -> Parameters | None:
    """Return the point of trial ``number`` in a constrained space that is not exhausted; see :func:`propose`.

    The first feasible and new one of: the draws, the point nearest to the first draw, uniform draws, and the points
    nearest to uniform draws. If there is none, one of the remaining points of a small space with equal probability, or
    None.
    """
    if number == 0 and is_default_first and (default := feasible_default(space)) is not None:
        return default

    def is_new(point: Parameters) -> bool:
        return is_feasible(space, point) and not _is_among(point, history)

    rejected: list[Parameters] = []
    for point in draws:
        if not is_feasible(space, point):
            rejected.append(point)
        elif not _is_among(point, history):
            return point
    uniform = islice(feasible_draws(space, number, seed), N_ATTEMPTS)
    if rejected and (anchor := next(uniform, None)) is not None:
        nearest = nearest_feasible(space, rejected[0], anchor, is_new)
        if nearest is not None:
            return nearest
    for point in uniform:
        if not _is_among(point, history):
            return point
    positions = feasible_positions(space)
    if positions is not None:
        remaining = sorted({*positions} - _positions(space, history))
        rank = _integer_below(len(remaining), generator_for(seed, number, "unseen"))
        return point_at(space, remaining[rank])
    anchors = [*feasible_points(space), *(trial.parameters for trial in history[-N_ATTEMPTS:])]
    attempts = (*rejected[:1], *uniform_draws(space, number, seed)) if anchors else ()
    for attempt, point in enumerate(attempts):
        anchor = anchors[_integer_below(len(anchors), generator_for(seed, number, "anchor", attempt))]
        if (nearest := nearest_feasible(space, point, anchor, is_new)) is not None:
            return nearest
    return None


def is_exhausted(space: Space, history: Sequence[Observation]) -> bool:
    """Return whether every point of a finite space has been tried; ``history`` as for :func:`propose`."""
    if space.constraints:
        positions = feasible_positions(space)
        return positions is not None and (
            not positions
            or (len(history) >= len(positions) and _positions(space, history).issuperset(positions))
        )
    size = space_size(space)
    return size is not None and len(history) >= size and len(_positions(space, history)) >= size


def start_point(space: Space, history: Sequence[Observation]) -> Parameters | None:
    """Return the first point of `search.start` that is not in the history; None after the last one."""
    return next((point for point in space.start if not _is_among(point, history)), None)


def uniform_draws(space: Space, number: int, seed: int) -> Iterator[Parameters]:
    """Yield ``N_ATTEMPTS`` independent points for trial ``number``, uniform in the unit cube."""
    for attempt in range(N_ATTEMPTS):
        units = generator_for(seed, number, "random", attempt).random(len(space.parameters))
        yield point_of_units(space, units.tolist())


def feasible_draws(space: Space, number: int, seed: int) -> Iterator[Parameters]:
    """Yield the feasible ones of up to about 1,000 independent uniform points for trial ``number``."""
    yield from (point for point in uniform_draws(space, number, seed) if is_feasible(space, point))
    for batch in range(_N_BATCHES):
        generator = generator_for(seed, number, "feasible", batch)
        for units in generator.random((_BATCH_SIZE, len(space.parameters))).tolist():
            if is_feasible(space, point := point_of_units(space, units)):
                yield point


def sobol_draws(space: Space, position: int, seed: int) -> Iterator[Parameters]:
    """Yield the point at ``position`` of the study's Sobol sequence; nothing if the space has too many parameters.

    In a constrained space it is a position among the feasible points of the sequence, and nothing is yielded if they
    are too rare.
    """
    n_dimensions = len(space.parameters)
    if not 1 <= n_dimensions <= MAX_SOBOL_DIMENSIONS:
        return
    if space.constraints:
        yield from _feasible_sobol_draws(space, max(position, 0), seed)
    else:
        units = sobol_units(1, n_dimensions, generator_for(seed, "sobol"), max(position, 0))
        yield point_of_units(space, units[0].tolist())


def _feasible_sobol_draws(space: Space, position: int, seed: int) -> Iterator[Parameters]:
    """Yield the feasible point at ``position`` of the study's Sobol sequence, if it comes soon enough."""
    # The beginning of the sequence is kept with the space: each trial would otherwise draw it again.
    known: list[tuple[int, Parameters]]  # indices in the sequence, and points
    known, n_drawn = space.memo.get(("sobol", seed), ([], 0))
    n_most = _N_SKIPPED + _N_SKIPPED_EACH * position
    while len(known) <= position and n_drawn < n_most:
        units = sobol_units(_BATCH_SIZE, len(space.parameters), generator_for(seed, "sobol"), n_drawn)
        points = enumerate((point_of_units(space, row) for row in units.tolist()), start=n_drawn)
        known = [*known, *((index, point) for index, point in points if is_feasible(space, point))]
        n_drawn += _BATCH_SIZE
        space.memo["sobol", seed] = known, n_drawn
    yield from (point for index, point in known[position : position + 1] if index < n_most)


def sobol_units(
    n_points: int, n_dimensions: int, generator: np.random.Generator, skip: int = 0
) -> NDArray[np.float64]:
    """Return points ``skip``, ``skip + 1``, … of a scrambled Sobol sequence, (n_points, n_dimensions), in [0, 1).

    Sobol (1967) with Owen's scrambling, as SciPy implements it.

    Args:
        n_points: how many; a Sobol sequence is balanced over powers of two.
        n_dimensions: 1 to ``MAX_SOBOL_DIMENSIONS``.
        generator: scrambles the sequence.
        skip: how many points to pass over.
    """
    from scipy.stats import qmc  # half a second that only users of Sobol points pay

    sequence = qmc.Sobol(n_dimensions, seed=generator)
    if skip:  # SciPy raises for 0
        sequence.fast_forward(skip)
    units: NDArray[np.float64] = sequence.random(n_points)
    return units


def nth_absent(rank: int, present: Collection[int]) -> int:
    """Return the integer with rank ``rank`` (from 0) among the non-negative integers that are not ``present``."""
    position = rank
    for taken in sorted(present):
        if taken > position:
            break
        position += 1
    return position


def _integer_below(bound: int, generator: np.random.Generator) -> int:
    """Return a uniform integer in [0, ``bound``) of any size; its bias is below 2**-64."""
    n_bytes = (bound.bit_length() + 7) // 8 + 8
    return int.from_bytes(generator.bytes(n_bytes), "little") % bound


def _positions(space: Space, history: Sequence[Observation]) -> set[int]:
    positions = (position_of_point(space, trial.parameters) for trial in history)
    return {position for position in positions if position is not None}


def _is_among(point: Parameters, history: Sequence[Observation]) -> bool:
    if isinstance(history, Observations):
        return history.has_point(point)
    # In a list, comparing is faster than hashing: all but a few points differ in their first value.
    if point not in map(_POINT, history):
        return False
    return any(
        point == trial.parameters
        and all(type(value) is type(trial.parameters[name]) for name, value in point.items())
        for trial in history
    )
