"""The cost estimate counts the real work of the model, the loop and the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.config.schema import TrialConfig
from tunecli.train.workload import Cost, cost, epochs_of


def cost_of(config: TrialConfig) -> Cost:
    found = cost(config, Path())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("knobs", "steps"),
    [
        ({}, 100 * 2),
        ({"model": "linear"}, 1000 * 2),
        ({"training": {"epochs": 20}}, 20 * 2),
        ({"training": {"batch_size": "full", "epochs": 3}}, 3),
        ({"optimizer": "gd", "training": {"batch_size": 7}}, 200),
        ({"optimizer": "lbfgs"}, 20 * 2),
        ({"training": {"batch_size": 7, "epochs": 1}}, 18),
        ({"training": {"batch_size": 17, "epochs": 1}, "model": {"name": "mlp", "norm": "batch"}}, 7),
    ],
)
def test_counted_steps_equal_those_of_the_loop(knobs: dict[str, Any], steps: int) -> None:
    config = TrialConfig.model_validate({"data": {"source": "iris"}, **knobs})
    assert cost_of(config).n_steps == steps


@pytest.mark.parametrize(
    ("n_examples", "epochs", "of_linear"),
    [
        (50, 200, 2000),
        (150, 100, 1000),
        (600, 40, 400),
        (2000, 40, 400),
        (3000, 27, 264),
        (10_000, 20, 80),
        (100_000, 20, 20),
    ],
)
def test_length_without_a_setting_follows_from_the_number_of_steps(
    n_examples: int, epochs: int, of_linear: int
) -> None:
    source = {"name": "blobs", "samples": n_examples}
    for model, wanted in (("mlp", epochs), ("linear", of_linear)):
        config = TrialConfig.model_validate({"data": {"source": source}, "model": model})
        assert epochs_of(config, Path()) == wanted
    named = TrialConfig.model_validate(
        {"data": {"source": {"python": "mine:make"}}, "training": {"epochs": 7}}
    )
    assert epochs_of(named, Path()) == 7
    own = TrialConfig.model_validate({"data": {"source": {"python": "mine:make"}}})
    assert epochs_of(own, Path()) is None


def test_each_fold_costs_one_model() -> None:
    one = TrialConfig.model_validate({"data": {"source": "iris"}})
    five = TrialConfig.model_validate({"data": {"source": "iris", "validation": {"folds": 5}}})
    assert cost_of(five).n_parameters == 5 * cost_of(one).n_parameters
    assert cost_of(five).n_multiply_adds == 5 * cost_of(one).n_multiply_adds


def test_for_the_users_own_model_only_steps_are_known() -> None:
    found = cost_of(TrialConfig.model_validate({"data": {"source": "iris"}, "model": {"python": "mine:Net"}}))
    assert (found.n_parameters, found.n_multiply_adds) == (None, None)
    assert found.n_steps == 200


def test_the_test_part_costs_nothing() -> None:
    config = TrialConfig.model_validate(
        {"data": {"source": "iris", "test": {"fraction": 0.5}}, "training": {"batch_size": 10, "epochs": 1}}
    )
    assert cost_of(config).n_steps == 6


def test_the_cost_of_the_users_own_data_is_unknown() -> None:
    config = TrialConfig.model_validate({"data": {"source": {"python": "mine:make"}}})
    assert cost(config, Path()) is None
