"""The trials that no model chooses: the mode first, then draws from the priors among Sobol points."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.config.priors.space_priors import with_priors
from tunecli.config.space import default_point, point_of_units
from tunecli.search.bo.initial_design import initial_draws
from tunecli.search.bo.knob_priors import mode_units
from tunecli.search.bo.user_prior import evidence_on_priors
from tunecli.search.draws import sobol_draws
from tunecli.search.protocols import suggest
from tunecli.search.samplers.bayes import (
    n_before_results,
    n_initial,
    n_initial_without_priors,
    n_unmodelled,
)
from tunecli.trial import Observation, State

PLAIN = space_of("""
  optimizer: {name: adamw, lr: {loguniform: [1e-6, 1]}, weight_decay: {loguniform: [1e-6, 1]}}
  other: {uniform: [0, 1]}
""")
KNOWN = with_priors(PLAIN)


def test_the_first_trial_is_the_most_likely_point():
    assert next(initial_draws(KNOWN, [], 0, 3)) == point_of_units(KNOWN, mode_units(KNOWN))
    assert next(initial_draws(PLAIN, [], 0, 3)) == point_of_units(PLAIN, [0.5, 0.5, 0.5])


WITH_DEFAULTS = """
  model: {name: mlp, width: {logint: [8, 1024]}, activation: {choice: [sigmoid, gelu]}, dropout: {uniform: [0, 0.9], default: 0.6}}
  optimizer:
    choice:
      - {name: adamw, lr: {loguniform: [1e-6, 1.0]}}
      - {name: sgd, lr: {loguniform: [1e-4, 1.0]}, momentum: {uniform: [0, 0.9], default: 0.3}}
  training: {batch_size: {choice: [8, 16, 256]}, epochs: 4}
"""


@pytest.mark.parametrize("where", [(), ("model.width <= 300",)], ids=["free", "constrained"])
def test_the_first_trial_has_the_defaults_and_the_usual_values_of_other_settings(where):
    space = with_priors(space_of(WITH_DEFAULTS, *where))
    point = suggest("bayes", space, [], 0, 3)
    assert point["model.dropout"] == 0.6
    assert point["optimizer"] == "sgd"  # the branch that contains a default
    assert point["optimizer.momentum"] == 0.3
    assert point["model.activation"] == "gelu"
    assert point["training.batch_size"] == 16
    assert 0.05 < point["optimizer.lr"] < 0.5  # the middle of the range is 0.01
    assert 100 < point["model.width"] < 300  # the middle is 91


def test_the_first_trial_has_the_defaults_and_middles_where_usual_values_are_not_feasible():
    space = with_priors(space_of(WITH_DEFAULTS, "model.width <= 100"))
    assert suggest("bayes", space, [], 0, 3) == default_point(space)


def test_without_priors_the_first_trial_has_the_defaults_and_middles():
    space = space_of(WITH_DEFAULTS)
    assert suggest("bayes", space, [], 0, 3) == default_point(space)


def test_a_space_without_priors_gets_the_sobol_sequence():
    for number in range(1, 9):
        assert list(initial_draws(PLAIN, [], number, 3)) == list(sobol_draws(PLAIN, number - 1, 3))


def test_a_plain_range_over_magnitudes_is_covered_like_a_logarithmic_one():
    plain, logarithmic = (
        space_of(f"{{a: {{{kind}: [1e-5, 0.1]}}, b: {{uniform: [0, 1]}}}}")
        for kind in ("uniform", "loguniform")
    )
    for number in range(9):
        (*_, point), (*_, expected) = (
            list(initial_draws(space, [], number, 3)) for space in (plain, logarithmic)
        )
        assert point == pytest.approx(expected)
    assert next(initial_draws(plain, [], 0, 3)) == pytest.approx({"a": 1e-3, "b": 0.5})


def rate(point):
    return math.log10(point["optimizer.lr"])


def with_rates_removed(point):
    return {name: value for name, value in point.items() if name != "optimizer.lr"}


@pytest.mark.parametrize("is_better", [True, False])
def test_the_second_and_third_trial_step_along_the_learning_rate(is_better):
    deviation = KNOWN.priors["optimizer.lr"].deviation
    first, second = (next(initial_draws(KNOWN, [], number, 3)) for number in (0, 1))
    history = [
        Observation(0, first, State.COMPLETE, 1.0),
        Observation(1, second, State.COMPLETE, 0.5 if is_better else 2.0),
    ]
    third = next(initial_draws(KNOWN, history, 2, 3))
    steps = [(rate(point) - rate(first)) / deviation for point in (second, third)]
    assert steps == pytest.approx([1.25, 2.5 if is_better else -1.25], abs=0.02)
    assert with_rates_removed(first) == pytest.approx(with_rates_removed(second))
    assert with_rates_removed(first) == pytest.approx(with_rates_removed(third))


def test_the_third_trial_lowers_the_rate_if_the_second_has_failed_or_is_not_known():
    first, second = (next(initial_draws(KNOWN, [], number, 3)) for number in (0, 1))
    failed = [Observation(0, first, State.COMPLETE, 1.0), Observation(1, second, State.FAILED)]
    for history in ([], failed):
        assert rate(next(initial_draws(KNOWN, history, 2, 3))) < rate(first)


def test_no_step_leaves_the_range_of_the_rate():
    space = with_priors(space_of("optimizer: {name: adamw, lr: {loguniform: [1e-4, 3e-3]}}"))
    first = next(initial_draws(space, [], 0, 3))
    history = [Observation(0, first, State.COMPLETE, 1.0)]
    assert len({rate(next(initial_draws(space, history, number, 3))) for number in range(8)}) == 8
    assert all(1e-4 <= next(initial_draws(space, history, n, 3))["optimizer.lr"] <= 3e-3 for n in range(8))


def test_later_trials_are_draws_from_the_priors_and_sobol_points_in_turn():
    numbers = range(3, 41)
    firsts = {number: next(initial_draws(KNOWN, [], number, 3)) for number in numbers}
    sobol = [next(sobol_draws(KNOWN, place, 3)) for place in range(40)]
    assert [number for number in numbers if firsts[number] in sobol] == list(range(4, 41, 2))

    def spread(points):
        return np.std([rate(point) for point in points])

    of_priors = [firsts[number] for number in numbers if number % 2]
    assert spread(of_priors) < 0.5 * spread(sobol)


def test_the_design_is_a_function_of_number_and_seed():
    assert list(initial_draws(KNOWN, [], 3, 3)) == list(initial_draws(KNOWN, [], 3, 3))
    assert next(initial_draws(KNOWN, [], 3, 3)) != next(initial_draws(KNOWN, [], 3, 4))


def observed(loss, n=8):
    """The first trials of the known space, with these losses of a point."""
    points = [next(initial_draws(KNOWN, [], number, 3)) for number in range(n)]
    return [Observation(number, point, State.COMPLETE, loss(point)) for number, point in enumerate(points)]


def distance(point):
    """The distance of a point to the usual settings."""
    return abs(math.log10(point["optimizer.lr"]) + 2.7) + abs(math.log10(point["optimizer.weight_decay"]) + 2)


@pytest.mark.parametrize(
    ("space", "n_fixed"), [(PLAIN, 4), (KNOWN, 2)], ids=["without priors", "with priors"]
)
def test_the_trials_before_results_are_the_same_for_any_results(space, n_fixed):
    assert n_before_results(space) == n_fixed
    firsts = set()
    for sign in (1.0, -1.0):
        history = []
        for number in range(n_fixed + 1):
            point = suggest("bayes", space, history, number, 3)
            history.append(Observation(number, point, State.COMPLETE, sign * point["optimizer.lr"]))
        firsts.add(json.dumps([trial.parameters for trial in history[:n_fixed]]))
        firsts.add(json.dumps(history[n_fixed].parameters))
    assert len(firsts) == 3  # equal first trials, and two different ones after them


def test_results_against_the_priors_end_their_draws():
    good, bad = observed(distance), observed(lambda point: -distance(point))
    sobol = [next(sobol_draws(KNOWN, place, 3)) for place in range(2000)]
    first_good, first_bad = (
        next(initial_draws(KNOWN, history, 9, 3, evidence_on_priors(KNOWN, history)))
        for history in (good, bad)
    )
    assert first_good not in sobol
    assert first_bad in sobol


def test_a_space_with_priors_has_five_initial_trials_unless_results_contradict_them():
    text = "{optimizer: {name: adamw, lr: {loguniform: [1e-6, 1]}}, x: {list: {of: {uniform: [0, 1]}, length: 9}}}"
    plain, known = space_of(text), with_priors(space_of(text))
    assert n_initial(known) == 5
    assert n_initial(plain) == n_initial_without_priors(known) == 10
    assert n_initial(known, 6) == 3
    points = [next(initial_draws(known, [], number, 3)) for number in range(9)]
    far = [Observation(n, point, State.COMPLETE, -abs(rate(point) + 2.6)) for n, point in enumerate(points)]
    near = [replace(trial, loss=-trial.loss) for trial in far if trial.loss is not None]
    for_near, for_far = (evidence_on_priors(known, history) for history in (near, far))
    assert (n_unmodelled(known, for_near), n_unmodelled(known, for_far)) == (5, 10)
    assert suggest("bayes", known, far, 9, 3) == next(initial_draws(known, far, 9, 3, for_far))
    assert suggest("bayes", known, near, 9, 3) != next(initial_draws(known, near, 9, 3, for_near))
