"""The contract of a sampler: a pure function that returns points of the space, and each point of a finite one once."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from tunecli.config.arithmetic import formula_of
from tunecli.config.concrete_trial import concrete
from tunecli.config.constraints import Combination, Constraints
from tunecli.config.domains import contains
from tunecli.config.enumeration import grid_size, position_of_point, space_size
from tunecli.config.feasibility import is_feasible
from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space, default_point, values_by_key
from tunecli.registry.implementations import implementation
from tunecli.registry.samplers import SamplerInfo
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
links:
  list:
    of: {choice: [{cut: {fraction: {uniform: [0, 1], grid: 3}}}, {clip: {norm: {uniform: [1, 9], grid: 2}}}]}
    length: {int: [0, 3]}
noise: {normal: [0, 1], grid: 3}
copied: {ref: lr}
"""
CONSTRAINED = """
a: {int: [1, 6]}
b: {int: [1, 6]}
kind: {choice: [x, {name: y, depth: {choice: [1, 2]}}]}
"""
CONSTRAINTS = Constraints(
    where=(formula_of("2 * a <= b"), formula_of("kind.depth < b")),
    forbid=(Combination((("kind", ("x",)), ("a", (1, 2)))),),
)
STATES = (
    State.COMPLETE,
    State.FAILED,
    State.COMPLETE,
    State.PRUNED,
    State.PAUSED,
    State.COMPLETE,
    State.WAITING,
)


def space_of(text: str) -> Space:
    """Return the space of a trial's YAML."""
    return Space(parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))


def observed(number: int, point: Parameters, state: State) -> Observation:
    """Return a trial with a loss that depends on its point alone."""
    loss = sum(json.dumps(point, sort_keys=True).encode()) % 97 / 97
    return Observation(number, point, state, loss if state in (State.COMPLETE, State.PRUNED) else None)


_BEGUN: dict[tuple[type, str], list[Observation]] = {}
"""By class of tests and space, a sweep that the tests share: a model's suggestion takes up to a tenth of a second."""


class SamplerContract:
    """The contract of every sampler. Subclass it in a test module and set ``sampler``.

    Attributes:
        sampler: the registry entry.
        settings: keyword arguments of its function; empty: its defaults.
    """

    sampler: ClassVar[SamplerInfo]
    settings: ClassVar[Mapping[str, Any]] = {}

    def suggest(
        self, space: Space, history: Sequence[Observation], number: int, seed: int = 3
    ) -> Parameters | None:
        """Return the point that the sampler suggests."""
        make = implementation(self.sampler.implementation)
        point: Parameters | None = make(space, history, number, seed, **self.settings)
        return point

    def swept(self, space: Space, n_trials: int, seed: int = 3) -> list[Observation]:
        """Return the trials of a sweep, which end in every way that there is."""
        history: list[Observation] = []
        for number in range(n_trials):
            point = self.suggest(space, history, number, seed)
            if point is None:
                break
            history.append(observed(number, point, STATES[number % len(STATES)]))
        return history

    def begun(self, text: str, n_trials: int) -> list[Observation]:
        """Return the first trials of one sweep of the space ``text``, which the tests of a class share."""
        history = _BEGUN.setdefault((type(self), text), [])
        space = space_of(text)
        while len(history) < n_trials:
            number = len(history)
            point = self.suggest(space, tuple(history), number)
            if point is None:
                break
            history.append(observed(number, point, STATES[number % len(STATES)]))
        return history[:n_trials]

    @pytest.mark.parametrize("text", [FINITE, CONTINUOUS])
    def test_every_suggestion_is_a_concrete_point_of_the_space(self, text: str) -> None:
        space = space_of(text)
        for observation in self.begun(text, 28):
            values = values_by_key(space, observation.parameters)
            active = [p for p in space.parameters if p.key in values]
            assert [p.name for p in active] == list(observation.parameters)
            assert all(contains(p.domain, values[p.key]) for p in active)
            assert "choice" not in json.dumps(concrete(space, observation.parameters))

    def test_a_finite_space_is_exhausted_without_a_repeat_and_then_gives_none(self) -> None:
        space = space_of(FINITE)
        size = space_size(space)
        assert size == 2 * ((1 + 2 + 4) + 4 * 3 + 1)
        history = self.begun(FINITE, size + 5)
        positions = [position_of_point(space, observation.parameters) for observation in history]
        assert sorted(positions, key=str) == sorted(range(size), key=str)
        assert self.suggest(space, history, size) is None

    def test_only_feasible_points_are_suggested_until_none_is_left(self) -> None:
        space = replace(space_of(CONSTRAINED), constraints=CONSTRAINTS)
        # 9 pairs have 2a <= b. `x` has the one with a = 3; `y` has two depths for each, but for one where b is 2.
        history = self.swept(space, 30)
        assert all(is_feasible(space, observation.parameters) for observation in history)
        assert len({json.dumps(observation.parameters) for observation in history}) == len(history) == 1 + 17
        assert self.suggest(space, history, len(history)) is None

    def test_constraints_are_obeyed_in_a_continuous_space(self) -> None:
        condition = Constraints(where=(formula_of("lr * 5 <= 1 + noise"), formula_of("`links.length` != 1")))
        space = replace(space_of(CONTINUOUS), constraints=condition)
        history = self.swept(space, 20)
        assert len(history) == 20
        assert all(is_feasible(space, observation.parameters) for observation in history)

    def test_the_same_arguments_give_the_same_point_and_do_not_change(self) -> None:
        space, again = space_of(CONTINUOUS), space_of(CONTINUOUS)
        history = self.begun(CONTINUOUS, 16)
        before = copy.deepcopy(history)
        first = self.suggest(space, history, 16)
        np.random.default_rng().random(7)
        self.suggest(space, history[:4], 4, 99)
        assert self.suggest(again, tuple(before), 16) == first
        assert history == before

    def test_global_random_generators_are_not_used(self) -> None:
        space = space_of(CONTINUOUS)
        history = self.begun(CONTINUOUS, 16)
        before = str(np.random.get_state()), random.getstate()
        first = self.suggest(space, history, 16)
        assert (str(np.random.get_state()), random.getstate()) == before
        np.random.random(3)
        random.random()
        assert self.suggest(space, history, 16) == first

    @pytest.mark.parametrize(
        "text", ["{}", "{a: 1, b: [2, {c: 3}]}", "{x: {choice: [only]}, y: {uniform: [2, 2]}}"]
    )
    def test_a_space_of_one_point_has_one_trial(self, text: str) -> None:
        space = space_of(text)
        history = self.swept(space, 3)
        assert [position_of_point(space, observation.parameters) for observation in history] == [0]

    def test_the_default_is_the_first_trial_and_is_not_suggested_again(self) -> None:
        space = space_of("{x: {int: [1, 6], default: 5}, y: {choice: [a, b, c], default: b}}")
        points = [observation.parameters for observation in self.swept(space, 20)]
        assert points[0] == default_point(space) == {"x": 5, "y": "b"}
        assert points.count({"x": 5, "y": "b"}) == 1
        assert len(points) == 18

    @pytest.mark.parametrize("state", [State.FAILED, State.PAUSED, State.WAITING])
    def test_a_record_without_any_loss_is_accepted(self, state: State) -> None:
        space = space_of(CONTINUOUS)
        history: list[Observation] = []
        for number in range(20):
            point = self.suggest(space, history, number, 0)
            assert point is not None
            history.append(Observation(number, point, state))
        assert len({json.dumps(observation.parameters) for observation in history}) == 20

    def test_a_record_with_missing_trials_is_accepted(self) -> None:
        space = space_of(CONTINUOUS)
        assert (grid_size(space) or 0) > 40
        history = self.begun(CONTINUOUS, 20)[::3]
        assert self.suggest(space, history, 40) is not None

    def test_the_seed_matters(self) -> None:
        space = space_of(CONTINUOUS)
        seconds = [self.suggest(space, [], 1, seed) for seed in range(5)]  # trial 0 may be the middle
        n_different = len({json.dumps(point) for point in seconds})
        assert n_different == 1 if self.sampler.needs_grid else n_different == 5

    def test_results_matter_if_the_sampler_says_so(self) -> None:
        space = space_of(CONTINUOUS)
        history = self.begun(CONTINUOUS, 28)
        blind = [Observation(each.number, each.parameters, State.WAITING) for each in history]
        found, without = (
            [self.suggest(space, of, number) for number in range(28, 32)] for of in (history, blind)
        )
        assert (found != without) == self.sampler.reads_results

    @pytest.mark.parametrize("n_losses", [1, 2])
    def test_constraints_and_several_goals_are_taken_if_the_sampler_says_so(self, n_losses: int) -> None:
        space = space_of(CONTINUOUS)
        is_taken = self.sampler.handles_several_goals if n_losses > 1 else self.sampler.handles_constraints
        history = []
        for each in self.begun(CONTINUOUS, 24):
            loss = each.loss
            losses = () if n_losses == 1 or loss is None else (loss, 1 - loss)
            violations = () if n_losses > 1 or loss is None else (loss - 0.5,)
            history.append(Observation(each.number, each.parameters, each.state, loss, losses, violations))
        if is_taken:
            assert self.suggest(space, history, 24) is not None
