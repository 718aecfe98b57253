"""Determined experiments as studies."""

from __future__ import annotations

import math

import pytest

from tests.support.foreign_files import checked, entries, imported, lines_left_out, tree
from tunecli.errors import ConfigError
from tunecli.importers.account import Fate

ADAPTIVE = """\
name: cifar_adaptive
hyperparameters:
  learning_rate: {type: log, minval: -5.0, maxval: 1.0, base: 10.0}
  global_batch_size: 64
  n_filters: {type: int, minval: 8, maxval: 64}
  dropout: {type: double, minval: 0.2, maxval: 0.8}
  optimizer:
    name: {type: categorical, vals: [adam, sgd]}
    nesterov: {type: const, val: true}
searcher:
  name: adaptive_asha
  metric: validation_loss
  smaller_is_better: true
  max_trials: 16
  max_length: {epochs: 27}
  max_concurrent_trials: 4
reproducibility: {experiment_seed: 999}
resources: {slots_per_trial: 1}
entrypoint: python3 train.py --data ./data
environment: {image: determinedai/environments}
bind_mounts: []
"""

GRID = """\
hyperparameters:
  lr: {type: log, base: 2, minval: -10, maxval: -2, count: 5}
  units: {type: int, minval: 16, maxval: 64, count: 4}
searcher: {name: grid, metric: accuracy, smaller_is_better: false, max_length: {batches: 1000}}
entrypoint: [python, train.py]
"""

SINGLE = """\
hyperparameters: {lr: 0.1}
searcher: {name: single, metric: error, max_length: {epochs: 3}}
entrypoint: model_def:MNistTrial
"""


def test_adaptive_search_becomes_a_study():
    study = imported(ADAPTIVE)
    spec = checked(study)
    assert spec.settings.study == "cifar_adaptive"
    assert spec.settings.seed == 999
    assert (spec.objective.metric, spec.objective.maximize) == ("validation_loss", False)
    assert tree(study)["trial"]["params"] == {
        "learning_rate": {"loguniform": [1e-5, 10.0]},
        "global_batch_size": 64,
        "n_filters": {"int": [8, 64]},
        "dropout": {"uniform": [0.2, 0.8]},
        "optimizer": {"name": {"choice": ["adam", "sgd"]}, "nesterov": True},
    }
    assert tree(study)["search"] == {
        "sampler": "random",
        "trials": 16,
        "pruner": {"name": "asha", "factor": 4, "max_epochs": 27},
    }
    assert tree(study)["trial"]["command"][:4] == ["python", "train.py", "--data", "./data"]
    assert lines_left_out(study) == {"environment": 20, "bind_mounts": 21}


def test_counts_of_a_grid_are_kept_and_powers_have_the_base_of_the_file():
    study = imported(GRID)
    spec = checked(study)
    assert spec.settings.search.sampler_name == "grid"
    assert spec.objective.maximize
    params = tree(study)["trial"]["params"]
    assert params["units"] == {"int": [16, 64], "grid": 4}
    low, high = params["lr"]["loguniform"]
    assert math.isclose(low, 2**-10, rel_tol=1e-11)
    assert high == 0.25
    assert params["lr"]["grid"] == 5
    assert "searcher.max_length.batches" not in {one.result for one in study.account.entries}


def test_slots_are_devices_of_a_trial():
    study = imported(ADAPTIVE.replace("slots_per_trial: 1", "slots_per_trial: 4"))
    checked(study)
    assert tree(study)["run"] == {"workers": 4, "devices_per_trial": 4}


def test_class_as_entrypoint_and_single_trial():
    study = imported(SINGLE)
    checked(study)
    assert "entrypoint" in lines_left_out(study)
    assert tree(study)["search"]["trials"] == 1
    assert "trial.command" in [one.result for one in entries(study, Fate.FILL_IN)]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("{type: log, minval: -400, maxval: 1}", "too small for a float"),
        ("{type: log, minval: 1}", "needs a number at `maxval`"),
        ("{type: int, minval: 5, maxval: 1}", "reversed"),
        ("{type: categorical, vals: 3}", "the list of values is empty"),
        ("{type: magic}", "unknown type 'magic'"),
        ("{type: double, minval: a, maxval: b}", "needs a number at `minval`"),
    ],
)
def test_hyperparameter_that_makes_no_range_is_an_error(parameter, message):
    with pytest.raises(ConfigError) as caught:
        imported(GRID.replace("{type: int, minval: 16, maxval: 64, count: 4}", parameter))
    assert message in caught.value.problems[0].message


def test_values_follow_yaml_1_2_as_determined_reads_them():
    study = imported(
        GRID.replace(
            "{type: int, minval: 16, maxval: 64, count: 4}", "{type: categorical, vals: [yes, 1e-4]}"
        )
    )
    assert tree(study)["trial"]["params"]["units"] == {"choice": ["yes", 0.0001]}
