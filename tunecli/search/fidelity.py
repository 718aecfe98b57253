"""How far each trial of a study has come whose trials pause, and at which levels they do.

A *level* is a share of a trial's full training, the last one all of it. What a rule decides is a pure function of the
courses (laws 1 and 5), each as far as it may be seen. Knows neither records nor rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunecli.trial import Observation, Parameters, State

_AUTO_SHARE = 10  # a first level near a tenth: before it, ranks say little of those at the end


@dataclass(frozen=True, slots=True)
class Curve:
    """A trial that was begun, as far as it may be seen.

    Attributes:
        number, parameters: the trial's.
        state: waiting while what its last step gives is not to be seen; pruned where it is paused; complete or failed.
        level: to which it is trained by its last step.
        losses: by level, its loss (``sign * objective``) when it paused there.
        loss: its loss at its end; None where it is not complete.
        epochs: how many it was trained, as far as may be seen.
        violations: by level, its end being the last one, how far it exceeded each constraint.
    """

    number: int
    parameters: Parameters
    state: State
    level: int
    losses: Mapping[int, float] = field(default_factory=dict)
    loss: float | None = None
    epochs: int = 0
    violations: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def is_paused(self) -> bool:
        """Whether it may be continued."""
        return self.state is State.PRUNED

    def loss_at(self, level: int) -> float | None:
        """Its loss at a level, infinite where it failed before; None where it is not known yet.

        A trial that was complete before the level, or did not pause there, has its last loss.
        """
        if level in self.losses:
            return self.losses[level]
        if self.state is State.COMPLETE:
            return math.inf if self.loss is None else self.loss
        return math.inf if self.state is State.FAILED else None

    def violations_at(self, level: int) -> tuple[float, ...]:
        """How far it exceeds each constraint at a level, or at its end where it did not pause there."""
        return self.violations.get(level, self.violations[max(self.violations)] if self.violations else ())


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done next: trial ``number`` is trained to ``level``; None: a new one is begun.

    ``parameters``: the new one's; None: the sampler's.
    """

    number: int | None
    level: int
    parameters: Parameters | None = None


def shares(full_epochs: int, min_epochs: int | Literal["auto"], factor: int) -> tuple[float, ...]:
    """The levels as shares of a full training, each ``factor`` times the one before, the last one 1.

    Args:
        full_epochs: of a full training, at least 1.
        min_epochs: how far the first level is at least; ``auto``: as near a tenth as there is.
        factor: at least 2.
    """
    n = 0
    if min_epochs == "auto":
        while factor ** (n + 1) <= full_epochs and factor ** (2 * n + 1) < _AUTO_SHARE**2:
            n += 1
    else:
        while min_epochs * factor ** (n + 1) <= full_epochs:
            n += 1
    return tuple(1.0 / factor**below for below in range(n, -1, -1))


def until_epochs(full_epochs: int, levels: Sequence[float]) -> tuple[int | None, ...]:
    """The epoch after which a trial pauses at each level; None where it is trained to its end.

    No two levels are the same epoch, so a short trial ends before the last level.
    """
    found: list[int | None] = []
    epoch = 0
    for share in levels:
        epoch = max(epoch + 1, round(full_epochs * share))
        found.append(epoch if epoch < full_epochs and share < 1 else None)
    return tuple(found)


def proposed(courses: Sequence[Curve]) -> list[Observation]:
    """Every trial that was begun by its point alone, for :mod:`tunecli.search.draws`."""
    return [Observation(course.number, course.parameters, course.state) for course in courses]


def observed(courses: Sequence[Curve], n_levels: int, n_least: int) -> list[Observation]:
    """What a sampler may see: losses of one level alone, the highest that at least ``n_least`` trials have one at.

    Losses of different levels do not compare (Falkner, Klein, Hutter (2018), "BOHB", section 3.1). A trial that has
    none at that level is pending: running where it has paused before, for it did not fail until then, else waiting.
    Where no level has so many, it is the first.
    """
    level = next(
        (level for level in reversed(range(n_levels)) if sum(map(_is_known_at(level), courses)) >= n_least), 0
    )
    seen = []
    for course in courses:
        loss = course.loss_at(level)
        if course.state is State.FAILED:
            seen.append(Observation(course.number, course.parameters, State.FAILED))
        elif loss is None:
            state = State.RUNNING if course.losses else State.WAITING
            seen.append(Observation(course.number, course.parameters, state))
        else:
            state = State.COMPLETE if course.state is State.COMPLETE else State.PRUNED
            violations = course.violations_at(level)
            seen.append(Observation(course.number, course.parameters, state, loss, (), violations))
    return seen


def _is_known_at(level: int) -> Callable[[Curve], bool]:
    return lambda course: course.state is not State.FAILED and course.loss_at(level) is not None
