"""The trials that no model chooses: the most likely point, steps of its rate, draws from the priors, and Sobol points.

After Mallik, Bergman, Hvarfner, Stoll, Janowski, Lindauer, Nardi, Hutter (2023), "PriorBand: Practical Hyperparameter
Optimization in the Age of Deep Learning": samples of a prior and uniform ones share the trials, so that a good prior is
used at once and a wrong one costs a share of them.

A plain range over magnitudes is covered by its magnitudes, as the model reads it (`encoding`): uniform points would all
be in the largest one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from tunecli.config.domains import LAST_UNIT, value_of_unit
from tunecli.config.space import Space, default_point, point_of_units, units_of_point
from tunecli.search.bo.encoding import magnitude_ratio
from tunecli.search.bo.knob_priors import drawn_units, mode_units, with_moved_rate
from tunecli.search.bo.user_prior import NO_EVIDENCE, PriorEvidence
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, sobol_draws, sobol_units
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters

_RATE_STEP = (
    1.25  # deviations of the rate's prior; a fifth of a normal distribution is farther from its centre
)
_FURTHER = 1024  # the Sobol points from here on replace draws from contradicted priors


def initial_draws(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    evidence: PriorEvidence = NO_EVIDENCE,
) -> Iterator[Parameters]:
    """Yield the points for trial ``number``, the preferred first.

    Trial 0 gets the mode of the priors, which is the middle of the space without any. If a learning rate has a prior,
    trials 1 and 2 are steps along it. Then come points of the Sobol sequence, and in turn with them draws from the
    priors. If the results contradict the priors, other Sobol points replace these draws.

    Args:
        space, history, number, seed: as for a sampler.
        evidence: of the results, for or against the priors.
    """
    if number == 0:
        has_prior = {parameter.key for parameter in space.parameters if parameter.prior}
        yield from _by_magnitudes(space, [point_of_units(space, mode_units(space))], has_prior)
    place = max(number - 1, 0)
    yield from _rate_steps(space, history, number)
    if any(parameter.prior for parameter in space.parameters):
        place, is_other_turn = divmod(place, 2)
        if not is_other_turn and evidence.contradicts_settings:
            yield from _by_magnitudes(space, sobol_draws(space, _FURTHER + place, seed))
        elif not is_other_turn:
            yield from _prior_draws(space, place, seed)
    yield from _by_magnitudes(space, sobol_draws(space, place, seed))


def first_with_defaults(space: Space) -> tuple[Parameters, ...]:
    """Return the points for trial 0 of a space with defaults and priors, the preferred first; empty if it lacks either.

    They are the defaults with the usual values of other settings, and the defaults with middles. The middle of a range
    is a bad value of many settings: on the ten problems of `tests/benchmarks/real.py` the middles of all ranges have a
    regret of 0.95, the usual values one of 0.32.
    """
    default = default_point(space)
    if default is None or not any(parameter.prior for parameter in space.parameters):
        return ()
    return point_of_units(space, mode_units(space)), default


def _by_magnitudes(
    space: Space, points: Iterable[Parameters], left_out: Collection[str] = ()
) -> Iterator[Parameters]:
    """Yield the points, with each unit of a plain range over magnitudes as the share of its logarithmic axis.

    Args:
        space: the space of the points.
        points: with uniform units.
        left_out: the keys of parameters that keep their values.
    """
    for point in points:
        moved = dict(point)
        for parameter, unit in zip(space.parameters, units_of_point(space, point), strict=True):
            ratio = magnitude_ratio(parameter.domain)
            if unit is not None and ratio is not None and parameter.key not in left_out:
                at = min((ratio**unit - 1.0) / (ratio - 1.0), LAST_UNIT)
                moved[parameter.name] = value_of_unit(parameter.domain, at)
        yield moved


def _rate_steps(space: Space, history: Sequence[Observation], number: int) -> Iterator[Parameters]:
    """Yield the first trial's point with a higher learning rate for trial 1, and a still higher or a lower one for 2.

    The rate is the most important setting (Bengio 2012, "Practical Recommendations for Gradient-Based Training of Deep
    Architectures"), and points that differ in nothing else show the model its effect.
    """
    if number not in (1, 2) or space.earlier:
        return
    known = {trial.number: trial for trial in history}
    first, second = known.get(0), known.get(1)
    units_D = mode_units(space) if first is None else units_of_point(space, first.parameters)
    higher_D = with_moved_rate(space, units_D, _RATE_STEP)
    higher = None if higher_D is None else _point(space, higher_D)
    if number == 1:
        yield from () if higher is None else (higher,)
        return
    is_higher_better = second is not None and second.parameters == higher and _is_better(second, first)
    third_D = (
        with_moved_rate(space, higher_D, _RATE_STEP)
        if is_higher_better and higher_D is not None
        else with_moved_rate(space, units_D, -_RATE_STEP)
    )
    if third_D is not None:
        yield _point(space, third_D)


def _point(space: Space, units_D: Sequence[float | None]) -> Parameters:
    return point_of_units(space, [0.5 if unit is None else unit for unit in units_D])


def _is_better(trial: Observation, other: Observation | None) -> bool:
    """Return whether a trial has a lower loss than another one, which may have failed."""
    if trial.loss is None or other is None:
        return False
    return other.loss is None or trial.loss < other.loss


def _prior_draws(space: Space, position: int, seed: int) -> Iterator[Parameters]:
    """Yield the point at ``position`` of a Sobol sequence over the shares of the priors' mass."""
    n_dimensions = len(space.parameters)
    if n_dimensions <= MAX_SOBOL_DIMENSIONS:
        (shares_D,) = sobol_units(1, n_dimensions, generator_for(seed, "sobol of the priors"), position)
        yield point_of_units(space, drawn_units(space, shares_D.tolist()))
