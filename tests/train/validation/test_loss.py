"""What can be known to be wrong with a loss before a trial is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.config.schema import TrialConfig
from tunecli.objective import Objective
from tunecli.train.validation import Complaint, complaints


def complaints_of(source: str, loss: Any, folder: Path = Path(), **data: Any) -> list[Complaint]:
    config = TrialConfig.model_validate({"data": {"source": source, **data}, "loss": loss})
    return complaints(config, Objective("val_loss", False), folder)


@pytest.mark.parametrize(
    ("source", "loss"),
    [
        ("iris", {"name": "hinge", "class_weights": [1.0, 2.0, 3.0]}),
        ("iris", "kl"),
        ("diabetes", "poisson"),
        ("diabetes", {"name": "quantile", "q": 0.9}),
        ("iris", {"python": "mine:loss"}),
        ("diabetes", {"python": "mine:loss", "args": {"p": 2}}),
    ],
)
def test_a_loss_that_fits_has_no_complaints(source: str, loss: Any) -> None:
    assert complaints_of(source, loss) == []


def test_a_loss_of_the_other_task_is_told_with_those_that_fit() -> None:
    (found,) = complaints_of("diabetes", "bce")
    assert found == Complaint(
        "loss",
        "`bce` does not work for regression",
        "use one of mse, mae, huber, smooth_l1, log_cosh, quantile, poisson",
    )
    (found,) = complaints_of("iris", "poisson")
    assert found.hint == "use one of cross_entropy, focal, hinge, bce, kl"


def test_class_weights_are_as_many_as_the_classes() -> None:
    (found,) = complaints_of("iris", {"name": "bce", "class_weights": [1.0, 2.0]})
    assert found.parameter == "loss.class_weights"
    assert found.message == "2 class weights, and the data has 3 classes"


def test_classes_are_weighted_in_one_place() -> None:
    loss = {"name": "focal", "class_weights": [1.0, 2.0, 3.0]}
    (found,) = complaints_of("iris", loss, balance="weight")
    assert found.parameter == "loss.class_weights"
    assert complaints_of("iris", loss, balance="sample") == []


def test_the_users_own_loss_takes_no_class_weights() -> None:
    (found,) = complaints_of("iris", {"python": "mine:loss"}, balance="weight")
    assert found.parameter == "data.balance"
    assert complaints_of("iris", {"python": "mine:loss"}, balance="sample") == []


def test_poisson_needs_counts(tmp_path: Path) -> None:
    rows = [f"{n},{n - 0.5}" for n in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    (found,) = complaints_of("t.csv", "poisson", tmp_path, target="y")
    assert found == Complaint("loss", "poisson needs counts, and a target is -0.5", "use mse or huber")
    assert complaints_of("t.csv", "mse", tmp_path, target="y") == []
