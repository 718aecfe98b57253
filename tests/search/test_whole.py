"""The trials that nothing stops: which they are, what their sampler is shown, and what they are good for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pytest

from tests.search.test_curves import LEVELS, PLANE, begun, choice, space_of, trained
from tunecli.search.course import Choice, Course
from tunecli.search.curves import curves
from tunecli.search.quasirandom import quasirandom
from tunecli.search.whole import is_whole, shown_ends, whole_trials
from tunecli.spec.space import Space
from tunecli.trial import Parameters, State

CUBE = space_of("\n".join(f"{name}: {{uniform: [-1.0, 1.0]}}" for name in "xyz"))


@pytest.mark.parametrize("n_parameters", range(1, 12))
def test_they_are_every_third_one_from_four_a_parameter_and_four_more_on(n_parameters: int) -> None:
    space = space_of("\n".join(f"p{i}: {{uniform: [0.0, 1.0]}}" for i in range(n_parameters)))
    numbers = [number for number in range(100) if is_whole(space, number)]
    assert 4 * (n_parameters + 1) <= numbers[0] < 4 * (n_parameters + 1) + 3
    assert {after - before for before, after in itertools.pairwise(numbers)} == {3}
    for n_trials in (0, 5, 40, 100):
        assert list(whole_trials(space, n_trials)) == [number for number in numbers if number < n_trials]


def test_one_that_paused_goes_on_before_all_others_to_its_end_even_where_none_may_begin() -> None:
    courses = begun(24)
    number = whole_trials(PLANE, 24)[0]
    courses = [
        course if not is_whole(PLANE, course.number) else trained(course.number, course.parameters, 2)
        for course in courses
    ]
    for level in range(2):
        # x = -1 is as bad as there is: nobody else would continue it
        courses[number] = trained(number, {"x": -1.0, "y": 1.0, "kind": "a"}, level)
        for may_begin in (True, False):
            assert choice(courses, may_begin=may_begin) == Choice(number, level + 1)
    courses[number] = trained(number, courses[number].parameters, 2)
    assert choice(courses) != Choice(number, 2)
    failed = Course(number, courses[number].parameters, State.FAILED, 1, {0: 9.0})
    courses[number] = failed
    step = choice(courses)
    assert step is not None
    assert step.number != number


def test_one_begins_at_the_number_that_is_its_own() -> None:
    number = whole_trials(PLANE, 100)[0]
    step = choice(begun(number))
    assert step is not None
    assert step.number is None
    assert step.parameters is not None


def test_shown_are_ends_failures_what_is_under_way_and_what_is_expected_of_some() -> None:
    point: Parameters = {"x": 0.0}
    courses = [
        Course(0, point, State.PRUNED, 0, {0: 5.0}, excesses={0: (0.5,)}),
        Course(1, point, State.COMPLETE, 2, {0: 5.0, 1: 4.0}, 3.0, excesses={0: (2.0,), 2: (1.0,)}),
        Course(2, point, State.PRUNED, 1, {0: 5.0, 1: 4.5}),
        Course(3, point, State.FAILED, 1, {0: 5.0}),
        Course(4, point, State.WAITING, 0),
        Course(5, point, State.WAITING, 1, {0: 5.0}),
    ]
    found = shown_ends(courses, 3, {0: 3.5})
    assert [(each.number, each.state, each.loss, each.excesses) for each in found] == [
        (0, State.PRUNED, 3.5, (0.5,)),
        (1, State.COMPLETE, 3.0, (1.0,)),
        (3, State.FAILED, None, ()),
        (4, State.WAITING, None, ()),
        (5, State.RUNNING, None, ()),
    ]


def test_losses_that_are_no_numbers_are_no_ends() -> None:
    number = whole_trials(PLANE, 100)[0]
    courses = [
        Course(
            course.number, course.parameters, State.PRUNED, 0, {0: math.inf if course.number < 4 else 1e300}
        )
        for course in begun(number)
    ]
    courses[5] = trained(5, courses[5].parameters, 0)
    assert choice(courses) is not None


def test_what_learns_slowly_and_ends_best_is_found() -> None:
    found = [best_within(20.0, seed) for seed in (1, 2, 3)]
    assert sum(best < 0.1 for best in found) >= 2, (
        "without these trials none of the three leaves the basin at 0.25"
    )


def best_within(n_trainings: float, seed: int) -> float:
    """The best end that `curves` finds on :func:`deceptive_loss` for so many full trainings."""
    courses = [deceived(n, point_of(CUBE, n, seed), 0) for n in range(4)]
    spent = len(courses) * LEVELS[0]
    while spent < n_trainings:
        step = curves(CUBE, courses, LEVELS, seed, may_begin=True)
        assert step is not None
        number = len(courses) if step.number is None else step.number
        if step.number is None:
            assert step.parameters is not None
            point = step.parameters
        else:
            point = courses[number].parameters
            spent -= LEVELS[courses[number].level]
        spent += LEVELS[step.level]
        courses[number : number + 1] = [deceived(number, point, step.level)]
    return min(course.loss for course in courses if course.loss is not None)


def point_of(space: Space, number: int, seed: int) -> Parameters:
    return quasirandom(space, [], number, seed) or {}


def deceived(number: int, point: Parameters, level: int) -> Course:
    losses: Mapping[int, float] = {each: deceptive_loss(point, each) for each in range(level + 1)}
    if level == len(LEVELS) - 1:
        return Course(number, point, State.COMPLETE, level, losses, losses[level])
    return Course(number, point, State.PRUNED, level, losses)


def deceptive_loss(point: Parameters, level: int) -> float:
    """A basin that is quick to 0.25, and a flatter one that is slow to 0."""
    x, y, z = (float(point[name]) for name in "xyz")
    quick = 0.25 + (x + 0.5) ** 2 + (y + 0.3) ** 2 + 0.5 * z**2
    slow = 0.6 * ((x - 0.6) ** 2 + (y - 0.5) ** 2 + (z - 0.4) ** 2)
    to_learn = 0.2 + 1.5 * max(0.0, x) + max(0.0, y)
    return min(quick, slow) + (1.0 - LEVELS[level]) * to_learn
