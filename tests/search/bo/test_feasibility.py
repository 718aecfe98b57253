"""Where trials fail is learnt apart from how good they are."""

from __future__ import annotations

import numpy as np
import pytest

from tunecli.search.bo.feasibility import log_probability_success

LINE = np.linspace(0, 1, 21)[:, None]
GROUPS = np.array([0])


def test_as_long_as_nothing_fails_everything_holds() -> None:
    hold = log_probability_success(LINE, np.empty((0, 1)), GROUPS, np.random.default_rng(0))
    np.testing.assert_array_equal(hold(LINE), 0)


def test_a_region_of_failures_is_known_and_its_border_in_doubt() -> None:
    is_bad = LINE[:, 0] > 0.61
    hold = log_probability_success(LINE[~is_bad], LINE[is_bad], GROUPS, np.random.default_rng(0))
    good, border, bad = np.exp(hold(np.array([[0.2], [0.625], [0.9]])))
    assert good > 0.95
    assert border == pytest.approx(0.5, abs=0.3)
    assert bad < 0.05


def test_a_failure_among_many_that_held_forbids_nothing() -> None:
    is_bad = np.arange(21) == 10
    hold = log_probability_success(LINE[~is_bad], LINE[is_bad], GROUPS, np.random.default_rng(0))
    assert np.exp(hold(np.array([[0.5]])))[0] > 0.5
