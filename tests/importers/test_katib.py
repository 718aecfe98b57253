"""Katib experiments as studies."""

from __future__ import annotations

import re

import pytest

from tests.support.foreign_files import checked, entries, imported, lines_left_out, tree
from tunecli.errors import ConfigError
from tunecli.importers.account import Fate

JOB = """\
---
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata:
  namespace: kubeflow
  name: mnist-random
spec:
  objective:
    type: maximize
    goal: 0.99
    objectiveMetricName: Validation-accuracy
    additionalMetricNames: [Train-accuracy]
  algorithm:
    algorithmName: random
    algorithmSettings:
      - {name: random_state, value: "10"}
  parallelTrialCount: 3
  maxTrialCount: 12
  maxFailedTrialCount: 2
  parameters:
    - name: lr
      parameterType: double
      feasibleSpace: {min: "0.01", max: "0.03", distribution: logUniform}
    - name: num-layers
      parameterType: int
      feasibleSpace: {min: "2", max: "8", step: "2"}
    - name: optimizer
      parameterType: categorical
      feasibleSpace: {list: [sgd, adam]}
  trialTemplate:
    primaryContainerName: training
    trialParameters:
      - {name: learningRate, description: rate, reference: lr}
      - {name: layers, reference: num-layers}
      - {name: opt, reference: optimizer}
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            containers:
              - name: sidecar
                command: [sleep, "10"]
              - name: training
                image: docker.io/mnist
                command: [python3, train.py]
                args:
                  - "--lr=${trialParameters.learningRate}"
                  - "--layers=${trialParameters.layers}"
                  - "--opt=${trialParameters.opt}"
                  - "--format={json}"
            restartPolicy: Never
"""

TENSORFLOW = """\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {generateName: tf-}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: bayesianoptimization}
  maxTrialCount: 6
  earlyStopping:
    algorithmName: medianstop
    algorithmSettings:
      - {name: min_trials_required, value: "3"}
      - {name: start_step, value: "2"}
  metricsCollectorSpec:
    source: {fileSystemPath: {path: /logs, kind: Directory}}
    collector: {kind: TensorFlowEvent}
  parameters:
    - {name: batch, parameterType: discrete, feasibleSpace: {list: ["16", "32"]}}
    - {name: dropout, parameterType: double, feasibleSpace: {min: "0.1", max: "0.5", step: "0.1"}}
  trialTemplate:
    trialParameters: [{name: b, reference: batch}, {name: d, reference: dropout}]
    trialSpec:
      kind: TFJob
      spec:
        tfReplicaSpecs:
          Worker:
            template:
              spec:
                containers:
                  - {name: tensorflow, command: [python, /opt/mnist.py, "--b=${trialParameters.b}", "--d=${trialParameters.d}"]}
"""

BARE = """\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
spec:
  objective: {type: maximize, objectiveMetricName: accuracy}
  algorithm: {algorithmName: grid}
  parameters:
    - {name: n, parameterType: int, feasibleSpace: {min: "1", max: "3"}}
"""


def test_job_becomes_a_study_with_its_command_and_its_printed_metrics():
    study = imported(JOB)
    spec = checked(study)
    assert spec.settings.study == "mnist-random"
    assert (spec.objective.metric, spec.objective.maximize) == ("Validation-accuracy", True)
    assert tree(study)["seed"] == 10
    assert tree(study)["search"] == {"sampler": "random", "stop": {"target": 0.99}, "trials": 12}
    assert tree(study)["run"] == {"workers": 3, "limit": {"failures": 2}}
    trial = tree(study)["trial"]
    assert trial["params"] == {
        "lr": {"loguniform": [0.01, 0.03]},
        "num-layers": {"int": [2, 8], "step": 2},
        "optimizer": {"choice": ["sgd", "adam"]},
    }
    arguments = ["--lr={lr}", "--layers={num-layers}", "--opt={optimizer}", "--format={{json}}"]
    assert trial["command"] == ["python", "train.py", *arguments]
    assert not entries(study, Fate.FILL_IN)
    assert lines_left_out(study)["metadata.namespace"] == 5


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("Validation-accuracy=0.97", "0.97"),
        ("epoch 3 Validation-accuracy = 1.5e-3 x", "1.5e-3"),
        ("Validation-accuracy=1", "1"),
    ],
)
def test_pattern_of_a_metric_finds_what_katib_finds(line, number):
    pattern = tree(imported(JOB))["trial"]["metrics"]["Validation-accuracy"]
    match = re.search(pattern, line)
    assert match is not None
    assert match[1] == number


def test_metrics_of_tensorboard_must_be_filled_in():
    study = imported(TENSORFLOW)
    assert [one.result for one in entries(study, Fate.FILL_IN)] == ["trial.metrics"]
    assert tree(study)["search"]["pruner"] == {"name": "median", "startup_trials": 3, "warmup_epochs": 2}
    assert tree(study)["trial"]["params"] == {
        "batch": {"choice": [16, 32]},
        "dropout": {"uniform": [0.1, 0.5], "step": 0.1},
    }
    checked(study)


def test_experiment_without_a_template_gets_a_command_to_fill_in():
    study = imported(BARE)
    spec = checked(study)
    assert spec.settings.search.sampler_name == "grid"
    assert [one.result for one in entries(study, Fate.FILL_IN)] == ["trial.command"]
    assert tree(study)["trial"]["command"] == ["python", "train.py", "{args}"]


def test_reference_to_an_unknown_parameter_is_reported():
    study = imported(JOB.replace("reference: lr", "reference: rate"))
    (asked,) = entries(study, Fate.FILL_IN)
    assert "${trialParameters.learningRate}" in asked.note


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('{min: "1"}', "needs numbers at `min` and `max`"),
        ('{min: "5", max: "3"}', "reversed"),
        ("{min: x, max: y}", "needs numbers at `min` and `max`"),
        ("{}", "needs numbers at `min` and `max`"),
    ],
)
def test_feasible_space_that_makes_no_range_is_an_error(space, message):
    with pytest.raises(ConfigError) as caught:
        imported(BARE.replace('{min: "1", max: "3"}', space))
    assert message in caught.value.problems[0].message


def test_normal_space_becomes_uniform_with_a_note():
    study = imported(BARE.replace('"3"}', '"3", distribution: normal}'))
    assert any("an even distribution in [1, 3]" in one.note for one in entries(study, Fate.CHANGED))
