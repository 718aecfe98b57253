"""The trials that no model chooses: the most likely point, then draws from the priors among points of a Sobol sequence.

After Mallik, Bergman, Hvarfner, Stoll, Janowski, Lindauer, Nardi, Hutter (2023), "PriorBand: Practical Hyperparameter
Optimization in the Age of Deep Learning": samples of a prior and uniform ones share the trials, so that a good prior is
used at once and a wrong one costs a share of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunecli.config.space import Space, point_of_units
from tunecli.search.bo.knob_priors import drawn_units, is_contradicted, mode_units
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, sobol_draws, sobol_units
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

_FURTHER = 1024  # the Sobol points from here on replace draws from contradicted priors


def initial_draws(
    space: Space, history: Sequence[Observation], number: int, seed: int
) -> Iterator[Parameters]:
    """Yield the points for trial ``number``, the preferred first.

    Trial 0 gets the mode of the priors, which is the middle of the space without any. Then come points of the Sobol
    sequence, its first for trials 0 and 1, and in turn with them draws from the priors. If the ``history`` contradicts
    the priors, other Sobol points replace these.
    """
    if number == 0:
        yield point_of_units(space, mode_units(space))
    place = max(number - 1, 0)
    if any(parameter.prior for parameter in space.parameters):
        place, is_other_turn = divmod(place, 2)
        if not is_other_turn and is_contradicted(space, history):
            yield from sobol_draws(space, _FURTHER + place, seed)
        elif not is_other_turn:
            yield from _prior_draws(space, place, seed)
    yield from sobol_draws(space, place, seed)


def _prior_draws(space: Space, position: int, seed: int) -> Iterator[Parameters]:
    """Yield the point at ``position`` of a Sobol sequence over the shares of the priors' mass."""
    n_dimensions = len(space.parameters)
    if n_dimensions <= MAX_SOBOL_DIMENSIONS:
        (shares_D,) = sobol_units(1, n_dimensions, generator_for(seed, "sobol of the priors"), position)
        yield point_of_units(space, drawn_units(space, shares_D.tolist()))
