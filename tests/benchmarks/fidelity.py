"""Benchmark of samplers and pruners at equal budgets of epochs: `lcbench.py --epochs`.

A trial costs the epochs that it trains; a continued trial costs only its further epochs. The methods call the same pure
functions as a study with one worker, step by step, without any training. The result is the best loss of the trials that
were trained to their end, since only these have a rank.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks.peer_methods import suggested_point
from tunecli.config.space import Space
from tunecli.registry.pruners import Asha, Curves, Halving, Hyperband, Pausing
from tunecli.search.fidelity import Curve, comparable, min_known_of, pause_epochs, rung_fractions
from tunecli.search.protocols import next_action, suggest
from tunecli.trial import Observation, Parameters, State

LossCurve = Callable[[Parameters, int], float | None]
"""(parameters, number of epochs) → the loss after that many epochs; None: the trial fails."""


@dataclass(frozen=True)
class Spent:
    """The result of a sweep.

    Attributes:
        ends: for each trial that was trained to its end, the epochs spent until then, and its loss.
        seconds: the time of each decision, of a processor.
    """

    ends: tuple[tuple[int, float], ...]
    seconds: tuple[float, ...]


Method = Callable[[Space, LossCurve, int, int, int], Spent]
"""(the space, with priors if ours may use them, learning curve, epochs of a full training, seed, budget of epochs) → the result."""


def full(sampler: str) -> Method:
    """A sampler without a pruner: every trial is trained to its end."""

    def run(space: Space, curve: LossCurve, full_epochs: int, seed: int, budget: int) -> Spent:
        done, ends, seconds = list[Observation](), list[tuple[int, float]](), list[float]()
        while (len(ends) + 1) * full_epochs <= budget:
            began_s = time.process_time()
            point = suggest(sampler, space, done, len(done), seed)
            seconds.append(time.process_time() - began_s)
            if point is None:
                break
            loss = curve(point, full_epochs)
            done.append(Observation(len(done), point, State.FAILED if loss is None else State.COMPLETE, loss))
            ends.append((len(done) * full_epochs, math.inf if loss is None else loss))
        return Spent(tuple(ends), tuple(seconds))

    return run


def pausing(knob: Pausing, sampler: str) -> Method:
    """A pausing pruner and a sampler, called as by a study; it begins trials until the budget is spent."""

    def run(space: Space, curve: LossCurve, full_epochs: int, seed: int, budget: int) -> Spent:
        curves, ends, seconds = list[Curve](), list[tuple[int, float]](), list[float]()
        fractions, spent = rung_fractions(full_epochs, knob.min_epochs, knob.factor), 0
        untils = [until or full_epochs for until in pause_epochs(full_epochs, fractions)]
        while spent < budget:
            began_s = time.process_time()
            action = next_action(knob, curves, fractions, space, seed, may_begin=True)
            assert action is not None
            if action.number is None:
                history = comparable(curves, len(fractions), min_known_of(len(space.parameters)))
                point = action.parameters or suggest(sampler, space, history, len(curves), seed)
                assert point is not None
                curves.append(Curve(len(curves), point, State.WAITING, 0))
            seconds.append(time.process_time() - began_s)
            number = len(curves) - 1 if action.number is None else action.number
            before = curves[number]
            until = untils[action.rung]
            loss = curve(before.parameters, until)
            spent += until - before.epochs
            curves[number] = _after(before, action.rung, len(fractions), loss, until)
            if until == full_epochs and loss is not None:
                ends.append((spent, loss))
        return Spent(tuple(ends), tuple(seconds))

    return run


def _after(before: Curve, rung: int, n_rungs: int, loss: float | None, epochs: int) -> Curve:
    number, point = before.number, before.parameters
    if loss is None:
        return Curve(number, point, State.FAILED, rung, before.losses, None, epochs)
    if rung == n_rungs - 1:
        return Curve(number, point, State.COMPLETE, rung, before.losses, loss, epochs)
    return Curve(number, point, State.PAUSED, rung, {**before.losses, rung: loss}, None, epochs)


def optuna_with(sampler: str, *, is_pruning: bool) -> Method:
    """Optuna's sampler of that name, alone or with its Hyperband pruner (one epoch is the least resource)."""

    def run(space: Space, curve: LossCurve, full_epochs: int, seed: int, budget: int) -> Spent:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        pruner = optuna.pruners.HyperbandPruner(1, full_epochs) if is_pruning else optuna.pruners.NopPruner()
        study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed), pruner=pruner)
        ends, seconds, spent = list[tuple[int, float]](), list[float](), 0
        while spent + full_epochs <= budget or (is_pruning and spent < budget):
            began_s = time.process_time()
            trial = study.ask()
            point = suggested_point(trial, space)
            seconds.append(time.process_time() - began_s)
            state, loss = optuna.trial.TrialState.COMPLETE, None
            for epoch in range(1 if is_pruning else full_epochs, full_epochs + 1):
                loss = curve(point, epoch)
                if loss is None:
                    state = optuna.trial.TrialState.FAIL
                    break
                trial.report(loss, epoch)
                if epoch < full_epochs and trial.should_prune():
                    state = optuna.trial.TrialState.PRUNED
                    break
            spent += epoch
            study.tell(trial, loss if state is optuna.trial.TrialState.COMPLETE else None, state=state)
            if state is optuna.trial.TrialState.COMPLETE and loss is not None:
                ends.append((spent, loss))
        return Spent(tuple(ends), tuple(seconds))

    return run


METHODS: Mapping[str, Method] = {
    "random": full("random"),
    "bayes": full("bayes"),
    "optuna-tpe": full("tpe"),  # our `tpe` is Optuna's sampler
    "optuna-gp": optuna_with("GPSampler", is_pruning=False),
    "optuna-hyperband": optuna_with("TPESampler", is_pruning=True),
    "halving": pausing(Halving(), "random"),
    "hyperband": pausing(Hyperband(), "random"),
    "hyperband-bayes": pausing(Hyperband(), "bayes"),
    "asha": pausing(Asha(), "random"),
    "asha-bayes": pausing(Asha(), "bayes"),
    "curves": pausing(Curves(), "bayes"),
}
