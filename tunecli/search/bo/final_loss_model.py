"""What the courses of trials make `curves` believe of their ends.

The losses of paused trials and of complete ones are values of one function of a configuration and a level, and a
Gaussian process over both tells how each trial would end: the place of freeze-thaw's curve kernel (Swersky, Snoek,
Adams (2014), "Freeze-Thaw Bayesian Optimization") is taken by a level as one more input (Kandasamy, Dasarathy,
Schneider, Póczos (2017), "Multi-fidelity Bayesian Optimisation with Continuous Approximations"), whose length is
learnt. So are each constraint's, and that of where trials fail. A pure function of the courses and of the generators it
is given (law 1).

Axes: N known losses, C constraints, W trials, M candidates, D parameters, F columns of the encoding, S kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import Acquisition, log_probability_of_improvement
from tunecli.search.bo.constraints import (
    LIKELY,
    excesses_of,
    holds,
    log_chance_to_satisfy,
    merits,
    without_unknown,
)
from tunecli.search.bo.encoding import Encoding, Floats, encoding_of, features, units_of_points
from tunecli.search.bo.feasibility import log_chance_to_hold
from tunecli.search.bo.posterior import Draw
from tunecli.search.bo.predicted_trial import PredictedTrial, all_of, opinion_of
from tunecli.search.bo.surrogate import Surrogate
from tunecli.search.bo.training_subset import best_and_spread
from tunecli.search.bo.warping import Warping, warping
from tunecli.search.fidelity import Curve
from tunecli.trial import State

_MAX_KNOWN = 160
_MAX_FAILED = 40


@dataclass(frozen=True, slots=True)
class Known:
    """A trial's loss at a level, and how far it exceeded each constraint there; () where that is not known."""

    course: Curve
    level: int
    loss: float
    excesses: tuple[float, ...]


def known_losses(courses: Sequence[Curve], n_levels: int) -> list[Known]:
    """Each finite loss of each trial."""
    found: list[Known] = []
    for course in courses:
        losses = dict(course.losses)
        if course.loss is not None:
            losses[n_levels - 1] = course.loss
        found += [
            Known(course, level, loss, course.excesses.get(level, ()))
            for level, loss in losses.items()
            if math.isfinite(loss)
        ]
    return found


@dataclass(frozen=True)
class Evidence:
    """What the courses show, as rows.

    Attributes:
        encoding: of the space.
        rows, depths, excesses: of each known loss: (N, F), (N,), (N, C). A depth is how far a level is from the end,
            in powers of ten of the share of training: 0 at the end.
        warping: of the losses, (N,), and back.
        begun: (W, F), each trial once that has one of these losses; ``begun_units`` its units, (W, D).
        paused, pending, tried: (W, F) each; ``tried`` are all there are.
        failed, failed_depths: (W, F), (W,), the latest of those that failed, and how deep they were to come.
        held: (W, F), those complete trials that break no constraint.
    """

    encoding: Encoding
    rows: Floats
    depths: Floats
    warping: Warping
    excesses: Floats
    begun: Floats
    begun_units: Floats
    paused: Floats
    pending: Floats
    tried: Floats
    failed: Floats
    failed_depths: Floats
    held: Floats


def evidence_of(
    space: Space, courses: Sequence[Curve], known: Sequence[Known], levels: Sequence[float]
) -> Evidence:
    """What ``courses`` show, whose losses are ``known``, at least one.

    Args:
        space: where the trials lie.
        courses: every trial that was begun, by number.
        known: their finite losses; the model is fitted to a part of many.
        levels: shares of a full training, the last one 1.
    """
    encoding = encoding_of(space)

    def units_of(some: Sequence[Curve]) -> Floats:
        return units_of_points(space, (course.parameters for course in some))

    def rows_of(some: Sequence[Curve]) -> Floats:
        return features(encoding, units_of(some))

    def depths_of(some: Sequence[int]) -> Floats:
        return np.array([-math.log10(levels[level]) for level in some])

    told = _most_telling(known)
    begun = list({each.course.number: each.course for each in told}.values())
    paused, failed, pending, complete = (
        [course for course in courses if course.state is state]
        for state in (State.PRUNED, State.FAILED, State.WAITING, State.COMPLETE)
    )
    is_held_W = holds(excesses_of([course.excesses_at(len(levels) - 1) for course in complete]))
    return Evidence(
        encoding,
        rows_of([each.course for each in told]),
        depths_of([each.level for each in told]),
        warping(np.array([each.loss for each in told])),
        without_unknown(excesses_of([each.excesses for each in told])),
        rows_of(begun),
        units_of(begun),
        rows_of(paused),
        rows_of(pending),
        rows_of(courses),
        rows_of(failed[-_MAX_FAILED:]),
        depths_of([course.level for course in failed[-_MAX_FAILED:]]),
        rows_of(complete)[is_held_W],
    )


def _most_telling(known: Sequence[Known]) -> list[Known]:
    """All losses, or of too many half the best ones of the furthest levels and half spread over the others.

    Better is, of two at one level, the one that breaks no constraint. In the order of the trials' numbers.
    """
    if len(known) <= _MAX_KNOWN:
        return list(known)
    excesses_NC = without_unknown(excesses_of([each.excesses for each in known]))
    places = merits([each.loss for each in known], excesses_NC)
    in_order = sorted(zip(known, places, strict=True), key=lambda pair: (-pair[0].level, pair[1]))
    ranked = [each for each, _ in in_order]
    return sorted(best_and_spread(ranked, _MAX_KNOWN), key=lambda each: (each.course.number, each.level))


@dataclass(frozen=True)
class FinalLossModel:
    """What is believed of trials that are trained to their end.

    Attributes:
        opinion: of rows at a depth; that a trial holds includes that it does not fail on the way there. The best is
            that of the complete trials that hold or, where none does, of those begun that likely will.
    """

    opinion: PredictedTrial

    def means(self, rows_MF: Floats) -> Floats:
        """The warped losses that are expected at the ends of trials at ``rows_MF``, (M,)."""
        found_M: Floats = self.opinion.model.predict(at_end(rows_MF))[0].mean(axis=0)
        return found_M

    def hold(self, rows_MF: Floats) -> Floats:
        """The log of the chance of each of ``rows_MF`` to hold at its end, (M,)."""
        return self.opinion.hold(at_end(rows_MF))

    def worth(self, rows_MF: Floats, worth: Acquisition) -> Floats:
        """What it is worth to know the ends of trials at ``rows_MF``, (M,)."""
        return self.opinion.worth(at_end(rows_MF), worth)

    def log_chance_to_be_best(self, rows_MF: Floats) -> Floats:
        """The log of the chance of each of ``rows_MF`` to hold and to better the best, (M,)."""
        n_opinions = 1 if self.opinion.best is None else len(self.opinion.best)
        return self.worth(rows_MF, log_probability_of_improvement) - math.log(n_opinions)


def believed(evidence: Evidence, surrogate: Surrogate, draw: Draw) -> FinalLossModel:
    """The belief that the evidence gives. To be called under :func:`tunecli.search.bo.posterior.steady_arithmetic`."""
    encoding, pending_WF = evidence.encoding, at_end(evidence.pending)
    groups_F = np.append(encoding.groups, encoding.groups.max(initial=-1) + 1)
    rows_NF = np.column_stack([evidence.rows, evidence.depths])
    model = surrogate(rows_NF, evidence.warping.values, groups_F, draw("surrogate")).believing(pending_WF)
    satisfy = log_chance_to_satisfy(rows_NF, evidence.excesses, pending_WF, groups_F, draw("constraints"))
    # A trial that failed after a pause had held until then; from there on it fails at every level.
    failed_WF = np.column_stack([evidence.failed, evidence.failed_depths])
    failed_WF = np.vstack([failed_WF[evidence.failed_depths > 0.0], at_end(evidence.failed)])
    hold = all_of(log_chance_to_hold(rows_NF, failed_WF, groups_F, draw("feasibility")), satisfy)
    rivals_WF = at_end(evidence.held)
    if not len(rivals_WF):
        begun_WF = at_end(evidence.begun)
        rivals_WF = begun_WF[hold(begun_WF) > LIKELY]
    return FinalLossModel(opinion_of(model, hold, rivals_WF, pending_WF))


def at_end(rows_MF: Floats) -> Floats:
    """The rows with the depth of a trial's end."""
    return np.column_stack([rows_MF, np.zeros(len(rows_MF))])
