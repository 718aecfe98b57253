"""Sweeps with constraints and with several objectives, by every sampler that handles them."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable

import pytest

from tests.support.spaces import space_of
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, Parameters, State

SQUARE = "{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}"

Values = Callable[[float, float], tuple[tuple[float, ...], tuple[float, ...]]]
"""(x, y) → (losses, violations)"""


def swept(sampler: str, values: Values, n_trials: int, seed: int = 0) -> list[Observation]:
    space, history = space_of(SQUARE), list[Observation]()
    for number in range(n_trials):
        point = suggest(sampler, space, history, number, seed)
        assert point is not None
        losses, violations = values(*_numbers(point))
        objectives = losses if len(losses) > 1 else ()
        history.append(Observation(number, point, State.COMPLETE, losses[0], objectives, violations))
    return history


def _numbers(point: Parameters) -> tuple[float, float]:
    return float(point["x"]), float(point["y"])


def in_a_disc(x: float, y: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Minimise x + y outside a disc: the minimum is 0.5, on an axis at the border; 0 is infeasible."""
    return (x + y,), (1000 * (0.25 - x**2 - y**2),)


def in_a_corner(x: float, y: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Only a hundredth of the square is feasible."""
    return (x + y,), (0.9 - x, 0.9 - y)


def two_bowls(x: float, y: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The Pareto front is the line between (0.2, 0.5) and (0.8, 0.5)."""
    return ((x - 0.2) ** 2 + (y - 0.5) ** 2, 1e6 * ((x - 0.8) ** 2 + (y - 0.5) ** 2)), ()


@pytest.mark.parametrize("sampler", ["bayes", "tpe"])
def test_the_feasible_optimum_is_found_on_the_border(sampler: str) -> None:
    history = swept(sampler, in_a_disc, 30 if sampler == "bayes" else 60)
    feasible = [o.loss for o in history if o.loss is not None and o.violations[0] <= 0]
    assert min(feasible) < (0.51 if sampler == "bayes" else 0.65)
    assert sum(o.violations[0] <= 0 for o in history[-15:]) >= 6


def test_a_feasible_trial_is_the_first_target_without_one() -> None:
    history = swept("bayes", in_a_corner, 25)
    first = next(o.number for o in history if max(o.violations) <= 0)
    assert first < 12
    assert min(o.loss or 9 for o in history if max(o.violations) <= 0) < 1.83


@pytest.mark.parametrize("sampler", ["bayes", "tpe"])
def test_trials_cover_the_pareto_front_in_any_unit(sampler: str) -> None:
    history = swept(sampler, two_bowls, 40)
    late = [_numbers(o.parameters) for o in history[10:]]
    near = [x for x, y in late if abs(y - 0.5) < 0.15 and 0.1 < x < 0.9]
    assert len(near) > (20 if sampler == "bayes" else 8)
    assert min(near) < 0.35
    assert max(near) > 0.65


@pytest.mark.parametrize("sampler", ["bayes", "tpe", "random", "quasirandom"])
@pytest.mark.parametrize("values", [in_a_disc, two_bowls])
def test_a_suggestion_depends_on_the_record_alone_in_any_order(sampler: str, values: Values) -> None:
    history = swept(sampler, values, 14)
    history[5] = Observation(5, history[5].parameters, State.FAILED)
    history[9] = Observation(9, history[9].parameters, State.WAITING)
    before = copy.deepcopy(history)
    first = suggest(sampler, space_of(SQUARE), history, 14, 0)
    shuffled = [*history]
    random.Random(1).shuffle(shuffled)
    assert suggest(sampler, space_of(SQUARE), shuffled, 14, 0) == first
    assert history == before


@pytest.mark.parametrize("sampler", ["bayes", "tpe"])
def test_unknown_violations_and_losses_are_accepted(sampler: str) -> None:
    history = swept(sampler, in_a_disc, 10)
    history[3] = Observation(3, history[3].parameters, State.PRUNED, 1.0, (), (math.nan,))
    history[4] = Observation(4, history[4].parameters, State.PRUNED, 1.0, (), (math.inf,))
    assert suggest(sampler, space_of(SQUARE), history, 10, 0) is not None
    pareto = swept(sampler, two_bowls, 10)
    pareto[3] = Observation(3, pareto[3].parameters, State.COMPLETE, 1.0, (1.0, math.nan))
    assert suggest(sampler, space_of(SQUARE), pareto, 10, 0) is not None
