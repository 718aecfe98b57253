"""Models of failures and of constraints."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunecli.search.bo.feasibility import (
    bilog,
    feasibility_rank,
    log_probability_constraints,
    log_probability_success,
    violation_matrix,
)

LINE = np.linspace(0, 1, 21)[:, None]
GROUPS = np.array([0])
NONE = np.empty((0, 1))


def test_success_is_certain_before_any_failure() -> None:
    log_success = log_probability_success(LINE, NONE, GROUPS, np.random.default_rng(0))
    np.testing.assert_array_equal(log_success(LINE), 0)


def test_a_region_of_failures_has_an_uncertain_border() -> None:
    is_bad = LINE[:, 0] > 0.61
    log_success = log_probability_success(LINE[~is_bad], LINE[is_bad], GROUPS, np.random.default_rng(0))
    good, border, bad = np.exp(log_success(np.array([[0.2], [0.625], [0.9]])))
    assert good > 0.95
    assert border == pytest.approx(0.5, abs=0.3)
    assert bad < 0.05


def test_one_failure_among_successes_leaves_success_likely() -> None:
    is_bad = np.arange(21) == 10
    log_success = log_probability_success(LINE[~is_bad], LINE[is_bad], GROUPS, np.random.default_rng(0))
    assert np.exp(log_success(np.array([[0.5]])))[0] > 0.5


def test_a_constraint_is_learnt_in_any_unit() -> None:
    for unit in (1e-6, 1.0, 1e9):
        log_feasible = log_probability_constraints(
            LINE, unit * (LINE - 0.61), NONE, GROUPS, np.random.default_rng(0)
        )
        good, bad = np.exp(log_feasible(np.array([[0.3], [0.9]])))
        assert good > 0.99
        assert bad < 0.01


def test_the_probability_is_that_of_all_constraints() -> None:
    both = np.hstack([LINE - 0.6, 0.4 - LINE])
    log_feasible = log_probability_constraints(LINE, both, NONE, GROUPS, np.random.default_rng(0))
    low, between, high = np.exp(log_feasible(np.array([[0.2], [0.5], [0.8]])))
    assert between > 0.99
    assert max(low, high) < 0.01


def test_every_point_is_feasible_without_constraints() -> None:
    log_feasible = log_probability_constraints(
        LINE, np.empty((21, 0)), NONE, GROUPS, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(log_feasible(LINE), 0)


def test_bilog_keeps_order_and_sign() -> None:
    violations = np.array([-1e6, -3.0, 0.0, 2.0, 1e12])
    bent = bilog(violations)
    assert (np.diff(bent) > 0).all()
    np.testing.assert_array_equal(np.sign(bent), np.sign(violations))


def test_feasible_trials_rank_by_loss_and_infeasible_ones_by_violation() -> None:
    violations = np.array([[1.0, -1.0], [-1.0, -1.0], [0.0, 0.0], [0.5, 100.0], [np.nan, 0.0]])
    assert feasibility_rank([0.0, 5.0, 4.0, 0.0, 0.0], violations) == [2, 1, 0, 3, 4]


def test_missing_violations_become_nan() -> None:
    matrix = violation_matrix([(1.0, -2.0), (), (math.inf, 0.0)])
    np.testing.assert_array_equal(matrix, [[1.0, -2.0], [np.nan, np.nan], [np.nan, 0.0]])


def test_failures_of_one_option_leave_another_one_reachable_where_it_never_failed() -> None:
    x = np.linspace(0, 1, 11)
    zero, one = np.zeros(11), np.full(11, math.sqrt(0.5))
    first, second = np.column_stack([one, zero, x]), np.column_stack([zero, one, x])
    groups, choices = np.array([0, 0, 1]), (slice(0, 2),)
    # The first option fails above 0.5; the second was tried at the lower end only, with success.
    finished, failed = np.vstack([first[:6], second[:2]]), first[6:]
    shared, own = (
        log_probability_success(finished, failed, groups, np.random.default_rng(0), options)
        for options in ((), choices)
    )
    far = second[[10]]
    assert shared(far)[0] < -1e3 < -20 < own(far)[0] < math.log(0.5)
    np.testing.assert_array_equal(own(finished), shared(finished))  # to the bit
    assert own(first[[10]])[0] < -1e3
