"""Several goals and constraints: what is proposed comes to the front, and to where the constraints hold."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from tunecli.config.grammar import parse
from tunecli.config.reader import read
from tunecli.config.space import Space
from tunecli.search.bo.feasibility import (
    bilog,
    feasibility_rank,
    log_probability_constraints,
    violation_matrix,
)
from tunecli.search.bo.scalarization import augmented_chebyshev, scalarize, scaled
from tunecli.search.samplers.registry import suggest
from tunecli.trial import Observation, Parameters, State

SQUARE = "{x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}"
LINE = np.linspace(0, 1, 21)[:, None]
GROUPS = np.array([0])
NONE = np.empty((0, 1))

Values = Callable[[float, float], tuple[tuple[float, ...], tuple[float, ...]]]


def space_of(text: str) -> Space:
    return Space(parse(read(text.encode(), "test.yaml"), lambda problem: pytest.fail(str(problem))))


def swept(sampler: str, values: Values, n_trials: int, seed: int = 0) -> list[Observation]:
    space, history = space_of(SQUARE), list[Observation]()
    for number in range(n_trials):
        point = suggest(sampler, space, history, number, seed)
        assert point is not None
        losses, excesses = values(*_numbers(point))
        several = losses if len(losses) > 1 else ()
        history.append(Observation(number, point, State.COMPLETE, losses[0], several, excesses))
    return history


def _numbers(point: Parameters) -> tuple[float, float]:
    return float(point["x"]), float(point["y"])


def in_a_disc(x: float, y: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The best of x + y outside a disc: 0 in its middle, 0.5 where it ends on an axis."""
    return (x + y,), (1000 * (0.25 - x**2 - y**2),)


def in_a_corner(x: float, y: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nothing holds but in a hundredth of the square."""
    return (x + y,), (0.9 - x, 0.9 - y)


def two_bowls(x: float, y: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The front is the line between (0.2, 0.5) and (0.8, 0.5)."""
    return ((x - 0.2) ** 2 + (y - 0.5) ** 2, 1e6 * ((x - 0.8) ** 2 + (y - 0.5) ** 2)), ()


@pytest.mark.parametrize("sampler", ["bayes", "tpe"])
def test_the_best_that_holds_a_constraint_is_found_on_its_border(sampler: str) -> None:
    history = swept(sampler, in_a_disc, 30 if sampler == "bayes" else 60)
    held = [o.loss for o in history if o.loss is not None and o.violations[0] <= 0]
    assert min(held) < (0.51 if sampler == "bayes" else 0.65)
    assert sum(o.violations[0] <= 0 for o in history[-15:]) >= 6


def test_as_long_as_nothing_holds_that_is_searched_for_first() -> None:
    history = swept("bayes", in_a_corner, 25)
    first = next(o.number for o in history if max(o.violations) <= 0)
    assert first < 12
    assert min(o.loss or 9 for o in history if max(o.violations) <= 0) < 1.83


@pytest.mark.parametrize("sampler", ["bayes", "tpe"])
def test_trials_come_to_all_of_the_front_whatever_the_units(sampler: str) -> None:
    history = swept(sampler, two_bowls, 40)
    late = [_numbers(o.parameters) for o in history[10:]]
    near = [x for x, y in late if abs(y - 0.5) < 0.15 and 0.1 < x < 0.9]
    assert len(near) > (20 if sampler == "bayes" else 8)
    assert min(near) < 0.35
    assert max(near) > 0.65


@pytest.mark.parametrize("sampler", ["bayes", "tpe", "random", "quasirandom"])
@pytest.mark.parametrize("values", [in_a_disc, two_bowls])
def test_a_suggestion_follows_from_the_record_alone_in_any_order(sampler: str, values: Values) -> None:
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
def test_what_is_not_known_of_a_trial_harms_no_suggestion(sampler: str) -> None:
    history = swept(sampler, in_a_disc, 10)
    history[3] = Observation(3, history[3].parameters, State.PRUNED, 1.0, (), (math.nan,))
    history[4] = Observation(4, history[4].parameters, State.PRUNED, 1.0, (), (math.inf,))
    assert suggest(sampler, space_of(SQUARE), history, 10, 0) is not None
    several = swept(sampler, two_bowls, 10)
    several[3] = Observation(3, several[3].parameters, State.COMPLETE, 1.0, (1.0, math.nan))
    assert suggest(sampler, space_of(SQUARE), several, 10, 0) is not None


def test_a_region_where_a_constraint_holds_is_known_in_any_unit() -> None:
    for unit in (1e-6, 1.0, 1e9):
        chance = log_probability_constraints(
            LINE, unit * (LINE - 0.61), NONE, GROUPS, np.random.default_rng(0)
        )
        good, bad = np.exp(chance(np.array([[0.3], [0.9]])))
        assert good > 0.99
        assert bad < 0.01


def test_all_of_several_constraints_are_to_hold() -> None:
    both = np.hstack([LINE - 0.6, 0.4 - LINE])
    chance = log_probability_constraints(LINE, both, NONE, GROUPS, np.random.default_rng(0))
    low, between, high = np.exp(chance(np.array([[0.2], [0.5], [0.8]])))
    assert between > 0.99
    assert max(low, high) < 0.01


def test_without_constraints_everything_holds() -> None:
    chance = log_probability_constraints(LINE, np.empty((21, 0)), NONE, GROUPS, np.random.default_rng(0))
    np.testing.assert_array_equal(chance(LINE), 0)


def test_bending_keeps_the_order_the_sign_and_the_bound() -> None:
    excesses = np.array([-1e6, -3.0, 0.0, 2.0, 1e12])
    found = bilog(excesses)
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(np.sign(found), np.sign(excesses))


def test_merit_goes_by_the_loss_where_constraints_hold_and_by_what_is_broken_where_not() -> None:
    excesses = np.array([[1.0, -1.0], [-1.0, -1.0], [0.0, 0.0], [0.5, 100.0], [np.nan, 0.0]])
    assert feasibility_rank([0.0, 5.0, 4.0, 0.0, 0.0], excesses) == [2, 1, 0, 3, 4]


def test_trials_without_excesses_are_told_as_unknown() -> None:
    found = violation_matrix([(1.0, -2.0), (), (math.inf, 0.0)])
    np.testing.assert_array_equal(found, [[1.0, -2.0], [np.nan, np.nan], [np.nan, 0.0]])


def test_the_weighed_loss_is_knowles_s_and_prefers_what_dominates() -> None:
    losses = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 1.0]])
    weights = np.array([0.25, 0.75])
    np.testing.assert_allclose(
        augmented_chebyshev(losses, weights), [0.75 + 0.0375, 0.375 + 0.025, 0.75 + 0.05]
    )
    assert (scaled(losses * [1e-9, 1e9]).min(axis=0) == 0).all()
    assert (scaled(losses * [1e-9, 1e9]).max(axis=0) == 1).all()


def test_weights_are_each_trial_s_own_and_named_by_seed_and_number() -> None:
    history = swept("random", two_bowls, 8)
    first = [o.loss for o in scalarize(history, 8, 0)]
    assert first == [o.loss for o in scalarize(history, 8, 0)]
    assert first != [o.loss for o in scalarize(history, 9, 0)]
    assert first != [o.loss for o in scalarize(history, 8, 1)]
