"""What to continue: every rule whose trials pause, by its name, and the study's way in.

A rule is a pure function of the courses it is given (law 1), which are those that the step in question may see
(law 5); one of those that depend on who arrives first is given all that have arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from tunecli.search.course import Choice, Course
from tunecli.search.halving import asha, halving, hyperband
from tunecli.spec.pruners import Pausing


class Rule(Protocol):
    """Says what a study does next."""

    def __call__(
        self, knob: Any, courses: Sequence[Course], n_levels: int, /, *, may_begin: bool
    ) -> Choice | None:
        """The next step.

        Args:
            knob: what the file says of the pruner, by its model of `tunecli.spec.pruners`.
            courses: every trial that was begun, by number.
            n_levels: how many levels there are, at least 1; the last one is a trial's end.
            may_begin: whether another trial may be begun.

        Returns:
            A paused trial and the level after its own, or a new one; None where nothing can be done with what is seen.
        """


RULES: Mapping[str, Rule] = MappingProxyType({"halving": halving, "hyperband": hyperband, "asha": asha})
"""Every rule by what ``search.pruner`` calls it."""

DEPENDS_ON_ARRIVAL = frozenset(("asha",))
"""Those that decide by all that has arrived, so that their table depends on how fast each trial was."""


def choose(knob: Pausing, courses: Sequence[Course], n_levels: int, *, may_begin: bool) -> Choice | None:
    """What is done next by the pruner that the file names; see :class:`Rule`."""
    return RULES[knob.name](knob, courses, n_levels, may_begin=may_begin)
