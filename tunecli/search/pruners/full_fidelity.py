"""The trials of `curves` that never pause, and where they are.

Few epochs may deceive: what learns slowly, as under strong regularisation, is neither begun nor continued by who goes
by them, so nothing ever tells that it ends best. So once many trials are known, every third new one is where `bayes`
would begin one that knows ends alone, and is trained to its own in one go: a cheap source of information that need not
be reliable gets a share of the search, and no say in the rest (after Mikkola, Martinelli, Filstroff, Kaski (2023),
"Multi-Fidelity Bayesian Optimization with Unreliable Information Sources").

`bayes` does badly where all that it knows lies in one corner, and the ends that `curves` comes to do. So of the initial
trials, which lie all over the space, it is told the ends that are expected of them. That is what few epochs make
expect, too, but of a few points that nobody chose by them; told of all that are paused it finds less. On the LCBench
surrogate (`tests/benchmarks/lcbench.py`) the regret within 50 full trainings falls by a third, and within ten and
twenty nothing changes that can be told. Pure functions of numbers and courses (laws 1 and 5).

Axes: W trials, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np

from tunecli.config.space import Space
from tunecli.registry.pruners import Curves
from tunecli.search.bo.acquisition import ACQUISITIONS
from tunecli.search.bo.acquisition_optimizer import is_repeat
from tunecli.search.bo.encoding import features, units_of_points
from tunecli.search.bo.final_loss_model import CurveData, fit_final_loss_model
from tunecli.search.bo.posterior import can_fit
from tunecli.search.bo.surrogate import SURROGATES
from tunecli.search.draws import propose
from tunecli.search.fidelity import Choice, Curve, proposed
from tunecli.search.samplers.bayes import model_draws, n_initial
from tunecli.seeding import generator_for, seed_for
from tunecli.trial import Observation, State

_EVERY = 3  # then they take about half of all epochs
_BEFORE = 4  # trials for each parameter, and as many more: until then ends are too few for `bayes` to do well by them


def unpaused_trials(space: Space, n_trials: int) -> range:
    """The numbers of those among the first ``n_trials``."""
    return range(_BEFORE * (len(space.parameters) + 1), n_trials, _EVERY)


def full_trainings(knob: Curves, levels: Sequence[float], space: Space, n_trials: int) -> tuple[float, float]:
    """How many full trainings ``n_trials`` trials of `curves` take, at least and at most.

    Nobody knows how many it continues: from those that never pause, and one at least, to all.

    Args:
        knob: what the file says of the pruner.
        levels: shares of a full training, the last one 1.
        space: where the trials lie.
        n_trials: how many are begun in all.
    """
    n_full = max(len(unpaused_trials(space, n_trials)), 1)
    return n_full + (n_trials - n_full) * levels[0], float(n_trials)


def is_unpaused(space: Space, number: int) -> bool:
    """Whether trial ``number`` is one."""
    return number in unpaused_trials(space, number + 1)


def in_full(
    space: Space, courses: Sequence[Curve], n_levels: int, evidence: CurveData, seed: int
) -> Choice | None:
    """The point that `bayes` wishes for, trained to its end: a new trial, or the paused one that is there already.

    None where what is known of ends tells nothing. To be called under
    :func:`tunecli.search.bo.posterior.deterministic_blas`.

    Args:
        space: where the trials lie.
        courses: every trial that was begun, by number; of a finite space not all there are.
        n_levels: how many levels there are.
        evidence: what ``courses`` show.
        seed: the study's.
    """
    number, own_seed = len(courses), seed_for(seed, "unpaused")
    shown = shown_ends(courses, n_levels, _expected(space, courses, evidence, own_seed))
    if not can_fit(space, shown):
        return None
    wished = model_draws(space, shown, number, own_seed, SURROGATES["gp"], ACQUISITIONS["mixed"])
    first = next(wished)
    row_1F = features(evidence.encoding, units_of_points(space, [first]))
    paused = [course for course in courses if course.is_paused]
    (is_there_W,) = is_repeat(row_1F, evidence.paused_WF)
    if is_there_W.any():
        return Choice(paused[int(np.argmax(is_there_W))].number, n_levels - 1)
    draws = chain((first,), wished)
    return Choice(None, n_levels - 1, propose(space, proposed(courses), number, seed, draws))


def shown_ends(courses: Sequence[Curve], n_levels: int, expected: Mapping[int, float]) -> list[Observation]:
    """What `bayes` is told: of the trials that are complete, failed or under way, and of paused ones what is expected.

    Args:
        courses: every trial that was begun, by number.
        n_levels: how many levels there are.
        expected: the losses at their ends, by the numbers of paused trials. How far one exceeds a constraint there is
            not known.
    """
    shown = []
    for course in courses:
        number, point = course.number, course.parameters
        if not course.is_paused:
            state = State.RUNNING if course.state is State.WAITING and course.losses else course.state
            violations = course.violations_at(n_levels - 1) if state is State.COMPLETE else ()
            shown.append(Observation(number, point, state, course.loss, (), violations))
        elif number in expected:
            shown.append(Observation(number, point, State.PRUNED, expected[number]))
    return shown


def _expected(space: Space, courses: Sequence[Curve], evidence: CurveData, seed: int) -> Mapping[int, float]:
    """By number, the losses that the initial trials that are paused are expected to end with."""
    initial = [
        course
        for course in courses[: n_initial(space)]
        if course.is_paused and math.isfinite(course.losses[course.level])
    ]
    if not initial:
        return {}
    ends = fit_final_loss_model(
        evidence, SURROGATES["gp"].default, partial(generator_for, seed, len(courses), "ends")
    )
    rows_WF = features(evidence.encoding, units_of_points(space, (course.parameters for course in initial)))
    losses_W = evidence.warping.losses(ends.mean(rows_WF))
    return {course.number: float(loss) for course, loss in zip(initial, losses_W, strict=True)}
