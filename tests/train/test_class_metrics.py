"""Each metric of a classification that is computed on request equals scikit-learn's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
from numpy.typing import NDArray

from tunecli.train import class_metrics
from tunecli.train.class_metrics import Classified

Reference = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], float]
"""(classes, most likely classes, probabilities) → the value."""


def probabilities(logits_NK: NDArray[Any]) -> NDArray[Any]:
    return torch.softmax(torch.from_numpy(logits_NK).double(), 1).numpy()


def cases() -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Outputs and classes, random and degenerate; each class that is predicted or true is in range."""
    rng = np.random.default_rng(3)
    made: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
    for k in (2, 3, 7):
        y = np.arange(200) % k
        made[f"random {k}"] = (rng.normal(size=(200, k)).astype(np.float32), rng.permutation(y))
        made[f"good {k}"] = (
            rng.normal(size=(200, k)).astype(np.float32) + 3 * np.eye(k, dtype=np.float32)[y],
            y,
        )
        made[f"constant {k}"] = (np.tile(np.linspace(1, 0, k, dtype=np.float32), (50, 1)), np.arange(50) % k)
        made[f"sure {k}"] = (200 * np.eye(k, dtype=np.float32)[(y + (y == 1)) % k], y)
        made[f"two examples {k}"] = (rng.normal(size=(2, k)).astype(np.float32), np.array([0, 1]))
        made[f"perfect {k}"] = (np.eye(k, dtype=np.float32)[y], y)
    made["ties 2"] = (rng.integers(-2, 3, (150, 2)).astype(np.float32), rng.integers(0, 2, 150))
    made["rare 2"] = (rng.normal(size=(300, 2)).astype(np.float32), (np.arange(300) == 7).astype(int))
    made["absent 4"] = (rng.normal(size=(90, 4)).astype(np.float32), np.array([0, 1, 3] * 30))
    return made


CASES = cases()


def average_precision(y: NDArray[Any], guess: NDArray[Any], p: NDArray[Any]) -> float:
    if p.shape[1] == 2:
        return float(reference.average_precision_score(y, p[:, 1]))
    present = np.unique(y)
    return float(np.mean([reference.average_precision_score(y == k, p[:, k]) for k in present]))


def averaged(score: Callable[..., float], average: str) -> Reference:
    def value(y: NDArray[Any], guess: NDArray[Any], p: NDArray[Any]) -> float:
        return float(score(y, guess, average=average, zero_division=0))

    return value


def of_class(score: Callable[..., float], k: int) -> Reference:
    def value(y: NDArray[Any], guess: NDArray[Any], p: NDArray[Any]) -> float:
        return float(score(y == k, guess == k, zero_division=0))

    return value


def kappa(weights: str | None) -> Reference:
    return lambda y, guess, p: float(
        reference.cohen_kappa_score(y, guess, labels=range(p.shape[1]), weights=weights)
    )


def expected_calibration_error(y: NDArray[Any], guess: NDArray[Any], p: NDArray[Any]) -> float:
    """The definition of Guo et al. 2017, bin by bin."""
    confidence = p.max(1)
    total = 0.0
    for b in range(15):
        chosen = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if chosen.any():
            gap = abs((guess == y)[chosen].mean() - confidence[chosen].mean())
            total += chosen.mean() * gap
    return total


SCORES = {
    "precision": reference.precision_score,
    "recall": reference.recall_score,
    "f1": reference.f1_score,
}
REFERENCES: list[tuple[str, dict[str, Any], Reference]] = [
    ("average_precision", {}, average_precision),
    ("mcc", {}, lambda y, guess, p: float(reference.matthews_corrcoef(y, guess))),
    ("log_loss", {}, lambda y, guess, p: float(reference.log_loss(y, p, labels=range(p.shape[1])))),
    ("brier", {}, lambda y, guess, p: float(reference.brier_score_loss(y, p, labels=range(p.shape[1])))),
    ("calibration_error", {}, expected_calibration_error),
    ("kappa", {}, kappa(None)),
    ("kappa", {"weights": "linear"}, kappa("linear")),
    ("kappa", {"weights": "quadratic"}, kappa("quadratic")),
    *((name, {}, averaged(score, "macro")) for name, score in SCORES.items()),
    *(
        (name, {"average": average}, averaged(score, average))
        for name, score in SCORES.items()
        for average in ("macro", "micro", "weighted")
    ),
    *((name, {"positive": "1"}, of_class(score, 1)) for name, score in SCORES.items()),
    *((name, {"positive": "0"}, of_class(score, 0)) for name, score in SCORES.items()),
]


@pytest.mark.parametrize(("name", "settings", "expected"), REFERENCES)
def test_a_metric_equals_its_reference(name: str, settings: dict[str, Any], expected: Reference) -> None:
    for case, (logits, y) in CASES.items():
        part = Classified(torch.from_numpy(logits), torch.from_numpy(y))
        value = float(getattr(class_metrics, name)(part, **settings))
        guess = torch.from_numpy(logits).argmax(1).numpy()
        p = probabilities(logits)
        assert value == pytest.approx(expected(y, guess, p), rel=1e-12, abs=1e-14), case


@pytest.mark.parametrize("case", [name for name in CASES if name.endswith(("4", "7"))])
@pytest.mark.parametrize("k", [2, 3])
def test_top_k_equals_scikit_learns(case: str, k: int) -> None:
    logits, y = CASES[case]
    value = float(class_metrics.top_k(Classified(torch.from_numpy(logits), torch.from_numpy(y)), k))
    expected = reference.top_k_accuracy_score(y, logits, k=k, labels=range(logits.shape[1]))
    assert value == pytest.approx(expected, rel=1e-15)


def test_top_k_breaks_ties_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(4)
    logits, y = rng.integers(0, 3, (400, 5)).astype(np.float32), rng.integers(0, 5, 400)
    value = float(class_metrics.top_k(Classified(torch.from_numpy(logits), torch.from_numpy(y)), 2))
    assert value == pytest.approx(reference.top_k_accuracy_score(y, logits, k=2, labels=range(5)))


def test_binary_is_the_second_of_two_classes() -> None:
    logits, y = CASES["random 2"]
    part = Classified(torch.from_numpy(logits), torch.from_numpy(y))
    guess = logits.argmax(1)
    for name, score in SCORES.items():
        value = float(getattr(class_metrics, name)(part, average="binary"))
        assert value == pytest.approx(score(y, guess), rel=1e-12)
    three = Classified(*map(torch.from_numpy, CASES["random 3"]))
    assert math.isnan(class_metrics.f1(three, average="binary"))


def test_a_class_is_found_by_its_name() -> None:
    logits, y = CASES["random 3"]
    part = Classified(torch.from_numpy(logits), torch.from_numpy(y), ("<=50K", ">50K", "grade 1"))
    guess = logits.argmax(1)
    value = float(class_metrics.recall(part, positive="grade 1"))
    assert value == pytest.approx(reference.recall_score(y == 2, guess == 2))
    assert math.isnan(class_metrics.recall(part, positive="2"))


@pytest.mark.parametrize("name", ["average_precision", "mcc", "kappa"])
def test_a_metric_of_examples_of_one_class_is_undefined(name: str) -> None:
    logits = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    part = Classified(logits, torch.ones(20, dtype=torch.long))
    assert math.isnan(getattr(class_metrics, name)(part))


@pytest.mark.parametrize("name", SCORES)
def test_a_score_of_a_class_without_examples_is_undefined(name: str) -> None:
    part = Classified(*map(torch.from_numpy, CASES["absent 4"]))
    assert math.isnan(getattr(class_metrics, name)(part, positive="2"))
