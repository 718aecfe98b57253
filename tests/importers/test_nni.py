"""NNI's search spaces and configurations as studies."""

from __future__ import annotations

import json

import pytest

from tests.support.foreign_files import checked, entries, imported, lines_left_out, tree
from tunecli.errors import ConfigError
from tunecli.importers.account import Fate

SPACE = """\
{
\t"dropout_rate": {"_type": "uniform", "_value": [0.1, 0.5]},
\t"hidden_size": {"_type": "choice", "_value": [128, 256, 512]},
\t"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]},
\t"layers": {"_type": "randint", "_value": [1, 5]}
}
"""

NESTED = {
    "optimizer": {
        "_type": "choice",
        "_value": [
            {"_name": "sgd", "momentum": {"_type": "quniform", "_value": [0, 0.9, 0.1]}},
            {"_name": "adam", "beta": {"_type": "choice", "_value": [0.9, 0.99]}},
            "none",
        ],
    },
    "batch": {"_type": "choice", "_value": [16, 32]},
}

EXPERIMENT = """\
experimentName: mnist-tpe
searchSpace:
  lr: {_type: loguniform, _value: [0.0001, 0.1]}
  units: {_type: quniform, _value: [64, 256, 32]}
trialCommand: python3 mnist.py --data ./data
trialCodeDirectory: .
trialConcurrency: 2
maxTrialNumber: 30
maxExperimentDuration: 2h
tuner:
  name: TPE
  classArgs: {optimize_mode: maximize, seed: 3}
assessor:
  name: Medianstop
  classArgs: {start_step: 5}
trainingService:
  platform: local
"""


def test_search_space_with_tabs_becomes_a_space():
    study = imported(SPACE)
    spec = checked(study)
    assert study.kind.name == "nni"
    assert tree(study)["trial"]["params"] == {
        "dropout_rate": {"uniform": [0.1, 0.5]},
        "hidden_size": {"choice": [128, 256, 512]},
        "lr": {"loguniform": [0.0001, 0.1]},
        "layers": {"int": [1, 4]},
    }
    assert [entry.line for entry in entries(study, Fate.CARRIED)] == [2, 3, 4, 5]
    assert spec.objective.metric == "score"


def test_nested_options_become_sub_trees_of_a_choice():
    study = imported(json.dumps(NESTED))
    spec = checked(study)
    assert tree(study)["trial"]["params"]["optimizer"] == {
        "choice": [
            {"_name": "sgd", "momentum": {"uniform": [0.0, 0.9], "step": 0.1}},
            {"_name": "adam", "beta": {"choice": [0.9, 0.99]}},
            "none",
        ]
    }
    assert len(spec.space.parameters) == 4


def test_experiment_with_its_space_becomes_a_whole_study():
    study = imported(EXPERIMENT)
    spec = checked(study)
    assert spec.settings.study == "mnist-tpe"
    assert tree(study)["seed"] == 3
    assert tree(study)["search"] == {
        "sampler": "tpe",
        "trials": 30,
        "pruner": {"name": "median", "warmup_epochs": 5},
    }
    assert tree(study)["run"] == {"workers": 2, "limit": {"time": "2h"}}
    assert tree(study)["trial"]["command"][:4] == ["python", "mnist.py", "--data", "./data"]
    assert lines_left_out(study) == {"trainingService": 16}


def test_first_version_of_a_configuration_is_read_and_names_the_file_to_import():
    text = """\
        experimentName: old
        maxTrialNum: 10
        maxExecDuration: 1h
        searchSpacePath: search_space.json
        tuner: {builtinTunerName: Random, classArgs: {optimize_mode: minimize}}
        trial: {command: python mnist.py, codeDir: ., gpuNum: 0}
    """
    study = imported(text)
    checked(study)
    assert tree(study)["search"] == {"sampler": "random", "trials": 10}
    assert "trial.params" in [one.result for one in entries(study, Fate.FILL_IN)]


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("randint", [7], {"int": [0, 6]}),
        ("quniform", [0, 10, 2.5], {"uniform": [0.0, 10.0], "step": 2.5}),
        ("quniform", [2, 10, 5], {"choice": [2, 5, 10]}),
        ("quniform", [1, 11, 2.5], {"choice": [1.0, 2.5, 5.0, 7.5, 10.0, 11.0]}),
        ("quniform", [0.5, 1000, 1], {"int": [1, 1000]}),
        ("qloguniform", [1, 1000, 1], {"logint": [1, 1000]}),
        ("normal", [0, 2], {"normal": [0, 2]}),
        ("qnormal", [0, 2, 0.5], {"normal": [0, 2], "step": 0.5}),
        ("lognormal", [-7, 1], {"lognormal": [-7, 1]}),
        ("qlognormal", [3, 1, 2], {"lognormal": [3, 1], "step": 2}),
    ],
)
def test_each_type_becomes_the_range_with_the_same_values(kind, value, made):
    study = imported(json.dumps({"x": {"_type": kind, "_value": value}}))
    assert tree(study)["trial"]["params"]["x"] == made
    checked(study)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"_type": "uniform", "_value": [1]}, "`uniform` needs 2 numbers"),
        ({"_type": "uniform", "_value": ["a", 1]}, "`uniform` needs 2 numbers"),
        ({"_type": "uniform", "_value": 3}, "`_value` must be a list"),
        ({"_type": "mystery", "_value": [1, 2]}, "unknown type `mystery`"),
        ({"_type": "randint", "_value": [3, 3]}, "reversed"),
        ({"_value": [1]}, "needs `_type` and `_value`"),
        (3, "needs `_type` and `_value`"),
    ],
)
def test_parameter_that_makes_no_range_is_an_error(parameter, message):
    with pytest.raises(ConfigError) as caught:
        imported(json.dumps({"x": parameter}), "nni")
    assert message in caught.value.problems[0].message
