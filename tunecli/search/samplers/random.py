"""Samplers that read no results: `random` and `quasirandom`.

A point is a function of the study's seed and the trial's number, so no state is kept between trials
(record-is-the-state).
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.config.space import Space, default_point
from tunecli.search.draws import propose, sobol_draws
from tunecli.trial import Observation, Parameters


def random(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Return a uniform draw: each parameter independent and uniform in its own scale.

    Bergstra, Bengio (2012), "Random Search for Hyper-Parameter Optimization". None if a finite space is exhausted. See
    :class:`tunecli.search.protocols.Sampler`.
    """
    return propose(space, history, number, seed)


def quasirandom(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """Return the point of trial ``number`` in a scrambled Sobol sequence, which leaves no large region untried.

    The branches of a choice share the sequence: each parameter of every branch has a dimension of its own. A default
    takes trial 0 without using a point of the sequence, which is balanced only if its first 2**k points are complete. A
    uniform draw replaces a point that was tried before, and every point in a space of more than
    ``MAX_SOBOL_DIMENSIONS`` parameters. None if a finite space is exhausted. See
    :class:`tunecli.search.protocols.Sampler`.
    """
    position = number - (default_point(space) is not None)
    return propose(space, history, number, seed, sobol_draws(space, position, seed))
