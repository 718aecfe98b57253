"""What to continue and what to begin, by one model of configurations and of how far each was trained.

The losses of paused trials and of complete ones are values of one function of a configuration and a level, and a
Gaussian process over both tells how each trial would end: the place of freeze-thaw's curve kernel (Swersky, Snoek,
Adams (2014), "Freeze-Thaw Bayesian Optimization") is taken by a level as one more input (Kandasamy, Dasarathy,
Schneider, Póczos (2017), "Multi-fidelity Bayesian Optimisation with Continuous Approximations"), whose length is
learnt; so is each constraint's. What is worth most at the end of training, for the epochs that it takes to get there,
is done next: a paused trial is continued, or the best new point begun. Where constraints break, both are worth as much
less as is likely. A pure function of the courses (law 1).

Axes: N known losses, C constraints, U failed trials, P pending ones, W paused ones, M candidates, D parameters, F
columns, S kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, compress

import numpy as np

from tunecli.search.acquisition import ACQUISITIONS
from tunecli.search.bayes import n_initial
from tunecli.search.belief import steady_arithmetic
from tunecli.search.candidates import ranked_candidates
from tunecli.search.constraints import excesses_of, holds, log_chance_to_satisfy
from tunecli.search.course import Choice, Course
from tunecli.search.encoding import Floats, encoding_of, features, units_of_points
from tunecli.search.expectations import log_expectation
from tunecli.search.feasibility import log_chance_to_hold
from tunecli.search.quasirandom import MAX_DIMENSIONS
from tunecli.search.surrogate import SURROGATES, Model
from tunecli.search.uniform import uniform_draws
from tunecli.search.unseen import propose
from tunecli.search.warping import warped
from tunecli.seeding import generator_for
from tunecli.spec.space import Space, point_of_units
from tunecli.trial import Observation, Parameters, State

_TOO_NEAR = 1e-3  # in every column: nearer than this, a trial repeats another
_N_WISHES = 64
_MAX_KNOWN = 160
_MAX_CELLS = 2_000  # known losses times columns; past it fewer candidates are asked about
_LEAST_CHANCE = 0.05  # of ending best: below it nothing is continued once no trial may be begun any more


def curves(
    space: Space, courses: Sequence[Course], levels: Sequence[float], seed: int, *, may_begin: bool
) -> Choice | None:
    """The next step: see the module, and :func:`tunecli.search.pausing.choose`.

    The first trials are the sampler's, until two different losses are known. Once none may be begun any more, paused
    ones are continued that are not unlikely to end best.
    """
    number = len(courses)
    known = _known(courses, len(levels))
    is_telling = len({loss for _, _, loss in known}) >= 2 and len(space.parameters) <= MAX_DIMENSIONS
    if not is_telling or (may_begin and number < n_initial(space)):
        return Choice(None, 0) if may_begin else _next_in_line(courses)
    with steady_arithmetic():
        return _most_promising(space, courses, known, levels, seed, may_begin)


_Known = tuple[Course, int, float]


def _known(courses: Sequence[Course], n_levels: int) -> list[_Known]:
    """Each finite loss of each trial, with its level."""
    found: list[_Known] = []
    for course in courses:
        losses = dict(course.losses)
        if course.loss is not None:
            losses[n_levels - 1] = course.loss
        found += [(course, level, loss) for level, loss in losses.items() if math.isfinite(loss)]
    return found


def _next_in_line(courses: Sequence[Course]) -> Choice | None:
    """Where no model can tell: the first one that is paused."""
    return next((Choice(each.number, each.level + 1) for each in courses if each.is_paused), None)


def _most_promising(
    space: Space,
    courses: Sequence[Course],
    known: Sequence[_Known],
    levels: Sequence[float],
    seed: int,
    may_begin: bool,
) -> Choice | None:
    number, encoding, draw = len(courses), encoding_of(space), partial(generator_for, seed, len(courses))
    turn, known = len(known), _most_telling(known)

    def rows_of(some: Sequence[Course]) -> Floats:
        return features(encoding, _units(space, some))

    paused, failed, pending, complete = (
        [course for course in courses if course.state is state]
        for state in (State.PRUNED, State.FAILED, State.WAITING, State.COMPLETE)
    )
    with_loss = [course for course, _, _ in known]
    depths_N = np.array([_depth(levels, level) for _, level, _ in known])
    values_N = warped(np.array([loss for _, _, loss in known]))
    rows_NF, failed_UF, pending_PF, paused_WF = map(rows_of, (with_loss, failed, pending, paused))
    groups_F = np.append(encoding.groups, encoding.groups.max(initial=-1) + 1)
    fitted: Model = SURROGATES["gp"].usual(_at(rows_NF, depths_N), values_N, groups_F, draw("surrogate"))
    fitted = fitted.believing(_at(pending_PF, 0.0))
    excesses_NC = excesses_of([course.excesses.get(level, ()) for course, level, _ in known])
    is_held_N = holds(excesses_NC)
    satisfy = log_chance_to_satisfy(
        _at(rows_NF, depths_N), excesses_NC, _at(pending_PF, 0.0), groups_F, draw("constraints")
    )
    # the best of the complete ones by the model, for the best loss may owe its rank to noise; else of all
    rivals = _that_hold(complete, levels) or _that_hold(with_loss, levels)
    best_S = fitted.predict(_at(rows_of(rivals), 0.0))[0].min(axis=1) if rivals else None
    ends_SW, satisfied_W = fitted.predict(_at(paused_WF, 0.0)), satisfy(_at(paused_WF, 0.0))
    if not may_begin:
        return _last_hope(paused, *ends_SW, best_S, satisfied_W, is_any_complete=bool(complete))
    # Trials came to their end because the model wanted it, so none of these is an initial one.
    acquire = ACQUISITIONS["mixed"].at(turn, values_N[(depths_N == 0.0) & is_held_N]).worth

    def worth(mean_SM: Floats, deviation_SM: Floats) -> Floats:
        # Where nothing holds yet there is no best to improve on: what most likely holds is wanted first.
        return np.zeros(mean_SM.shape[1]) if best_S is None else acquire(mean_SM, deviation_SM, best_S)

    hold = log_chance_to_hold(rows_NF, failed_UF, encoding.groups, draw("feasibility"))
    expect = log_expectation(space, number)
    tried_NF = np.vstack([rows_NF, failed_UF, pending_PF])

    def score(units_MD: Floats) -> Floats:
        from scipy.spatial.distance import cdist

        rows_MF = features(encoding, units_MD)
        ends_MF = _at(rows_MF, 0.0)
        score_M = worth(*fitted.predict(ends_MF)) + hold(rows_MF) + satisfy(ends_MF) + expect(units_MD)
        distance_M = cdist(rows_MF, tried_NF, "chebyshev").min(axis=1)
        return np.where(distance_M < _TOO_NEAR, -math.inf, score_M)

    order_N = np.lexsort((fitted.predict(_at(rows_NF, 0.0))[0].mean(axis=0), ~is_held_N))
    best = list({with_loss[place].number: with_loss[place] for place in order_N}.values())
    is_large = rows_NF.size > _MAX_CELLS
    ranked_MD = ranked_candidates(encoding, score, _units(space, best), draw("candidates"), few=is_large)
    if paused:
        cost_W = np.array([1.0 - levels[course.level] for course in paused])
        score_W = worth(*ends_SW) + satisfied_W - np.log(cost_W)
        place = int(np.argmax(score_W))
        if score_W[place] >= score(ranked_MD[:1])[0]:
            return Choice(paused[place].number, paused[place].level + 1)
    history = [Observation(course.number, course.parameters, course.state) for course in courses]
    draws = chain(_points(space, ranked_MD), uniform_draws(space, number, seed))
    point = propose(space, history, number, seed, draws)
    if point is None:  # the space is exhausted
        return Choice(paused[place].number, paused[place].level + 1) if paused else None
    return Choice(None, 0, point)


def _last_hope(
    paused: Sequence[Course],
    mean_SW: Floats,
    deviation_SW: Floats,
    best_S: Floats | None,
    satisfied_W: Floats,
    *,
    is_any_complete: bool,
) -> Choice | None:
    """The paused trial that is most likely to end best; None where that is unlikely."""
    from scipy.special import ndtr

    if not paused:
        return None
    chance_W = np.exp(satisfied_W)
    if best_S is not None:
        chance_W = chance_W * ndtr((best_S[:, None] - mean_SW) / deviation_SW).mean(axis=0)
    place = int(np.argmax(chance_W))
    if is_any_complete and chance_W[place] < _LEAST_CHANCE:
        return None
    return Choice(paused[place].number, paused[place].level + 1)


def _that_hold(courses: Sequence[Course], levels: Sequence[float]) -> list[Course]:
    """Those that break no constraint, at their end or as far as they were trained."""
    is_held_N = holds(excesses_of([course.excesses_at(len(levels) - 1) for course in courses]))
    return list(compress(courses, is_held_N))


def _units(space: Space, courses: Sequence[Course]) -> Floats:
    return units_of_points(space, (course.parameters for course in courses))


def _points(space: Space, ranked_MD: Floats) -> Iterator[Parameters]:
    for units_D in ranked_MD[:_N_WISHES]:
        yield point_of_units(space, units_D.tolist())


def _depth(levels: Sequence[float], level: int) -> float:
    """How far a level is from the end, in powers of ten of the share of training: 0 at the end."""
    return -math.log10(levels[level])


def _at(rows_NF: Floats, depth: float | Floats) -> Floats:
    """Rows with the column of their depth."""
    return np.column_stack([rows_NF, np.broadcast_to(depth, len(rows_NF))])


def _most_telling(known: Sequence[_Known]) -> list[_Known]:
    """All losses, or of too many half the best ones of the furthest levels and half spread over the others.

    In the order of the trials' numbers.
    """
    if len(known) <= _MAX_KNOWN:
        return list(known)
    ranked = sorted(known, key=lambda each: (-each[1], each[2], each[0].number))
    n_best = _MAX_KNOWN // 2
    others, n_others = ranked[n_best:], _MAX_KNOWN - n_best
    kept = [*ranked[:n_best], *(others[i * len(others) // n_others] for i in range(n_others))]
    return sorted(kept, key=lambda each: (each[0].number, each[1]))
