"""Acquisition functions: how useful a trial at a point is, given the surrogate's prediction. Higher is better.

An acquisition takes the predictions of all members of a surrogate, averages over them, and returns scores on a
logarithmic scale: far from the incumbent the plain values underflow to 0, and an optimiser cannot climb on zeros
(Ament, Daulton, Eriksson, Balandat, Bakshy (2023), "Unexpected Improvements to Expected Improvement for Bayesian
Optimization"). On this scale the log-probability of feasibility and the user's prior are added. Only the order of the
scores matters.

*Units*: losses are warped (see `outcome_transforms`): mean 0, standard deviation 1, lower is better.

Axes: S members of a surrogate, M points, N losses.
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
"""(means (S, M), deviations (S, M), each member's incumbent (S,)) → scores (M,)."""

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
# The next four were chosen by reasoning, and kept because stalled sweeps improved. Nearby values made no measurable
# difference.
_TARGET_FRACTION = 0.25
_MIN_LEAD = 0.5  # the incumbent is above the mean if infeasible trials are better
_N_LATEST = 8
_MIN_GAIN = 0.1


def log_expected_improvement(mean_SM: Floats, deviation_SM: Floats, incumbent_S: Floats) -> Floats:
    """Return the log of the expected improvement (Jones, Schonlau, Welch 1998), summed over the members, (M,)."""
    from scipy.special import logsumexp

    z_SM = (incumbent_S[:, None] - mean_SM) / deviation_SM
    scores_M: Floats = logsumexp(log_h(z_SM) + np.log(deviation_SM), axis=0)
    return scores_M


def log_probability_of_improvement(mean_SM: Floats, deviation_SM: Floats, incumbent_S: Floats) -> Floats:
    """Return the log of the probability of improvement (Kushner 1964), summed over the members, (M,)."""
    from scipy.special import log_ndtr, logsumexp

    scores_M: Floats = logsumexp(log_ndtr((incumbent_S[:, None] - mean_SM) / deviation_SM), axis=0)
    return scores_M


def negative_lcb(
    mean_SM: Floats, deviation_SM: Floats, incumbent_S: Floats, confidence: float = 2.0
) -> Floats:
    """Return the log-softplus of (incumbent - lower confidence bound), averaged over the members, (M,).

    The order is that of the negative lower confidence bound (Cox, John 1992); the softplus gives it a log scale.

    Args:
        mean_SM, deviation_SM, incumbent_S: as for every acquisition.
        confidence: how many deviations below the mean the bound is.
    """
    below_M = (incumbent_S[:, None] - mean_SM + confidence * deviation_SM).mean(axis=0)
    scores_M: Floats = np.where(below_M > -30, np.log(np.logaddexp(0.0, np.maximum(below_M, -30.0))), below_M)
    return scores_M


def log_ei_with_target(mean_SM: Floats, deviation_SM: Floats, incumbent_S: Floats) -> Floats:
    """Return the log expected improvement on a target below the incumbent, summed over the members, (M,).

    The distance is a quarter of the incumbent's lead over the mean of the losses, 0; the lead is at least 0.5. A
    certain but small improvement has almost no value, an unlikely large one its probability. Targets below the
    incumbent are those of Jones (2001), "A Taxonomy of Global Optimization Methods Based on Response Surfaces", section
    6, there for the probability of improvement.
    """
    lead_S = np.maximum(-incumbent_S, _MIN_LEAD)
    return log_expected_improvement(mean_SM, deviation_SM, incumbent_S - _TARGET_FRACTION * lead_S)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Acquisitions that trials use in turn.

    Attributes:
        improving: as long as the search makes progress.
        stalled: when the latest trials have hardly improved on the incumbent.
    """

    improving: tuple[Acquisition, ...]
    stalled: tuple[Acquisition, ...]

    def at(self, number: int, *, is_stalled: bool) -> Acquisition:
        """Return the acquisition of trial ``number``; ``is_stalled`` comes from :func:`has_stalled`."""
        turns = self.stalled if is_stalled else self.improving
        return turns[number % len(turns)]


def has_stalled(values_N: Floats, n_initial: int = 0) -> bool:
    """Return whether the latest eight losses improved on the earlier best by less than a tenth of a deviation.

    Args:
        values_N: warped losses, by trial number; of a long record the training subset's.
        n_initial: number of trials that no model chose; they do not count towards the eight.
    """
    if len(values_N) < max(n_initial, 1) + _N_LATEST:
        return False
    return bool(values_N[:-_N_LATEST].min() - values_N.min() < _MIN_GAIN)


def _always(acquisition: Acquisition) -> Portfolio:
    return Portfolio((acquisition,), (acquisition,))


_LCB_1, _LCB_3 = partial(negative_lcb, confidence=1.0), partial(negative_lcb, confidence=3.0)

ACQUISITIONS: Mapping[str, Portfolio] = MappingProxyType(
    {
        "mixed": Portfolio(
            improving=(log_expected_improvement, _LCB_1, log_expected_improvement, _LCB_3),
            stalled=(log_expected_improvement, log_ei_with_target, log_expected_improvement, _LCB_3),
        ),
        "ei": _always(log_expected_improvement),
        "lcb": _always(negative_lcb),
        "pi": _always(log_probability_of_improvement),
    }
)
"""The values of ``search.sampler.acquisition``.

Why ``mixed`` is a portfolio: expected improvement alone keeps refining the better known of two basins. So every other
trial minimises a lower confidence bound, alternately one and three deviations below the mean. A portfolio outperforms
its members (Hoffman, Brochu, de Freitas (2011), "Portfolio Allocation for Bayesian Optimization"), and a fixed order,
unlike learnt gains, needs no state.

Why a stalled search differs: the bound at one deviation chooses points near the incumbent, as expected improvement
does. Once these no longer pay, its turn goes to large, unlikely improvements.
"""


def log_h(z: Floats) -> Floats:
    """Return log(φ(z) + z Φ(z)) without cancellation: Ament et al. (2023), equation 9 with its limits."""
    from scipy.special import erfcx, ndtr

    near = np.maximum(z, -1.0)
    above = np.log(np.exp(-0.5 * near**2 - _LOG_ROOT_2_PI) + near * ndtr(near))
    far = np.minimum(z, -1.0)
    scaled = math.sqrt(math.pi / 2) * far * erfcx(-far / math.sqrt(2))  # -1 + 1/z² - …
    rest = np.where(far > -1e3, np.log(np.maximum(1.0 + scaled, 1e-300)), -2 * np.log(-far))
    log_values: Floats = np.where(z > -1.0, above, -0.5 * far**2 - _LOG_ROOT_2_PI + rest)
    return log_values
