"""What to continue: every rule whose trials pause, by its name, and the study's way in.

A rule is a pure function of the courses it is given (law 1), which are those that the step in question may see
(law 5); one of those that depend on who arrives first is given all that have arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from tunecli.config.pruners import Asha, Curves, Halving, Hyperband, Pausing
from tunecli.config.space import Space
from tunecli.search.bo.feasibility import feasibility_rank, violation_matrix
from tunecli.search.fidelity import Choice, Curve
from tunecli.search.pruners.freeze_thaw import curves
from tunecli.search.pruners.full_fidelity import unpaused_trials
from tunecli.search.pruners.successive_halving import asha, given_up, halving, hyperband, share_trained
from tunecli.trial import State


class Rule(Protocol):
    """Says what a study does next."""

    def __call__(
        self, knob: Any, courses: Sequence[Curve], n_levels: int, /, *, may_begin: bool
    ) -> Choice | None:
        """The next step.

        Args:
            knob: what the file says of the pruner, by its model of `tunecli.config.pruners`.
            courses: every trial that was begun, by number.
            n_levels: how many levels there are, at least 1; the last one is a trial's end.
            may_begin: whether another trial may be begun.

        Returns:
            A paused trial and a level after its own, or a new one; None where nothing can be done with what is seen.
        """


RULES: Mapping[str, Rule] = MappingProxyType({"halving": halving, "hyperband": hyperband, "asha": asha})
"""Every rule that knows no space by what ``search.pruner`` calls it; `curves` is the one that does."""

DEPENDS_ON_ARRIVAL = frozenset(("asha",))
"""Those that decide by all that has arrived, so that their table depends on how fast each trial was."""


def choose(
    knob: Pausing,
    courses: Sequence[Curve],
    levels: Sequence[float],
    space: Space,
    seed: int,
    *,
    may_begin: bool,
) -> Choice | None:
    """What is done next by the pruner that the file names; see :class:`Rule`.

    Args:
        knob: what the file says of it.
        courses: every trial that was begun, by number.
        levels: shares of a full training, the last one 1.
        space: where a new trial's point lies.
        seed: the study's.
        may_begin: whether another trial may be begun.
    """
    if isinstance(knob, Curves):
        return curves(space, courses, levels, seed, may_begin=may_begin)
    choice = RULES[knob.name](knob, courses, len(levels), may_begin=may_begin)
    return choice if choice is not None or may_begin else last_resort(courses)


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

    Of `curves` nobody knows how many it continues: from those that never pause, and one at least, to all.

    Args:
        knob: what the file says of the pruner.
        levels: shares of a full training, the last one 1.
        space: where the trials lie.
        n_trials: how many are begun in all.
    """
    if isinstance(knob, Halving | Hyperband | Asha):
        found = share_trained(knob, levels, n_trials)
        return found, found
    n_full = max(len(unpaused_trials(space, n_trials)), 1)
    return n_full + (n_trials - n_full) * levels[0], float(n_trials)


def never_continued(knob: Pausing, courses: Sequence[Curve], n_levels: int) -> set[int]:
    """The numbers of paused trials that this pruner is sure never to continue: nothing of theirs need be kept.

    None before a trial is complete, for until then any may be the :func:`last_resort`.
    """
    if not isinstance(knob, Halving | Hyperband) or all(each.state is not State.COMPLETE for each in courses):
        return set()
    return given_up(knob, courses, n_levels)
