"""R², and the conditions under which the effects of parameters are reliable."""

from __future__ import annotations

import numpy as np
import pytest

from tunecli.effects import Reliability
from tunecli.search.reliability import (
    is_ranking_agreed,
    n_active_needed,
    n_needed,
    r_squared,
    reliability,
)


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
def test_r_squared_is_1_for_exact_predictions_and_0_for_the_mean(scale: float) -> None:
    values_N = scale * np.array([1.0, 2.0, 4.0])
    assert r_squared(values_N, values_N) == 1.0
    assert r_squared(values_N, np.full(3, values_N.mean())) == pytest.approx(0.0)
    assert r_squared(values_N, scale * np.array([1.0, 2.0, 3.0])) == pytest.approx(1 - 1 / (14 / 3))
    assert r_squared(np.full(3, scale), np.zeros(3)) == 0.0


@pytest.mark.parametrize(
    ("r2", "n_trials", "n_parameters", "expected"),
    [
        (0.9, 30, 10, Reliability.RELIABLE),
        (0.85, 20, 6, Reliability.RELIABLE),
        (0.84, 30, 10, Reliability.PROVISIONAL),
        (0.95, 29, 10, Reliability.PROVISIONAL),
        (0.5, 20, 10, Reliability.PROVISIONAL),
        (0.49, 20, 10, Reliability.UNKNOWN),
        (0.99, 19, 2, Reliability.UNKNOWN),
        (0.99, 29, 15, Reliability.UNKNOWN),
        (-3.0, 100, 2, Reliability.UNKNOWN),
    ],
)
def test_the_gate_needs_r_squared_and_trials(
    r2: float, n_trials: int, n_parameters: int, expected: Reliability
) -> None:
    assert reliability(r2, n_trials, n_parameters, is_agreed=True) is expected


def test_effects_are_provisional_if_the_kernels_rank_parameters_differently() -> None:
    assert reliability(0.99, 100, 3, is_agreed=False) is Reliability.PROVISIONAL
    assert reliability(0.2, 100, 3, is_agreed=False) is Reliability.UNKNOWN


def test_more_parameters_and_trials_need_more() -> None:
    assert (n_needed(3), n_needed(15)) == (20, 30)
    assert (n_active_needed(20), n_active_needed(31), n_active_needed(100)) == (10, 11, 34)


@pytest.mark.parametrize(
    ("shares", "forest", "expected"),
    [
        ([[0.6, 0.3, 0.1], [0.5, 0.4, 0.2]], [0.4, 0.1, 0.3], True),
        ([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]], [0.6, 0.3, 0.1], False),
        ([[0.6, 0.3, 0.1], [0.5, 0.4, 0.2]], [0.4, 0.5, 0.2], False),
        ([[0.6, 0.1, 0.2, 0.3], [0.6, 0.3, 0.2, 0.1]], [0.6, 0.3, 0.2, 0.1], False),
        ([[0.9], [0.8]], [0.7], True),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0], True),
        ([[], []], [], False),
    ],
    ids=[
        "the same order",
        "another first of a kernel",
        "another first of the forest",
        "another order of the rest",
        "one",
        "no effect",
        "none",
    ],
)
def test_the_kernels_and_the_forest_agree_on_a_ranking_or_not(
    shares: list[list[float]], forest: list[float], expected: bool
) -> None:
    assert is_ranking_agreed(np.array(shares), np.array(forest)) is expected
