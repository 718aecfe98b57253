"""Where trials fail: the chance that one at a point ends with a loss at all.

A model of its own, so that a failure says nothing about the losses near it: out of memory one unit beyond the best
network must not make that network look bad (Gelbart, Snoek, Adams (2014), "Bayesian Optimization with Unknown
Constraints"). A Gaussian process of the two outcomes, as Rasmussen, Williams (2006), section 6.5, "least-squares
classification". What more likely fails than not comes after all that more likely holds: else, once the good side of
a border is known to the last digit, the model would go on asking for the bad one. Pure; knows rows only.

Axes: N finished points, U failed ones, M others, F columns of the encoding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo import gaussian_process

Floats = NDArray[np.float64]

_AVERSION = 1e15  # for each deviation below even odds; more than any two log acquisitions differ by


def log_chance_to_hold(
    finished_NF: Floats, failed_UF: Floats, groups_F: NDArray[np.intp], generator: np.random.Generator
) -> Callable[[Floats], Floats]:
    """A function from rows, (M, F), to the log of the chance that a trial there does not fail, (M,).

    Below one half it falls far more steeply. It is 0 everywhere as long as nothing has failed.
    """
    if not len(failed_UF):
        return lambda rows_MF: np.zeros(len(rows_MF))
    rows = np.vstack([finished_NF, failed_UF])
    outcomes = np.concatenate([np.ones(len(finished_NF)), -np.ones(len(failed_UF))])
    model = gaussian_process.fitted(rows, outcomes, groups_F, 1, generator)

    def log_chance(rows_MF: Floats) -> Floats:
        from scipy.special import log_ndtr

        (mean_M,), (deviation_M,) = model.predict(rows_MF)
        z_M = mean_M / deviation_M
        found_M: Floats = log_ndtr(z_M) - _AVERSION * np.maximum(-z_M, 0.0)
        return found_M

    return log_chance
