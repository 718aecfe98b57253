"""The pruner `curves`: continue a paused trial or begin a new one, by the acquisition for each unit of cost.

After Swersky, Snoek, Adams (2014), "Freeze-Thaw Bayesian Optimization". One model of points and fidelities predicts the
final loss of every trial (`final_loss_model`). The value of an action is the acquisition at the end of the trial,
weighted by the probability of feasibility, and divided by the epochs that are left to that end. The next action depends
only on the curves and the seed (record-is-the-state).

Every third new trial is a full-fidelity one (`full_fidelity`).

Axes: N known losses, W trials, T all that were begun, M candidates, D parameters, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tunecli.config.space import Space
from tunecli.registry.pruners import Curves
from tunecli.search.bo.acquisition import ACQUISITIONS, Acquisition, has_stalled
from tunecli.search.bo.acquisition_optimizer import (
    exclude_repeats,
    feasibility_of,
    is_large_model,
    ranked_candidates,
    to_points,
)
from tunecli.search.bo.encoding import Floats, features, units_of_points
from tunecli.search.bo.feasibility import LOG_HALF, is_feasible
from tunecli.search.bo.final_loss_model import (
    CurveData,
    FinalLossModel,
    KnownLoss,
    curve_data,
    fit_final_loss_model,
    known_losses,
)
from tunecli.search.bo.posterior import Streams, deterministic_blas
from tunecli.search.bo.surrogate import SURROGATES
from tunecli.search.bo.user_prior import (
    N_JUDGED,
    NO_EVIDENCE,
    PriorEvidence,
    evidence_on_priors,
    has_user_prior,
    log_user_prior,
)
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, is_exhausted, propose
from tunecli.search.fidelity import Action, Curve, begun
from tunecli.search.pruners.full_fidelity import full_fidelity_action, full_fidelity_trials, n_sampler_trials
from tunecli.seeding import generator_for
from tunecli.trial import Observation, State

_MIN_PROBABILITY_BEST = 0.05  # below it a paused trial is not continued once no trial may be begun


def freeze_thaw(
    settings: Curves,
    curves: Sequence[Curve],
    fractions: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Action | None:
    """Return the next action; see :class:`tunecli.search.protocols.PausingPruner`.

    The sampler proposes the first trials, at least until there are :func:`n_sampler_trials` trials and two different
    losses are known. Once no trial may be begun, the paused trial that most probably ends best is continued, as long as
    this probability is at least 5 % or no trial is complete.
    """
    number = len(curves)
    may_begin = may_begin and not is_exhausted(space, begun(curves))
    known = known_losses(curves, len(fractions))
    is_modelled = len({item.loss for item in known}) >= 2 and len(space.parameters) <= MAX_SOBOL_DIMENSIONS
    if not is_modelled or (may_begin and number < n_sampler_trials(space)):
        return Action(None, 0) if may_begin else _continue_first(curves)
    with deterministic_blas():
        return _best_action(space, curves, known, fractions, seed, may_begin)


def full_trainings(
    settings: Curves, fractions: Sequence[float], space: Space, n_trials: int
) -> tuple[float, float]:
    """Return how many full trainings ``n_trials`` trials take, at least and at most.

    The model decides how many trials are trained to their end: at least the full-fidelity ones, at least one, and at
    most all.

    Args:
        settings: of the pruner.
        fractions: the rungs as fractions of a full training; the last one is 1.
        space: the space of the trials.
        n_trials: the number of trials that are begun.
    """
    n_full = max(len(full_fidelity_trials(space, n_trials)), 1)
    return n_full + (n_trials - n_full) * fractions[0], float(n_trials)


def _best_action(
    space: Space,
    curves: Sequence[Curve],
    known: Sequence[KnownLoss],
    fractions: Sequence[float],
    seed: int,
    may_begin: bool,
) -> Action | None:
    number, streams = len(curves), partial(generator_for, seed, len(curves))
    data = curve_data(space, curves, known, fractions)
    if may_begin and number in full_fidelity_trials(space, number + 1):
        action = full_fidelity_action(space, curves, len(fractions), data, seed)
        if action is not None:
            return action
    model = fit_final_loss_model(data, SURROGATES["gp"].conservative, streams)
    paused = [curve for curve in curves if curve.is_paused]
    if not may_begin:
        is_any_complete = any(curve.state is State.COMPLETE for curve in curves)
        log_probability_W = model.log_probability_best(data.paused_WF)
        return _continue_likely_best(paused, log_probability_W, is_any_complete=is_any_complete)
    is_final_N = (data.log10_remaining_N == 0.0) & is_feasible(data.violations_NC)
    # Every complete trial was chosen by a model, so none of these losses is passed as that of an initial trial.
    is_stalled = has_stalled(data.warping.values_N[is_final_N])
    acquisition = ACQUISITIONS["mixed"].at(len(known), is_stalled=is_stalled)
    log_prior = log_user_prior(space, number, _evidence(space, curves, data, model))
    ranked_MD, best_score = _ranked_candidates(space, data, model, acquisition, log_prior, streams)
    # The scores are logarithms: this divides the acquisition by the fraction of a full training that is left. For a
    # new trial this fraction is 1.
    costs_W = np.array([1.0 - fractions[curve.rung] for curve in paused])
    scores_W = model.score(data.paused_WF, acquisition) - np.log(costs_W)
    best_paused = paused[int(np.argmax(scores_W))] if paused else None
    if best_paused is not None and scores_W.max() >= best_score:
        return _continue(best_paused)
    return Action(None, 0, propose(space, begun(curves), number, seed, to_points(space, ranked_MD)))


def _ranked_candidates(
    space: Space,
    data: CurveData,
    model: FinalLossModel,
    acquisition: Acquisition,
    log_prior: Callable[[Floats], Floats],
    streams: Streams,
) -> tuple[Floats, float]:
    """Return the candidates for a new trial, (M, D), the best first, and the score of the first (-inf without any)."""

    def score(units_MD: Floats) -> Floats:
        rows_MF = features(data.encoding, units_MD)
        scores_M = model.score(rows_MF, acquisition) + log_prior(units_MD)
        return exclude_repeats(scores_M, rows_MF, data.tried_TF)

    # Likely feasible trials first, by their predicted losses; then the others, by their probability of feasibility.
    log_infeasible_W = np.maximum(LOG_HALF - model.log_feasible(data.begun_WF), 0.0)
    order_W = np.lexsort((model.mean(data.begun_WF), log_infeasible_W))
    best_WD, is_large = data.begun_units_WD[order_W], is_large_model(data.rows_NF)
    ranked_MD = ranked_candidates(
        data.encoding,
        score,
        best_WD,
        streams("candidates"),
        is_large=is_large,
        is_feasible=feasibility_of(space),
    )
    return ranked_MD, float(score(ranked_MD[:1])[0]) if len(ranked_MD) else -math.inf


def _evidence(space: Space, curves: Sequence[Curve], data: CurveData, model: FinalLossModel) -> PriorEvidence:
    """Return the evidence for or against the user's priors, by the predicted final losses of the first trials.

    The predictions make trials of different rungs comparable.
    """
    if not has_user_prior(space):
        return NO_EVIDENCE
    first = curves[:N_JUDGED]
    rows_WF = features(data.encoding, units_of_points(space, (curve.parameters for curve in first)))
    judged = [
        Observation(curve.number, curve.parameters, curve.state, loss if _is_known(curve) else None)
        for curve, loss in zip(first, model.mean(rows_WF).tolist(), strict=True)
    ]
    return evidence_on_priors(space, judged)


def _is_known(curve: Curve) -> bool:
    """Return whether a trial has a loss and did not fail."""
    return curve.state is not State.FAILED and (bool(curve.losses) or curve.loss is not None)


def _continue(curve: Curve) -> Action:
    return Action(curve.number, curve.rung + 1)


def _continue_first(curves: Sequence[Curve]) -> Action | None:
    """Continue the paused trial with the lowest number."""
    return next((_continue(curve) for curve in curves if curve.is_paused), None)


def _continue_likely_best(
    paused: Sequence[Curve], log_probability_W: Floats, *, is_any_complete: bool
) -> Action | None:
    """Continue the paused trial that most probably ends best; None if that is improbable and a trial is complete."""
    if not paused:
        return None
    index = int(np.argmax(log_probability_W))
    if is_any_complete and log_probability_W[index] < np.log(_MIN_PROBABILITY_BEST):
        return None
    return _continue(paused[index])
