"""Each metric of labels equals scikit-learn's for a multilabel indicator, and so do the losses of labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
from numpy.typing import NDArray

from tunecli.config.schema.losses import Bce, Focal
from tunecli.train import label_metrics
from tunecli.train.label_losses import balance_weights
from tunecli.train.label_metrics import Labelled
from tunecli.train.losses import build_loss
from tunecli.train.metrics import evaluate

Reference = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], float]
"""(labels, predicted labels, probabilities) → the value."""


def cases() -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Outputs and labels; every label has an example with and one without it, except in ``absent``."""
    rng = np.random.default_rng(4)
    made = {}
    for n, n_labels in ((120, 4), (7, 2), (60, 1)):
        y = (rng.uniform(size=(n, n_labels)) < 0.4).astype(int)
        y[:2] = [[0] * n_labels, [1] * n_labels]
        made[f"{n} x {n_labels}"] = (rng.normal(size=(n, n_labels)) + y, y)
    made["ties"] = (
        rng.integers(-2, 3, (80, 3)).astype(float),
        (rng.uniform(size=(80, 3)) < 0.5).astype(int),
    )
    return {name: (logits.astype(np.float32), y) for name, (logits, y) in made.items()}


CASES = cases()
SCORES = {
    "precision": reference.precision_score,
    "recall": reference.recall_score,
    "f1": reference.f1_score,
}


def averaged(score: Callable[..., float], average: str | None) -> Reference:
    return lambda y, guess, p: score(y, guess, average=average, zero_division=0)


def of_label(score: Callable[..., float], k: int) -> Reference:
    return lambda y, guess, p: score(y[:, k], guess[:, k], zero_division=0)


def by_label(score: Callable[..., float]) -> Reference:
    return lambda y, guess, p: float(np.mean([score(y[:, k], p[:, k]) for k in range(y.shape[1])]))


REFERENCES: list[tuple[str, dict[str, Any], Reference]] = [
    (
        "accuracy",
        {},
        lambda y, guess, p: reference.accuracy_score(
            *((y, guess) if y.shape[1] > 1 else (y[:, 0], guess[:, 0]))
        ),
    ),
    ("hamming_loss", {}, lambda y, guess, p: reference.hamming_loss(y, guess)),
    ("auroc", {}, by_label(reference.roc_auc_score)),
    ("average_precision", {}, by_label(reference.average_precision_score)),
    ("log_loss", {}, by_label(reference.log_loss)),
    ("brier", {}, by_label(reference.brier_score_loss)),
    *((name, {"positive": "0"}, of_label(score, 0)) for name, score in SCORES.items()),
    *(
        (name, {"average": average}, averaged(score, average))
        for name, score in SCORES.items()
        for average in ("macro", "micro", "weighted", "samples")
    ),
]


# scikit-learn reads a single column of labels as two classes, and averages over both
COMPARED = [
    (*reference_of, case)
    for case, (_, labels) in CASES.items()
    for reference_of in REFERENCES
    if labels.shape[1] > 1 or "average" not in reference_of[1]
]


@pytest.mark.parametrize(("name", "settings", "expected", "case"), COMPARED)
def test_a_metric_equals_scikit_learns(
    name: str, settings: dict[str, Any], expected: Reference, case: str
) -> None:
    logits, y = CASES[case]
    part = Labelled(torch.from_numpy(logits), torch.from_numpy(y).float())
    p = 1 / (1 + np.exp(-logits.astype(float)))
    value = float(getattr(label_metrics, name)(part, **settings))
    assert value == pytest.approx(expected(y, (logits > 0).astype(int), p), rel=1e-9, abs=1e-12)


def test_a_label_without_examples_is_left_out_of_the_areas_and_counts_0_in_f1() -> None:
    logits, y = CASES["120 x 4"]
    absent = np.concatenate([y, np.zeros((len(y), 1), dtype=int)], 1)
    outputs = torch.from_numpy(np.concatenate([logits, logits[:, :1]], 1))
    found, before = (
        evaluate("multilabel", one, torch.from_numpy(labels).float())
        for one, labels in ((outputs, absent), (torch.from_numpy(logits), y))
    )
    assert found["val_auroc"] == before["val_auroc"]
    assert found["val_f1"] == pytest.approx(before["val_f1"] * 4 / 5)


def test_the_losses_of_labels_are_torchs_and_that_of_the_paper() -> None:
    logits, y = (torch.from_numpy(array).float() for array in CASES["120 x 4"])
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
    assert build_loss(None, "multilabel")(logits, y) == plain
    smoothed = torch.nn.functional.binary_cross_entropy_with_logits(logits, y * 0.8 + 0.1)
    assert build_loss(Bce(label_smoothing=0.2), "multilabel")(logits, y) == pytest.approx(float(smoothed))
    p = torch.where(y > 0, logits.sigmoid(), 1 - logits.sigmoid()).double()
    focal = (-((1 - p) ** 2) * p.log()).mean()
    assert build_loss(Focal(), "multilabel")(logits, y) == pytest.approx(float(focal), rel=1e-5)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    weighted = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, weights)
    own = build_loss(Bce(class_weights=weights.tolist()), "multilabel")(logits, y)
    assert own == pytest.approx(float(weighted), rel=1e-6)


def test_balanced_labels_count_the_same_with_and_without_an_example() -> None:
    y = torch.tensor([[1.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1]])
    assert balance_weights(y).flatten().tolist() == pytest.approx([2 / 3, 2 / 3, 1, 2, 2, 1])
    balanced = build_loss(Bce(), "multilabel", balance_weights(y))(torch.zeros(4, 3), y)
    assert balanced == pytest.approx(float(torch.log(torch.tensor(2.0))))
