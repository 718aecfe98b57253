"""The full-fidelity trials of `curves`: proposed by `bayes` from final losses only, and trained to their end at once.

Early losses can mislead: trials that learn slowly, for example with strong regularisation, are never begun or promoted,
so their good final losses stay unknown. So after many trials, every third new one is a full-fidelity trial. Early
losses, the unreliable source, determine a share of the search and do not influence the rest (after Mikkola, Martinelli,
Filstroff, Kaski (2023), "Multi-Fidelity Bayesian Optimization with Unreliable Information Sources").

`bayes` performs badly if all trials it knows are in one corner, as the trials that `curves` completes mostly are. So
it also gets the initial trials, which cover the space, with their predicted final losses. These predictions are based
on early losses too, but only on those of a few points, which no early loss influenced. With the predictions of all
paused trials, `bayes` finds worse points.

On the LCBench surrogate (`tests/benchmarks/lcbench.py`) full-fidelity trials reduce the regret within 50 full trainings
by a third, and do not change it measurably within ten and twenty.

Axes: W trials, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import ACQUISITIONS
from tunecli.search.bo.acquisition_optimizer import is_repeat
from tunecli.search.bo.encoding import features, units_of_points
from tunecli.search.bo.final_loss_model import CurveData, fit_final_loss_model
from tunecli.search.bo.posterior import can_fit
from tunecli.search.bo.surrogate import SURROGATES
from tunecli.search.bo.user_prior import evidence_on_priors
from tunecli.search.draws import propose
from tunecli.search.fidelity import Action, Curve, begun
from tunecli.search.samplers.bayes import ModelSettings, model_draws, n_initial
from tunecli.seeding import generator_for, seed_for
from tunecli.trial import Observation, State

_EVERY = 3  # every third new trial: full-fidelity trials then take about half of all epochs
# They begin after this number times (parameters + 1) trials: before that, too few are complete for `bayes` to do well.
_AFTER = 4


def full_fidelity_trials(space: Space, n_trials: int) -> range:
    """Return the numbers of the full-fidelity trials among the first ``n_trials``."""
    return range(_AFTER * (len(space.parameters) + 1), n_trials, _EVERY)


def n_sampler_trials(space: Space) -> int:
    """Return the number of trials before the model is used. Fewer than those of `bayes`: each has a whole curve.

    It is not `n_initial_of` of the registry, which counts the trials that a *sampler* suggests without results. The
    study's sampler, of any kind, proposes these trials, and this pruner all later ones.
    """
    return max(4, min(len(space.parameters) - 2, 16))


def full_fidelity_action(
    space: Space, curves: Sequence[Curve], n_rungs: int, data: CurveData, seed: int
) -> Action | None:
    """Train the point that `bayes` suggests to its end: as a new trial, or the paused trial that is already there.

    None if `bayes` cannot fit a model to the final losses.
    """
    number, own_seed = len(curves), seed_for(seed, "unpaused")
    predicted = _predicted_initial_losses(space, curves, data, own_seed)
    observations = final_observations(curves, n_rungs, predicted)
    if not can_fit(space, observations):
        return None
    settings = ModelSettings(SURROGATES["gp"], ACQUISITIONS["mixed"], n_initial(space))
    evidence = evidence_on_priors(space, observations)
    draws = model_draws(space, observations, number, own_seed, settings, evidence)
    first = next(draws)
    row_1F = features(data.encoding, units_of_points(space, [first]))
    paused = [curve for curve in curves if curve.is_paused]
    (is_same_W,) = is_repeat(row_1F, data.paused_WF)
    if is_same_W.any():
        return Action(paused[int(np.argmax(is_same_W))].number, n_rungs - 1)
    point = propose(space, begun(curves), number, seed, chain((first,), draws))
    return Action(None, n_rungs - 1, point)


def final_observations(
    curves: Sequence[Curve], n_rungs: int, predicted: Mapping[int, float]
) -> list[Observation]:
    """Return the trials as `bayes` sees them for a full-fidelity trial: complete, failed, running, and predicted ones.

    Args:
        curves: every trial that was begun, by number.
        n_rungs: the number of rungs.
        predicted: final losses by the numbers of paused trials. Their violations at the end are unknown.
    """
    observations = []
    for curve in curves:
        number, point = curve.number, curve.parameters
        if not curve.is_paused:
            state = State.PAUSED if curve.state is State.WAITING and curve.losses else curve.state
            violations = curve.violations_at(n_rungs - 1) if state is State.COMPLETE else ()
            observations.append(Observation(number, point, state, curve.loss, (), violations))
        elif number in predicted:
            observations.append(Observation(number, point, State.PAUSED, predicted[number]))
    return observations


def _predicted_initial_losses(
    space: Space, curves: Sequence[Curve], data: CurveData, seed: int
) -> Mapping[int, float]:
    """Return the predicted final losses of the paused trials among the initial ones, by number."""
    initial = [
        curve
        for curve in curves[: n_sampler_trials(space)]
        if curve.is_paused and math.isfinite(curve.losses[curve.rung])
    ]
    if not initial:
        return {}
    streams = partial(generator_for, seed, len(curves), "ends")
    model = fit_final_loss_model(data, SURROGATES["gp"].conservative, streams)
    rows_WF = features(data.encoding, units_of_points(space, (curve.parameters for curve in initial)))
    losses_W = data.warping.losses(model.mean(rows_WF))
    return {curve.number: float(loss) for curve, loss in zip(initial, losses_W, strict=True)}
