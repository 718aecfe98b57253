"""Quasi-random search: a scrambled Sobol sequence, which leaves no large region of the space untried.

Sobol (1967) with Owen's scrambling as SciPy implements it. The sequence belongs to the study's seed and a
trial's point is its number's, so nothing has to be remembered between trials (law 1). Branches of a choice
share the sequence: each parameter of every branch has a dimension of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Space, default_point, point_of_units
from tunecli.search.samplers.dedup import propose
from tunecli.search.samplers.random import uniform_draws
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

MAX_DIMENSIONS = 21_201
"""As many direction numbers as Joe and Kuo (2008) tabulate, and so SciPy knows."""


def quasirandom(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """The Sobol point of trial ``number``; None where a finite space is exhausted.

    A default takes trial 0 without using up a point of the sequence, whose balance rests on its first
    2**k points being all there. Where the point was proposed before, and in a space of more than
    ``MAX_DIMENSIONS`` parameters, a uniform draw stands in. See :class:`tunecli.search.samplers.registry.Sampler`.
    """
    skip = number - (default_point(space) is not None)
    draws = chain(sobol_draws(space, skip, seed), uniform_draws(space, number, seed))
    return propose(space, history, number, seed, draws)


def sobol_units(
    n_points: int, n_dimensions: int, generator: np.random.Generator, skip: int = 0
) -> NDArray[np.float64]:
    """Points ``skip``, ``skip + 1``, … of the scrambled Sobol sequence that ``generator`` names.

    Args:
        n_points: how many; a power of two, which is what a Sobol sequence is balanced over.
        n_dimensions: 1 to ``MAX_DIMENSIONS``.
        generator: scrambles the sequence.
        skip: how many points to pass over.

    Returns:
        Shape (n_points, n_dimensions), in [0, 1).
    """
    from scipy.stats import qmc  # half a second that only this sampler should pay

    sequence = qmc.Sobol(n_dimensions, seed=generator)
    if skip:  # SciPy cannot pass over nothing
        sequence.fast_forward(skip)
    units: NDArray[np.float64] = sequence.random(n_points)
    return units


def sobol_draws(space: Space, position: int, seed: int) -> Iterator[Parameters]:
    """The point at ``position`` of the study's sequence; none where the space has too many parameters for one."""
    n_dimensions = len(space.parameters)
    if 1 <= n_dimensions <= MAX_DIMENSIONS:
        units = sobol_units(1, n_dimensions, generator_for(seed, "sobol"), max(position, 0))
        yield point_of_units(space, units[0].tolist())
