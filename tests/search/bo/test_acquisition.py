"""What a point is worth: against scikit-optimize's own, and where that is nought to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skopt.acquisition import gaussian_ei, gaussian_lcb, gaussian_pi

from tunecli.search.bo.acquisition import (
    ACQUISITIONS,
    Acquisition,
    has_stalled,
    log_ei_with_target,
    log_expected_improvement,
    log_h,
)

MEAN = np.linspace(-2, 2, 41)
DEVIATION = np.linspace(0.5, 1.5, 41)


class Stated:
    """A model of one prediction."""

    def predict(self, rows: Any, return_std: bool = False) -> Any:
        return MEAN, DEVIATION


def test_the_order_and_the_logarithm_are_scikit_optimizes() -> None:
    rows, best = np.zeros((41, 1)), np.array([-0.3])
    ei, pi, lcb = (
        ACQUISITIONS[name].improving[0].acquisition(MEAN[None], DEVIATION[None], best)
        for name in ("ei", "pi", "lcb")
    )
    np.testing.assert_allclose(ei, np.log(gaussian_ei(rows, Stated(), y_opt=-0.3, xi=0.0)), atol=1e-9)
    np.testing.assert_allclose(pi, np.log(gaussian_pi(rows, Stated(), y_opt=-0.3, xi=0.0)), atol=1e-9)
    np.testing.assert_array_equal(np.argsort(lcb), np.argsort(-gaussian_lcb(rows, Stated(), kappa=2.0)))


EACH = dict.fromkeys(
    turn.acquisition
    for portfolio in ACQUISITIONS.values()
    for turn in (*portfolio.improving, *portfolio.stalled)
)


@pytest.mark.parametrize("worth", EACH)
def test_far_from_the_best_the_order_is_still_told(worth: Acquisition) -> None:
    mean = np.linspace(1.0, 1e5, 50)[None]
    scores = worth(mean, np.full((1, 50), 0.5), np.array([-1.0]))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


@pytest.mark.parametrize("worth", EACH)
def test_one_opinion_twice_is_that_opinion(worth: Acquisition) -> None:
    once = worth(MEAN[None], DEVIATION[None], np.array([0.0]))
    twice = worth(np.tile(MEAN, (2, 1)), np.tile(DEVIATION, (2, 1)), np.zeros(2))
    np.testing.assert_allclose(np.ptp(twice - once), 0.0, atol=1e-9)


def test_a_bold_turn_takes_a_small_chance_of_much_for_more_than_a_sure_bit() -> None:
    sure, unlikely = 0, 1
    mean, deviation, best = np.array([[-2.01, -0.5]]), np.array([[0.005, 0.7]]), np.array([-2.0])
    usual, bold = (worth(mean, deviation, best) for worth in (log_expected_improvement, log_ei_with_target))
    assert usual[sure] > usual[unlikely]
    assert bold[unlikely] > bold[sure]
    np.testing.assert_array_equal(bold, log_expected_improvement(mean, deviation, np.array([-2.5])))


def test_a_bold_turn_asks_for_something_where_the_best_is_hardly_below_the_mean() -> None:
    args = (MEAN[None], DEVIATION[None])
    expected = log_expected_improvement(*args, np.array([-0.125]))
    np.testing.assert_array_equal(log_ei_with_target(*args, np.array([0.0])), expected)


@pytest.mark.parametrize(("gain", "is_stalled"), [(0.0, True), (0.09, True), (0.11, False)])
@pytest.mark.parametrize("place", [-8, -1])
def test_a_search_has_stalled_once_eight_losses_bettered_the_best_by_less_than_a_tenth(
    gain: float, place: int, *, is_stalled: bool
) -> None:
    values = np.array([0.5, -1.0, *[0.3] * 8])
    values[place] = -1.0 - gain
    assert has_stalled(values) == is_stalled
    values[place], values[-9] = 0.3, -1.0 - gain  # the ninth latest is what there is to better
    assert has_stalled(values)


def test_before_a_model_asked_for_eight_trials_no_search_has_stalled() -> None:
    assert not has_stalled(np.array([]))
    assert not has_stalled(np.zeros(8))
    assert has_stalled(np.zeros(9))
    assert not has_stalled(np.zeros(12), n_initial=5)
    assert has_stalled(np.zeros(13), n_initial=5)


def test_turns_are_taken_one_after_another_and_change_where_the_search_stalls() -> None:
    mixed, stalled, going = ACQUISITIONS["mixed"], np.zeros(20), np.linspace(2.0, -2.0, 20)
    assert [mixed.at(turn, going) for turn in range(8)] == [*mixed.improving, *mixed.improving]
    assert [mixed.at(turn, stalled) for turn in range(4, 8)] == list(mixed.stalled)


def test_optimistic_turns_alone_ask_a_wary_model_as_long_as_the_search_gets_on() -> None:
    mixed = ACQUISITIONS["mixed"]
    assert all(
        turn.is_conservative == (turn.acquisition is not log_expected_improvement) for turn in mixed.improving
    )
    others = (ACQUISITIONS[name].improving for name in ("ei", "lcb", "pi"))
    assert not any(turn.is_conservative for turns in (mixed.stalled, *others) for turn in turns)


def test_log_h_is_smooth_where_its_formulas_meet() -> None:
    for z in (-1.0, -1e3):
        below, above = log_h(np.array([np.nextafter(z, -np.inf), np.nextafter(z, np.inf)]))
        assert below == pytest.approx(above, rel=1e-6)
    assert log_h(np.array([0.0]))[0] == pytest.approx(-0.5 * np.log(2 * np.pi))
