"""The user's priors in the acquisition: what they weigh, and when the results end their influence."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tests.support.spaces import space_of
from tunecli.config.priors.space_priors import with_priors
from tunecli.search.bo.initial_design import initial_draws
from tunecli.search.bo.user_prior import (
    NO_EVIDENCE,
    evidence_on_priors,
    has_user_prior,
    log_user_prior,
)
from tunecli.trial import Observation, State

PLAIN = space_of("""
  optimizer: {name: adamw, lr: {loguniform: [1e-6, 1]}, weight_decay: {loguniform: [1e-6, 1]}}
  other: {uniform: [0, 1]}
""")
KNOWN = with_priors(PLAIN)
WITH_DEFAULTS = space_of(
    "{x: {uniform: [0, 1], default: 0.2}, y: {choice: [a, b, c], default: b}, z: {uniform: [0, 1]}}"
)
UNITS_MD = np.random.default_rng(0).random((9, 3))


def known_distance(point):
    """The distance of a point to the usual settings."""
    return abs(math.log10(point["optimizer.lr"]) + 2.7) + abs(math.log10(point["optimizer.weight_decay"]) + 2)


def default_distance(point):
    """The distance of a point to the defaults."""
    return abs(point["x"] - 0.2) + 0.05 * (point["y"] != "b")


def observed(space, loss, n=6):
    """The first trials of a space, with these losses of a point."""
    points = [next(initial_draws(space, [], number, 3)) for number in range(n)]
    return [Observation(number, point, State.COMPLETE, loss(point)) for number, point in enumerate(points)]


def test_priors_of_settings_count_only_if_the_results_support_them():
    good, bad, undecided = (
        observed(KNOWN, loss, 8)
        for loss in (
            known_distance,
            lambda point: -known_distance(point),
            lambda point: 7.3 * point["other"] % 1,
        )
    )
    evidence = [evidence_on_priors(KNOWN, trials) for trials in (good, bad, undecided)]
    assert [each.contradicts_settings for each in evidence] == [False, True, False]
    assert [each.supports_settings for each in evidence] == [True, False, False]
    for other in (*evidence[1:], NO_EVIDENCE):
        assert (log_user_prior(KNOWN, 8, other)(UNITS_MD) == 0).all()
    assert (log_user_prior(KNOWN, 8, evidence[0])(UNITS_MD) != 0).any()


def test_defaults_count_unless_the_results_do_not_support_them():
    good, bad, undecided, alike = (
        observed(WITH_DEFAULTS, loss, 16)
        for loss in (
            default_distance,
            lambda point: -default_distance(point),
            lambda point: point["z"],
            lambda point: 1.0,
        )
    )
    expected_M = log_user_prior(WITH_DEFAULTS, 8, NO_EVIDENCE)(UNITS_MD)
    assert (expected_M < 0).all()
    for history in (good, alike):
        evidence = evidence_on_priors(WITH_DEFAULTS, history)
        np.testing.assert_array_equal(log_user_prior(WITH_DEFAULTS, 8, evidence)(UNITS_MD), expected_M)
    for history in (bad, undecided):
        evidence = evidence_on_priors(WITH_DEFAULTS, history)
        assert evidence.doubts_defaults
        assert (log_user_prior(WITH_DEFAULTS, 8, evidence)(UNITS_MD) == 0).all()


def test_results_say_nothing_of_priors_that_a_space_does_not_have():
    assert [has_user_prior(space) for space in (PLAIN, KNOWN, WITH_DEFAULTS)] == [False, True, True]
    assert evidence_on_priors(PLAIN, observed(PLAIN, known_distance)) == NO_EVIDENCE
    assert evidence_on_priors(KNOWN, observed(KNOWN, known_distance)).defaults_share is None
    assert evidence_on_priors(WITH_DEFAULTS, observed(WITH_DEFAULTS, default_distance)).settings_share is None


def test_failures_count_as_the_worst_results_and_two_trials_say_nothing():
    trials = observed(KNOWN, lambda point: 1.0)
    failed = [replace(trials[0], state=State.FAILED, loss=None), *trials[1:]]
    assert evidence_on_priors(KNOWN, failed).contradicts_settings  # the mode failed
    assert evidence_on_priors(KNOWN, failed[:2]) == NO_EVIDENCE
