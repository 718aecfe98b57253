"""Losses that do not fit the data are found before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.config.schema import TrialConfig
from tunecli.objective import Objective
from tunecli.train.validation import Problem, trial_problems


def problems_of(source: str, loss: Any, folder: Path = Path(), **data: Any) -> list[Problem]:
    config = TrialConfig.model_validate({"data": {"source": source, **data}, "loss": loss})
    return trial_problems(config, Objective("val_loss", False), folder)


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
def test_a_loss_that_fits_has_no_problems(source: str, loss: Any) -> None:
    assert problems_of(source, loss) == []


def test_a_loss_of_the_other_task_is_refused_with_a_list_of_suitable_losses() -> None:
    (problem,) = problems_of("diabetes", "bce")
    assert problem == Problem(
        "loss",
        "`bce` does not work for regression",
        "use one of mse, mae, huber, smooth_l1, log_cosh, quantile, poisson",
    )
    (problem,) = problems_of("iris", "poisson")
    assert problem.hint == "use one of cross_entropy, focal, hinge, bce, kl"


def test_the_number_of_class_weights_must_equal_that_of_classes() -> None:
    (problem,) = problems_of("iris", {"name": "bce", "class_weights": [1.0, 2.0]})
    assert problem.parameter == "loss.class_weights"
    assert problem.message == "2 class weights, but the data has 3 classes"


def test_class_weights_of_the_loss_and_of_the_data_exclude_each_other() -> None:
    loss = {"name": "focal", "class_weights": [1.0, 2.0, 3.0]}
    (problem,) = problems_of("iris", loss, balance="weight")
    assert problem.parameter == "loss.class_weights"
    assert problems_of("iris", loss, balance="sample") == []


def test_the_users_own_loss_takes_no_class_weights() -> None:
    (problem,) = problems_of("iris", {"python": "mine:loss"}, balance="weight")
    assert problem.parameter == "data.balance"
    assert problems_of("iris", {"python": "mine:loss"}, balance="sample") == []


def test_poisson_needs_counts(tmp_path: Path) -> None:
    rows = [f"{n},{n - 0.5}" for n in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    (problem,) = problems_of("t.csv", "poisson", tmp_path, target="y")
    assert problem == Problem("loss", "poisson needs counts, but a target is -0.5", "use mse or huber")
    assert problems_of("t.csv", "mse", tmp_path, target="y") == []
