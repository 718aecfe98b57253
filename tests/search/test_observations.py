"""The history that finds a point by an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.spaces import space_of
from tunecli.registry.samplers import SAMPLERS
from tunecli.search.draws import propose, start_point
from tunecli.search.observations import Observations, PointIndex, point_key
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, State


def observations_of(trials: Sequence[Observation], n_trials: int | None = None) -> Observations:
    """The first trials of a record that has them all."""
    index = PointIndex()
    for trial in trials:
        index.add(trial.parameters)
    n_trials = len(trials) if n_trials is None else n_trials
    return Observations(n_trials, index, lambda: list(trials[:n_trials]))


def trial(number: int, **point: object) -> Observation:
    return Observation(number, point, State.COMPLETE, float(number))  # type: ignore[arg-type]  # the tests give points of plain values


def test_a_point_is_found_by_values_and_types_in_any_order_of_names() -> None:
    history = observations_of([trial(0, x=1, y="a"), trial(1, x=2.0, y=None)])
    assert history.has_point({"y": "a", "x": 1})
    assert history.has_point({"x": 2.0, "y": None})
    others: list[Parameters] = [
        {"x": True, "y": "a"},
        {"x": 1.0, "y": "a"},
        {"x": 2, "y": None},
        {"x": 1},
        {},
    ]
    assert not any(map(history.has_point, others))
    assert point_key({"x": 0.0}) == point_key({"x": -0.0})  # as the two compare


def test_a_view_does_not_find_trials_that_began_after_it() -> None:
    trials = [trial(0, x=1), trial(1, x=2), trial(2, x=1)]
    assert not observations_of(trials, 1).has_point({"x": 2})
    assert observations_of(trials, 1).has_point({"x": 1})
    assert not observations_of(trials, 0).has_point({"x": 1})


def test_a_view_is_a_sequence_with_the_content_of_its_list() -> None:
    trials = [trial(number, x=number) for number in range(5)]
    view = observations_of(trials)
    assert view == trials
    assert view == observations_of(trials)
    assert view != observations_of(trials, 4)
    assert [len(view), view[0], view[-2:], list(view)] == [5, trials[0], trials[-2:], trials]


@pytest.mark.parametrize("name", [name for name, info in SAMPLERS.items() if not info.needs_grid])
@pytest.mark.parametrize("space", ["{x: {int: [1, 30]}, y: {choice: [a, b]}}", "{x: {uniform: [0, 1]}}"])
def test_a_suggestion_is_the_same_from_the_view_and_from_the_list(name: str, space: str) -> None:
    searched, trials = space_of(space), list[Observation]()
    for number in range(16):
        point = suggest(name, searched, trials, number, 5)
        assert suggest(name, searched, observations_of(trials), number, 5) == point
        assert point is not None
        loss = None if number % 4 == 3 else float(len(str(point)))
        trials.append(Observation(number, point, State.WAITING if loss is None else State.COMPLETE, loss))


def test_the_index_and_the_walk_give_the_same_proposals_and_start_points() -> None:
    start: tuple[Parameters, ...] = ({"x": 1}, {"x": 6}, {"x": 12})
    space = replace(space_of("{x: {int: [1, 12]}}"), start=start)
    trials = [trial(number, x=1 + number * 5 % 12) for number in range(9)]
    for n_trials in range(10):
        view, walked = observations_of(trials, n_trials), trials[:n_trials]
        draws: list[Parameters] = [{"x": 1}, {"x": 6}, {"x": 11}]
        assert propose(space, view, 9, 2, draws) == propose(space, walked, 9, 2, draws)
        assert start_point(space, view) == start_point(space, walked)
