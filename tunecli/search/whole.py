"""The trials of `curves` that are trained to their end whatever they show on the way, and where they begin.

Few epochs may deceive: what learns slowly, as under strong regularisation, is neither begun nor continued by who goes
by them, so nothing ever tells that it ends best. So once many trials are known, every third new one begins where
`bayes` would begin one, to whom ends alone are shown. Of the initial trials, which lie all over the space and of which
few are continued, it is shown the ends that are expected of them: it does badly where all it knows lies in one corner.
Expected ends of other trials it must not see, for they come from few epochs. Pure functions of numbers and courses
(laws 1 and 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.search.course import Course
from tunecli.spec.space import Space
from tunecli.trial import Observation, State

_EVERY = 3
_BEFORE = 4  # trials for each parameter, and as many more


def whole_trials(space: Space, n_trials: int) -> range:
    """The numbers of those among the first ``n_trials``."""
    first = _BEFORE * (len(space.parameters) + 1)
    return range(first + -(first + 1) % _EVERY, n_trials, _EVERY)


def is_whole(space: Space, number: int) -> bool:
    """Whether trial ``number`` is one."""
    return number in whole_trials(space, number + 1)


def shown_ends(courses: Sequence[Course], n_levels: int, expected: Mapping[int, float]) -> list[Observation]:
    """What `bayes` is shown: trials that are complete, failed or under way, and paused ones of which one is expected.

    Args:
        courses: every trial that was begun, by number.
        n_levels: how many levels there are.
        expected: the loss at their end, by the numbers of paused trials.
    """
    shown = []
    for course in courses:
        number, point = course.number, course.parameters
        if course.is_paused and number not in expected:
            continue
        loss = expected.get(number) if course.is_paused else course.loss
        state = State.RUNNING if course.state is State.WAITING and course.losses else course.state
        shown.append(Observation(number, point, state, loss, (), course.excesses_at(n_levels - 1)))
    return shown
