"""How much a trial at a point is worth, told by models of the trials so far.

An acquisition takes several models' predictions (the kernels a Gaussian process is weighed over, or one forest)
and returns a score whose order counts, on a logarithmic scale: far from the best the plain values are 0 to the
last bit, and a search cannot climb on zeros (Ament, Daulton, Eriksson, Balandat, Bakshy (2023), "Unexpected
Improvements to Expected Improvement for Bayesian Optimization"). On that scale the chance that a trial does not
fail, and what a person expects of a point, are added. Pure; knows neither spaces nor trials.

Axes: S models, M points, N losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Acquisition = Callable[[Floats, Floats, Floats], Floats]
"""(means of shape (S, M), deviations (S, M), each model's best so far (S,)) → scores (M,)."""

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
# Chosen by reasoning, and kept since sweeps that had stuck came free; other values near them were not told apart.
_BOLD_SHARE = 0.25
_LEAST_LEAD = 0.5  # the best lies above the mean where trials that break a constraint are better
_N_LATEST = 8
_LEAST_GAIN = 0.1


def log_expected_improvement(mean_SM: Floats, deviation_SM: Floats, best_S: Floats) -> Floats:
    """The logarithm of the expected improvement (Jones, Schonlau, Welch 1998), summed over the models."""
    from scipy.special import logsumexp

    z_SM = (best_S[:, None] - mean_SM) / deviation_SM
    scores_M: Floats = logsumexp(log_h(z_SM) + np.log(deviation_SM), axis=0)
    return scores_M


def log_probability_of_improvement(mean_SM: Floats, deviation_SM: Floats, best_S: Floats) -> Floats:
    """The logarithm of the chance of any improvement (Kushner 1964), summed over the models."""
    from scipy.special import log_ndtr, logsumexp

    scores_M: Floats = logsumexp(log_ndtr((best_S[:, None] - mean_SM) / deviation_SM), axis=0)
    return scores_M


def optimism(mean_SM: Floats, deviation_SM: Floats, best_S: Floats, confidence: float = 2.0) -> Floats:
    """In the order of the mean lower confidence bound (Cox, John 1992), bent to a logarithmic scale.

    ``confidence`` is how many deviations below the mean the bound lies.
    """
    below_M = (best_S[:, None] - mean_SM + confidence * deviation_SM).mean(axis=0)
    scores_M: Floats = np.where(below_M > -30, np.log(np.logaddexp(0.0, np.maximum(below_M, -30.0))), below_M)
    return scores_M


def log_bold_improvement(mean_SM: Floats, deviation_SM: Floats, best_S: Floats) -> Floats:
    """The logarithm of the expected improvement on a target below the best: by a quarter of its lead over the mean.

    What betters the best for certain but by little is worth next to nothing, what betters it by much with a small
    chance is worth that chance. Targets below the best are those of Jones (2001), "A Taxonomy of Global Optimization
    Methods Based on Response Surfaces", section 6, there for the probability of improvement. The mean of the losses
    that the models are fitted to is 0; no lead counts less than half a deviation of them.
    """
    lead_S = np.maximum(-best_S, _LEAST_LEAD)
    return log_expected_improvement(mean_SM, deviation_SM, best_S - _BOLD_SHARE * lead_S)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one trial asks.

    Attributes:
        worth: of a point.
        is_wary: whether of a model that is less sure of what lies between the trials.
    """

    worth: Acquisition
    is_wary: bool = False


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What trials ask in turn.

    Attributes:
        usual: as long as the search gets on.
        stalled: once the latest trials bettered the best by next to nothing.
    """

    usual: tuple[Turn, ...]
    stalled: tuple[Turn, ...]

    def at(self, number: int, values_N: Floats, n_initial: int = 0) -> Turn:
        """The one of trial or step ``number``; the rest is :func:`has_stalled`'s."""
        turns = self.stalled if has_stalled(values_N, n_initial) else self.usual
        return turns[number % len(turns)]


def has_stalled(values_N: Floats, n_initial: int = 0) -> bool:
    """Whether the latest eight losses bettered the best by less than a tenth of a deviation of all of them.

    Args:
        values_N: by the numbers of their trials, on the scale of the models; where these are fitted to a part of a
            long record, that part's.
        n_initial: how many of the trials no model asked for; they are no progress and no lack of it.
    """
    if len(values_N) < max(n_initial, 1) + _N_LATEST:
        return False
    return bool(values_N[:-_N_LATEST].min() - values_N.min() < _LEAST_GAIN)


def _always(worth: Acquisition) -> Portfolio:
    return Portfolio((Turn(worth),), (Turn(worth),))


_NEAR, _FAR = partial(optimism, confidence=1.0), partial(optimism, confidence=3.0)
_EXPECTED = Turn(log_expected_improvement)

ACQUISITIONS: Mapping[str, Portfolio] = MappingProxyType(
    {
        "mixed": Portfolio(
            usual=(_EXPECTED, Turn(_NEAR, is_wary=True), _EXPECTED, Turn(_FAR, is_wary=True)),
            stalled=(_EXPECTED, Turn(log_bold_improvement), _EXPECTED, Turn(_FAR)),
        ),
        "ei": _always(log_expected_improvement),
        "lcb": _always(optimism),
        "pi": _always(log_probability_of_improvement),
    }
)
"""What ``search.sampler.acquisition`` may be.

Expected improvement alone stays where it once was best: of two basins it polishes the better known one for ever. Every
other trial is optimistic instead, near and far in turn; a portfolio does better than its members (Hoffman, Brochu, de
Freitas (2011), "Portfolio Allocation for Bayesian Optimization"), and turns, unlike a gain that is learnt, need no
state. Near the best is where expected improvement goes too, so once that pays nothing any more the near turn is given
to what might better the best by much. Before, the optimistic turns ask a wary model: the usual one takes what
parameters do together to reach far, which is so of most hyper-parameters, and where it is not so it is sure of ground
that no trial was near. A search that has stalled asks the usual one again, which alone tells of ground far from all
trials what is worth one: with a wary model all of it looks alike.
"""


def log_h(z: Floats) -> Floats:
    """log(φ(z) + z Φ(z)) without cancellation: Ament et al. (2023), equation 9 with its limits."""
    from scipy.special import erfcx, ndtr

    near = np.maximum(z, -1.0)
    above = np.log(np.exp(-0.5 * near**2 - _LOG_ROOT_2_PI) + near * ndtr(near))
    far = np.minimum(z, -1.0)
    scaled = math.sqrt(math.pi / 2) * far * erfcx(-far / math.sqrt(2))  # -1 + 1/z² - …
    rest = np.where(far > -1e3, np.log(np.maximum(1.0 + scaled, 1e-300)), -2 * np.log(-far))
    found: Floats = np.where(z > -1.0, above, -0.5 * far**2 - _LOG_ROOT_2_PI + rest)
    return found
