"""The search for the point of greatest acquisition in a mixed, conditional space: wide first, then nearer and nearer.

Every candidate is a real point of the space, so what is scored is what would be run, and no rounding comes after.
Moves are clipped at a range's ends and not reflected: a good end is reached exactly. Deterministic for a given
generator; knows no model.

Axes: M candidates, N trials, P parents, D parameters, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tunecli.config.domains import LAST_UNIT
from tunecli.config.space import Space, point_of_units
from tunecli.search.bo.encoding import Encoding, Floats, places_of_units, settled, units_of_places
from tunecli.search.samplers.quasirandom import sobol_units
from tunecli.trial import Parameters

_N_GLOBAL = 512  # a power of two, for Sobol
_N_PARENTS = 8
_N_CHILDREN = 32  # of each parent
_FEW = 4  # times fewer of all where the model is large
_FIRST_RADII = (0.3, 0.1, 0.03)  # in places, around the best trials
_RADII = (0.2, 0.1, 0.05, 0.02, 0.007)  # around the best candidates, one round each
_JUMP_SHARE = 0.1  # of the moves are to anywhere in the range
_TOO_NEAR = 1e-3  # in every column: nearer than this, a trial repeats another
_MAX_CELLS = 2_000  # trials times columns; past it fewer candidates are asked about
_N_WISHES = 64


def ranked_candidates(
    encoding: Encoding,
    score: Callable[[Floats], Floats],
    best_ND: Floats,
    generator: np.random.Generator,
    *,
    few: bool = False,
) -> Floats:
    """About 2,500 settled candidates, or a quarter of that, the one of greatest score first.

    Args:
        encoding: of the space.
        score: of settled units, shape (M, D) → (M,); higher is better.
        best_ND: the settled units of the best trials, at least one.
        generator: draws the candidates.
        few: where a score is dear.
    """
    n_global, n_children = (_N_GLOBAL // _FEW, _N_CHILDREN // _FEW) if few else (_N_GLOBAL, _N_CHILDREN)
    parents_PD = best_ND[:_N_PARENTS]
    n_parameters = parents_PD.shape[1]
    candidates_MD = settled(
        encoding,
        np.vstack(
            [
                units_of_places(encoding, sobol_units(n_global, n_parameters, generator)),
                *(children(encoding, parents_PD, n_children, radius, generator) for radius in _FIRST_RADII),
            ]
        ),
    )
    scores_M = score(candidates_MD)
    for radius in _RADII:
        parents_PD = candidates_MD[np.argsort(-scores_M, kind="stable")[:_N_PARENTS]]
        nearer_MD = settled(encoding, children(encoding, parents_PD, n_children, radius, generator))
        candidates_MD = np.vstack([candidates_MD, nearer_MD])
        scores_M = np.concatenate([scores_M, score(nearer_MD)])
    ranked_MD: Floats = candidates_MD[np.argsort(-scores_M, kind="stable")]
    return ranked_MD


def wishes(space: Space, ranked_MD: Floats) -> Iterator[Parameters]:
    """The first candidates' points, for :func:`tunecli.search.samplers.dedup.propose`."""
    for units_D in ranked_MD[:_N_WISHES]:
        yield point_of_units(space, units_D.tolist())


def is_dear(rows_NF: Floats) -> bool:
    """Whether a score is dear that comes from a model of these observed rows."""
    return rows_NF.size > _MAX_CELLS


def without_repeats(scores_M: Floats, rows_MF: Floats, tried_NF: Floats) -> Floats:
    """The scores, -inf where a trial would repeat one of ``tried_NF``.

    Once a basin is known to the last digit a model would go on proposing its bottom.
    """
    return np.where(is_repeat(rows_MF, tried_NF).any(axis=1), -math.inf, scores_M)


def is_repeat(rows_MF: Floats, tried_NF: Floats) -> NDArray[np.bool_]:
    """Whether a trial at each of ``rows_MF`` would repeat each of ``tried_NF``: (M, N)."""
    from scipy.spatial.distance import cdist

    found_MN: NDArray[np.bool_] = cdist(rows_MF, tried_NF, "chebyshev") < _TOO_NEAR
    return found_MN


def children(
    encoding: Encoding, parents_PD: Floats, n_each: int, radius: float, generator: np.random.Generator
) -> Floats:
    """Units near ``parents_PD``, in [0, 1): half the children move in one or two parameters, half in all.

    A numeric parameter's place moves by about ``radius``, now and then anywhere; an option is drawn anew in one of
    ten. A child may be of another branch than its parent, so what is not active there is drawn.
    """
    parents_MD = np.repeat(places_of_units(encoding, parents_PD), n_each, axis=0)
    n_children, n_parameters = parents_MD.shape
    fresh_MD = generator.random(parents_MD.shape)
    parents_MD = np.where(np.isnan(parents_MD), fresh_MD, parents_MD)
    moved_MD = parents_MD + radius * generator.standard_normal(parents_MD.shape)
    is_option_D = np.array([dimension.is_categorical for dimension in encoding.dimensions])
    is_fresh_MD = generator.random(parents_MD.shape) < _JUMP_SHARE
    moved_MD = np.where(is_option_D, parents_MD, moved_MD)
    moved_MD = np.where(is_fresh_MD, fresh_MD, moved_MD)
    share_M1 = np.where(generator.random((n_children, 1)) < 0.5, 1.5 / n_parameters, 1.0)
    is_moved_MD = generator.random(parents_MD.shape) < share_M1
    chosen_M = np.floor(n_parameters * generator.random(n_children)).astype(np.intp)
    every_M = np.arange(n_children)
    is_moved_MD[every_M, chosen_M] = True
    # One that was to move in an option alone would else be its parent.
    is_fresh_M = is_option_D[chosen_M]
    moved_MD[every_M[is_fresh_M], chosen_M[is_fresh_M]] = fresh_MD[every_M[is_fresh_M], chosen_M[is_fresh_M]]
    return units_of_places(encoding, np.clip(np.where(is_moved_MD, moved_MD, parents_MD), 0.0, LAST_UNIT))
