"""Grid search: the order of the file, with a default on the grid first."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.spaces import space_of
from tunecli.config.space import Space
from tunecli.errors import UsageError
from tunecli.search.samplers.grid import grid
from tunecli.trial import Observation, Parameters, State


def points_of(space: Space) -> list[Parameters]:
    points: list[Parameters] = []
    while (point := grid(space, [], len(points), 0)) is not None:
        points.append(point)
    return points


def test_the_grid_is_every_combination_in_the_order_of_the_file() -> None:
    space = space_of("{lr: {loguniform: [1e-3, 1e-1], grid: 3}, n: {int: [1, 2]}, act: {choice: [a, b]}}")
    expected = product([1e-3, 1e-2, 1e-1], [1, 2], "ab")
    assert points_of(space) == [dict(zip(("lr", "n", "act"), values, strict=True)) for values in expected]


@pytest.mark.parametrize("default", [1, 3, 5])
def test_a_default_on_the_grid_is_first_and_the_others_follow_in_order(default: int) -> None:
    points = points_of(space_of(f"{{n: {{int: [1, 5], default: {default}}}}}"))
    assert [point["n"] for point in points] == [default, *(n for n in range(1, 6) if n != default)]


def test_a_default_off_the_grid_does_not_change_the_grid() -> None:
    points = points_of(space_of("{x: {uniform: [0, 1], grid: 3, default: 0.3}}"))
    assert [point["x"] for point in points] == [0.0, 0.5, 1.0]


def test_any_point_of_a_grid_of_10_to_the_18_points_is_returned() -> None:
    space = space_of("{" + ", ".join(f"k{i}: {{int: [0, 9]}}" for i in range(18)) + "}")
    point = grid(space, [], 10**17, 0)
    assert point is not None
    assert "".join(str(digit) for digit in point.values()) == "1" + "0" * 17
    assert grid(space, [], 10**18, 0) is None


def swept(space: Space, begun_with: list[Parameters]) -> list[Parameters]:
    """All suggestions to a study that begins with the trials of another one."""
    history = [Observation(i, point, State.COMPLETE, 0.0) for i, point in enumerate(begun_with)]
    points: list[Parameters] = []
    while (point := grid(space, history, len(history), 0)) is not None:
        history.append(Observation(len(history), point, State.WAITING))
        points.append(point)
    return points


@pytest.mark.parametrize("default", [None, 2, 5])
@pytest.mark.parametrize("taken", [[], [1], [2], [5, 3], [4, 1, 2], [1, 2, 3, 4, 5]])
def test_points_that_another_study_tried_are_skipped(taken: list[int], default: int | None) -> None:
    space = space_of(f"{{n: {{int: [1, 5]{f', default: {default}' if default else ''}}}}}")
    order = [point["n"] for point in points_of(space)]
    assert [point["n"] for point in swept(space, [{"n": n} for n in taken])] == [
        n for n in order if n not in taken
    ]


def test_points_off_the_grid_that_another_study_tried_remove_no_grid_point() -> None:
    space = space_of("{x: {uniform: [0, 1], grid: 3}, y: {choice: [a, b]}}")
    beside: list[Parameters] = [{"x": 0.3, "y": "a"}, {"x": 0.5, "y": "a"}, {"x": 0.7, "y": "b"}]
    assert swept(space, beside) == [point for point in points_of(space) if point != {"x": 0.5, "y": "a"}]


def test_the_history_of_a_study_does_not_change_the_order() -> None:
    space = space_of(
        "{lr: {loguniform: [1e-5, 1], grid: 4, default: 1e-2}, n: {logint: [1, 100], grid: 3}, z: {normal: [0, 1], grid: 3}}"
    )
    points = points_of(space)
    assert points == swept(space, [])
    history = [Observation(i, point, State.FAILED) for i, point in enumerate(points)]
    for number in range(len(points)):
        assert grid(space, history[:number], number, 0) == points[number]
        assert grid(space, history[: number // 2], number, 0) == points[number], (
            "later trials are not recorded yet"
        )
        assert grid(space, history[:number:3], number, 0) == points[number]


def test_a_grid_of_10_to_the_18_points_skips_tried_points() -> None:
    space = space_of("{" + ", ".join(f"k{i}: {{int: [0, 9]}}" for i in range(18)) + "}")
    first, second, third = (grid(space, [], number, 0) for number in range(3))
    assert first is not None and third is not None
    assert swept_once(space, [first, third]) == second


def swept_once(space: Space, begun_with: list[Parameters]) -> Parameters | None:
    history = [Observation(i, point, State.COMPLETE, 0.0) for i, point in enumerate(begun_with)]
    return grid(space, history, len(history), 0)


def test_the_error_names_continuous_ranges_without_a_grid() -> None:
    space = space_of(
        "{lr: {uniform: [0, 1]}, n: {int: [1, 2]}, x: {choice: [{name: a, p: {normal: [0, 1]}}, b]}}"
    )
    with pytest.raises(UsageError, match=r"continuous ranges: lr, x\.p") as caught:
        grid(space, [], 0, 0)
    assert "grid: n" in caught.value.hint
