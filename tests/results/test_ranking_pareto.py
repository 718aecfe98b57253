"""Pareto fronts, hypervolumes and contributions against their definitions."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.results.ranking import Point, contributions, dominates, front_numbers, hypervolume


def points_of(n_goals: int, most: int = 9) -> st.SearchStrategy[list[Point]]:
    values = st.integers(0, 5).map(float)
    return st.lists(st.tuples(*[values] * n_goals), min_size=1, max_size=most)


POINTS = st.integers(2, 4).flatmap(points_of)


def fronts_by_definition(points: list[Point]) -> list[int]:
    """The front number of each point: remove the non-dominated points, again and again."""
    left, number_of, number = dict(enumerate(points)), dict[int, int](), 1
    while left:
        first = [
            place
            for place, point in left.items()
            if not any(
                all(a <= b for a, b in zip(other, point, strict=True))
                and any(a < b for a, b in zip(other, point, strict=True))
                for other in left.values()
            )
        ]
        for place in first:
            number_of[place] = number
            del left[place]
        number += 1
    return [number_of[place] for place in range(len(points))]


def volume_by_counting(points: list[Point], most: int) -> float:
    """The number of unit cubes below ``most`` that a point dominates."""
    n_goals = len(points[0])
    cells = itertools.product(range(most), repeat=n_goals)
    return float(
        sum(
            any(all(value <= cell for value, cell in zip(point, place, strict=True)) for point in points)
            for place in cells
        )
    )


@given(POINTS)
def test_front_numbers_agree_with_the_definition(points: list[Point]) -> None:
    assert front_numbers(points) == fronts_by_definition(points)


@given(POINTS)
def test_the_hypervolume_is_the_sum_of_its_unit_cubes(points: list[Point]) -> None:
    reference = (6.0,) * len(points[0])
    assert hypervolume(points, reference) == pytest.approx(volume_by_counting(points, 6))


@given(POINTS)
def test_a_contribution_is_the_volume_lost_without_the_point(points: list[Point]) -> None:
    front = [point for point, number in zip(points, front_numbers(points), strict=True) if number == 1]
    distinct = sorted(set(front))
    ranges = [(min(values), max(values)) for values in zip(*distinct, strict=True)]
    scaled = {
        point: tuple(
            (value - low) / (high - low) if high > low else 0.0
            for value, (low, high) in zip(point, ranges, strict=True)
        )
        for point in distinct
    }
    reference = (1.1,) * len(ranges)
    whole = hypervolume(list(scaled.values()), reference)
    for point, contribution in zip(front, contributions(front), strict=True):
        rest = [own for other, own in scaled.items() if other != point]
        expected = whole - hypervolume(rest, reference) if rest else 1.0
        assert contribution == pytest.approx(expected, abs=1e-9)


def test_a_point_dominates_if_no_loss_is_worse_and_one_is_better() -> None:
    assert dominates((1.0, 2.0), (1.0, 3.0))
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert not dominates((1.0, 4.0), (2.0, 3.0))
