"""The contract of a pruner: bounds that end trials, or decisions which paused trial is trained on."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.knob import NamedKnob
from tunecli.registry.implementations import implementation
from tunecli.registry.pruners import Pausing, PrunerInfo
from tunecli.search.fidelity import Action, Curve, rung_fractions
from tunecli.search.protocols import Bounds, LossCurve, discarded_trials, full_trainings, next_action
from tunecli.trial import Parameters, State

_SPACE = "{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}"
_MOST_STEPS = 10_000


@dataclass
class Sweep:
    """A sweep of known losses, decided step by step by a pruner that pauses.

    Attributes:
        settings: of the pruner.
        losses: by trial, by rung; NaN: the trial fails on its way there.
        fractions: the rungs.
        curves: the trials that were begun.
        steps: each trial and the rung that it was trained to.
    """

    settings: Pausing
    losses: Sequence[Sequence[float]]
    fractions: Sequence[float]
    curves: list[Curve] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    @property
    def may_begin(self) -> bool:
        """Whether a new trial may be begun."""
        return len(self.curves) < len(self.losses)

    def action(self) -> Action | None:
        """Return the next action."""
        return next_action(self.settings, self.curves, self.fractions, _space(), 3, may_begin=self.may_begin)

    def run(self) -> Iterator[Action]:
        """Take one action after the other, to the end."""
        while (action := self.action()) is not None:
            yield action
            self._take(action)
            assert len(self.steps) < _MOST_STEPS, "the sweep does not end"

    def _take(self, action: Action) -> None:
        number = len(self.curves) if action.number is None else action.number
        self.steps.append((number, action.rung))
        before = {} if action.number is None else self.curves[number].losses
        point = self.curves[number].parameters if action.number is not None else _point(number)
        loss, last = self.losses[number][action.rung], len(self.fractions) - 1
        if math.isnan(loss):
            curve = Curve(number, point, State.FAILED, action.rung, before)
        elif action.rung == last:
            curve = Curve(number, point, State.COMPLETE, last, before, loss)
        else:
            curve = Curve(number, point, State.PAUSED, action.rung, {**before, action.rung: loss})
        self.curves[number : number + 1] = [curve]


def _space() -> Space:
    return Space(parse(read(_SPACE.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))


def _point(number: int) -> Parameters:
    generator = np.random.default_rng(number)
    return {"x": float(generator.random()), "y": float(generator.random())}


def _losses(n_trials: int, n_rungs: int, n_failed: int = 0) -> list[list[float]]:
    """Return losses that fall from rung to rung, of trials some of which fail."""
    generator = np.random.default_rng(5)
    first_N = generator.random(n_trials)
    losses = [[float(first * 0.8**rung) for rung in range(n_rungs)] for first in first_N]
    for number in generator.permutation(n_trials)[:n_failed].tolist():
        losses[number][1 % n_rungs :] = [math.nan] * (n_rungs - 1 % n_rungs)
    return losses


class _Contract:
    pruner: ClassVar[PrunerInfo]
    settings: ClassVar[NamedKnob | None] = None

    @property
    def knob(self) -> NamedKnob:
        """The settings."""
        return self.settings or self.pruner.settings.model_validate({"name": self.pruner.name})

    def test_its_settings_fit_its_kind(self) -> None:
        assert issubclass(self.pruner.settings, Pausing) == self.pruner.pauses_trials
        assert self.knob.name == self.pruner.name


class StoppingPrunerContract(_Contract):
    """The contract of a stopping pruner. Subclass it in a test module and set ``pruner``.

    Attributes:
        pruner: the registry entry.
        settings: its settings; None: the defaults.
    """

    def bounds(self, curves: Sequence[LossCurve]) -> Bounds:
        """Return the bounds that the pruner sets."""
        found: Bounds = implementation(self.pruner.implementation)(self.knob, curves)
        return found

    def test_bounds_are_a_pure_function_of_the_curves_in_any_order(self) -> None:
        curves = [[(epoch, float(number) / epoch) for epoch in range(1, 9)] for number in range(12)]
        before = copy.deepcopy(curves)
        first = self.bounds(curves)
        assert self.bounds(curves[::-1]) == first == self.bounds(copy.deepcopy(before))
        assert curves == before
        assert list(first.epochs) == sorted(set(first.epochs))
        assert len(first.epochs) == len(first.losses)

    def test_losses_that_are_not_finite_count_as_not_reported(self) -> None:
        curves: list[LossCurve] = [
            [(epoch, float(number + epoch)) for epoch in range(1, 6)] for number in range(9)
        ]
        odd: LossCurve = [(1, math.nan), (2, math.inf), (3, 1e301)]
        assert self.bounds([*curves, odd, []]) == self.bounds(curves)


class PausingPrunerContract(_Contract):
    """The contract of a pausing pruner. Subclass it in a test module and set ``pruner``.

    Attributes:
        pruner: the registry entry.
        settings: its settings; None: the defaults.
    """

    def sweep(self, n_trials: int, n_failed: int = 0, full_epochs: int = 27) -> Sweep:
        """Return a sweep that the pruner decides."""
        assert isinstance(self.knob, Pausing)
        fractions = rung_fractions(full_epochs, self.knob.min_epochs, self.knob.factor)
        return Sweep(self.knob, _losses(n_trials, len(fractions), n_failed), fractions)

    @pytest.mark.parametrize(("n_trials", "n_failed"), [(1, 0), (4, 0), (40, 0), (40, 12), (9, 9)])
    def test_each_action_is_possible_and_the_sweep_ends(self, n_trials: int, n_failed: int) -> None:
        sweep = self.sweep(n_trials, n_failed)
        for action in sweep.run():
            assert 0 <= action.rung < len(sweep.fractions)
            if action.number is None:
                assert sweep.may_begin
            else:
                curve = sweep.curves[action.number]
                assert curve.is_paused
                assert curve.rung < action.rung
                assert action.parameters is None
        assert len(sweep.curves) == n_trials
        is_any_sound = any(not math.isnan(losses[-1]) for losses in sweep.losses)
        if self.pruner.has_fallback:
            assert any(curve.state is State.COMPLETE for curve in sweep.curves) == is_any_sound

    def test_an_action_is_a_pure_function_of_the_curves(self) -> None:
        sweep = self.sweep(30, 6)
        for action in sweep.run():
            before = copy.deepcopy(sweep.curves)
            assert sweep.action() == action
            assert sweep.curves == before

    def test_a_discarded_trial_is_never_continued(self) -> None:
        sweep, gone = self.sweep(40, 4), set[int]()
        for action in sweep.run():
            assert action.number not in gone
            gone |= discarded_trials(sweep.settings, sweep.curves, len(sweep.fractions))

    @pytest.mark.parametrize("n_trials", [1, 9, 40])
    def test_the_work_lies_within_the_estimate(self, n_trials: int) -> None:
        sweep = self.sweep(n_trials)
        least, most = full_trainings(sweep.settings, sweep.fractions, _space(), n_trials)
        for _ in sweep.run():
            pass
        work = sum(
            1.0 if curve.state is State.COMPLETE else sweep.fractions[curve.rung] for curve in sweep.curves
        )
        assert 0 < least <= most <= n_trials + 1e-9
        if not self.pruner.depends_on_arrival:
            assert work <= most + 1e-9
