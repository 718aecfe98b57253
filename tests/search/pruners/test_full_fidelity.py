"""The trials of `curves` that never pause: which they are, what is told of the others, and what they are good for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.search.pruners.test_freeze_thaw import (
    LEVELS,
    PLANE,
    begun,
    choice,
    place_of,
    space_of,
    take,
    trained,
)
from tunecli.config.space import Space
from tunecli.registry.pruners import Curves
from tunecli.search.fidelity import Choice, Curve
from tunecli.search.pruners.freeze_thaw import curves
from tunecli.search.pruners.full_fidelity import is_unpaused, shown_ends, unpaused_trials
from tunecli.search.samplers.random import quasirandom
from tunecli.trial import Parameters, State

CUBE = space_of("\n".join(f"{name}: {{uniform: [-1.0, 1.0]}}" for name in "xyz"))
FIRST = unpaused_trials(PLANE, 100)[0]
END = len(LEVELS) - 1


@pytest.mark.parametrize("n_parameters", range(12))
def test_they_are_every_third_one_from_four_a_parameter_and_four_more_on(n_parameters: int) -> None:
    space = space_of("\n".join(f"p{i}: {{uniform: [0.0, 1.0]}}" for i in range(n_parameters)) or "p: 1")
    numbers = [number for number in range(100) if is_unpaused(space, number)]
    assert numbers[0] == 4 * (n_parameters + 1)
    assert {after - before for before, after in itertools.pairwise(numbers)} == {3}
    for n_trials in (0, 5, 40, 100):
        assert list(unpaused_trials(space, n_trials)) == [number for number in numbers if number < n_trials]


def test_one_begins_at_a_number_of_its_own_and_is_trained_to_its_end() -> None:
    courses, levels = begun(4), {}
    while len(courses) < FIRST + 9:
        step = choice(courses)
        assert step is not None
        if step.number is None:
            levels[len(courses)] = step.level
        courses = take(courses, step)
    unpaused = set(unpaused_trials(PLANE, FIRST + 9))
    assert {number for number, level in levels.items() if level == END} == unpaused
    assert {level for number, level in levels.items() if number not in unpaused} == {0}


def test_one_is_a_function_of_the_courses_and_waits_for_no_other() -> None:
    courses = begun(FIRST)
    first = choice(courses)
    assert first is not None
    assert first.parameters is not None
    assert first == choice(begun(FIRST)) == Choice(None, END, first.parameters)
    waiting = [*courses, Curve(FIRST, first.parameters, State.WAITING, END)]
    after = choice(waiting)
    assert after is not None
    assert after.level < END
    step = choice([*waiting, *begun(FIRST + 3)[FIRST + 1 :]])
    assert step is not None
    assert step.level == END
    assert step.parameters != first.parameters


def test_where_none_may_begin_there_is_none() -> None:
    step = choice(begun(FIRST), may_begin=False)
    assert step is not None
    assert step.number is not None
    assert step.level == 1


def test_a_paused_trial_at_the_point_that_is_wished_for_is_trained_to_its_end() -> None:
    text = "\n".join(f"{name}: {{uniform: [-1.0, 1.0], step: 0.5}}" for name in "xyz")
    assert_continues(space_of(text))


def test_so_is_one_that_is_next_to_it() -> None:
    wished = choice(begun(FIRST))
    assert wished is not None
    assert wished.parameters is not None
    beside = {**wished.parameters, "x": float(str(wished.parameters["x"])) * (1 - 1e-9)}
    courses = begun(FIRST)
    courses[10] = trained(10, beside, 0)
    assert choice(courses) == Choice(10, END)


def assert_continues(space: Space) -> None:
    """Of a sweep of ``space`` some steps train a paused trial to its end, and none begins a point again."""
    courses = swept(space, 12.0, seed=1, asked=(steps := []).append)
    points = [tuple(course.parameters.items()) for course in courses]
    assert len(set(points)) == len(points)
    skips = [
        step
        for number, step in steps
        if step.number is not None and step.level == END and is_unpaused(space, number)
    ]
    assert skips


def test_told_are_ends_failures_what_is_under_way_and_what_is_expected_of_some() -> None:
    point: Parameters = {"x": 0.0}
    courses = [
        Curve(0, point, State.PRUNED, 0, {0: 5.0}, violations={0: (0.5,)}),
        Curve(1, point, State.COMPLETE, 2, {0: 5.0, 1: 4.0}, 3.0, violations={0: (2.0,), 2: (1.0,)}),
        Curve(2, point, State.PRUNED, 1, {0: 5.0, 1: 4.5}),
        Curve(3, point, State.FAILED, 1, {0: 5.0}),
        Curve(4, point, State.WAITING, 0),
        Curve(5, point, State.WAITING, 1, {0: 5.0}, violations={0: (0.5,)}),
    ]
    found = shown_ends(courses, 3, {0: 3.5})
    assert [(each.number, each.state, each.loss, each.violations) for each in found] == [
        (0, State.PRUNED, 3.5, ()),
        (1, State.COMPLETE, 3.0, (1.0,)),
        (3, State.FAILED, None, ()),
        (4, State.WAITING, None, ()),
        (5, State.RUNNING, None, ()),
    ]


def test_a_constraint_that_is_broken_only_on_the_way_keeps_nobody_away() -> None:
    """At every level but the last one no trial holds it, and at the end all do."""

    def held(course: Curve) -> Curve:
        return replace(
            course, violations={level: (0.5 if level < END else -0.1,) for level in range(course.level + 1)}
        )

    courses = [held(course) for course in (*begun(4), *begun(FIRST, level=END)[4:])]
    step, free = choice(courses), choice([*begun(4), *begun(FIRST, level=END)[4:]])
    assert step is not None
    assert free is not None
    assert step.parameters is not None
    assert free.parameters is not None
    assert math.dist(place_of(step.parameters), place_of(free.parameters)) < 0.02


@pytest.mark.parametrize(
    "changed",
    [
        lambda course: replace(course, losses={0: math.inf}) if course.number < 4 else course,
        lambda course: replace(course, losses={0: 1e300}) if course.number < 4 else course,
        lambda course: trained(course.number, course.parameters, END) if course.number < 4 else course,
        lambda course: (
            Curve(course.number, course.parameters, State.FAILED, 0) if course.number < 4 else course
        ),
    ],
    ids=["infinite", "huge", "complete", "failed"],
)
def test_the_initial_trials_may_be_what_they_like(changed: Callable[[Curve], Curve]) -> None:
    step = choice([changed(course) for course in begun(FIRST)])
    assert step is not None


def test_where_the_ends_tell_nothing_the_turn_is_as_any_other() -> None:
    courses = [
        Curve(course.number, course.parameters, State.FAILED, 0) if course.number < 4 else course
        for course in begun(FIRST)
    ]
    step = choice(courses)
    assert step is not None
    assert step.level < END


@pytest.mark.slow
def test_what_learns_slowly_and_ends_best_is_found() -> None:
    bests = []
    for seed in (1, 2, 7):
        courses = swept(CUBE, 25.0, seed)
        bests.append(min(course.loss for course in courses if course.loss is not None))
    assert sum(best < 0.24 for best in bests) >= 2, (
        "who goes by few epochs stays in the basin that ends at 0.25"
    )


def swept(
    space: Space,
    n_trainings: float,
    seed: int,
    asked: Callable[[tuple[int, Choice]], None] = lambda step: None,
) -> list[Curve]:
    """What `curves` comes to on :func:`deceptive_loss` by so many full trainings."""
    courses = [trained(n, quasirandom(space, [], n, seed) or {}, 0, deceptive_loss) for n in range(4)]
    spent = len(courses) * LEVELS[0]
    while spent < n_trainings:
        step = curves(Curves(), courses, LEVELS, space, seed, may_begin=True)
        assert step is not None
        asked((len(courses), step))
        number = len(courses) if step.number is None else step.number
        if step.number is None:
            assert step.parameters is not None
            point = step.parameters
        else:
            point = courses[number].parameters
            spent -= LEVELS[courses[number].level]
        spent += LEVELS[step.level]
        courses[number : number + 1] = [trained(number, point, step.level, deceptive_loss)]
    return courses


def deceptive_loss(point: Parameters, level: int) -> float:
    """A basin that is quick to 0.25, and a flatter one that is slow to 0."""
    x, y, z = (float(str(point[name])) for name in "xyz")
    quick = 0.25 + (x + 0.5) ** 2 + (y + 0.3) ** 2 + 0.5 * z**2
    slow = 0.6 * ((x - 0.6) ** 2 + (y - 0.5) ** 2 + (z - 0.4) ** 2)
    to_learn = 0.2 + 1.5 * max(0.0, x) + max(0.0, y)
    return min(quick, slow) + (1.0 - LEVELS[level]) * to_learn
