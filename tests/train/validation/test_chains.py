"""Links of the learning-rate chain that a run is too short for are reported at the key at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.config.load import parse_study
from tunecli.config.schema import TrialConfig
from tunecli.errors import ConfigError
from tunecli.objective import Objective
from tunecli.train.validation import Problem, trial_problems

TEN_EPOCHS = {"epochs": 10}
TWO_AND_A_HALF = {"steps": 5, "batch_size": 64}  # the 120 that train of iris are two batches


def problems_of(links: list[Any], training: dict[str, Any], **others: Any) -> list[Problem]:
    config = {"data": {"source": "iris"}, "learning_rate": links, "training": training, **others}
    return trial_problems(TrialConfig.model_validate(config), Objective("val_loss", False), Path())


@pytest.mark.parametrize(
    ("training", "link"),
    [
        (TEN_EPOCHS, {"cut": {"at": [9], "factor": 0.5}}),
        (TEN_EPOCHS, {"cut": {"at": [], "factor": 0.5}}),
        (TEN_EPOCHS, {"multistep": {"at": [1, 9], "until_epoch": 10}}),
        (TEN_EPOCHS, {"cosine": {"from_epoch": 9, "until_epoch": 100}}),
        (TEN_EPOCHS, {"warmup": {"epochs": 10}}),
        (TEN_EPOCHS, {"warmup": {"epochs": 8, "from_epoch": 2}}),
        (TEN_EPOCHS, {"cosine_restarts": {"epochs": 10}}),
        (TEN_EPOCHS, {"step": {"epochs": 9}}),
        (TEN_EPOCHS, {"warmup_stable_decay": {"warmup_fraction": 0.7, "decay_fraction": 0.3}}),
        (TEN_EPOCHS, {"cut": {"on_plateau": {}, "factor": 0.5}}),
        (TWO_AND_A_HALF, {"cut": {"at": [2], "factor": 0.5}}),
        (TWO_AND_A_HALF, {"warmup": {"epochs": 2.5}}),
        (TWO_AND_A_HALF, {"linear": {"from_epoch": 2}}),
    ],
)
def test_a_link_that_acts_has_no_problem(training: dict[str, Any], link: dict[str, Any]) -> None:
    assert problems_of([link], training) == []


@pytest.mark.parametrize(
    ("training", "link", "key", "message", "hint"),
    [
        (
            TEN_EPOCHS,
            {"cut": {"at": [2, 10, 12], "factor": 0.5}},
            "cut.at",
            "after epoch 10 never acts: the run ends after 10",
            "at most 9",
        ),
        (TEN_EPOCHS, {"multistep": {"at": [11]}}, "multistep.at", "after epoch 11 never acts", "at most 9"),
        (
            TEN_EPOCHS,
            {"cut": {"at": [5], "factor": 0.5, "until_epoch": 5}},
            "cut.at",
            "the link ends after 5",
            "at most 4",
        ),
        ({"epochs": 1}, {"cut": {"at": [1], "factor": 0.5}}, "cut.at", "never acts", "drop the link"),
        (TEN_EPOCHS, {"cosine": {"from_epoch": 10}}, "cosine.from_epoch", "never acts", "at most 9"),
        (TEN_EPOCHS, {"clip": {"max": 0.1, "from_epoch": 12}}, "clip.from_epoch", "never acts", "at most 9"),
        (
            TEN_EPOCHS,
            {"warmup": {"epochs": 10.5}},
            "warmup.epochs",
            "lasts 10.5 epochs, but its part of training only 10",
            "",
        ),
        (
            TEN_EPOCHS,
            {"warmup": {"epochs": 3, "until_epoch": 2}},
            "warmup.epochs",
            "its part of training only 2",
            "",
        ),
        (
            TEN_EPOCHS,
            {"warmup": {"epochs": 3, "from_epoch": 8}},
            "warmup.epochs",
            "its part of training only 2",
            "",
        ),
        (TEN_EPOCHS, {"cosine_restarts": {"epochs": 11}}, "cosine_restarts.epochs", "lasts 11 epochs", ""),
        (TEN_EPOCHS, {"step": {"epochs": 10}}, "step.epochs", "never comes: its part of training has 10", ""),
        (
            TEN_EPOCHS,
            {"warmup_stable_decay": {"warmup_fraction": 0.6, "decay_fraction": 0.6}},
            "warmup_stable_decay.decay_fraction",
            "they take 1.2 of the run",
            "at most 0.4",
        ),
        (TWO_AND_A_HALF, {"cut": {"at": [3], "factor": 0.5}}, "cut.at", "ends after 2.5", "at most 2"),
        (TWO_AND_A_HALF, {"linear": {"from_epoch": 3}}, "linear.from_epoch", "never acts", "at most 2"),
        (TWO_AND_A_HALF, {"warmup": {"epochs": 3}}, "warmup.epochs", "its part of training only 2.5", ""),
    ],
)
def test_a_link_longer_than_the_run_is_one_problem(
    training: dict[str, Any], link: dict[str, Any], key: str, message: str, hint: str
) -> None:
    (problem,) = problems_of(["cosine", link], training)
    assert problem.parameter == f"learning_rate.1.{key}"
    assert message in problem.message
    assert hint in problem.hint


def test_a_step_of_plain_gradient_descent_is_an_epoch() -> None:
    link, training = {"cut": {"at": [5], "factor": 0.5}}, {"steps": 6, "batch_size": 8}
    assert problems_of([link], training, optimizer="gd") == []
    assert [problem.parameter for problem in problems_of([link], training)] == ["learning_rate.0.cut.at"]


def test_a_late_milestone_is_reported_with_line_and_column() -> None:
    text = (
        "objective: {metric: val_loss}\n"
        "trial:\n"
        "  data: {source: iris}\n"
        "  learning_rate:\n"
        "    - cosine\n"
        "    - {cut: {factor: 0.5, at: [3, 400]}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        parse_study(text.encode(), "study.yaml", (), Path(), trial_problems)
    (problem,) = caught.value.problems
    assert problem.parameter == "trial.learning_rate.1.cut.at"
    assert (problem.line, problem.column) == (6, text.splitlines()[5].index("[3") + 1)
