"""Total Sobol shares of functions of the unit cube, by Jansen's estimator on quasi-random points.

The total share of a coordinate is E[Var(f | all other coordinates)] / Var f: its own effect and all its interactions
(Homma, Saltelli (1996), "Importance measures in global sensitivity analysis of nonlinear models"). The encoding makes a
conditional, mixed space such a function: a unit of an inactive parameter changes nothing.

Axes: D coordinates, C of them, N points, S functions that are evaluated at once, M points of one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, sobol_units

Floats = NDArray[np.float64]
Functions = Callable[[Floats], Floats]
"""Units (M, D) → the values of S functions, (S, M)."""

N_POINTS = 512
"""Points for each coordinate, and as many once; a power of two, for Sobol."""
_N_MOVED_AT_ONCE = 16  # coordinates: a forest has a price for each call
MAX_COORDINATES = MAX_SOBOL_DIMENSIONS // 2
"""Each coordinate takes two dimensions of a Sobol sequence."""


def total_shares(
    functions: Functions, n_coordinates: int, moved: Sequence[int], generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the total share of each moved coordinate, each (S, len(moved)), from 0 to 1: of f, and of its better half.

    The share is Σ (f(a) - f(a'))² / 2N / Var f, where a' is a point a with one coordinate of another point (Jansen
    (1999), "Analysis of variance designs for model output"; the best of the total-effect estimators that Saltelli,
    Annoni, Azzini, Campolongo, Ratto, Tarantola (2010) compare, table 2). The better half is min(f, median of f): the
    median's level stands for all worse values (Hutter, Hoos, Leyton-Brown (2014), "An Efficient Approach for Assessing
    Hyperparameter Importance", section 3.3).

    Args:
        functions: what is examined; lower values are better.
        n_coordinates: D, at most `MAX_COORDINATES`.
        moved: the indices of the coordinates whose shares are computed.
        generator: scrambles the Sobol sequence.
    """
    pairs_N2D = sobol_units(N_POINTS, 2 * n_coordinates, generator)
    units_ND, others_ND = pairs_N2D[:, :n_coordinates], pairs_N2D[:, n_coordinates:]
    values_SN = functions(units_ND)
    median_S1 = np.median(values_SN, axis=1, keepdims=True)
    shares_SD, better_SD = np.zeros((2, len(values_SN), len(moved)))
    for first in range(0, len(moved), _N_MOVED_AT_ONCE):
        columns = range(first, min(first + _N_MOVED_AT_ONCE, len(moved)))
        moved_CND = np.repeat(units_ND[None], len(columns), axis=0)
        for place, column in enumerate(columns):
            moved_CND[place, :, moved[column]] = others_ND[:, moved[column]]
        moved_SCN = functions(moved_CND.reshape(-1, n_coordinates)).reshape(len(values_SN), -1, N_POINTS)
        for place, column in enumerate(columns):
            moved_SN = moved_SCN[:, place]
            shares_SD[:, column] = _share(values_SN, moved_SN)
            better_SD[:, column] = _share(np.minimum(values_SN, median_S1), np.minimum(moved_SN, median_S1))
    return shares_SD, better_SD


def _share(values_SN: Floats, moved_SN: Floats) -> Floats:
    """Return Jansen's estimate, (S,); 0 for a constant function."""
    # Halves and a common scale: the squares of values near 1e300, and of differences near 1e-300, are out of range.
    origin_S1 = values_SN[:, :1] / 2
    values_SN, moved_SN = values_SN / 2 - origin_S1, moved_SN / 2 - origin_S1
    scale_S1 = np.maximum(np.abs(values_SN), np.abs(moved_SN)).max(axis=1, keepdims=True)
    scale_S1 = np.where(scale_S1 > 0, scale_S1, 1.0)
    values_SN, moved_SN = values_SN / scale_S1, moved_SN / scale_S1
    variance_S, half_S = values_SN.var(axis=1), np.square(moved_SN - values_SN).mean(axis=1) / 2
    share_S: Floats = np.divide(half_S, variance_S, out=np.zeros_like(half_S), where=variance_S > 0)
    return np.clip(share_S, 0.0, 1.0)
