"""Ray Tune's spaces as studies, in each form that a file can spell."""

from __future__ import annotations

import json

import pytest

from tests.support.foreign_files import checked, entries, imported, lines_left_out, tree
from tunecli.errors import ConfigError
from tunecli.importers.account import Fate

TUNER = {
    "param_space": {
        "lr": {"tune.loguniform": [1e-4, 1e-1]},
        "batch_size": {"tune.choice": [[32, 64, 128]]},
        "layers": "tune.randint(1, 5)",
        "model": {"hidden": {"qrandint": [32, 256, 32]}, "act": "relu"},
        "epochs": 20,
    },
    "tune_config": {
        "metric": "mean_accuracy",
        "mode": "max",
        "num_samples": 30,
        "max_concurrent_trials": 2,
        "time_budget_s": 3600,
        "scheduler": {"type": "ASHAScheduler", "max_t": 20, "grace_period": 2, "reduction_factor": 3},
    },
    "run_config": {"name": "cifar", "storage_path": "/data/ray"},
}

GRID = {"lr": {"grid_search": [0.001, 0.01]}, "momentum": {"grid_search": [0.8, 0.9]}, "wd": 0.0001}

LISTED = [
    {"name": "width", "distribution": "uniform", "lower": 0, "upper": 20},
    {"name": "act", "distribution": "choice", "values": ["relu", "tanh"]},
    {"name": "steps", "distribution": "constant", "value": 100},
]


def test_tuner_with_its_settings_becomes_a_study():
    study = imported(json.dumps(TUNER, indent=1))
    spec = checked(study)
    assert (spec.objective.metric, spec.objective.maximize) == ("mean_accuracy", True)
    assert spec.settings.study == "cifar"
    assert tree(study)["trial"]["params"] == {
        "lr": {"loguniform": [0.0001, 0.1]},
        "batch_size": {"choice": [32, 64, 128]},
        "layers": {"int": [1, 4]},
        "model": {"hidden": {"int": [32, 256], "step": 32}, "act": "relu"},
        "epochs": 20,
    }
    assert tree(study)["search"] == {
        "sampler": "bayes",
        "trials": 30,
        "pruner": {"name": "asha", "min_epochs": 2, "factor": 3, "max_epochs": 20},
    }
    assert tree(study)["run"] == {"workers": 2, "limit": {"time": 3600}}
    assert "run_config.storage_path" in lines_left_out(study)


def test_space_of_grid_searches_becomes_a_grid():
    study = imported(json.dumps(GRID))
    spec = checked(study)
    assert spec.settings.search.sampler_name == "grid"
    assert [one.result for one in entries(study, Fate.FILL_IN)] == ["trial.command", "objective"]


def test_list_of_parameters_becomes_a_space():
    study = imported(json.dumps(LISTED))
    checked(study)
    assert tree(study)["trial"]["params"] == {
        "width": {"uniform": [0, 20]},
        "act": {"choice": ["relu", "tanh"]},
        "steps": 100,
    }


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"uniform": [0, 1]}, {"uniform": [0, 1]}),
        ({"uniform": {"lower": 0, "upper": 1}}, {"uniform": [0, 1]}),
        ({"distribution": "uniform", "low": 0, "high": 1}, {"uniform": [0, 1]}),
        ({"strategy": "loguniform", "values": [0.1, 1]}, {"loguniform": [0.1, 1]}),
        ({"strategy": "choice", "values": [1, 2]}, {"choice": [1, 2]}),
        ("ray.tune.loguniform(1e-4, 1e-1, base=10)", {"loguniform": [0.0001, 0.1]}),
        ("tune.quniform(3.2, 5.4, 0.2)", {"uniform": [3.2, 5.4], "step": 0.2}),
        ("tune.qloguniform(1e-4, 1e-1, 5e-5)", {"loguniform": [0.0001, 0.1], "step": 5e-5}),
        ("tune.randn(10, 2)", {"normal": [10, 2]}),
        ("tune.qrandn(10, 2, 0.2)", {"normal": [10, 2], "step": 0.2}),
        ("tune.randint(-9, 15)", {"int": [-9, 14]}),
        ("tune.qrandint(-21, 12, 3)", {"int": [-21, 12], "step": 3}),
        ("tune.lograndint(1, 10)", {"logint": [1, 9]}),
        ("tune.qlograndint(2, 10, 2)", {"logint": [2, 10], "step": 2}),
        ("tune.choice(['a', 'b'])", {"choice": ["a", "b"]}),
        ({"choice": ["a", "b"]}, {"choice": ["a", "b"]}),
        (
            {"choice": [{"n": "sgd", "m": {"uniform": [0, 1]}}]},
            {"choice": [{"n": "sgd", "m": {"uniform": [0, 1]}}]},
        ),
        ({"plain": 1}, {"plain": 1}),
    ],
)
def test_each_form_of_a_range_becomes_the_range_with_the_same_values(value, made):
    study = imported(json.dumps({"x": value, "y": {"uniform": [0, 1]}}), "ray")
    assert tree(study)["trial"]["params"]["x"] == made
    checked(study)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("<ray.tune.search.sample.Float object at 0x7f0a>", "the name of a Python object"),
        ({"sample_from": ["lambda spec: 1"]}, "a Python function has no counterpart"),
        ("tune.sample_from(lambda)", "a Python function has no counterpart"),
        ("tune.nothing(1)", "unknown range `nothing`"),
        ("tune.uniform(1", "missing `,`"),
        ({"uniform": [0]}, "needs a number at `upper`"),
        ({"uniform": ["a", "b"]}, "needs a number at `lower`"),
        ({"qrandint": [0, 10, 0]}, "must be above 0"),
        ({"choice": []}, "the list of values is empty"),
        ({"logint": [1, 2]}, "is a range in tunecli"),
    ],
)
def test_value_that_makes_no_range_is_an_error(value, message):
    with pytest.raises(ConfigError) as caught:
        imported(json.dumps({"x": value}), "ray")
    assert message in caught.value.problems[0].message
