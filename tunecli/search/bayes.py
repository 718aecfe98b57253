"""Bayesian search: the point that a model of the trials so far holds to be worth most.

Every suggestion starts from the record alone, with random numbers named by seed and trial number (law 1). A trial
is seen as what it is (laws 5, 6): a finished one by its loss, a pending one as a point whose loss will be what is
expected of it, a failed one not as a bad loss but as ground that may not hold, and one that breaks a constraint by how
far. Of several goals each trial weighs the losses in its own way (`several`). How points become rows is
`encoding`'s part, losses `warping`'s, the models `gaussian_process`'s and `forest`'s, what a point is worth
`acquisition`'s, the way to the best one `candidates`'.

Axes: N observed points, P pending ones, M candidates, D parameters, F columns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np

from tunecli.errors import UsageError
from tunecli.search.acquisition import ACQUISITIONS, Acquisition
from tunecli.search.candidates import ranked_candidates
from tunecli.search.constraints import excesses_of, holds, log_chance_to_satisfy, merits
from tunecli.search.encoding import Floats, encoding_of, features, units_of_points
from tunecli.search.expectations import log_expectation
from tunecli.search.feasibility import log_chance_to_hold
from tunecli.search.quasirandom import MAX_DIMENSIONS, sobol_draws
from tunecli.search.several import with_one_loss
from tunecli.search.surrogate import SURROGATES, Surrogate
from tunecli.search.telling import most_telling
from tunecli.search.uniform import uniform_draws
from tunecli.search.unseen import propose
from tunecli.search.warping import warped
from tunecli.seeding import generator_for
from tunecli.spec.space import Space, point_of_units
from tunecli.trial import Observation, Parameters, State

_TOO_NEAR = 1e-3  # in every column: nearer than this, a trial repeats another
_N_WISHES = 64
_MAX_OBSERVATIONS = 200
_MAX_CELLS = 2_000  # trials times columns; past it fewer candidates are asked about
_PENDING = (State.WAITING, State.RUNNING)


def bayes(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    *,
    surrogate: str = "gp",
    acquisition: str = "mixed",
) -> Parameters | None:
    """The most promising point; None where a finite space is exhausted.

    The first trial is the default or else the middle of the space, and the next, up to :func:`n_initial` and until
    two different losses are known, are quasi-random ones. So is every trial of a space with more parameters than a
    Sobol sequence has dimensions. See :class:`tunecli.search.sampler.Sampler`.

    Args:
        space, history, number, seed: as for every sampler.
        surrogate: the model; one of ``SURROGATES``.
        acquisition: what a point is worth; one of ``ACQUISITIONS``.

    Raises:
        UsageError: there is no such surrogate or acquisition.
    """
    model, worths = SURROGATES.get(surrogate), ACQUISITIONS.get(acquisition)
    if model is None:
        raise UsageError(f"there is no surrogate `{surrogate}`", hint=f"one of {', '.join(SURROGATES)}")
    if worths is None:
        raise UsageError(f"there is no acquisition `{acquisition}`", hint=f"one of {', '.join(ACQUISITIONS)}")
    history = with_one_loss(history, number, seed)
    if number < n_initial(space) or not _is_telling(space, history):
        draws = _initial_draws(space, number, seed)
    else:
        draws = _most_promising(space, history, number, seed, model, worths[number % len(worths)])
    return propose(space, history, number, seed, chain(draws, uniform_draws(space, number, seed)))


def n_initial(space: Space) -> int:
    """How many trials are made before the model is asked: two fewer than parameters, between 4 and 16."""
    return max(4, min(len(space.parameters) - 2, 16))


def _is_telling(space: Space, history: Sequence[Observation]) -> bool:
    losses = {loss for observation in history if (loss := _loss(observation)) is not None}
    return len(losses) >= 2 and len(space.parameters) <= MAX_DIMENSIONS


def _initial_draws(space: Space, number: int, seed: int) -> Iterator[Parameters]:
    """The middle, and then the quasi-random sequence from its start."""
    if number == 0:
        yield point_of_units(space, [0.5] * len(space.parameters))
    yield from sobol_draws(space, max(number - 1, 0), seed)


def _most_promising(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    model: Surrogate,
    worth: Acquisition,
) -> Iterator[Parameters]:
    # What sklearn warns of here asks nothing of the user.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skopt  # noqa: F401  # loads every BLAS there will be, for the limit reaches only those loaded
        from threadpoolctl import threadpool_limits

        # Sums are split among BLAS threads: with one, the last bit is the same on any number of cores.
        with threadpool_limits(1, user_api="blas"):
            ranked_MD = _ranked(space, history, number, seed, model, worth)
    for units_D in ranked_MD[:_N_WISHES]:
        yield point_of_units(space, units_D.tolist())


def _ranked(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    model: Surrogate,
    worth: Acquisition,
) -> Floats:
    """Candidates, the one worth most first."""
    encoding, draw = encoding_of(space), partial(generator_for, seed, number)
    losses = [(o, loss) for o in history if (loss := _loss(o)) is not None]
    merit_of = _merits(losses)
    chosen, failed = most_telling(
        [(o, merit_of.get(o.number, loss)) for o, loss in losses],
        [o for o in history if o.state not in _PENDING and _loss(o) is None],
        _MAX_OBSERVATIONS,
    )
    scored = [o for o, _ in chosen]
    pending = [o for o in history if o.state in _PENDING]
    scored_ND, failed_ND, pending_PD = (
        units_of_points(space, (o.parameters for o in observations))
        for observations in (scored, failed, pending)
    )
    values_N = warped(np.array([_loss(o) for o in scored], dtype=np.float64))
    rows_NF, failed_NF, pending_PF = (
        features(encoding, units) for units in (scored_ND, failed_ND, pending_PD)
    )
    excesses_NC = excesses_of(scored)
    is_held_N = holds(excesses_NC)
    fitted = model(rows_NF, values_N, encoding.groups, draw("surrogate")).believing(pending_PF)
    # the best so far is the best mean, not the best loss: that one may owe its rank to noise
    best_S = fitted.predict(rows_NF[is_held_N])[0].min(axis=1) if is_held_N.any() else None
    tried_NF = np.vstack([rows_NF, failed_NF, pending_PF])
    hold = log_chance_to_hold(rows_NF, failed_NF, encoding.groups, draw("feasibility"))
    satisfy = log_chance_to_satisfy(rows_NF, excesses_NC, pending_PF, encoding.groups, draw("constraints"))
    expect = log_expectation(space, number)

    def score(units_MD: Floats) -> Floats:
        from scipy.spatial.distance import cdist

        rows_MF = features(encoding, units_MD)
        # Where nothing holds yet there is no best to improve on: what most likely holds is wanted first.
        worth_M = 0.0 if best_S is None else worth(*fitted.predict(rows_MF), best_S)
        score_M = worth_M + hold(rows_MF) + satisfy(rows_MF) + expect(units_MD)
        # Once a basin is known to the last digit the model would go on proposing its bottom.
        distance_M = cdist(rows_MF, tried_NF, "chebyshev").min(axis=1)
        return np.where(distance_M < _TOO_NEAR, -math.inf, score_M)

    order_N = np.argsort([merit for _, merit in chosen] if merit_of else values_N, kind="stable")
    is_large = rows_NF.size > _MAX_CELLS
    return ranked_candidates(encoding, score, scored_ND[order_N], draw("candidates"), few=is_large)


def _merits(losses: Sequence[tuple[Observation, float]]) -> dict[int, float]:
    """By number, the place of each trial where constraints say more than its loss; empty where there are none."""
    excesses_NC = excesses_of([observation for observation, _ in losses])
    if not excesses_NC.shape[1]:
        return {}
    places = merits([loss for _, loss in losses], excesses_NC)
    return {each.number: float(place) for (each, _), place in zip(losses, places, strict=True)}


def _loss(observation: Observation) -> float | None:
    """The loss; None where there is none that a model can use."""
    loss = observation.loss
    return loss if loss is not None and math.isfinite(loss) else None
