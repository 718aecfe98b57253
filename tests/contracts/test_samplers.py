"""The contract of a sampler, tested with every built-in one."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.config.concrete_trial import concrete
from tunecli.config.domains import contains
from tunecli.config.enumeration import grid_size, position_of_point, space_size
from tunecli.config.space import Space, default_point, values_by_key
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import SAMPLERS
from tunecli.search.protocols import Sampler
from tunecli.trial import Observation, Parameters, State

FINITE = """
model:
  choice:
    - {name: mlp, hidden: {list: {of: {choice: [8, 16]}, length: {int: [0, 2]}}}}
    - {name: cnn, channels: {logint: [4, 64], step: 20}, dropout: {uniform: [0, 0.4], step: 0.2}}
    - linear
again: {ref: model}
flag: {choice: [1, true]}
"""
CONTINUOUS = """
lr: {loguniform: [1e-5, 1], grid: 5}
decay: {choice: [0, {loguniform: [1e-6, 1e-1], grid: 3}]}
links: {list: {of: {choice: [{cut: {fraction: {uniform: [0, 1], grid: 3}}}, {clip: {norm: {uniform: [1, 9], grid: 2}}}]},
               length: {int: [0, 3]}}}
noise: {normal: [0, 1], grid: 3}
copied: {ref: lr}
"""
STATES = (
    State.COMPLETE,
    State.FAILED,
    State.COMPLETE,
    State.PRUNED,
    State.PAUSED,
    State.COMPLETE,
    State.WAITING,
)


def observed(number: int, point: Parameters, state: State) -> Observation:
    """Return a trial in that state; its loss, if it has one, depends on its point alone."""
    loss = sum(json.dumps(point, sort_keys=True).encode()) % 97 / 97
    return Observation(number, point, state, loss if state in (State.COMPLETE, State.PRUNED) else None)


def swept(sampler: Sampler, space: Space, n_trials: int, seed: int = 3) -> list[Observation]:
    history: list[Observation] = []
    for number in range(n_trials):
        point = sampler(space, history, number, seed)
        if point is None:
            break
        history.append(observed(number, point, STATES[number % len(STATES)]))
    return history


@pytest.mark.parametrize(
    "sampler", [pytest.param(implementation(info.implementation), id=name) for name, info in SAMPLERS.items()]
)
class TestSampler:
    @pytest.mark.parametrize("text", [FINITE, CONTINUOUS])
    def test_every_suggestion_is_a_concrete_point_of_the_space(self, sampler: Sampler, text: str) -> None:
        space = space_of(text)
        for observation in swept(sampler, space, 28):
            values = values_by_key(space, observation.parameters)
            active = [p for p in space.parameters if p.key in values]
            assert [p.name for p in active] == list(observation.parameters)
            assert all(contains(p.domain, values[p.key]) for p in active)
            assert "choice" not in json.dumps(concrete(space, observation.parameters))

    def test_a_finite_space_is_exhausted_without_a_repeat_and_then_gives_none(self, sampler: Sampler) -> None:
        space = space_of(FINITE)
        size = space_size(space)
        assert size == 2 * ((1 + 2 + 4) + 4 * 3 + 1)
        history = swept(sampler, space, size + 5)
        positions = [position_of_point(space, observation.parameters) for observation in history]
        assert sorted(positions, key=str) == sorted(range(size), key=str)
        assert sampler(space, history, size, 3) is None

    def test_the_same_arguments_give_the_same_point_and_do_not_change(self, sampler: Sampler) -> None:
        space, again = space_of(CONTINUOUS), space_of(CONTINUOUS)
        history = swept(sampler, space, 16)
        before = copy.deepcopy(history)
        first = sampler(space, history, 16, 3)
        np.random.default_rng().random(7)
        sampler(space, history[:4], 4, 99)
        assert sampler(again, tuple(before), 16, 3) == first
        assert history == before

    def test_global_random_generators_are_not_used(self, sampler: Sampler) -> None:
        space = space_of(CONTINUOUS)
        history = swept(sampler, space, 16)
        before = np.random.get_state()
        sampler(space, history, 16, 3)
        after = np.random.get_state()
        assert str(before) == str(after)

    @pytest.mark.parametrize(
        "text", ["{}", "{a: 1, b: [2, {c: 3}]}", "{x: {choice: [only]}, y: {uniform: [2, 2]}}"]
    )
    def test_a_space_of_one_point_has_one_trial(self, sampler: Sampler, text: str) -> None:
        space = space_of(text)
        history = swept(sampler, space, 3)
        assert [position_of_point(space, observation.parameters) for observation in history] == [0]

    def test_the_default_is_the_first_trial_and_is_not_suggested_again(self, sampler: Sampler) -> None:
        space = space_of("{x: {int: [1, 6], default: 5}, y: {choice: [a, b, c], default: b}}")
        points = [observation.parameters for observation in swept(sampler, space, 20)]
        assert points[0] == default_point(space) == {"x": 5, "y": "b"}
        assert points.count({"x": 5, "y": "b"}) == 1
        assert len(points) == 18

    @pytest.mark.parametrize("state", [State.FAILED, State.PAUSED, State.WAITING])
    def test_a_record_without_any_loss_is_accepted(self, sampler: Sampler, state: State) -> None:
        space = space_of(CONTINUOUS)
        history: list[Observation] = []
        for number in range(20):
            point = sampler(space, history, number, 0)
            assert point is not None
            history.append(Observation(number, point, state))
        assert len({json.dumps(observation.parameters) for observation in history}) == 20

    def test_a_record_with_missing_trials_is_accepted(self, sampler: Sampler) -> None:
        space = space_of(CONTINUOUS)
        assert (grid_size(space) or 0) > 40
        history = swept(sampler, space, 20)[::3]
        assert sampler(space, history, 40, 3) is not None


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=name) for name, info in SAMPLERS.items() if not info.needs_grid]
)
def test_samplers_that_draw_depend_on_the_seed(name: str) -> None:
    space = space_of(CONTINUOUS)
    seconds = [
        implementation(SAMPLERS[name].implementation)(space, [], 1, seed) for seed in range(5)
    ]  # bayes begins in the middle
    assert len({json.dumps(point) for point in seconds}) == 5
