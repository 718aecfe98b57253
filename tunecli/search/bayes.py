"""Bayesian search: the point where a model of the trials so far expects the greatest improvement.

Expected improvement (Jones, Schonlau, Welch (1998), "Efficient Global Optimization of Expensive Black-Box
Functions") as scikit-optimize computes it. Its `Optimizer` is not used: it is state, and it repeats points. Every
suggestion starts from the record alone, with random numbers named by seed and trial number (law 1); pending
trials count as points and failed ones as bad results (laws 5, 6). How points become rows is `encoding`'s part,
the model `surrogate`'s.

Axes: N observed points, P pending ones (or parents of candidates), M candidates, D parameters, F columns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from tunecli.search.encoding import Encoding, Floats, encoding_of, features, settled, units_of_points
from tunecli.search.quasirandom import MAX_DIMENSIONS, quasirandom, sobol_units
from tunecli.search.surrogate import fitted
from tunecli.search.uniform import uniform_draws
from tunecli.search.unseen import propose
from tunecli.seeding import generator_for, seed_for
from tunecli.spec.space import Space, point_of_units
from tunecli.trial import Observation, Parameters, State

_N_GLOBAL = 512  # a power of two, for Sobol
_N_PARENTS = 8
_N_CHILDREN = 32  # of each parent
_RADII = (0.2, 0.05, 0.0125)  # in units; each round searches nearer to the best so far
_MAX_OBSERVATIONS = 200  # a suggestion from 50 takes up to 0.07 s on one core, from 200 up to 0.5 s
_TOO_NEAR = 1e-3  # in units: nearer than this in every column, a trial repeats another
_PENDING = (State.WAITING, State.RUNNING)


def bayes(space: Space, history: Sequence[Observation], number: int, seed: int) -> Parameters | None:
    """The point of greatest expected improvement; None where a finite space is exhausted.

    The first :func:`n_initial` trials, and all until two different losses are known, are quasi-random
    ones. So is every trial of a space with more parameters than a Sobol sequence has dimensions. See
    :class:`tunecli.search.sampler.Sampler`.
    """
    known = {loss for observation in history if math.isfinite(loss := _loss(observation))}
    is_too_wide = len(space.parameters) > MAX_DIMENSIONS
    if number < n_initial(space) or len(known) < 2 or is_too_wide:
        return quasirandom(space, history, number, seed)
    wishes = chain(_most_promising(space, history, number, seed), uniform_draws(space, number, seed))
    return propose(space, history, number, seed, wishes)


def n_initial(space: Space) -> int:
    """How many trials are made before the model is asked: four more than parameters, between 8 and 16."""
    return max(8, min(len(space.parameters) + 4, 16))


def _most_promising(
    space: Space, history: Sequence[Observation], number: int, seed: int
) -> Iterator[Parameters]:
    # What sklearn warns of here (a length scale at its bound, a fit that stopped early) asks nothing of the user.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skopt  # noqa: F401  # loads every BLAS there will be, for the limit reaches only those loaded
        from threadpoolctl import threadpool_limits

        # Sums are split among BLAS threads: with one, the last bit is the same on any number of cores.
        with threadpool_limits(1, user_api="blas"):
            ranked_MD = _ranked_candidates(space, history, number, seed)
    for units_D in ranked_MD:
        yield point_of_units(space, units_D.tolist())


def _ranked_candidates(space: Space, history: Sequence[Observation], number: int, seed: int) -> Floats:
    """Candidates, the one of greatest expected improvement first."""
    encoding = encoding_of(space)
    ended = _most_telling([observation for observation in history if observation.state not in _PENDING])
    observed_ND = units_of_points(space, (observation.parameters for observation in ended))
    pending_ND = units_of_points(space, (o.parameters for o in history if o.state in _PENDING))
    losses_N = np.array([_loss(observation) for observation in ended])
    worst = losses_N[np.isfinite(losses_N)].max()
    losses_N = np.minimum(losses_N, worst)  # a failed trial is as bad as the worst of the others
    rows_NF, pending_PF = features(encoding, observed_ND), features(encoding, pending_ND)
    model = fitted(rows_NF, losses_N, pending_PF, seed_for(seed, number, "surrogate") % 2**32)
    # the incumbent is the best mean, not the best loss: that one may owe its rank to noise
    incumbent = float(model.predict(rows_NF).min())
    tried_NF = np.vstack([rows_NF, pending_PF])

    def improvement(units_MD: Floats) -> Floats:
        return _expected_improvement(features(encoding, units_MD), tried_NF, model, incumbent)

    generator = generator_for(seed, number, "candidates")
    best_ND = observed_ND[np.argsort(losses_N, kind="stable")[:_N_PARENTS]]
    candidates_MD = np.vstack(
        [
            settled(encoding, sobol_units(_N_GLOBAL, len(space.parameters), generator)),
            _children(encoding, best_ND, _RADII[0], generator),
        ]
    )
    improvement_M = improvement(candidates_MD)
    for radius in _RADII[1:]:
        parents_PD = candidates_MD[np.argsort(-improvement_M, kind="stable")[:_N_PARENTS]]
        children_MD = _children(encoding, parents_PD, radius, generator)
        candidates_MD = np.vstack([candidates_MD, children_MD])
        improvement_M = np.concatenate([improvement_M, improvement(children_MD)])
    ranked_MD: Floats = candidates_MD[np.argsort(-improvement_M, kind="stable")]
    return ranked_MD


def _expected_improvement(rows_MF: Floats, tried_NF: Floats, model: Any, incumbent: float) -> Floats:
    """In standardised losses, at least 0; below 0 what is too near a point that was tried or is pending.

    Once a basin is known to the last digit the model would go on proposing its bottom: the improvement it
    expects there is tiny, and nowhere else any more.
    """
    from scipy.spatial.distance import cdist
    from skopt.acquisition import gaussian_ei

    improvement_M: Floats = gaussian_ei(rows_MF, model, y_opt=incumbent, xi=0.0)
    distance_M = cdist(rows_MF, tried_NF, "chebyshev").min(axis=1)
    return np.where(distance_M < _TOO_NEAR, -1.0, improvement_M)


def _children(
    encoding: Encoding, parents_PD: Floats, radius: float, generator: np.random.Generator
) -> Floats:
    """Real points near ``parents_PD``: some units moved by about ``radius``, some options drawn anew."""
    parents_MD = np.repeat(parents_PD, _N_CHILDREN, axis=0)
    n_children, n_parameters = parents_MD.shape
    fresh_MD = generator.random(parents_MD.shape)
    parents_MD = np.where(np.isnan(parents_MD), fresh_MD, parents_MD)  # a child may be of another branch
    moved_MD = parents_MD + radius * generator.standard_normal(parents_MD.shape)
    moved_MD = 1 - np.abs(1 - np.abs(moved_MD))  # reflected at 0 and 1
    is_option_D = np.array([dimension.is_categorical for dimension in encoding.dimensions])
    moved_MD[:, is_option_D] = fresh_MD[:, is_option_D]
    is_moved_MD = generator.random(parents_MD.shape) < max(0.2, 2 / n_parameters)
    is_moved_MD[np.arange(n_children), generator.integers(n_parameters, size=n_children)] = True
    children_MD = np.clip(np.where(is_moved_MD, moved_MD, parents_MD), 0.0, math.nextafter(1.0, 0.0))
    return settled(encoding, children_MD)


def _most_telling(ended: Sequence[Observation]) -> list[Observation]:
    """All that ended; of more than ``_MAX_OBSERVATIONS``, half of them the best and half the latest others."""
    if len(ended) <= _MAX_OBSERVATIONS:
        return list(ended)
    best = sorted(ended, key=lambda o: (_loss(o), o.number))[: _MAX_OBSERVATIONS // 2]
    numbers = {observation.number for observation in best}
    others = [observation for observation in ended if observation.number not in numbers]
    latest = others[len(best) - _MAX_OBSERVATIONS :]
    return sorted([*best, *latest], key=lambda observation: observation.number)


def _loss(observation: Observation) -> float:
    """The loss; infinite where there is none that a model can use."""
    loss = observation.loss
    return loss if loss is not None and math.isfinite(loss) else math.inf
