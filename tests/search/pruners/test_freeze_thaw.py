"""The rule that joins configurations and curves: what it must hold to, and that it finds what others do not."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.registry.pruners import Curves
from tunecli.search.bo.final_loss_model import curve_data, known_losses
from tunecli.search.draws import uniform_draws
from tunecli.search.fidelity import Choice, Curve
from tunecli.search.pruners.freeze_thaw import curves
from tunecli.search.pruners.full_fidelity import is_unpaused
from tunecli.search.samplers.random import quasirandom
from tunecli.trial import Parameters, State

LEVELS = (1 / 9, 1 / 3, 1.0)


def space_of(text: str) -> Space:
    return Space(parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))


PLANE = space_of("x: {uniform: [-1.0, 1.0]}\ny: {uniform: [-1.0, 1.0]}\nkind: {choice: [a, b]}")


def place_of(point: Parameters) -> tuple[float, float]:
    return float(point["x"]), float(point["y"])


def loss_of(point: Parameters, level: int) -> float:
    """A bowl that every trial starts far above; who learns slowly ends as well as the others."""
    x, y = place_of(point)
    end = (x - 0.4) ** 2 + (y + 0.3) ** 2 + (0.3 if point["kind"] == "a" else 0.0)
    return end + (1.5 - LEVELS[level] * 1.5) * (1 + 0.2 * x)


def trained(
    number: int, point: Parameters, level: int, loss: Callable[[Parameters, int], float] = loss_of
) -> Curve:
    losses = {each: loss(point, each) for each in range(level + 1)}
    if level == len(LEVELS) - 1:
        return Curve(number, point, State.COMPLETE, level, losses, losses.pop(level))
    return Curve(number, point, State.PRUNED, level, losses)


def begun(n: int, seed: int = 0, level: int = 0) -> list[Curve]:
    return [trained(number, quasirandom(PLANE, [], number, seed) or {}, level) for number in range(n)]


def choice(courses: list[Curve], **changes: Any) -> Choice | None:
    return curves(Curves(), courses, LEVELS, PLANE, 3, **{"may_begin": True, **changes})


def take(courses: list[Curve], step: Choice) -> list[Curve]:
    """The courses after ``step``, which is done at once."""
    number = len(courses) if step.number is None else step.number
    point = step.parameters if step.number is None else courses[number].parameters
    assert point is not None
    courses[number : number + 1] = [trained(number, point, step.level)]
    return courses


def test_the_first_trials_are_the_samplers() -> None:
    for n in range(4):
        assert choice(begun(n)) == Choice(None, 0)


def test_a_step_is_a_function_of_the_courses() -> None:
    courses = begun(12)
    first = choice(courses)
    random.seed(5)
    assert choice(list(courses)) == first
    assert choice(begun(12)) == first


def test_it_begins_new_points_of_the_space_and_continues_the_best() -> None:
    courses = begun(4)
    kinds = []
    for _ in range(40):
        step = choice(courses)
        assert step is not None
        take(courses, step)
        kinds.append(step.number is None)
    assert 5 < sum(kinds) < 35
    complete = [course.loss for course in courses if course.loss is not None]
    assert min(complete) < 0.02
    assert len(complete) < len(courses), "some are never trained to their end"


def held_to(course: Curve) -> Curve:
    """Under the constraint x ≤ 0, which the best of all breaks."""
    excess = place_of(course.parameters)[0]
    return replace(course, violations=dict.fromkeys(range(course.level + 1), (excess,)))


def test_it_finds_the_best_that_breaks_no_constraint() -> None:
    courses = [held_to(course) for course in begun(4)]
    for _ in range(50):
        step = choice(courses)
        assert step is not None
        courses = list(map(held_to, take(courses, step)))
    complete = [course for course in courses if course.loss is not None]
    holding = [course for course in complete if course.violations[2][0] <= 0]
    assert min(course.loss or 0.0 for course in holding) < 0.16 + 0.03  # on the border
    assert len(holding) > len(complete) / 2


def test_where_every_trial_breaks_a_constraint_what_most_likely_holds_is_wanted() -> None:
    right = [course for course in map(held_to, begun(24)) if course.violations[0][0] > 0.1]
    broken = [replace(course, number=number) for number, course in enumerate(right)]
    assert len(broken) >= 6
    step = choice(broken)
    assert step is not None
    assert step.parameters is not None
    assert place_of(step.parameters)[0] < min(place_of(course.parameters)[0] for course in broken)
    step = choice(broken, may_begin=False)
    assert step is not None
    assert step.number == min(broken, key=lambda course: place_of(course.parameters)[0]).number


def test_of_a_long_record_the_trials_that_break_no_constraint_are_kept() -> None:
    points = [next(iter(uniform_draws(PLANE, n, 0))) for n in range(220)]
    courses = [held_to(trained(n, point, 2)) for n, point in enumerate(points)]
    courses = [
        replace(course, violations={2: (place_of(course.parameters)[0] + 0.8,)}, losses={})
        for course in courses
    ]
    evidence = curve_data(PLANE, courses, known_losses(courses, 3), LEVELS)
    holding = [course for course in courses if course.violations[2][0] <= 0]
    assert len(evidence.rows_NF) < len(courses)
    assert len(evidence.feasible_WF) == len(holding) > 10
    assert (evidence.violations_NC <= 0).sum() == len(holding)


def test_a_constraint_of_which_nothing_is_known_before_the_end_hides_no_losses() -> None:
    courses = [replace(course, violations={0: (math.nan,)}) for course in begun(12)]
    best = min(courses, key=lambda course: course.losses[0])
    step = choice(courses, may_begin=False)
    assert step == choice(begun(12), may_begin=False)
    assert step is not None
    assert step.number == best.number


def test_what_failed_or_is_under_way_is_not_continued() -> None:
    courses = begun(10)
    best = min(range(10), key=lambda n: courses[n].losses[0])
    for state in (State.FAILED, State.WAITING):
        courses[best] = Curve(best, courses[best].parameters, state, 1, courses[best].losses)
        step = choice(courses, may_begin=False)
        assert step is not None
        assert step.number not in (None, best)


def test_once_none_may_begin_the_likely_ones_are_continued_and_then_it_is_over() -> None:
    courses = begun(12)
    steps = []
    while (step := choice(courses, may_begin=False)) is not None:
        assert step.number is not None
        steps.append(step)
        courses[step.number] = trained(step.number, courses[step.number].parameters, step.level)
        assert len(steps) < 24
    complete = [course.loss for course in courses if course.loss is not None]
    assert complete
    assert min(complete) == min(loss_of(course.parameters, 2) for course in courses)
    assert len(complete) < 12


def test_where_no_model_can_tell_the_paused_are_continued_in_turn() -> None:
    flat = [Curve(n, {"x": 0.1 * n, "y": 0.0, "kind": "a"}, State.PRUNED, 0, {0: 1.0}) for n in range(5)]
    assert choice(flat, may_begin=False) == Choice(0, 1)
    failed = [Curve(n, course.parameters, State.FAILED, 0) for n, course in enumerate(flat)]
    assert choice(failed, may_begin=False) is None
    assert choice(failed) == Choice(None, 0)


@pytest.mark.parametrize(("level", "most"), [(0, 12), (1, 4)])
def test_ground_where_trials_fail_is_left_but_for_its_border(level: int, most: int) -> None:
    def told(course: Curve) -> Curve:
        is_failing = place_of(course.parameters)[0] > 0.2 and course.level >= level
        losses = {each: loss for each, loss in course.losses.items() if each < level}
        return Curve(course.number, course.parameters, State.FAILED, level, losses) if is_failing else course

    courses = list(map(told, begun(6)))
    for _ in range(40):
        step = choice(courses)
        assert step is not None
        courses = list(map(told, take(courses, step)))
    # Those that never pause probe the border on their own: who begins them knows of no trial that paused beside it.
    latest = [course.state for course in courses if not is_unpaused(PLANE, course.number)][-16:]
    assert latest.count(State.FAILED) <= most, "the best there is lies on the border"
    assert min(course.loss for course in courses if course.loss is not None) < 0.04 + 0.03


def test_in_an_exhausted_space_it_continues() -> None:
    space = space_of("k: {int: [1, 6]}")
    courses = [Curve(n, {"k": n + 1}, State.PRUNED, 0, {0: abs(n - 2.5)}) for n in range(6)]
    step = curves(Curves(), courses, LEVELS, space, 0, may_begin=True)
    assert step is not None
    assert step.number is not None
    over = [Curve(n, {"k": n + 1}, State.COMPLETE, 2, {}, abs(n - 2.5)) for n in range(6)]
    assert curves(Curves(), over, LEVELS, space, 0, may_begin=True) is None
    assert step == curves(Curves(), courses, LEVELS, space, 0, may_begin=False)


def test_losses_that_are_no_numbers_do_no_harm() -> None:
    courses = begun(10)
    courses[3] = Curve(3, courses[3].parameters, State.PRUNED, 0, {0: math.inf})
    courses[4] = Curve(4, courses[4].parameters, State.PRUNED, 0, {0: 1e300})
    assert choice(courses) is not None


def test_a_decision_at_a_hundred_trials_takes_a_moment() -> None:
    points = [next(iter(uniform_draws(PLANE, n, 0))) for n in range(100)]
    courses = [trained(n, point, n % 10 // 8) for n, point in enumerate(points)]
    choice(courses)
    began_s = time.process_time()
    choice(courses)
    assert time.process_time() - began_s < 1.0


def test_in_a_record_longer_than_the_model_takes_the_turns_go_on() -> None:
    courses = begun(64, level=2)
    distances = []
    for n in range(61, 65):
        found = choice(courses[:n])
        assert found is not None
        assert found.parameters is not None
        x, y = place_of(found.parameters)
        distances.append(math.hypot(x - 0.4, y + 0.3))
    assert min(distances) < 0.05
    assert max(distances) > 0.5
