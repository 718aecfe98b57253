"""Bayesian search: it beats random search, and uses every kind of trial."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.errors import UsageError
from tunecli.search.bo.acquisition import ACQUISITIONS
from tunecli.search.bo.posterior import deterministic_blas, fit_posterior, trial_data
from tunecli.search.bo.surrogate import SURROGATES, SurrogateKind
from tunecli.search.bo.user_prior import NO_EVIDENCE, log_user_prior
from tunecli.search.protocols import suggest
from tunecli.search.samplers.bayes import ModelSettings, bayes, model_draws, n_initial
from tunecli.search.samplers.random import quasirandom
from tunecli.seeding import generator_for
from tunecli.trial import Observation, Parameters, State

Loss = Callable[[Parameters], float]

BRANIN = "{x: {uniform: [-5, 10]}, y: {uniform: [0, 15]}}"
MIXED = """
optimizer:
  choice:
    - {name: sgd, lr: {loguniform: [1e-4, 10]}, momentum: {uniform: [0, 0.99]}}
    - {name: adam, lr: {loguniform: [1e-6, 1]}}
activation: {choice: [sigmoid, tanh, gelu, relu]}
depth: {int: [1, 8]}
width: {logint: [8, 1024]}
dropout: {uniform: [0, 0.8]}
"""
LINE = "{x: {uniform: [0, 1]}}"


def branin(point: Parameters) -> float:
    """The Branin function (Dixon, Szegő 1978); its minimum is 0.397887."""
    x, y = _number(point, "x"), _number(point, "y")
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def mixed(point: Parameters) -> float:
    """A function that is smooth in each parameter's scale; its minimum is 0, at adam, relu, depth 3 and width 128."""
    log_lr = math.log10(_number(point, "optimizer.lr"))
    if point["optimizer"] == "sgd":
        loss = 0.1 + 0.5 * (log_lr + 1) ** 2 + 2 * (_number(point, "optimizer.momentum") - 0.9) ** 2
    else:
        loss = 0.5 * (log_lr + 3) ** 2
    loss += {"relu": 0.0, "gelu": 0.05, "tanh": 0.4, "sigmoid": 0.9}[str(point["activation"])]
    loss += 0.1 * (_number(point, "depth") - 3) ** 2 + 0.1 * (math.log2(_number(point, "width")) - 7) ** 2
    return loss + 2 * (_number(point, "dropout") - 0.2) ** 2


def _number(point: Parameters, name: str) -> float:
    return float(point[name])


def best_of(sampler: str, text: str, loss: Loss, seed: int, n_trials: int = 30) -> float:
    space, history = space_of(text), list[Observation]()
    for number in range(n_trials):
        point = suggest(sampler, space, history, number, seed)
        assert point is not None
        history.append(Observation(number, point, State.COMPLETE, loss(point)))
    return min(observation.loss for observation in history if observation.loss is not None)


@cache
def line_history(n_trials: int = 12, minimum: float = 0.3) -> tuple[Observation, ...]:
    points = [quasirandom(space_of(LINE), [], number, 0) or {} for number in range(n_trials)]
    losses = [(_number(point, "x") - minimum) ** 2 for point in points]
    return tuple(
        Observation(number, point, State.COMPLETE, loss)
        for number, (point, loss) in enumerate(zip(points, losses, strict=True))
    )


@pytest.mark.parametrize("n_seeds", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("text", "loss"), [(BRANIN, branin), (MIXED, mixed)], ids=["branin", "mixed"])
def test_the_best_of_thirty_trials_is_far_better_than_that_of_random_search(
    text: str, loss: Loss, n_seeds: int
) -> None:
    seeds = range(n_seeds)
    by_model = np.mean([best_of("bayes", text, loss, seed) for seed in seeds])
    by_chance = np.mean([best_of("random", text, loss, seed) for seed in seeds])
    minimum = 0.397887 if loss is branin else 0.0
    assert by_model - minimum < 0.5 * (by_chance - minimum)


def test_the_minimum_of_a_parabola_is_suggested_at_once() -> None:
    point = bayes(space_of(LINE), line_history(), 12, 0)
    assert point is not None
    assert _number(point, "x") == pytest.approx(0.3, abs=0.03)


def test_trials_are_the_middle_and_then_quasi_random_until_two_losses_are_known() -> None:
    space = space_of(MIXED)
    assert n_initial(space) == 9
    middle = {"activation": "gelu", "depth": 5, "dropout": 0.4, "optimizer": "adam", "optimizer.lr": 1e-3}
    first = bayes(space, [], 0, 5) or {}
    assert {name: first[name] for name in middle} == pytest.approx(middle)
    points = [first, *(quasirandom(space, [], number, 5) or {} for number in range(40))]
    for number in range(n_initial(space)):
        history = [Observation(i, points[i], State.COMPLETE, float(i)) for i in range(number)]
        assert bayes(space, history, number, 5) == points[number]
    failed = [Observation(i, points[i], State.FAILED) for i in range(30)]
    pending = [Observation(i, points[i], State.PAUSED) for i in range(30, 38)]
    alike = [Observation(i, points[i], State.COMPLETE, 1.0) for i in range(38, 40)]
    assert bayes(space, [*failed, *pending, *alike], 40, 5) == points[40]


def test_suggestions_keep_away_from_pending_trials() -> None:
    space, history = space_of(LINE), list(line_history())
    suggested: list[float] = []
    for number in range(12, 18):
        point = bayes(space, history, number, 0)
        assert point is not None
        suggested.append(_number(point, "x"))
        history.append(Observation(number, point, State.PAUSED))
    gaps = np.abs(np.subtract.outer(suggested, suggested))[np.triu_indices(len(suggested), 1)]
    assert gaps.min() >= 1e-3


def test_the_search_leaves_a_region_of_failures() -> None:
    """The loss falls towards x = 1, but everything above 0.6 fails."""
    space, history = space_of(LINE), list[Observation]()
    for number in range(24):
        point = bayes(space, history, number, 1)
        assert point is not None
        x = _number(point, "x")
        history.append(
            Observation(number, point, State.FAILED)
            if x > 0.6
            else Observation(number, point, State.COMPLETE, 1 - x)
        )
    n_failed_late = sum(observation.state is State.FAILED for observation in history[12:])
    assert n_failed_late <= 6  # the optimum is on the border, where half of the trials fail
    assert min(observation.loss for observation in history if observation.loss is not None) < 0.405


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 1e308])
def test_an_infinite_nan_or_huge_loss_does_not_change_the_search(loss: float) -> None:
    bad = Observation(12, {"x": 0.95}, State.COMPLETE, loss)
    point = bayes(space_of(LINE), [*line_history(), bad], 13, 0)
    assert point is not None
    assert _number(point, "x") == pytest.approx(0.3, abs=0.1)


def test_suggestions_do_not_depend_on_the_scale_of_the_losses() -> None:
    def scaled(factor: float) -> Parameters | None:
        history = [
            Observation(o.number, o.parameters, o.state, factor * (o.loss or 0.0)) for o in line_history()
        ]
        return bayes(space_of(LINE), history, 12, 0)

    assert scaled(2.0**30) == scaled(2.0**-30) == scaled(1.0)


def test_the_minimum_is_suggested_from_the_training_subset_of_a_long_record() -> None:
    point = bayes(space_of(LINE), line_history(260), 260, 0)
    assert point is not None
    assert _number(point, "x") == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_every_surrogate_and_acquisition_suggests_a_point_near_the_minimum(
    surrogate: str, acquisition: str
) -> None:
    history = [*line_history(21), Observation(21, {"x": 0.9}, State.PAUSED)]
    point = bayes(space_of(LINE), history, 22, 0, surrogate=surrogate, acquisition=acquisition)
    assert point is not None
    assert _number(point, "x") == pytest.approx(0.3, abs=0.15)


def test_a_stalled_search_explores_in_one_turn_of_four() -> None:
    stalled = tuple(
        Observation(12 + i, {"x": x}, State.COMPLETE, (x - 0.3) ** 2)
        for i, x in enumerate(np.linspace(0.29, 0.31, 10).tolist())
    )
    away = []
    for number in (24, 25, 26, 27):
        point = bayes(space_of(LINE), [*line_history(12), *stalled], number, 0)
        assert point is not None
        away.append(abs(_number(point, "x") - 0.3))
    assert [distance > 0.1 for distance in away] == [False, True, False, False]


def test_progress_is_measured_by_the_losses_of_feasible_trials() -> None:
    constrained = [replace(trial, violations=(trial.number - 5.5,)) for trial in line_history(12)]
    feasible, every = (
        trial_data(space_of(LINE), history).feasible_values_N for history in (constrained, line_history(12))
    )
    np.testing.assert_array_equal(feasible, every[:6])
    assert len(every) == 12


@pytest.mark.parametrize(("sign", "counts"), [(None, True), (-1.0, True), (1.0, False)])
def test_the_fantasy_of_a_likely_feasible_pending_trial_counts_for_the_incumbent(
    sign: float | None, *, counts: bool
) -> None:
    history = [o for o in line_history(12) if abs(_number(o.parameters, "x") - 0.3) > 0.1]
    if sign is not None:  # near the minimum the constraint is satisfied (-1) or violated (+1)
        history = [
            replace(o, violations=(sign * (0.45 - abs(_number(o.parameters, "x") - 0.3)),)) for o in history
        ]
    with_pending = [*history, Observation(40, {"x": 0.3}, State.WAITING)]
    with deterministic_blas():
        data, streams = trial_data(space_of(LINE), with_pending), partial(generator_for, 0, 12)
        without, including = (
            fit_posterior(data, SURROGATES["gp"].default, streams, include_pending=is_counted).incumbent_S
            for is_counted in (False, True)
        )
    assert without is not None
    assert including is not None
    assert (including < without).all() == counts


def test_paused_trials_raise_the_probability_of_success_near_them() -> None:
    known = [o for o in line_history(12) if _number(o.parameters, "x") < 0.3]
    failed = [Observation(20 + n, {"x": 0.8 + 0.05 * n}, State.FAILED) for n in range(4)]
    log_probabilities = []
    for state in (State.WAITING, State.PAUSED):
        pending = [Observation(30 + n, {"x": 0.4 + 0.05 * n}, state) for n in range(7)]
        with deterministic_blas():
            data = trial_data(space_of(LINE), [*known, *failed, *pending])
            posterior = fit_posterior(data, SURROGATES["gp"].default, partial(generator_for, 0, 40))
        log_probabilities.append(float(posterior.log_feasible(np.array([[0.7]]))[0]))
    assert log_probabilities[1] > log_probabilities[0]


def test_a_suggestion_uses_the_conservative_surrogate() -> None:
    history, gp = line_history(8), SURROGATES["gp"]
    points = [
        next(
            model_draws(
                space_of(LINE),
                history,
                11,
                0,
                ModelSettings(SurrogateKind(gp.default, used), ACQUISITIONS["mixed"], 4),
                NO_EVIDENCE,
            )
        )
        for used in (gp.default, gp.conservative)
    ]
    assert bayes(space_of(LINE), history, 11, 0) == points[1] != points[0]


def test_an_unknown_surrogate_or_acquisition_is_an_error() -> None:
    with pytest.raises(UsageError, match="no surrogate `forest`"):
        bayes(space_of(LINE), [], 0, 0, surrogate="forest")
    with pytest.raises(UsageError, match="no acquisition `es`"):
        bayes(space_of(LINE), [], 0, 0, acquisition="es")


def test_a_default_attracts_early_trials_more_than_late_ones() -> None:
    plain = space_of("{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}")
    with_default = space_of("{x: {uniform: [0, 1], default: 0.3}, y: {uniform: [0, 1], default: 0.6}}")
    early, late = (log_user_prior(with_default, number, NO_EVIDENCE) for number in (4, 400))
    units = np.array([[0.3, 0.6], [0.3, 0.1]])
    assert early(units)[0] == late(units)[0] == 0
    assert early(units)[1] == pytest.approx(100 * late(units)[1])
    points = [quasirandom(with_default, [], number, 0) or {} for number in range(6)]
    history = [
        Observation(number, point, State.COMPLETE, (_number(point, "x") - 0.3) ** 2)
        for number, point in enumerate(points)
    ]
    attracted, free = (bayes(space, history, 6, 0) or {} for space in (with_default, plain))
    assert _number(attracted, "y") == pytest.approx(0.6, abs=0.15)
    assert _number(free, "y") > 0.9


def test_a_long_record_whose_training_subset_has_equal_losses_is_accepted() -> None:
    space = space_of(LINE)
    points = [quasirandom(space, [], number, 0) or {} for number in range(250)]
    losses = [0.0] * 20 + [1.0] + [0.0] * 229
    history = [
        Observation(number, point, State.COMPLETE, loss)
        for number, (point, loss) in enumerate(zip(points, losses, strict=True))
    ]
    assert bayes(space, history, 250, 0) is not None


PROGRAM = """
import json, sys
from tunecli.search.protocols import suggest
from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.trial import Observation, State
text, records = json.load(sys.stdin)
history = [Observation(n, point, State(state), loss) for n, point, state, loss in records]
space = Space(parse(read(text.encode(), "f"), print))
print(json.dumps([suggest("bayes", space, history, n, 3) for n in (len(history), len(history) + 1)]))
"""


@pytest.mark.parametrize("threads", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_another_process_with_any_number_of_threads_suggests_the_same_bits(threads: str) -> None:
    space, history = space_of(MIXED), list[Observation]()
    for number in range(20):
        point = suggest("random", space, history, number, 3)
        assert point is not None
        state = (State.COMPLETE, State.COMPLETE, State.PRUNED, State.FAILED, State.PAUSED)[number % 5]
        is_scored = state in (State.COMPLETE, State.PRUNED)
        history.append(Observation(number, point, state, mixed(point) if is_scored else None))
    here = [suggest("bayes", space, history, number, 3) for number in (20, 21)]
    assert here[0] != here[1]
    records = [(o.number, o.parameters, o.state, o.loss) for o in history]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        input=json.dumps([MIXED, records]),
        env={
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONHASHSEED": threads,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == json.dumps(here) + "\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("n_parameters", "n_trials", "expected"),
    [
        (1, None, 4),
        (7, None, 8),
        (12, None, 10),
        (14, None, 12),
        (40, None, 16),
        (7, 10, 5),
        (7, 16, 8),
        (7, 2, 3),
    ],
)
def test_a_study_begins_with_at_most_half_of_its_trials_without_a_model(
    n_parameters: int, n_trials: int | None, expected: int
) -> None:
    space = space_of("{" + ", ".join(f"x{i}: {{uniform: [0, 1]}}" for i in range(n_parameters)) + "}")
    assert n_initial(space, n_trials) == expected


def test_a_short_study_uses_its_model_after_half_of_its_trials() -> None:
    space = space_of(MIXED)
    points = [bayes(space, [], number, 5) or {} for number in range(5)]
    history = [Observation(i, point, State.COMPLETE, float(i)) for i, point in enumerate(points)]
    without_model = bayes(space, history, 5, 5)
    assert bayes(space, history, 5, 5, n_trials=12) == without_model
    assert bayes(space, history, 5, 5, n_trials=10) != without_model


def test_a_short_study_stalls_by_its_own_number_of_initial_trials() -> None:
    """Of 18 trials with 9 parameters 9 have no model, not 10: eight later ones without progress come a trial earlier."""
    space = space_of("{" + ", ".join(f"p{i}: {{uniform: [0, 1]}}" for i in range(9)) + "}")
    history = [
        Observation(number, quasirandom(space, [], number, 0) or {}, State.COMPLETE, float(number))
        for number in range(17)
    ]
    usual = bayes(space, history, 17, 5)
    assert bayes(space, history, 17, 5, n_trials=20) == usual
    assert bayes(space, history, 17, 5, n_trials=18) != usual
