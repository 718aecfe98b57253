"""W&B sweeps as studies: distributions, commands, pruners, and keys without a counterpart."""

from __future__ import annotations

import math

import pytest

from tests.support.foreign_files import checked, entries, imported, lines_left_out, tree
from tunecli.errors import ConfigError
from tunecli.importers.account import Fate

IMAGE_SWEEP = """\
program: train.py
name: resnet, second try
project: images
entity: vision-team
method: bayes
metric:
  name: val/accuracy
  goal: maximize
run_cap: 40
parameters:
  learning_rate:
    distribution: log_uniform_values
    min: 0.0001
    max: 0.1
  batch_size:
    values: [32, 64, 128]
  epochs:
    value: 27
  depth: {min: 2, max: 5}
  dropout: {min: 0.0, max: 0.5}
early_terminate:
  type: hyperband
  min_iter: 3
  eta: 3
"""

ANCHORED_SWEEP = """\
program: src/main.py
method: random
metric: {name: loss}
parameters:
  encoder: &widths
    values: [64, 128, 256]
  decoder:
    <<: *widths
  lr: {min: 1e-5, max: 0.1, distribution: log_uniform_values}
  use_bias: {values: [yes, no]}
  seed: {value: 010}
command:
  - ${env}
  - CUDA_LAUNCH=1
  - ${interpreter}
  - ${program}
  - --config={x}
  - ${args}
"""

NESTED_SWEEP = """\
method: grid
program: train.py
metric: {name: valid loss, goal: minimize}
parameters:
  optimizer:
    parameters:
      name: {values: [adam, sgd]}
      lr: {values: [0.01, 0.001]}
  repeat: {values: [1, 1, 2]}
  layers.0: {values: [16, 32]}
"""


def test_sweep_of_an_image_model_becomes_a_study_that_passes_the_check():
    study = imported(IMAGE_SWEEP)
    spec = checked(study)
    assert study.kind.name == "wandb"
    assert spec.settings.study == "resnet-second-try"
    assert (spec.objective.metric, spec.objective.maximize) == ("val/accuracy", True)
    assert (spec.settings.search.sampler_name, spec.settings.search.trials) == ("bayes", 40)
    assert tree(study)["trial"]["params"] == {
        "learning_rate": {"loguniform": [0.0001, 0.1]},
        "batch_size": {"choice": [32, 64, 128]},
        "epochs": 27,
        "depth": {"int": [2, 5]},
        "dropout": {"uniform": [0.0, 0.5]},
    }
    assert tree(study)["search"]["pruner"] == {
        "name": "hyperband",
        "min_epochs": 3,
        "factor": 3,
        "max_epochs": 27,
    }
    assert lines_left_out(study) == {"project": 3, "entity": 4}


def test_every_key_of_the_sweep_is_in_the_account():
    lines = {entry.line for entry in imported(IMAGE_SWEEP).account.entries}
    assert lines >= {1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 17, 19, 20, 22, 23, 24}


def test_yaml_1_1_words_and_merge_keys_mean_what_they_mean_to_wandb():
    study = imported(ANCHORED_SWEEP)
    checked(study)
    params = tree(study)["trial"]["params"]
    assert params["encoder"] == params["decoder"] == {"choice": [64, 128, 256]}
    assert params["use_bias"] == {"choice": [True, False]}
    assert params["seed"] == 8
    assert params["lr"] == {"loguniform": [1e-5, 0.1]}
    notes = [str(entry) for entry in entries(study, Fate.CHANGED)]
    assert "line 9: `1e-5` is the number 1e-05 (PyYAML reads it as a text)" in notes
    assert "line 11: `010` is 8 (as YAML 1.1 reads it)" in notes
    command = tree(study)["trial"]["command"]
    assert command[:4] == ["CUDA_LAUNCH=1", "python", "src/main.py", "--config={{x}}"]


def test_nested_parameters_keep_their_paths_and_the_metric_gets_a_valid_name():
    study = imported(NESTED_SWEEP)
    spec = checked(study)
    assert spec.objective.metric == "valid_loss"
    assert set(spec.space.names) == {
        "params.optimizer.name",
        "params.optimizer.lr",
        "params.repeat",
        "params.layers.0",
    }
    assert tree(study)["trial"]["params"]["repeat"] == {"choice": [1, 2]}
    assert spec.settings.search.sampler_name == "grid"


@pytest.mark.parametrize(
    ("parameter", "made"),
    [
        ("{value: 3}", 3),
        ("{value: a, distribution: constant}", "a"),
        ("{value: [8, 16]}", [8, 16]),
        ("{values: [a]}", {"choice": ["a"]}),
        ("{min: 1, max: 4}", {"int": [1, 4]}),
        ("{min: 1, max: 4.0}", {"uniform": [1, 4.0]}),
        ("{distribution: int_uniform, min: 0, max: 9}", {"int": [0, 9]}),
        ("{distribution: uniform, min: 0, max: 1}", {"uniform": [0, 1]}),
        ("{distribution: q_uniform, min: 0, max: 1, q: 0.1}", {"uniform": [0.0, 1.0], "step": 0.1}),
        ("{distribution: q_uniform, min: 0, max: 10}", {"int": [0, 10]}),
        ("{distribution: q_uniform, min: 3, max: 10, q: 4}", {"int": [4, 8], "step": 4}),
        ("{distribution: log_uniform, min: -6.907755278982137, max: 0}", {"loguniform": [0.001, 1.0]}),
        ("{distribution: log_uniform_values, min: 0.001, max: 1}", {"loguniform": [0.001, 1]}),
        ("{distribution: q_log_uniform_values, min: 32, max: 256, q: 8}", {"logint": [32, 256], "step": 8}),
        (
            "{distribution: q_log_uniform, min: 0, max: 2.302585092994046, q: 0.5}",
            {"loguniform": [1.0, 10.0], "step": 0.5},
        ),
        ("{distribution: inv_log_uniform, min: 0, max: 6.907755278982137}", {"loguniform": [0.001, 1.0]}),
        ("{distribution: inv_log_uniform_values, min: 0.001, max: 1}", {"loguniform": [0.001, 1]}),
        ("{distribution: normal}", {"normal": [0, 1]}),
        ("{distribution: normal, mu: 5, sigma: 0.5}", {"normal": [5, 0.5]}),
        ("{distribution: q_normal, mu: 5, sigma: 0.5, q: 0.25}", {"normal": [5, 0.5], "step": 0.25}),
        ("{distribution: log_normal, mu: -7, sigma: 1}", {"lognormal": [-7, 1]}),
        ("{distribution: q_log_normal, mu: 3, sigma: 1, q: 2}", {"lognormal": [3, 1], "step": 2}),
        ("{values: [a, b], probabilities: [0.25, 0.75]}", {"choice": ["a", "b"], "weights": [0.25, 0.75]}),
        ("{values: [a, b], probabilities: [0, 1]}", {"choice": ["b"], "weights": [1]}),
        ("{distribution: beta, a: 1, b: 1}", {"uniform": [0, 1]}),
        ("{distribution: q_beta, a: 2, b: 5, q: 0.25}", {"uniform": [0.0, 1.0], "step": 0.25}),
    ],
)
def test_each_distribution_becomes_the_range_with_the_same_values(parameter, made):
    text = f"method: random\nprogram: a.py\nmetric: {{name: loss}}\nparameters: {{x: {parameter}}}\n"
    study = imported(text)
    assert tree(study)["trial"]["params"]["x"] == made
    checked(study)


def test_exponents_are_those_of_e_to_twelve_digits():
    text = "method: random\nprogram: a.py\nmetric: {name: loss}\nparameters: {x: {distribution: log_uniform, min: -9.21034, max: -1.5}}\n"
    low, high = tree(imported(text))["trial"]["params"]["x"]["loguniform"]
    assert math.isclose(low, math.exp(-9.21034), rel_tol=1e-11)
    assert math.isclose(high, math.exp(-1.5), rel_tol=1e-11)


def test_probabilities_become_weights_and_repeated_values_add_theirs():
    text = """\
        method: random
        program: a.py
        metric: {name: loss}
        parameters: {x: {values: [a, b, a], probabilities: [0.2, 0.5, 0.3]}}
    """
    study = imported(text)
    assert tree(study)["trial"]["params"]["x"] == {"choice": ["a", "b"], "weights": [0.5, 0.5]}
    checked(study)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("{min: 2, max: 1}", "reversed"),
        ("{min: 1}", "needs `value`, `values`, or `min` and `max`"),
        ("{distribution: log_uniform_values, min: 0, max: 1}", "must start above 0"),
        ("{distribution: log_uniform, min: 0, max: 1000}", "is too large or too small for a float"),
        ("{distribution: pareto, min: 0, max: 1}", "unknown distribution `pareto`"),
        ("{distribution: normal, sigma: 0}", "the deviation must be above 0"),
        ("{distribution: uniform, min: a, max: b}", "needs a finite number at `min`"),
        ("{distribution: uniform, min: -.inf, max: 1}", "needs a finite number at `min`"),
        ("{values: []}", "the list of values is empty"),
        ("{values: 3}", "the list of values is empty"),
        ("{values: [a, b], probabilities: [1]}", "2 values need 2 weights"),
        ("{values: [a, b], probabilities: [x, y]}", "must be a list of numbers"),
        ("{value: {uniform: [0, 1]}}", "is a range in tunecli"),
        ("3", "a parameter must be a map"),
    ],
)
def test_parameter_that_makes_no_range_is_an_error_with_its_position(parameter, message):
    with pytest.raises(ConfigError) as caught:
        imported(f"method: random\nparameters:\n  x: {parameter}\n")
    (problem,) = caught.value.problems
    assert message in problem.message
    assert (problem.line, problem.column) == (3, 3)


def test_pruner_is_left_out_if_the_length_of_a_training_is_unknown():
    study = imported(IMAGE_SWEEP.replace("value: 27", "values: [9, 27]"))
    assert "pruner" not in tree(study)["search"]
    (asked,) = (one for one in entries(study, Fate.FILL_IN) if one.result == "search.pruner")
    assert "max_epochs: N" in asked.note
    checked(study)


def test_hyperband_with_max_iter_counts_its_rungs_down():
    early = "early_terminate: {type: hyperband, max_iter: 27, s: 2, eta: 3}"
    study = imported(IMAGE_SWEEP.split("early_terminate")[0] + early)
    assert tree(study)["search"]["pruner"] == {
        "name": "hyperband",
        "min_epochs": 3,
        "factor": 3,
        "max_epochs": 27,
    }


@pytest.mark.parametrize(
    ("word", "arguments", "style"),
    [
        ("${args}", ["{args}"], {"booleans": "True/False"}),
        ("${args_no_hyphens}", ["a={a}", "b={b}", "c={c}"], None),
        ("${args_no_equals}", ["{args}"], {"style": "space", "booleans": "True/False"}),
        ("${args_no_boolean_flags}", ["{args}"], {"booleans": "flag"}),
        ("${args_json}", ['{{"a": {a}, "b": "{b}", "c": {c}}}'], None),
        ("${args_json_file}", ["{params_json}"], None),
        ("--home=${envvar:HOME}", ["--home=${env:HOME}"], None),
        ("{literal}", ["{{literal}}"], None),
    ],
)
def test_macros_of_a_command_become_arguments(word, arguments, style):
    text = f"""\
        method: random
        program: train.py
        metric: {{name: loss}}
        parameters: {{a: {{min: 1, max: 2}}, b: {{values: [x, y]}}, c: {{values: [true, false]}}}}
        command: ["${{interpreter}}", "${{program}}", {word!r}]
    """
    study = imported(text)
    trial = tree(study)["trial"]
    assert trial["command"] == ["python", "train.py", *arguments]
    assert trial.get("args") == style
    checked(study)


def test_parameter_with_the_name_of_a_range_is_renamed_and_passed_by_its_own_name():
    text = "method: random\nprogram: a.py\nmetric: {name: loss}\nparameters: {list: {value: 1}, x: {min: 0.0, max: 1.0}}\n"
    trial = tree(imported(text))["trial"]
    assert trial["params"] == {"list_": 1, "x": {"uniform": [0.0, 1.0]}}
    assert trial["command"] == ["python", "a.py", "{args}", "--list={list_}"]


def test_sweep_without_a_goal_minimises_and_a_sweep_without_a_cap_gets_fifty_trials():
    study = imported(
        "method: random\nprogram: a.py\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}}\n"
    )
    spec = checked(study)
    assert not spec.objective.maximize
    assert spec.settings.search.trials == 50


def test_target_ends_the_sweep():
    text = "method: random\nprogram: a.py\nmetric: {name: acc, goal: maximize, target: 0.9}\nparameters: {x: {min: 0.0, max: 1.0}}\n"
    assert tree(imported(text))["search"]["stop"] == {"target": 0.9}
    checked(imported(text))
