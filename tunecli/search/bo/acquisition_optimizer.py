"""Maximise an acquisition over a mixed, conditional space: a Sobol sample, then local search with shrinking radii.

Every candidate is *snapped* to the nearest real point of the space before it is scored. So the score is that of the
trial that would be run. Moves are clipped at the ends of a range, not reflected, so an optimum at an end is reached
exactly. Deterministic for a given generator; this module does not know any model.

*Units*: see `encoding`; radii are in its coordinates, in [0, 1].

Axes: M candidates, N trials, P parents, D parameters, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tunecli.config.domains import LAST_UNIT
from tunecli.config.feasibility import is_feasible as is_feasible_point
from tunecli.config.space import Space, point_of_units
from tunecli.search.bo.encoding import Encoding, Floats, coordinates_of_units, snap, units_of_coordinates
from tunecli.search.draws import sobol_units
from tunecli.trial import Parameters

_N_GLOBAL = 512  # a power of two, for Sobol
_N_PARENTS = 8
_N_MUTANTS = 32  # of each parent
_LARGE_MODEL_DIVISOR = 4  # divides `_N_GLOBAL` and `_N_MUTANTS` if the model is large
_FIRST_RADII = (0.3, 0.1, 0.03)  # around the best trials
_RADII = (0.2, 0.1, 0.05, 0.02, 0.007)  # around the best candidates, one round each
_JUMP_PROBABILITY = 0.1  # the probability that a moved coordinate is drawn from its whole range
_REPEAT_TOLERANCE = 1e-3  # a point that is nearer to a trial than this in every column repeats it
_MAX_CELLS = 2_000  # trials times columns; a model with more is large
_N_POINTS = 64  # the best candidates, which become points
_N_MORE = 4  # times that further global candidates are drawn if few are feasible

IsFeasible = Callable[[Floats], NDArray[np.bool_]]
"""Snapped units (M, D) → whether each is a feasible point, (M,)."""


def ranked_candidates(
    encoding: Encoding,
    score: Callable[[Floats], Floats],
    best_ND: Floats,
    generator: np.random.Generator,
    *,
    is_large: bool = False,
    is_feasible: IsFeasible | None = None,
) -> Floats:
    """Return about 2,500 snapped candidates, (M, D), the highest score first; fewer if few are feasible.

    Args:
        encoding: of the space.
        score: snapped units (M, D) → scores (M,); higher is better.
        best_ND: the snapped units of the trials, the best first; at least one. The first eight are parents.
        generator: draws the candidates.
        is_large: whether a score is expensive: only a quarter as many candidates are scored.
        is_feasible: the feasible ones of snapped candidates; None: all are. Only feasible ones are scored and returned.
    """
    n_global, n_mutants = _N_GLOBAL, _N_MUTANTS
    if is_large:
        n_global, n_mutants = n_global // _LARGE_MODEL_DIVISOR, n_mutants // _LARGE_MODEL_DIVISOR
    parents_PD = best_ND[:_N_PARENTS]
    n_parameters = parents_PD.shape[1]
    candidates_MD = snap(
        encoding,
        np.vstack(
            [
                units_of_coordinates(encoding, sobol_units(n_global, n_parameters, generator)),
                *(mutate(encoding, parents_PD, n_mutants, radius, generator) for radius in _FIRST_RADII),
            ]
        ),
    )
    if is_feasible is not None:
        candidates_MD = _feasible_candidates(encoding, candidates_MD, is_feasible, n_global, generator)
    scores_M = score(candidates_MD) if len(candidates_MD) else np.zeros(0)
    for radius in _RADII:
        parents_PD = candidates_MD[np.argsort(-scores_M, kind="stable")[:_N_PARENTS]]
        if not len(parents_PD):
            break
        mutants_MD = snap(encoding, mutate(encoding, parents_PD, n_mutants, radius, generator))
        if is_feasible is not None and not len(mutants_MD := mutants_MD[is_feasible(mutants_MD)]):
            continue
        candidates_MD = np.vstack([candidates_MD, mutants_MD])
        scores_M = np.concatenate([scores_M, score(mutants_MD)])
    ranked_MD: Floats = candidates_MD[np.argsort(-scores_M, kind="stable")]
    return ranked_MD


def _feasible_candidates(
    encoding: Encoding,
    candidates_MD: Floats,
    is_feasible: IsFeasible,
    n_wanted: int,
    generator: np.random.Generator,
) -> Floats:
    """Return the feasible candidates, and feasible ones of further uniform draws if they are fewer than a quarter."""
    candidates_MD = candidates_MD[is_feasible(candidates_MD)]
    for _ in range(_N_MORE):
        if len(candidates_MD) >= n_wanted // 4:
            break
        fresh_MD = generator.random((n_wanted, candidates_MD.shape[1]))
        fresh_MD = snap(encoding, units_of_coordinates(encoding, fresh_MD))
        candidates_MD = np.vstack([candidates_MD, fresh_MD[is_feasible(fresh_MD)]])
    return candidates_MD


def feasibility_of(space: Space) -> IsFeasible | None:
    """Return which rows of snapped units are feasible points of a constrained space; None without constraints."""
    if not space.constraints:
        return None

    def is_feasible(units_MD: Floats) -> NDArray[np.bool_]:
        points = (point_of_units(space, units_D.tolist()) for units_D in units_MD)
        return np.fromiter((is_feasible_point(space, point) for point in points), np.bool_, len(units_MD))

    return is_feasible


def to_points(space: Space, ranked_MD: Floats) -> Iterator[Parameters]:
    """Yield the points of the first 64 candidates."""
    for units_D in ranked_MD[:_N_POINTS]:
        yield point_of_units(space, units_D.tolist())


def is_large_model(rows_NF: Floats) -> bool:
    """Return whether predictions of a model that is fitted to these rows are expensive."""
    return rows_NF.size > _MAX_CELLS


def exclude_repeats(scores_M: Floats, rows_MF: Floats, tried_NF: Floats) -> Floats:
    """Return the scores, (M,), with -inf for candidates that repeat one of ``tried_NF``.

    Without this, a model that knows the bottom of a basin exactly would propose the same point again.
    """
    return np.where(is_repeat(rows_MF, tried_NF).any(axis=1), -math.inf, scores_M)


def is_repeat(rows_MF: Floats, tried_NF: Floats) -> NDArray[np.bool_]:
    """Return whether each of ``rows_MF`` is within 1e-3 of each of ``tried_NF`` in every column, (M, N)."""
    from scipy.spatial.distance import cdist

    is_repeat_MN: NDArray[np.bool_] = cdist(rows_MF, tried_NF, "chebyshev") < _REPEAT_TOLERANCE
    return is_repeat_MN


def mutate(
    encoding: Encoding, parents_PD: Floats, n_each: int, radius: float, generator: np.random.Generator
) -> Floats:
    """Return the units of ``n_each`` mutants of each parent, (P * n_each, D), in [0, 1), not snapped.

    Half of the mutants move in one or two parameters, the others in all. A numeric coordinate moves by a normal step of
    deviation ``radius``, or with probability 0.1 to anywhere in its range; an option is redrawn with probability 0.1.
    A mutant may be in another branch than its parent, so parameters that are inactive in the parent are drawn.
    """
    parents_MD = np.repeat(coordinates_of_units(encoding, parents_PD), n_each, axis=0)
    n_mutants, n_parameters = parents_MD.shape
    fresh_MD = generator.random(parents_MD.shape)
    parents_MD = np.where(np.isnan(parents_MD), fresh_MD, parents_MD)
    moved_MD = parents_MD + radius * generator.standard_normal(parents_MD.shape)
    is_option_D = np.array([dimension.is_categorical for dimension in encoding.dimensions])
    is_fresh_MD = generator.random(parents_MD.shape) < _JUMP_PROBABILITY
    moved_MD = np.where(is_option_D, parents_MD, moved_MD)
    moved_MD = np.where(is_fresh_MD, fresh_MD, moved_MD)
    move_probability_M1 = np.where(generator.random((n_mutants, 1)) < 0.5, 1.5 / n_parameters, 1.0)
    is_moved_MD = generator.random(parents_MD.shape) < move_probability_M1
    chosen_M = np.floor(n_parameters * generator.random(n_mutants)).astype(np.intp)
    every_M = np.arange(n_mutants)
    is_moved_MD[every_M, chosen_M] = True
    # A mutant that moves in an option alone would usually equal its parent, so this option is redrawn.
    is_fresh_M = is_option_D[chosen_M]
    moved_MD[every_M[is_fresh_M], chosen_M[is_fresh_M]] = fresh_MD[every_M[is_fresh_M], chosen_M[is_fresh_M]]
    mutants_MD = np.clip(np.where(is_moved_MD, moved_MD, parents_MD), 0.0, LAST_UNIT)
    return units_of_coordinates(encoding, mutants_MD)
