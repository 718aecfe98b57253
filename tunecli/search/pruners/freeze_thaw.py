"""What to continue and what to begin, by one model of configurations and of how far each was trained.

What is worth most at the end of training, for the epochs that it takes to get there, is done next: a paused trial is
continued, or the best new point begun. What is believed of the ends is told by `ends`. Where trials fail or break a
constraint, both are worth as much less as is likely. Some trials are not asked what they show on the way: `unpaused`. A
pure function of the courses (law 1).

Axes: W trials, M candidates, D parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from tunecli.config.space import Space
from tunecli.registry.pruners import Curves
from tunecli.search.bo.acquisition import ACQUISITIONS, Acquisition, log_user_prior
from tunecli.search.bo.acquisition_optimizer import (
    exclude_repeats,
    is_large_model,
    ranked_candidates,
    to_points,
)
from tunecli.search.bo.encoding import Floats, features
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
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS, is_exhausted, propose
from tunecli.search.fidelity import Choice, Curve, proposed
from tunecli.search.pruners.full_fidelity import in_full, is_unpaused
from tunecli.search.samplers.bayes import n_initial
from tunecli.seeding import generator_for
from tunecli.trial import State

_LEAST_CHANCE = 0.05  # of ending best: below it nothing is continued once no trial may be begun any more


def curves(
    knob: Curves,
    courses: Sequence[Curve],
    levels: Sequence[float],
    space: Space,
    seed: int,
    /,
    *,
    may_begin: bool,
) -> Choice | None:
    """The next step: see the module, and :func:`tunecli.search.pruners.promotion.choose`.

    The first trials are the sampler's, until two different losses are known. Once none may be begun any more, paused
    ones are continued that are not unlikely to end best.
    """
    number = len(courses)
    may_begin = may_begin and not is_exhausted(space, proposed(courses))
    known = known_losses(courses, len(levels))
    is_modelled = len({each.loss for each in known}) >= 2 and len(space.parameters) <= MAX_SOBOL_DIMENSIONS
    if not is_modelled or (may_begin and number < n_initial(space)):
        return Choice(None, 0) if may_begin else _next_in_line(courses)
    with deterministic_blas():
        return _most_promising(space, courses, known, levels, seed, may_begin)


def _next_in_line(courses: Sequence[Curve]) -> Choice | None:
    """Where no model can tell: the first one that is paused."""
    return next((_continued(course) for course in courses if course.is_paused), None)


def _continued(course: Curve) -> Choice:
    return Choice(course.number, course.level + 1)


def _most_promising(
    space: Space,
    courses: Sequence[Curve],
    known: Sequence[KnownLoss],
    levels: Sequence[float],
    seed: int,
    may_begin: bool,
) -> Choice | None:
    number, draw = len(courses), partial(generator_for, seed, len(courses))
    evidence = curve_data(space, courses, known, levels)
    if may_begin and is_unpaused(space, number):
        choice = in_full(space, courses, len(levels), evidence, seed)
        if choice is not None:
            return choice
    # A wary model, where a turn asks for one, would have to learn the curves with the joint effect: it does worse.
    ends = fit_final_loss_model(evidence, SURROGATES["gp"].default, draw)
    paused = [course for course in courses if course.is_paused]
    if not may_begin:
        is_any_complete = any(course.state is State.COMPLETE for course in courses)
        log_chance_W = ends.log_probability_best(evidence.paused_WF)
        return _last_hope(paused, log_chance_W, is_any_complete=is_any_complete)
    ended_N = evidence.warping.values[
        (evidence.log10_remaining_N == 0.0) & is_feasible(evidence.violations_NC)
    ]
    # Trials came to their end since a model wanted it, so of these none counts as an initial one.
    turn = ACQUISITIONS["mixed"].at(len(known), ended_N)
    ranked_MD, best_score = _ranked(space, evidence, ends, turn.acquisition, number, draw)
    # What is worth most, for the share of a training that it still takes.
    costs_W = np.array([1.0 - levels[course.level] for course in paused])
    scores_W = ends.score(evidence.paused_WF, turn.acquisition) - np.log(costs_W)
    wanted = paused[int(np.argmax(scores_W))] if paused else None
    if wanted is not None and scores_W.max() >= best_score:
        return _continued(wanted)
    return Choice(None, 0, propose(space, proposed(courses), number, seed, to_points(space, ranked_MD)))


def _ranked(
    space: Space, evidence: CurveData, ends: FinalLossModel, worth: Acquisition, number: int, draw: Streams
) -> tuple[Floats, float]:
    """The candidates for a new trial, (M, D), and what the first one is worth."""
    encoding, begun_WF = evidence.encoding, evidence.begun_WF
    expect = log_user_prior(space, number)

    def score(units_MD: Floats) -> Floats:
        rows_MF = features(encoding, units_MD)
        return exclude_repeats(ends.score(rows_MF, worth) + expect(units_MD), rows_MF, evidence.tried_TF)

    # First by how unlikely it is that they hold, as far as that is less than even, and then by the loss.
    unlikely_W = np.maximum(LOG_HALF - ends.log_feasible(begun_WF), 0.0)
    order_W = np.lexsort((ends.mean(begun_WF), unlikely_W))
    best_WD, is_large = evidence.begun_units_WD[order_W], is_large_model(evidence.rows_NF)
    ranked_MD = ranked_candidates(encoding, score, best_WD, draw("candidates"), is_large=is_large)
    return ranked_MD, float(score(ranked_MD[:1])[0])


def _last_hope(paused: Sequence[Curve], log_chance_W: Floats, *, is_any_complete: bool) -> Choice | None:
    """The paused trial that is most likely to end best; None where that is unlikely."""
    if not paused:
        return None
    place = int(np.argmax(log_chance_W))
    if is_any_complete and log_chance_W[place] < np.log(_LEAST_CHANCE):
        return None
    return _continued(paused[place])
