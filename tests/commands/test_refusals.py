"""Combinations of choices that tunecli refuses: found, left out of the search, and kept apart from plain errors."""

from __future__ import annotations

import pytest

from tunecli.commands.check import check, load_checked
from tunecli.config.concrete_trial import resolve_trial
from tunecli.config.feasibility import is_feasible
from tunecli.config.space import default_point
from tunecli.errors import ConfigError
from tunecli.study.record.suggestions import first_suggestions
from tunecli.train.validation import trial_problems

WEIGHTS = (
    "{data: {source: breast_cancer, balance: {choice: [weight, none]}}, model: linear,"
    " loss: {choice: [{name: cross_entropy, class_weights: [1, 2]}, focal]},"
    " optimizer: {name: adamw, lr: {loguniform: [1e-3, 1]}}, training: {batch_size: {choice: [32, 64]}}}"
)


@pytest.fixture
def loaded(tmp_path):
    def load(trial: str):
        path = tmp_path / "study.yaml"
        search = "search: {sampler: random, trials: 5}"
        path.write_text(f"objective: {{metric: val_loss}}\ntrial: {trial}\n{search}\n")
        return load_checked(path, ())

    return load


def refused(spec):
    return [dict(combination.values) for combination in spec.space.constraints.refused]


def test_options_that_only_work_apart_are_no_error_even_if_they_are_the_first_ones(loaded):
    spec = loaded(WEIGHTS)
    assert refused(spec) == [{"data.balance": ("weight",), "loss": ("cross_entropy",)}]
    points = [trial.parameters for trial in first_suggestions(spec, 60)]
    assert {(point["data.balance"], point["loss"]) for point in points} == {
        *(("weight", "focal"), ("none", "focal"), ("none", "cross_entropy"))
    }
    for point in points:
        assert not trial_problems(resolve_trial(spec.space, point), spec.objective, spec.base_path)


def test_a_note_says_which_options_are_left_out_and_why(loaded):
    (note,) = [note for note in check(loaded(WEIGHTS)).notes if "together" in note]
    assert note.startswith("data.balance weight and loss cross_entropy do not work together, so no trial has")
    assert "class weights of its own" in note


@pytest.mark.parametrize(
    ("trial", "names"),
    [
        (
            "{data: {source: {choice: [iris, digits]}}, model: {choice: [mlp, cnn]}}",
            [{"data.source": ("iris",), "model": ("cnn",)}],
        ),
        (
            (
                "{data: {source: iris}, optimizer: {choice: [adamw, lbfgs]},"
                " training: {precision: {choice: [bf16, float32]}}}"
            ),
            [{"optimizer": ("lbfgs",), "training.precision": ("bf16",)}],
        ),
        (
            (
                "{data: {source: digits}, model: {choice: [{name: mlp, init: {choice: [dirac, eye]}},"
                " {name: cnn, init: {choice: [dirac, orthogonal]}}]}, loss: {choice: [focal, cross_entropy]}}"
            ),
            None,
        ),
        (
            "{data: {source: iris}, model: {choice: [mlp, linear]}, loss: {choice: [focal, cross_entropy]}}",
            [],
        ),
        (
            (
                "{data: {source: iris}, learning_rate: [{warmup: {epochs: {int: [1, 15]}}}],"
                " training: {epochs: {choice: [20, 30]}, batch_size: {choice: [8, 16]}}}"
            ),
            [],
        ),
    ],
)
def test_combinations_are_as_small_as_possible(loaded, trial, names):
    if names is None:  # an option that fails in its own branch is wrong by itself
        with pytest.raises(ConfigError, match="dirac fits convolutions"):
            loaded(trial)
    else:
        assert refused(loaded(trial)) == names


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (
            "{data: {source: iris}, model: {choice: [mlp, cnn]}, loss: {choice: [focal, cross_entropy]}}",
            "cnn needs",
        ),
        (
            "{data: {source: digits}, model: {choice: [mlp, {name: transformer, patch: {choice: [2, 3]}}]}}",
            "patch of 3",
        ),
        ("{data: {source: iris}, optimizer: {name: adam, lr: {uniform: [-1, 1]}}}", "must be above 0"),
        (
            "{data: {source: iris}, loss: {choice: [mse, huber]}, model: {choice: [mlp, linear]}}",
            "does not work",
        ),
        (WEIGHTS.replace("[weight, none]", "[weight]").replace(", focal]", "]"), "class weights of its own"),
        (WEIGHTS.replace(", none]", ", weights]"), "weights"),
    ],
)
def test_an_option_that_never_works_and_a_wrong_bound_stay_errors(loaded, trial, message):
    with pytest.raises(ConfigError, match=message):
        loaded(trial)


def test_defaults_that_are_refused_are_noted_and_not_tried(loaded):
    spec = loaded(WEIGHTS.replace("[weight, none]}", "[weight, none], default: weight}"))
    assert not is_feasible(spec.space, default_point(spec.space))
    assert any(
        note.startswith("no trial uses the defaults: data.balance weight") for note in check(spec).notes
    )


def test_the_first_options_of_two_choices_may_exclude_each_other(loaded):
    spec = loaded("{data: {source: {choice: [iris, digits]}}, model: {choice: [cnn, mlp]}}")
    assert refused(spec) == [{"data.source": ("iris",), "model": ("cnn",)}]
    checked = check(spec)
    assert checked.feasible.n_feasible == 3
    assert checked.cost.largest is not None
