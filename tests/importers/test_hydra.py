"""Hydra sweeps as studies: a configuration with a sweeper, and the overrides of a command line."""

from __future__ import annotations

import pytest

from tests.support.foreign_files import checked, entries, imported, lines_left_out, tree
from tunecli.errors import ConfigError
from tunecli.importers.account import Fate
from tunecli.importers.calls import Call, CallError, Several, parse_value

TEMPLATE = """\
# @package _global_
defaults:
  - override /hydra/sweeper: optuna
  - override /model: cnn

optimized_metric: "val/acc_best"

hydra:
  mode: "MULTIRUN"
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    storage: null
    study_name: null
    n_jobs: 1
    direction: maximize
    n_trials: 25
    sampler:
      _target_: optuna.samplers.TPESampler
      seed: 1234
      n_startup_trials: 10
    params:
      model.optimizer.lr: interval(0.0001, 0.1)
      data.batch_size: choice(32, 64, 128, 256)
      model.net.lin1_size: choice(64, 128, 256)
data:
  batch_size: 64
"""

OLD_SPACE = """\
defaults:
  - override hydra/sweeper: optuna
hydra:
  sweeper:
    direction: [minimize, maximize]
    n_trials: 20
    search_space:
      x: {type: float, low: -5.5, high: 5.5, step: 0.5}
      y: {type: categorical, choices: [-5, 0, 5]}
      z: {type: int, low: 1, high: 64, log: true}
"""

COMMAND = """\
# the second sweep
HYDRA_FULL_ERROR=1 python train.py -m hydra/sweeper=optuna hydra/sweeper/sampler=random \\
    hydra.sweeper.n_trials=50 'hydra.sweeper.direction=minimize' \\
    'lr=tag(log, interval(1e-4, 1e-1))' bs=choice(16,32) n=range(1,8) +width=int(interval(8, 64)) \\
    model=mlp,cnn model.depth=range(2,6,2) trainer.max_epochs=5
"""


def test_sweep_of_the_lightning_template_becomes_a_study():
    study = imported(TEMPLATE)
    spec = checked(study)
    assert (spec.objective.metric, spec.objective.maximize) == ("val/acc_best", True)
    assert tree(study)["seed"] == 1234
    assert tree(study)["search"] == {"sampler": "tpe", "trials": 25}
    assert tree(study)["trial"]["params"] == {
        "model": {
            "optimizer": {"lr": {"uniform": [0.0001, 0.1]}},
            "net": {"lin1_size": {"choice": [64, 128, 256]}},
        },
        "data": {"batch_size": {"choice": [32, 64, 128, 256], "default": 64}},
    }
    assert "hydra.sweeper.storage" in lines_left_out(study)


def test_older_search_space_has_the_ranges_of_optuna():
    study = imported(OLD_SPACE)
    assert tree(study)["trial"]["params"] == {
        "x": {"uniform": [-5.5, 5.5], "step": 0.5},
        "y": {"choice": [-5, 0, 5]},
        "z": {"logint": [1, 64]},
    }
    pareto = tree(study)["objective"]["pareto"]
    assert [aim["direction"] for aim in pareto] == ["minimize", "maximize"]
    checked(study)


def test_multirun_command_becomes_a_command_with_its_sweeps_as_parameters():
    study = imported(COMMAND)
    checked(study)
    assert tree(study)["search"] == {"sampler": "random", "trials": 50}
    assert tree(study)["trial"]["params"] == {
        "lr": {"loguniform": [0.0001, 0.1]},
        "bs": {"choice": [16, 32]},
        "n": {"int": [1, 8]},
        "width": {"int": [8, 64]},
        "model": {"choice": ["mlp", "cnn"]},
        "model_depth": {"int": [2, 6], "step": 2},
    }
    assert tree(study)["run"]["env"] == {"HYDRA_FULL_ERROR": "1"}
    command = tree(study)["trial"]["command"]
    assert command[:3] == ["python", "train.py", "trainer.max_epochs=5"]
    assert {"+width={width}", "model.depth={model_depth}"} <= set(command)
    lines = {entry.source.partition(":")[0]: entry.line for entry in study.account.entries}
    assert (lines["hydra.sweeper.n_trials"], lines["lr"], lines["model"]) == (3, 4, 5)


def test_overrides_alone_are_a_grid_whose_range_leaves_its_end_out():
    study = imported("lr=0.1,0.01 n=range(1,4)\nx=range(0,1,0.25)\n")
    assert tree(study)["search"] == {"sampler": "grid"}
    assert tree(study)["trial"]["params"] == {
        "lr": {"choice": [0.1, 0.01]},
        "n": {"choice": [1, 2, 3]},
        "x": {"choice": [0.0, 0.25, 0.5, 0.75]},
    }
    checked(study)


def test_interval_needs_optuna_whose_range_has_its_end():
    study = imported("lr=interval(0.1,1) n=range(1,4) x=range(-5.5,5.2,0.5)")
    assert tree(study)["trial"]["params"] == {
        "lr": {"uniform": [0.1, 1]},
        "n": {"int": [1, 4]},
        "x": {"uniform": [-5.5, 5.0], "step": 0.5},
    }
    assert tree(study)["search"]["sampler"] == "bayes"


@pytest.mark.parametrize(
    ("override", "made"),
    [
        ("x=interval(1,8)", {"int": [1, 8]}),
        ("x=tag(log, interval(1,8))", {"logint": [1, 8]}),
        ("x=tag(log, interval(1,8.0))", {"loguniform": [1, 8.0]}),
        ("x=interval(start=0, end=1.5)", {"uniform": [0, 1.5]}),
        ("x=int(interval(0.5, 8.2))", {"int": [1, 8]}),
        ("x=shuffle(choice(a, b))", {"choice": ["a", "b"]}),
        ("x=sort(3, 2, 1)", {"choice": [3, 2, 1]}),
        ("x=[1,2],[3]", {"choice": [[1, 2], [3]]}),
        ("x='a b','c'", {"choice": ["a b", "c"]}),
        ("x=true,null,1e-3", {"choice": [True, None, 0.001]}),
    ],
)
def test_each_sweep_of_an_override_becomes_its_range(override, made):
    assert tree(imported(f"{override} hydra/sweeper=optuna"))["trial"]["params"]["x"] == made


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("x=glob(*)", "`glob` has no counterpart"),
        ("x=interval(1)", "needs two numbers"),
        ("x=interval(2,1)", "reversed"),
        ("x=choice(1", "missing `,`"),
        ("x=choice(1,,2)", "missing value"),
        ("x=range(0,1,0)", "`range` needs numbers"),
        ("x=range(0,100000)", "more than 1,000 values"),
        ("x=tag(log, interval(0,1.0))", "must start above 0"),
    ],
)
def test_override_that_makes_no_range_is_an_error_with_its_position(override, message):
    with pytest.raises(ConfigError) as caught:
        imported(f"\n{override}", "hydra")
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.line == 2


def test_return_value_of_the_task_must_be_printed():
    asked = [one.result for one in entries(imported("x=1,2"), Fate.FILL_IN)]
    assert asked == ["objective.metric", "trial.command"]


def test_values_are_parsed_without_running_anything():
    assert parse_value("tune.loguniform(1e-4, base=10)") == Call("tune.loguniform", (0.0001,), {"base": 10})
    assert parse_value("1, 'b c', [x, {a: 1}]") == Several((1, "b c", ["x", {"a": 1}]))
    assert parse_value("f(a=[1, (2, 3)],)") == Call("f", (), {"a": [1, [2, 3]]})
    for text in ("f(", "[1", "'a", "{a}", ")", "a b) c", "f(1 2)x", "(" * 5000):
        with pytest.raises(CallError):
            parse_value(text)


def test_secret_before_a_command_is_not_copied():
    study = imported("WANDB_API_KEY=abc123 python train.py -m x=1,2")
    assert "abc123" not in study.text
    assert "abc123" not in "".join(map(str, study.account.entries))
    assert lines_left_out(study) == {"WANDB_API_KEY": 1}
