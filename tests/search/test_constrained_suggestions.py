"""Suggestions in constrained spaces: every point is feasible, in spaces and under conditions made at random."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.plug_ins import environment_with, install
from tests.support.spaces import space_of
from tunecli.config.feasibility import feasible_positions, feasible_share, is_feasible
from tunecli.config.space import Space, point_of_units
from tunecli.registry.samplers import SAMPLERS
from tunecli.search.bo.acquisition_optimizer import feasibility_of, ranked_candidates
from tunecli.search.bo.encoding import encoding_of, snap, units_of_points
from tunecli.search.draws import propose, sobol_draws, start_point
from tunecli.search.protocols import suggest
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters, State

RANGES = (
    "{uniform: [0, 4]}",
    "{int: [0, 4]}",
    "{loguniform: [0.1, 4]}",
    "{choice: [0, 1, 3]}",
    "{uniform: [0, 4], step: 0.5}",
    "{choice: [2, {uniform: [0, 4]}]}",
    "{choice: [{name: deep, z: {int: [0, 4]}}, {name: flat}]}",
)
OPERATORS = ("<", "<=", ">", ">=")
VALUES = ("a", "b", "a + b", "b.z", "2", "a * 2", "max(a, b)", "1 / a")


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Return a space of two ranges, with one or two conditions."""
    ranges = [draw(st.sampled_from(RANGES)) for _ in range(2)]
    conditions = draw(
        st.lists(
            st.tuples(st.sampled_from(VALUES), st.sampled_from(OPERATORS), st.sampled_from(VALUES)),
            min_size=1,
            max_size=2,
        )
    )
    return space_of(f"{{a: {ranges[0]}, b: {ranges[1]}}}", *(" ".join(condition) for condition in conditions))


def history_of(points: Sequence[Parameters]) -> list[Observation]:
    return [
        Observation(number, point, State.COMPLETE, float(len(json.dumps(point)) + number))
        for number, point in enumerate(points)
    ]


def swept(space: Space, sampler: str, n_trials: int) -> list[Parameters]:
    points: list[Parameters] = []
    for number in range(n_trials):
        point = suggest(sampler, space, history_of(points), number, 3)
        if point is None:
            break
        points.append(point)
    return points


@given(spaces(), st.sampled_from(["random", "quasirandom", "cmaes", "bayes"]))
@settings(max_examples=10, deadline=None)
def test_every_suggestion_is_feasible_and_none_is_given_twice(space: Space, sampler: str) -> None:
    points = swept(space, sampler, 6)
    positions = feasible_positions(space)
    assert all(is_feasible(space, point) for point in points)
    assert len({json.dumps(point) for point in points}) == len(points)
    if positions is not None:
        assert len(points) == min(6, len(positions))
    elif feasible_share(space).fraction > 0.01:
        assert len(points) == 6


@pytest.mark.parametrize("sampler", sorted({*SAMPLERS} - {"grid"}))
def test_rare_points_are_found(sampler: str) -> None:
    text = "{a: {uniform: [0, 1]}, b: {uniform: [0, 1]}, c: {int: [1, 100]}, d: {choice: [x, y]}}"
    space = space_of(text, "a + b < 0.06", 'd == "y" or c > 50')
    assert feasible_share(space).fraction < 0.003
    points = swept(space, sampler, 7)
    assert len({json.dumps(point) for point in points}) == 7
    assert all(is_feasible(space, point) for point in points)


def test_a_space_whose_constraints_no_point_meets_is_exhausted() -> None:
    for text in ("{a: {int: [1, 3]}}", "{a: {uniform: [1, 3]}}"):
        assert propose(space_of(text, "a > 5"), [], 0, 0) is None


def test_the_draws_of_a_sampler_come_first_and_the_first_is_moved_if_none_is_feasible() -> None:
    space = space_of("{a: {uniform: [0, 1]}, b: {uniform: [0, 1]}}", "a < 0.5")
    draws = [{"a": 0.9, "b": 0.25}, {"a": 0.2, "b": 0.5}]
    assert propose(space, [], 1, 0, draws) == draws[1]
    moved = propose(space, [], 1, 0, draws[:1])
    assert moved is not None
    assert 0.45 < float(str(moved["a"])) < 0.5, "the nearest one on the way to a feasible point"


def test_defaults_that_are_not_feasible_are_left_out() -> None:
    space = space_of("{a: {int: [1, 9], default: 2}}", "a > 7")
    assert {point["a"] for point in swept(space, "random", 9)} == {8, 9}


def test_the_feasible_points_of_a_sobol_sequence_do_not_depend_on_earlier_calls() -> None:
    text, condition = "{a: {uniform: [0, 1]}, b: {uniform: [0, 1]}}", "a + b < 0.3"
    used = space_of(text, condition)
    expected = [list(sobol_draws(used, position, 5)) for position in range(20)]
    fresh = space_of(text, condition)
    assert [list(sobol_draws(fresh, position, 5)) for position in (19, 3, 0)] == [
        expected[position] for position in (19, 3, 0)
    ]
    points = [json.dumps(point) for (point,) in expected]
    assert len({*points}) == 20
    assert list(sobol_draws(space_of(text, "a + b < 0"), 0, 5)) == []


def test_the_acquisition_is_computed_for_feasible_candidates_only() -> None:
    space = space_of(
        "{a: {uniform: [0, 1]}, b: {int: [1, 9]}, c: {choice: [x, y]}}", "a * 10 < b", 'c == "y"'
    )
    encoding = encoding_of(space)
    parents = snap(encoding, units_of_points(space, [{"a": 0.1, "b": 5, "c": "y"}]))

    def score(units):
        assert len(units)
        assert all(is_feasible(space, point_of_units(space, row.tolist())) for row in units)
        return units[:, 0]

    ranked = ranked_candidates(
        encoding, score, parents, generator_for(1, "x"), is_feasible=feasibility_of(space)
    )
    assert len(ranked) > 500
    assert feasibility_of(space_of("{a: 1}")) is None


def test_start_points_come_first_in_any_sampler_and_then_the_default() -> None:
    space = space_of("{a: {int: [1, 9], default: 5}, b: {uniform: [0, 1]}}")
    start = ({"a": 3, "b": 0.5}, {"a": 5, "b": 0.75})
    space = Space(space.tree, space.constraints, start)
    for sampler in sorted({*SAMPLERS} - {"grid"}):
        assert swept(space, sampler, 3) == [*start, {"a": 5, "b": 0.5}]
    carried = history_of([{"a": 5, "b": 0.75}, {"a": 1, "b": 0.0}])
    assert start_point(space, carried) == start[0]
    assert start_point(space, [*carried, *history_of(start)]) is None


PLUG_INS = """
from tunecli import SamplerInfo

def stubborn(space, history, number, seed):
    return {"a": 0.9}

def careless(space, history, number, seed):
    return {"a": 0.9 if seed == 3 else 0.2}

STUBBORN = SamplerInfo("stubborn", "mine:stubborn")
CARELESS = SamplerInfo("careless", "mine:careless")
"""
PROGRAM = """
from tests.support.plug_ins import environment_with, install
from tests.support.spaces import space_of
from tunecli.search.protocols import suggest
space = space_of("{a: {uniform: [0, 1]}}", "a < 0.5")
for name in ("careless", "stubborn", "stubborn"):
    print(suggest(name, space, [], 0, 3)["a"])
"""


def test_a_plug_in_that_ignores_constraints_is_called_again_and_then_its_point_is_moved(
    tmp_path: Path,
) -> None:
    points = {"stubborn": "mine:STUBBORN", "careless": "mine:CARELESS"}
    install(tmp_path, "mine", "1", {"mine.py": PLUG_INS}, {"samplers": points})
    environment = environment_with(tmp_path)
    root = Path(__file__).parents[2]
    environment["PYTHONPATH"] += f":{root}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert not done.stderr
    again, moved, repeated = map(float, done.stdout.split())
    assert again == 0.2
    assert 0.4 < moved < 0.5
    assert repeated == moved
