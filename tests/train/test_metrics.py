"""The metrics equal scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
import torch

from tunecli.config.metrics import METRICS
from tunecli.train.metrics import auroc, evaluate

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_classification_metrics_equal_scikit_learns_with_ties(n_classes: int) -> None:
    logits = RNG.integers(-3, 4, (200, n_classes)).astype(np.float32)  # whole numbers tie often
    y = RNG.integers(0, n_classes, 200)
    found = evaluate("classification", torch.from_numpy(logits), torch.from_numpy(y))
    guess = torch.from_numpy(logits).argmax(1).numpy()
    p = torch.softmax(torch.from_numpy(logits).double(), 1).numpy().round(12)
    assert found["val_accuracy"] == pytest.approx(reference.accuracy_score(y, guess))
    assert found["val_balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, guess))
    assert found["val_f1"] == pytest.approx(reference.f1_score(y, guess, average="macro"))
    if n_classes == 2:
        assert found["val_auroc"] == pytest.approx(reference.roc_auc_score(y, logits[:, 1] - logits[:, 0]))
    else:
        expected = np.mean([reference.roc_auc_score(y == k, p[:, k]) for k in range(n_classes)])
        # Ties in probability may round apart, in scikit-learn's input as in ours.
        assert found["val_auroc"] == pytest.approx(expected, abs=2e-3)


def test_auroc_without_ties_equals_scikit_learns_one_versus_rest() -> None:
    logits = RNG.normal(size=(300, 5))
    y = RNG.integers(0, 5, 300)
    p = torch.softmax(torch.from_numpy(logits), 1).numpy()
    expected = reference.roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert auroc(torch.from_numpy(logits), torch.from_numpy(y)).item() == pytest.approx(expected)


def test_an_absent_class_does_not_count() -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0]])
    y = torch.tensor([0, 1, 1])
    found = evaluate("classification", logits, y)
    guess = logits.argmax(1)
    assert found["val_f1"] == pytest.approx(reference.f1_score(y, guess, average="macro"))
    assert found["val_balanced_accuracy"] == pytest.approx(0.75)


def test_auroc_of_one_class_is_left_out() -> None:
    found = evaluate(
        "classification", torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(4).long()
    )
    assert "val_auroc" not in found
    assert set(found) == {"val_accuracy", "val_balanced_accuracy", "val_f1"}


def test_regression_metrics_equal_scikit_learns_in_the_targets_units() -> None:
    y, guess = RNG.normal(size=(2, 100))
    found = evaluate("regression", torch.from_numpy(guess)[:, None], torch.from_numpy(y), target_scale=40.0)
    assert found["val_mae"] == pytest.approx(reference.mean_absolute_error(40 * y, 40 * guess))
    assert found["val_rmse"] == pytest.approx(reference.root_mean_squared_error(40 * y, 40 * guess))
    assert found["val_r2"] == pytest.approx(reference.r2_score(y, guess))


def test_r2_of_a_constant_target_is_left_out() -> None:
    assert "val_r2" not in evaluate("regression", torch.zeros(3, 1), torch.ones(3))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_standard_metric_of_a_task_is_computed(task: str) -> None:
    outputs = torch.randn(
        20, 2 if task == "classification" else 1, generator=torch.Generator().manual_seed(1)
    )
    y = torch.arange(20) % 2
    found = evaluate("classification" if task == "classification" else "regression", outputs, y)
    expected = {name for name, facts in METRICS.items() if task in facts.tasks and facts.is_standard}
    assert set(found) == expected - {"val_loss", "train_loss"}
