"""Acquisition functions: against scikit-optimize's, and in the tails where those underflow to 0."""

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


class FixedModel:
    """A model that always predicts `MEAN` and `DEVIATION`."""

    def predict(self, rows: Any, return_std: bool = False) -> Any:
        return MEAN, DEVIATION


def test_values_and_order_equal_scikit_optimizes() -> None:
    rows, incumbent = np.zeros((41, 1)), np.array([-0.3])
    ei, pi, lcb = (
        ACQUISITIONS[name].improving[0](MEAN[None], DEVIATION[None], incumbent)
        for name in ("ei", "pi", "lcb")
    )
    np.testing.assert_allclose(ei, np.log(gaussian_ei(rows, FixedModel(), y_opt=-0.3, xi=0.0)), atol=1e-9)
    np.testing.assert_allclose(pi, np.log(gaussian_pi(rows, FixedModel(), y_opt=-0.3, xi=0.0)), atol=1e-9)
    np.testing.assert_array_equal(np.argsort(lcb), np.argsort(-gaussian_lcb(rows, FixedModel(), kappa=2.0)))


ALL = dict.fromkeys(
    acquisition
    for portfolio in ACQUISITIONS.values()
    for acquisition in (*portfolio.improving, *portfolio.stalled)
)


@pytest.mark.parametrize("acquisition", ALL)
def test_scores_are_strictly_ordered_far_from_the_incumbent(acquisition: Acquisition) -> None:
    mean = np.linspace(1.0, 1e5, 50)[None]
    scores = acquisition(mean, np.full((1, 50), 0.5), np.array([-1.0]))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


@pytest.mark.parametrize("acquisition", ALL)
def test_two_equal_members_score_like_one(acquisition: Acquisition) -> None:
    once = acquisition(MEAN[None], DEVIATION[None], np.array([0.0]))
    twice = acquisition(np.tile(MEAN, (2, 1)), np.tile(DEVIATION, (2, 1)), np.zeros(2))
    np.testing.assert_allclose(np.ptp(twice - once), 0.0, atol=1e-9)


def test_a_target_below_the_incumbent_prefers_an_unlikely_large_improvement_to_a_certain_small_one() -> None:
    sure, unlikely = 0, 1
    mean, deviation, incumbent = np.array([[-2.01, -0.5]]), np.array([[0.005, 0.7]]), np.array([-2.0])
    plain, with_target = (
        acquisition(mean, deviation, incumbent)
        for acquisition in (log_expected_improvement, log_ei_with_target)
    )
    assert plain[sure] > plain[unlikely]
    assert with_target[unlikely] > with_target[sure]
    np.testing.assert_array_equal(with_target, log_expected_improvement(mean, deviation, np.array([-2.5])))


def test_the_target_is_an_eighth_below_an_incumbent_at_the_mean() -> None:
    args = (MEAN[None], DEVIATION[None])
    expected = log_expected_improvement(*args, np.array([-0.125]))
    np.testing.assert_array_equal(log_ei_with_target(*args, np.array([0.0])), expected)


@pytest.mark.parametrize(("gain", "is_stalled"), [(0.0, True), (0.09, True), (0.11, False)])
@pytest.mark.parametrize("index", [-8, -1])
def test_a_search_has_stalled_if_eight_losses_improve_by_less_than_a_tenth(
    gain: float, index: int, *, is_stalled: bool
) -> None:
    values = np.array([0.5, -1.0, *[0.3] * 8])
    values[index] = -1.0 - gain
    assert has_stalled(values) == is_stalled
    values[index], values[-9] = 0.3, -1.0 - gain  # the ninth latest is the value to improve on
    assert has_stalled(values)


def test_no_search_has_stalled_before_eight_trials_of_the_model() -> None:
    assert not has_stalled(np.array([]))
    assert not has_stalled(np.zeros(8))
    assert has_stalled(np.zeros(9))
    assert not has_stalled(np.zeros(12), n_initial=5)
    assert has_stalled(np.zeros(13), n_initial=5)


def test_turns_follow_one_another_and_change_when_the_search_stalls() -> None:
    mixed = ACQUISITIONS["mixed"]
    improving = [mixed.at(number, is_stalled=False) for number in range(8)]
    assert improving == [*mixed.improving, *mixed.improving]
    assert [mixed.at(number, is_stalled=True) for number in range(4, 8)] == list(mixed.stalled)


def test_log_h_is_continuous_between_its_formulas() -> None:
    for z in (-1.0, -1e3):
        below, above = log_h(np.array([np.nextafter(z, -np.inf), np.nextafter(z, np.inf)]))
        assert below == pytest.approx(above, rel=1e-6)
    assert log_h(np.array([0.0]))[0] == pytest.approx(-0.5 * np.log(2 * np.pi))
