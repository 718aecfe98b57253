"""Random search: every parameter uniform in its own scale, every trial independent of all others.

Bergstra, Bengio (2012), "Random Search for Hyper-Parameter Optimization". Also lends its draws to the other
samplers, for where their own wishes were proposed before. Keeps law 1: a draw is named by seed, trial
number and attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunecli.config.space import Space, point_of_units
from tunecli.search.samplers.dedup import propose
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

N_ATTEMPTS = 16
"""So many draws before the arithmetic over what is left takes over: with half the space seen, one in 65,536."""


def random(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """A uniform draw; None where a finite space is exhausted. See :class:`tunecli.search.samplers.registry.Sampler`."""
    return propose(space, history, number, seed, uniform_draws(space, number, seed))


def uniform_draws(space: Space, number: int, seed: int) -> Iterator[Parameters]:
    """``N_ATTEMPTS`` independent uniform points for trial ``number``."""
    for attempt in range(N_ATTEMPTS):
        units = generator_for(seed, number, "random", attempt).random(len(space.parameters))
        yield point_of_units(space, units.tolist())
