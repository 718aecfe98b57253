"""Predict the final losses of trials from their learning curves, for the pruner `curves`.

The losses of paused and complete trials are values of one function of a point and a fidelity, and one Gaussian process
over both predicts how each trial would end. The fidelity is one more input (Kandasamy, Dasarathy, Schneider, Póczos
(2017), "Multi-fidelity Bayesian Optimisation with Continuous Approximations"), with a length scale that is fitted, in
place of the curve kernel of Swersky, Snoek, Adams (2014), "Freeze-Thaw Bayesian Optimization". The models of the
constraints and of failures have the same input. A pure function of the curves and of the generators it gets
(record-is-the-state).

*Units*: the fidelity is ``log10_remaining``, log10(epochs of a full training / epochs trained): 0 at the end. Losses
are warped.

Axes: N known losses, C constraints, W trials, U failed trials, P pending ones, T all that were begun, M candidates,
D parameters, F columns of the encoding, S kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import Acquisition, log_probability_of_improvement
from tunecli.search.bo.encoding import Encoding, Floats, encoding_of, features, units_of_points
from tunecli.search.bo.feasibility import (
    LOG_HALF,
    feasibility_rank,
    is_feasible,
    known_constraints,
    log_probability_constraints,
    log_probability_success,
    violation_matrix,
)
from tunecli.search.bo.outcome_transforms import Warping, warping
from tunecli.search.bo.posterior import (
    Posterior,
    Streams,
    joint_log_probability,
    with_incumbent,
)
from tunecli.search.bo.surrogate import FitSurrogate
from tunecli.search.bo.training_subset import best_and_spread
from tunecli.search.fidelity import Curve
from tunecli.trial import State

_MAX_KNOWN = 160
_MAX_FAILED = 40


@dataclass(frozen=True, slots=True)
class KnownLoss:
    """A trial's finite loss at a rung, and its violations there; empty if unknown."""

    curve: Curve
    rung: int
    loss: float
    violations: tuple[float, ...]


def known_losses(curves: Sequence[Curve], n_rungs: int) -> list[KnownLoss]:
    """Return every finite loss of every trial."""
    known: list[KnownLoss] = []
    for curve in curves:
        losses = dict(curve.losses)
        if curve.loss is not None:
            losses[n_rungs - 1] = curve.loss
        known += [
            KnownLoss(curve, rung, loss, curve.violations.get(rung, ()))
            for rung, loss in losses.items()
            if math.isfinite(loss)
        ]
    return known


@dataclass(frozen=True)
class CurveData:
    """The curves as arrays.

    Attributes:
        encoding: of the space.
        rows_NF, log10_remaining_N, violations_NC: of each known loss in the training subset.
        warping: of these losses, (N,), and back.
        begun_WF, begun_units_WD: the trials that have one of these losses.
        paused_WF, pending_PF: the paused trials, and those with a result that is not known yet.
        tried_TF: every trial that was begun.
        failed_UF, failed_log10_remaining_U: the latest failed trials, and the rung each was being trained to.
        feasible_WF: the complete trials that violate no constraint.
    """

    encoding: Encoding
    rows_NF: Floats
    log10_remaining_N: Floats
    violations_NC: Floats
    warping: Warping
    begun_WF: Floats
    begun_units_WD: Floats
    paused_WF: Floats
    pending_PF: Floats
    tried_TF: Floats
    failed_UF: Floats
    failed_log10_remaining_U: Floats
    feasible_WF: Floats


def curve_data(
    space: Space, curves: Sequence[Curve], known: Sequence[KnownLoss], rungs: Sequence[float]
) -> CurveData:
    """Return ``curves`` as arrays; of many losses a training subset.

    Args:
        space: the space of the trials.
        curves: every trial that was begun, by number.
        known: their finite losses; at least one.
        rungs: fractions of a full training, ascending, the last one 1.
    """
    encoding = encoding_of(space)

    def units_of(some: Sequence[Curve]) -> Floats:
        return units_of_points(space, (curve.parameters for curve in some))

    def rows_of(some: Sequence[Curve]) -> Floats:
        return features(encoding, units_of(some))

    def log10_remaining(some: Sequence[int]) -> Floats:
        return np.array([-math.log10(rungs[rung]) for rung in some])

    subset = _training_subset(known)
    begun = list({item.curve.number: item.curve for item in subset}.values())
    paused, failed, pending, complete = (
        [curve for curve in curves if curve.state is state]
        for state in (State.PAUSED, State.FAILED, State.WAITING, State.COMPLETE)
    )
    is_feasible_W = is_feasible(violation_matrix([curve.violations_at(len(rungs) - 1) for curve in complete]))
    return CurveData(
        encoding,
        rows_NF=rows_of([item.curve for item in subset]),
        log10_remaining_N=log10_remaining([item.rung for item in subset]),
        violations_NC=known_constraints(violation_matrix([item.violations for item in subset])),
        warping=warping(np.array([item.loss for item in subset])),
        begun_WF=rows_of(begun),
        begun_units_WD=units_of(begun),
        paused_WF=rows_of(paused),
        pending_PF=rows_of(pending),
        tried_TF=rows_of(curves),
        failed_UF=rows_of(failed[-_MAX_FAILED:]),
        failed_log10_remaining_U=log10_remaining([curve.rung for curve in failed[-_MAX_FAILED:]]),
        feasible_WF=rows_of(complete)[is_feasible_W],
    )


def _training_subset(known: Sequence[KnownLoss]) -> list[KnownLoss]:
    """Return all losses or, of more than 160, half the best at the highest rungs and half spread over the others.

    At one rung, feasible trials are better than others. The result is in the order of the trials' numbers and rungs.
    """
    if len(known) <= _MAX_KNOWN:
        return list(known)
    violations_NC = known_constraints(violation_matrix([item.violations for item in known]))
    ranks = feasibility_rank([item.loss for item in known], violations_NC)
    in_order = sorted(zip(known, ranks, strict=True), key=lambda pair: (-pair[0].rung, pair[1]))
    ranked = [item for item, _ in in_order]
    return sorted(best_and_spread(ranked, _MAX_KNOWN), key=lambda item: (item.curve.number, item.rung))


@dataclass(frozen=True)
class FinalLossModel:
    """Predictions of trials that are trained to their end; every method takes rows without a fidelity, (M, F).

    Attributes:
        posterior: of rows with a fidelity, (M, F + 1). Feasibility includes that a trial does not fail before its end.
            The incumbent is the best complete feasible trial or, if there is none, the best likely feasible one.
    """

    posterior: Posterior

    def mean(self, rows_MF: Floats) -> Floats:
        """Return the predicted final losses, warped, (M,)."""
        mean_M: Floats = self.posterior.surrogate.predict(at_full_fidelity(rows_MF))[0].mean(axis=0)
        return mean_M

    def log_feasible(self, rows_MF: Floats) -> Floats:
        """Return the log-probability that a trial ends feasible, (M,)."""
        return self.posterior.log_feasible(at_full_fidelity(rows_MF))

    def score(self, rows_MF: Floats, acquisition: Acquisition) -> Floats:
        """Return the acquisition at full fidelity plus the log-probability of feasibility, (M,)."""
        return self.posterior.score(at_full_fidelity(rows_MF), acquisition)

    def log_probability_best(self, rows_MF: Floats) -> Floats:
        """Return the log-probability that a trial ends feasible and better than the incumbent, (M,)."""
        n_members = 1 if self.posterior.incumbent_S is None else len(self.posterior.incumbent_S)
        return self.score(rows_MF, log_probability_of_improvement) - math.log(n_members)


def fit_final_loss_model(data: CurveData, fit: FitSurrogate, streams: Streams) -> FinalLossModel:
    """Fit the models. Call it inside :func:`tunecli.search.bo.posterior.deterministic_blas`.

    Args:
        data: the curves.
        fit: fits the surrogate.
        streams: random generators by name.
    """
    encoded_F, pending_PF = data.encoding.groups_F, at_full_fidelity(data.pending_PF)
    groups_F = np.append(encoded_F, encoded_F.max(initial=-1) + 1)
    rows_NF = np.column_stack([data.rows_NF, data.log10_remaining_N])
    surrogate = fit(rows_NF, data.warping.values_N, groups_F, streams("surrogate")).fantasize(pending_PF)
    constraints = log_probability_constraints(
        rows_NF, data.violations_NC, pending_PF, groups_F, streams("constraints")
    )
    # A trial that failed on its way to a rung counts as failed there and at its end; at its earlier rungs it succeeded.
    failed_UF = np.column_stack([data.failed_UF, data.failed_log10_remaining_U])
    failed_UF = np.vstack([failed_UF[data.failed_log10_remaining_U > 0.0], at_full_fidelity(data.failed_UF)])
    success = log_probability_success(rows_NF, failed_UF, groups_F, streams("feasibility"))
    log_feasible = joint_log_probability(success, constraints)
    feasible_WF = at_full_fidelity(data.feasible_WF)
    if not len(feasible_WF):
        begun_WF = at_full_fidelity(data.begun_WF)
        feasible_WF = begun_WF[log_feasible(begun_WF) > LOG_HALF]
    return FinalLossModel(with_incumbent(surrogate, log_feasible, feasible_WF, pending_PF))


def at_full_fidelity(rows_MF: Floats) -> Floats:
    """Return the rows with the fidelity of a trial's end, (M, F + 1)."""
    return np.column_stack([rows_MF, np.zeros(len(rows_MF))])
