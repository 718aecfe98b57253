"""The trials that no model chooses: the mode first, then draws from the priors among Sobol points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support.spaces import space_of
from tunecli.config.priors.placing import with_priors
from tunecli.config.space import point_of_units
from tunecli.search.bo.initial_design import initial_draws
from tunecli.search.bo.knob_priors import mode_units
from tunecli.search.draws import sobol_draws
from tunecli.search.protocols import suggest
from tunecli.search.samplers.bayes import n_initial, n_unmodelled
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


def distance(point):
    """The distance of a point to the usual settings."""
    return abs(math.log10(point["optimizer.lr"]) + 2.7) + abs(math.log10(point["optimizer.weight_decay"]) + 2)


def test_results_against_the_priors_end_their_draws():
    good, bad = observed(distance), observed(lambda point: -distance(point))
    assert next(initial_draws(KNOWN, good, 7, 3)) == next(initial_draws(KNOWN, [], 7, 3))
    assert next(initial_draws(KNOWN, bad, 7, 3)) != next(initial_draws(KNOWN, [], 7, 3))


def test_results_against_the_priors_add_half_as_many_trials_that_no_model_chooses():
    good, bad = observed(distance, 4), observed(lambda point: -distance(point), 4)
    assert (n_unmodelled(KNOWN, good), n_unmodelled(KNOWN, bad)) == (n_initial(KNOWN), 6)
    assert suggest("bayes", KNOWN, bad, 4, 3) == next(initial_draws(KNOWN, bad, 4, 3))
    assert suggest("bayes", KNOWN, good, 4, 3) != next(initial_draws(KNOWN, good, 4, 3))
