"""What a model of the trials says in the metric's own units: of a trial its value without the noise, and of the next
one by how much it may be expected to better the best.

The model is a mixture of S Gaussian processes on a warped scale. Whatever is told of it is told by quantiles and
chances there, which the way back keeps. A pure function of the record (law 1).

Axes: N trials, M candidates, S kernels, K places of an integral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import log_expected_improvement
from tunecli.search.bo.acquisition_optimizer import ranked_candidates
from tunecli.search.bo.encoding import Floats, features, units_of_points
from tunecli.search.bo.posterior import believed, evidence_of, finite_loss, is_telling, steady_arithmetic
from tunecli.search.bo.surrogate import SURROGATES
from tunecli.search.bo.warping import Warping
from tunecli.search.samplers.bayes import n_initial
from tunecli.seeding import generator_for
from tunecli.trial import Observation, State

_N_PLACES = 64
_FURTHEST = 6.0  # deviations below a mean: what lies beyond is no chance
_N_ASKED = 64  # candidates
_AT_ONCE = 4096  # trials


@dataclass(frozen=True, slots=True)
class Prediction:
    """A loss without its noise: the median, and half the distance between the 16th and the 84th percentile."""

    loss: float
    deviation: float


def forecasts(space: Space, history: Sequence[Observation], seed: int) -> Mapping[int, Prediction]:
    """By number, what the Gaussian process fitted to the complete trials makes of each of them.

    None is told before there are as many as `bayes` would begin with and two of their losses differ, nor in a space
    with more parameters than it searches. It is fitted to a part of a long record, and asked about all of it but the
    trials whose losses are so far out that it was told of them as less bad than they are.

    Args:
        space: where the trials lie.
        history: every trial, by number.
        seed: the study's.
    """
    complete = [o for o in history if o.state is State.COMPLETE and finite_loss(o) is not None]
    if len(complete) < n_initial(space) or not is_telling(space, complete):
        return {}
    found: dict[int, Prediction] = {}
    with steady_arithmetic():
        belief = believed(
            evidence_of(space, complete), SURROGATES["gp"].usual, partial(generator_for, seed, len(history))
        )
        for first in range(0, len(complete), _AT_ONCE):
            part = complete[first : first + _AT_ONCE]
            units_ND = units_of_points(space, (o.parameters for o in part))
            mean_SN, deviation_SN = belief.opinion.model.predict(features(belief.encoding, units_ND))
            # The mixture is taken for one normal with its mean and variance.
            mean_N = mean_SN.mean(axis=0)
            deviation_N = np.sqrt(np.square(deviation_SN).mean(axis=0) + mean_SN.var(axis=0))
            low_N, loss_N, high_N = belief.warping.losses(
                mean_N + np.array([[-1.0], [0.0], [1.0]]) * deviation_N
            )
            half_N = high_N / 2 - low_N / 2
            for observation, loss, half in zip(part, loss_N.tolist(), half_N.tolist(), strict=True):
                if observation.loss is not None and observation.loss <= belief.warping.fence:
                    found[observation.number] = Prediction(loss, half)
    return found


def expected_improvement(
    space: Space, history: Sequence[Observation], number: int, seed: int, *, surrogate: str = "gp"
) -> float | None:
    """By how much trial ``number`` may be expected to be better than the best so far, where that is most.

    In the units of the loss. The best so far is the best that the model holds a trial to be, noise left out. A point
    where trials fail, or break a constraint, promises as much less as is likely.

    Args:
        space, history, number, seed: as for a sampler.
        surrogate: the kind of model; one of `SURROGATES`.

    Returns:
        At least 0; None as long as `bayes` asks no model, or every trial breaks a constraint.
    """
    if number < n_initial(space) or not is_telling(space, history):
        return None
    with steady_arithmetic():
        belief = believed(
            evidence_of(space, history), SURROGATES[surrogate].usual, partial(generator_for, seed, number)
        )
        ranked_MD = ranked_candidates(
            belief.encoding,
            lambda units_MD: belief.score(units_MD, log_expected_improvement),
            belief.best_units,
            generator_for(seed, number, "improvement"),
            few=belief.is_dear,
        )[:_N_ASKED]
        if belief.opinion.best is None:
            return None
        is_new_M = np.isfinite(belief.score(ranked_MD, log_expected_improvement))
        rows_MF = features(belief.encoding, ranked_MD)
        gain_M = _gain(belief.warping, *belief.opinion.model.predict(rows_MF), belief.opinion.best)
        gain_M = np.where(is_new_M, gain_M * np.exp(belief.opinion.hold(rows_MF)), 0.0)
    return float(gain_M.max())


def _gain(warping: Warping, mean_SM: Floats, deviation_SM: Floats, best_S: Floats) -> Floats:
    """E[max(0, g(best) - g(Y))], averaged over the S normals Y, where g is the way back from the warped scale.

    By parts it is the integral of P(Y < t) dg(t) up to the best, whose chances are known.
    """
    from scipy.special import ndtr

    best_S1 = best_S[:, None]
    reach_SM = np.maximum(best_S1 - mean_SM, 0.0) + _FURTHEST * deviation_SM
    shares_K = np.linspace(0.0, 1.0, _N_PLACES + 1)
    places_KSM = best_S1 - shares_K[:, None, None] * reach_SM
    losses_KSM = warping.losses(places_KSM)
    middles_KSM = (places_KSM[1:] + places_KSM[:-1]) / 2
    chances_KSM = ndtr((middles_KSM - mean_SM) / deviation_SM)
    gain_M: Floats = (chances_KSM * (losses_KSM[:-1] - losses_KSM[1:])).sum(axis=0).mean(axis=0)
    return gain_M
