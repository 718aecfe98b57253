"""How far the effects of parameters can be trusted: by R², by the number of trials, and by agreement on the ranking.

Axes: N trials, S kernels, D parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunecli.effects import RELIABLE_R2, Reliability

Floats = NDArray[np.float64]

PROVISIONAL_R2 = 0.5
"""Below this R² nothing is shown."""
_RANKING_TAU = 0.8
_MIN_TRIALS = 20
_MIN_TRIALS_PER_PARAMETER = 2
_RANKED_TRIALS_PER_PARAMETER = 3
_MIN_ACTIVE = 10
_MIN_ACTIVE_FRACTION = 1 / 3


def r_squared(values_N: Floats, predicted_N: Floats) -> float:
    """Return 1 - Σ (y - ŷ)² / Σ (y - mean y)²: 1 if every prediction is exact, below 0 if the mean predicts better.

    Values that are all equal have R² 0.
    """
    scale = float(np.abs(values_N).max())  # squares of values near 1e300 would overflow
    if scale == 0:
        return 0.0
    scaled_N = values_N / scale
    total = float(np.square(scaled_N - scaled_N.mean()).sum())
    return 1 - float(np.square(scaled_N - predicted_N / scale).sum()) / total if total > 0 else 0.0


def n_needed(n_parameters: int) -> int:
    """Return the number of trials below which nothing is said of the parameters."""
    return max(_MIN_TRIALS, _MIN_TRIALS_PER_PARAMETER * n_parameters)


def n_active_needed(n_trials: int) -> int:
    """Return the number of trials with a parameter below which nothing is said of it."""
    return max(_MIN_ACTIVE, int(np.ceil(_MIN_ACTIVE_FRACTION * n_trials)))


def is_ranking_agreed(shares_SD: Floats, forest_D: Floats) -> bool:
    """Return whether the ranking is agreed: the same first parameter everywhere, and a mean Kendall's τ of 0.8.

    All kernels and the forest have the same first parameter. τ (b) compares each kernel's shares with their mean.
    Without a parameter there is no ranking.

    Args:
        shares_SD: each kernel's shares of the parameters that enough trials have.
        forest_D: the forest's shares of the same parameters.
    """
    from scipy.stats import kendalltau

    n_parameters: int = shares_SD.shape[1]
    if n_parameters < 2:
        return n_parameters == 1
    if len(np.unique(np.vstack([shares_SD, forest_D]).argmax(axis=1))) > 1:
        return False
    mean_D = shares_SD.mean(axis=0)
    # τ is undefined where all shares are equal: then there is nothing to agree on.
    taus = [float(kendalltau(share_D, mean_D)[0]) for share_D in shares_SD]
    return bool(np.nan_to_num(taus, nan=1.0).mean() >= _RANKING_TAU)


def reliability(r2: float, n_trials: int, n_parameters: int, *, is_agreed: bool) -> Reliability:
    """Return how far the effects can be trusted.

    R² measures the model where the trials are. A sampler that refines one region leaves the rest of the space to
    guesses, on which the kernels differ. In 60 `bayes` studies of 32 or 50 trials with known effects, the parameter
    with the largest share was right in 68 %, with R² alone in 67 %, and in all nine where the kernels agreed on it as
    well. The kernels need to agree on the whole ranking too, and there must be three trials for each parameter: of 24
    quasi-random studies of 32 trials with 15 parameters, five agreed, and three of these had a τ below 0.6 with the
    truth, at an R² of up to 0.96.
    The kernels share their assumptions, so a forest is asked too. Of 25 records of 30 to 50 `bayes` trials with R² of
    0.85 or more, the first parameter was right in all nine where the forest names the same one, and in 8 of the other
    16. In one of these the kernels agreed on a wrong one.

    Args:
        r2: leave-one-out R².
        n_trials: the number of trials with a score.
        n_parameters: the number of parameters that vary.
        is_agreed: :func:`is_ranking_agreed`.
    """
    if n_trials < n_needed(n_parameters) or not r2 >= PROVISIONAL_R2:
        return Reliability.UNKNOWN
    is_ranked = is_agreed and n_trials >= _RANKED_TRIALS_PER_PARAMETER * n_parameters
    return Reliability.RELIABLE if r2 >= RELIABLE_R2 and is_ranked else Reliability.PROVISIONAL
