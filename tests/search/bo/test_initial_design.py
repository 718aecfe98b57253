"""The trials that no model chooses: the mode first, then draws from the priors among Sobol points."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.config.priors.placing import with_priors
from tunecli.config.space import point_of_units
from tunecli.search.bo.acquisition import log_user_prior
from tunecli.search.bo.initial_design import initial_draws
from tunecli.search.bo.knob_priors import is_contradicted, is_supported, mode_units
from tunecli.search.draws import sobol_draws
from tunecli.search.protocols import suggest
from tunecli.trial import Observation, State

PLAIN = space_of("""
  optimizer: {name: adamw, lr: {loguniform: [1e-6, 1]}, weight_decay: {loguniform: [1e-6, 1]}}
  other: {uniform: [0, 1]}
""")
KNOWN = with_priors(PLAIN)


def test_the_first_trial_is_the_most_likely_point():
    assert next(initial_draws(KNOWN, [], 0, 3)) == point_of_units(KNOWN, mode_units(KNOWN))
    assert next(initial_draws(PLAIN, [], 0, 3)) == point_of_units(PLAIN, [0.5, 0.5, 0.5])


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


def test_trials_are_draws_from_the_priors_and_the_first_sobol_points():
    firsts = [next(initial_draws(KNOWN, [], number, 3)) for number in range(1, 41)]
    sobol = [next(sobol_draws(KNOWN, place, 3)) for place in range(40)]
    of_sobol = [point for point in firsts if point in sobol]
    of_priors = [point for point in firsts if point not in sobol]
    assert of_sobol == sobol[: len(of_sobol)]
    assert 10 <= len(of_priors) <= 30

    def spread(points):
        return np.std(np.log10([point["optimizer.lr"] for point in points]))

    assert spread(of_priors) < 0.5 * spread(of_sobol)


def test_the_design_is_a_function_of_number_and_seed():
    assert list(initial_draws(KNOWN, [], 2, 3)) == list(initial_draws(KNOWN, [], 2, 3))
    assert next(initial_draws(KNOWN, [], 1, 3)) != next(initial_draws(KNOWN, [], 1, 4))


def observed(loss, n=6):
    """The first trials of the known space, with these losses of a point."""
    points = [next(initial_draws(KNOWN, [], number, 3)) for number in range(n)]
    return [Observation(number, point, State.COMPLETE, loss(point)) for number, point in enumerate(points)]


def test_results_against_the_priors_end_their_draws():
    def is_far(point):
        return -abs(math.log10(point["optimizer.lr"]) + 2.7) - abs(
            math.log10(point["optimizer.weight_decay"]) + 2
        )

    good, bad = observed(lambda point: -is_far(point)), observed(is_far)
    assert not is_contradicted(KNOWN, good)
    assert is_contradicted(KNOWN, bad)
    assert next(initial_draws(KNOWN, good, 7, 3)) == next(initial_draws(KNOWN, [], 7, 3))
    assert next(initial_draws(KNOWN, bad, 7, 3)) != next(initial_draws(KNOWN, [], 7, 3))
    units_MD = np.random.default_rng(0).random((9, 3))
    undecided = observed(lambda point: point["other"])
    assert not is_contradicted(KNOWN, undecided)
    assert not is_supported(KNOWN, undecided)
    for history in (bad, undecided, []):
        assert (log_user_prior(KNOWN, 8, history)(units_MD) == 0).all()
    assert (log_user_prior(KNOWN, 8, good)(units_MD) != 0).any()


def test_results_against_the_priors_add_half_as_many_trials_that_no_model_chooses():
    def distance(point):
        return abs(math.log10(point["optimizer.lr"]) + 2.7)

    good, bad = observed(distance, 4), observed(lambda point: -distance(point), 4)
    assert suggest("bayes", KNOWN, bad, 4, 3) == next(initial_draws(KNOWN, bad, 4, 3))
    assert suggest("bayes", KNOWN, good, 4, 3) != next(initial_draws(KNOWN, good, 4, 3))


def test_failures_count_as_the_worst_results_and_two_trials_say_nothing():
    trials = observed(lambda point: 1.0)
    failed = [replace(trials[0], state=State.FAILED, loss=None), *trials[1:]]
    assert is_contradicted(KNOWN, failed)  # the mode failed
    assert not is_contradicted(KNOWN, failed[:2])
    assert not is_contradicted(PLAIN, failed)
