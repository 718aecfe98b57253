"""What to continue: the protocol of the pruners whose trials pause, and the study's way in.

A rule is a pure function of the courses it is given (law 1), which are those that the step in question may see
(law 5); one of those that depend on who arrives first is given all that have arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tunecli.config.space import Space
from tunecli.registry.implementations import implementation
from tunecli.registry.pruners import Pausing, pruner_info
from tunecli.search.bo.feasibility import feasibility_rank, violation_matrix
from tunecli.search.fidelity import Choice, Curve
from tunecli.trial import State


class Rule(Protocol):
    """Says what a study does next."""

    def __call__(
        self,
        knob: Any,
        courses: Sequence[Curve],
        levels: Sequence[float],
        space: Space,
        seed: int,
        /,
        *,
        may_begin: bool,
    ) -> Choice | None:
        """The next step.

        Args:
            knob: what the file says of the pruner, by the settings model of its registry entry.
            courses: every trial that was begun, by number.
            levels: shares of a full training, at least one; the last one is 1, a trial's end.
            space: where a new trial's point lies.
            seed: the study's.
            may_begin: whether another trial may be begun.

        Returns:
            A paused trial and a level after its own, or a new one; None where nothing can be done with what is seen.
        """


def choose(
    knob: Pausing,
    courses: Sequence[Curve],
    levels: Sequence[float],
    space: Space,
    seed: int,
    *,
    may_begin: bool,
) -> Choice | None:
    """What is done next by the pruner that the file names; see :class:`Rule` for the arguments."""
    info = pruner_info(knob.name)
    rule: Rule = implementation(info.implementation)
    choice = rule(knob, courses, levels, space, seed, may_begin=may_begin)
    needs_fallback = choice is None and not may_begin and info.has_fallback
    return last_resort(courses) if needs_fallback else choice


def last_resort(courses: Sequence[Curve]) -> Choice | None:
    """The best paused trial, of those that came furthest, where all others are over and none is complete.

    So it is after too few trials for a promotion to the end, or where those that were promoted failed: a study whose
    trials can be trained is to have one that was. Brackets that are told again later are the same without it; to
    `asha` it is one more trial at its levels.
    """
    paused = [course for course in courses if course.is_paused]
    if not paused or any(course.state in (State.COMPLETE, State.WAITING) for course in courses):
        return None
    places = feasibility_rank(
        [course.losses[course.level] for course in paused],
        violation_matrix([course.violations_at(course.level) for course in paused]),
    )
    best, _ = min(zip(paused, places, strict=True), key=lambda pair: (-pair[0].level, pair[1]))
    return Choice(best.number, best.level + 1)


def full_trainings(
    knob: Pausing, levels: Sequence[float], space: Space, n_trials: int
) -> tuple[float, float]:
    """How many full trainings ``n_trials`` trials take, at least and at most.

    Args:
        knob: what the file says of the pruner.
        levels: shares of a full training, the last one 1.
        space: where the trials lie.
        n_trials: how many are begun in all.
    """
    info = pruner_info(knob.name)
    if not info.full_trainings:
        return n_trials * levels[0], float(n_trials)
    least, most = implementation(info.full_trainings)(knob, levels, space, n_trials)
    return least, most


def never_continued(knob: Pausing, courses: Sequence[Curve], n_levels: int) -> set[int]:
    """The numbers of paused trials that this pruner is sure never to continue: nothing of theirs need be kept.

    None before a trial is complete, for until then any may be the :func:`last_resort`.
    """
    info = pruner_info(knob.name)
    if not info.discarded or all(course.state is not State.COMPLETE for course in courses):
        return set()
    found: set[int] = implementation(info.discarded)(knob, courses, n_levels)
    return found
