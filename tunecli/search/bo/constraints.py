"""Where constraints hold: a model of each one's value, and the chance that all hold at a point.

Gardner, Kusner, Xu, Weinberger, Cunningham (2014), "Bayesian Optimization with Inequality Constraints": a Gaussian
process for each constraint, and the chance that it is held, which multiplies the acquisition. Unlike a failure, a
broken constraint has told by how much. Pure; knows rows and numbers only.

Axes: N trials, C constraints, P pending trials, M others, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo import gaussian_process

Floats = NDArray[np.float64]

_LEAST_KNOWN = 2  # values of a constraint; one of them alone tells nothing of where it holds
_N_KERNELS = 2


LIKELY = math.log(0.5)
"""From this log chance on, more likely than not."""


def excesses_of(told: Sequence[Sequence[float]]) -> Floats:
    """How far each trial exceeds each constraint, (N, C): 0 or less where it holds, NaN where it is not known.

    Args:
        told: each trial's excesses; an empty one where nothing is known of them.
    """
    n_constraints = max(map(len, told), default=0)
    found_NC = np.full((len(told), n_constraints), np.nan)
    for place, excesses in enumerate(told):
        found_NC[place, : len(excesses)] = excesses
    return np.where(np.isfinite(found_NC), found_NC, np.nan)


def without_unknown(excesses_NC: Floats) -> Floats:
    """The constraints of which enough is known to tell where they hold."""
    found_NC: Floats = excesses_NC[:, np.isfinite(excesses_NC).sum(axis=0) >= _LEAST_KNOWN]
    return found_NC


def holds(excesses_NC: Floats) -> NDArray[np.bool_]:
    """Which trials hold every constraint, (N,); what is not known does not."""
    found_N: NDArray[np.bool_] = np.all(excesses_NC <= 0, axis=1)
    return found_N


def merits(losses: Sequence[float], excesses_NC: Floats) -> list[int]:
    """The place of each trial from the best on, from 0: those that hold all constraints by their losses, and then the
    others by how much they break them in all, each constraint's excess as a share of the largest."""
    over_NC = np.where(np.isnan(excesses_NC), np.inf, np.maximum(excesses_NC, 0.0))
    finite_NC = np.where(np.isfinite(over_NC), over_NC, 0.0)
    most_C = finite_NC.max(axis=0)
    broken_N = (over_NC / np.where(most_C > 0, most_C, 1.0)).sum(axis=1)
    order_N = np.lexsort((losses, broken_N))
    places = np.empty(len(order_N), np.intp)
    places[order_N] = np.arange(len(order_N))
    found: list[int] = places.tolist()
    return found


def log_chance_to_satisfy(
    rows_NF: Floats,
    excesses_NC: Floats,
    pending_PF: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
) -> Callable[[Floats], Floats]:
    """A function from rows, (M, F), to the log of the chance that a trial there holds all constraints, (M,).

    The mean over kernels for each constraint, of which each is taken to be held apart from the others. A constraint of
    which next to nothing is known is left out. 0 everywhere where there are none.
    """
    models = []
    for excess_N in without_unknown(excesses_NC).T:
        is_known_N = np.isfinite(excess_N)
        values_N = bent(excess_N[is_known_N])
        center, scale = values_N.mean(), values_N.std() or 1.0
        standard_N = (values_N - center) / scale
        model = gaussian_process.fitted(rows_NF[is_known_N], standard_N, groups_F, _N_KERNELS, generator)
        models.append((model.believing(pending_PF), -center / scale))

    def log_chance(rows_MF: Floats) -> Floats:
        from scipy.special import log_ndtr, logsumexp

        total_M = np.zeros(len(rows_MF))
        for model, bound in models:
            mean_SM, deviation_SM = model.predict(rows_MF)
            log_SM = log_ndtr((bound - mean_SM) / deviation_SM)
            total_M += logsumexp(log_SM, axis=0) - np.log(len(log_SM))
        return total_M

    return log_chance


def bent(excesses_N: Floats) -> Floats:
    """The excesses on a scale on which their bound, 0, is told apart best: sign(e) log(1 + |e| / their median size).

    Eriksson, Poloczek (2021), "Scalable Constrained Bayesian Optimization", section 3.2 (the bilog transformation); the
    median makes it independent of the metric's unit.
    """
    sizes_N = np.abs(excesses_N)
    unit = float(np.median(sizes_N[sizes_N > 0])) if (sizes_N > 0).any() else 1.0
    found_N: Floats = np.sign(excesses_N) * np.log1p(sizes_N / unit)
    return found_N
