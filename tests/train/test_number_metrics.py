"""Each metric of a regression that is computed on request equals scikit-learn's or SciPy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as reference
import torch
from numpy.typing import NDArray

from tunecli.train import number_metrics
from tunecli.train.number_metrics import Predicted, in_units


def cases() -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Predictions and positive targets."""
    rng = np.random.default_rng(5)
    return {
        "random": (rng.normal(5, 3, 101), rng.uniform(0.1, 9, 101)),
        "even": (rng.normal(5, 3, 100), rng.uniform(0.1, 9, 100)),
        "ties": (rng.integers(1, 4, 80).astype(float), rng.integers(1, 4, 80).astype(float)),
        "perfect": (np.arange(1.0, 9), np.arange(1.0, 9)),
        "reverse": (np.arange(9.0, 1, -1), np.arange(1.0, 9)),
        "one": (np.array([2.0]), np.array([3.0])),
        "large": (1e9 + rng.normal(size=50), 1e9 + rng.normal(size=50)),
        "tiny": (1e-9 * rng.uniform(1, 2, 50), 1e-9 * rng.uniform(1, 2, 50)),
    }


CASES = cases()
REFERENCES: list[tuple[str, dict[str, Any], Any]] = [
    ("median_absolute_error", {}, reference.median_absolute_error),
    ("max_error", {}, reference.max_error),
    ("mape", {}, reference.mean_absolute_percentage_error),
    ("msle", {}, lambda y, guess: reference.mean_squared_log_error(y, np.maximum(guess, 0))),
    ("rmsle", {}, lambda y, guess: reference.root_mean_squared_log_error(y, np.maximum(guess, 0))),
    ("pinball", {}, reference.mean_pinball_loss),
    ("pinball", {"alpha": 0.9}, lambda y, guess: reference.mean_pinball_loss(y, guess, alpha=0.9)),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("name", "settings", "expected"), REFERENCES)
def test_a_metric_equals_scikit_learns(name: str, settings: dict[str, Any], expected: Any, case: str) -> None:
    guess, y = CASES[case]
    value = float(getattr(number_metrics, name)(Predicted(*map(torch.from_numpy, (guess, y))), **settings))
    assert value == pytest.approx(expected(y, guess), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("case", [name for name in CASES if name != "one"])
def test_spearman_equals_scipys(case: str) -> None:
    guess, y = CASES[case]
    value = float(number_metrics.spearman(Predicted(*map(torch.from_numpy, (guess, y)))))
    assert value == pytest.approx(scipy.stats.spearmanr(y, guess).statistic, rel=1e-12, abs=1e-14)


def test_spearman_of_equal_predictions_is_0_and_of_equal_targets_undefined() -> None:
    same, different = torch.ones(5).double(), torch.arange(5.0).double()
    assert float(number_metrics.spearman(Predicted(same, different))) == 0.0
    assert math.isnan(number_metrics.spearman(Predicted(different, same)))


def test_metrics_of_targets_without_a_value_are_undefined() -> None:
    part = Predicted(torch.tensor([1.0, 2.0]).double(), torch.tensor([0.0, -1.0]).double())
    assert math.isnan(number_metrics.mape(part))
    assert math.isnan(number_metrics.msle(part))
    assert math.isnan(number_metrics.rmsle(part))


def test_a_standardised_target_of_0_is_0_in_its_own_units() -> None:
    y = np.array([0.0, 1.0, 7.0, 1e-3, 250.0])
    center, scale = float(y.mean()), float(y.std())
    found = in_units(torch.from_numpy(((y - center) / scale).astype(np.float32)), scale, center)
    assert float(found[0]) == 0.0
    assert found.numpy() == pytest.approx(y, rel=1e-4, abs=1e-4)
    assert float(found[3]) > 0.0
