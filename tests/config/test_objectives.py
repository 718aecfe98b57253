"""Objectives and constraints in a file; each mistake is reported at its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunecli.commands.check import check, load_checked
from tunecli.config.load import load
from tunecli.config.objectives import described, spelled
from tunecli.config.study import StudySpec
from tunecli.errors import ConfigError
from tunecli.objective import Constraint, Objective

TRIAL = "trial: {data: {source: iris}, optimizer: {name: sgd, lr: {loguniform: [1e-3, 1]}}}\n"
OWN = "trial: {python: 'mine:train', params: {a: {uniform: [0, 1]}}}\n"


def spec_of(folder: Path, objective: str, rest: str = TRIAL) -> StudySpec:
    path = folder / "study.yaml"
    path.write_text(f"objective: {objective}\n{rest}")
    return load(path)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("{metric: val_accuracy}", Objective("val_accuracy", True)),
        (
            "{metric: val_loss, subject_to: {latency_ms: '<= 5', n_parameters: '<= 100_000', val_f1: '>=.5'}}",
            Objective(
                "val_loss",
                False,
                constraints=(
                    Constraint("latency_ms", 5.0),
                    Constraint("n_parameters", 1e5),
                    Constraint("val_f1", 0.5, True),
                ),
            ),
        ),
        (
            "{pareto: [{metric: val_accuracy}, {metric: n_parameters}, {metric: val_f1, direction: minimize}]}",
            Objective(
                "val_accuracy",
                True,
                further_objectives=(Objective("n_parameters", False), Objective("val_f1", False)),
            ),
        ),
        (
            "{metric: {python: 'mine:score'}, direction: maximize, subject_to: {val_score: '>= -1.5e-3'}}",
            Objective("val_score", True, "mine:score", {}, (), (Constraint("val_score", -0.0015, True),)),
        ),
    ],
)
def test_an_objective_is_read(tmp_path: Path, objective: str, expected: Objective) -> None:
    assert spec_of(tmp_path, objective).objective == expected


def test_a_constraint_of_a_user_function_may_name_any_metric_that_it_reports(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "{metric: loss, direction: minimize, subject_to: {gpu/memory: '<= 8e9'}}", OWN)
    assert spec.objective.constraints == (Constraint("gpu/memory", 8e9),)


BAD = [
    (
        (
            "{pareto: [{metric: val_loss}, {metric: val_f1}, {metric: n_parameters},"
            " {metric: latency_ms}, {metric: val_accuracy}]}"
        ),
        "1:21",
        "must have at most 4 items, not 5",
    ),
    ("{metric: val_accuracy, subject_to: {latency: '<= 5'}}", "1:48", "did you mean `latency_ms`?"),
    (
        "{metric: val_accuracy, subject_to: {val_loss: 5}}",
        "1:58",
        'must be a bound, not a number: write `"<= 5"`',
    ),
    ("{metric: val_accuracy, subject_to: {val_loss: '=< 5'}}", "1:58", "did you mean `<= 5`?"),
    ("{metric: val_accuracy, subject_to: {val_loss: '< 5'}}", "1:58", "did you mean `<= 5`?"),
    (
        "{metric: val_accuracy, subject_to: {val_loss: '<= 5 ms'}}",
        "1:58",
        "invalid number after `<=`, at character 6",
    ),
    ("{metric: val_accuracy, subject_to: {val_loss: '<= 1 + 1'}}", "1:58", "invalid number after `<=`"),
    ("{metric: val_accuracy, subject_to: {val_loss: '<='}}", "1:58", "has no number after `<=`"),
    ("{metric: val_accuracy, subject_to: {val_loss: '<= nan'}}", "1:58", "invalid number after"),
    ("{metric: val_accuracy, subject_to: {val_loss: '<= 1e999'}}", "1:58", "too large"),
    ("{metric: val_accuracy, subject_to: {val_loss: true}}", "1:58", "must be a bound"),
    ("{metric: val_accuracy, subject_to: {val_loss: [1]}}", "1:58", "must be a bound"),
    ("{metric: val_accuracy, subject_to: {}}", "1:47", "must have at least 1 item, not 0"),
    ("{metric: val_accuracy, subjct_to: {val_loss: '<= 5'}}", "1:35", "did you mean `subject_to`?"),
    ("{pareto: [{metric: val_loss}]}", "1:21", "must have at least 2 items, not 1"),
    ("{pareto: [{metric: val_loss}, {metric: val_loss}]}", "1:21", "`val_loss` appears twice"),
    ("{pareto: [{metric: val_loss}, {metric: val_acc}]}", "1:51", "did you mean `val_accuracy`?"),
    (
        "{metric: val_loss, pareto: [{metric: val_loss}, {metric: val_f1}]}",
        "1:13",
        "`metric` is not allowed here",
    ),
    ("{pareto: [{metric: val_loss}, {metric: n_paramters}]}", "1:51", "did you mean `n_parameters`?"),
]


@pytest.mark.parametrize(("objective", "place", "message"), BAD)
def test_a_mistake_is_reported_at_its_place(tmp_path: Path, objective: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_of(tmp_path, objective)
    (problem,) = caught.value.problems
    assert message in f"{problem.message} {problem.hint}"
    assert f"{problem.line}:{problem.column}" == place


SEVERAL = "{pareto: [{metric: val_accuracy}, {metric: n_parameters}]}"
BOUNDED = "{metric: val_accuracy, subject_to: {n_parameters: '<= 10'}}"


@pytest.mark.parametrize(
    ("objective", "search", "message"),
    [
        (SEVERAL, "{pruner: median}", "a pruner needs one objective, and this study has 2"),
        (SEVERAL, "{pruner: hyperband}", "a pruner needs one objective"),
        (SEVERAL, "{sampler: cmaes}", "`cmaes` does not support several objectives"),
        (BOUNDED, "{sampler: cmaes}", "`cmaes` does not support constraints"),
        (SEVERAL, "{stop: {stagnation: 9}}", "`stop` needs one objective"),
    ],
)
def test_samplers_and_pruners_without_support_for_several_objectives_are_refused(
    tmp_path: Path, objective: str, search: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_of(tmp_path, objective, f"{TRIAL}search: {search}\n")
    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
    assert problem.line == 3


def test_a_pruner_works_with_constraints(tmp_path: Path) -> None:
    assert spec_of(tmp_path, BOUNDED, f"{TRIAL}search: {{pruner: median}}\n").objective.constraints


@pytest.mark.parametrize(
    ("objective", "parameter"),
    [
        ("{metric: val_accuracy, subject_to: {val_rmse: '<= 1'}}", "objective.subject_to.val_rmse"),
        ("{pareto: [{metric: val_accuracy}, {metric: val_r2}]}", "objective.pareto.1.metric"),
    ],
)
def test_a_metric_of_another_task_is_reported_at_its_place(
    tmp_path: Path, objective: str, parameter: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"objective: {objective}\n{TRIAL}")
    with pytest.raises(ConfigError) as caught:
        load_checked(path, ())
    assert [problem.parameter for problem in caught.value.problems] == [parameter]
    assert "a classification task has no" in caught.value.problems[0].message


def test_a_command_without_a_pattern_for_a_constraint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    command = "trial: {command: [echo, '{a}'], params: {a: {int: [1, 2]}}, metrics: {loss: 'l=(.+)'}}\n"
    path.write_text(
        f"objective: {{metric: loss, direction: minimize, subject_to: {{size: '<= 1'}}}}\n{command}"
    )
    with pytest.raises(ConfigError) as caught:
        load_checked(path, ())
    assert "no pattern for the metric `size`" in caught.value.problems[0].message


def test_check_shows_objectives_and_constraints(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, SEVERAL.replace("]}", "], subject_to: {latency_ms: '<= 5'}}"))
    text = "maximize val_accuracy and minimize n_parameters, subject to latency_ms <= 5"
    assert described(spec.objective) == text
    assert check(spec).objective == spec.objective


@pytest.mark.parametrize(
    ("score", "rule", "n_averaged"),
    [("last", "last", 0), ("best", "best", 0), ("{mean_of_last: 5}", "mean_of_last", 5)],
)
def test_an_own_trial_has_a_rule_for_its_score(
    tmp_path: Path, score: str, rule: str, n_averaged: int
) -> None:
    objective = spec_of(tmp_path, f"{{metric: test_loss, score: {score}}}", OWN).objective
    assert (objective.score_rule, objective.n_averaged) == (rule, n_averaged)
    exported = spec_of(tmp_path, json.dumps(spelled(objective)), OWN).objective
    assert exported == objective


def test_the_rule_for_the_score_holds_with_several_objectives_and_is_shown(tmp_path: Path) -> None:
    objective = spec_of(
        tmp_path, "{pareto: [{metric: acc}, {metric: test_loss}], score: best, subject_to: {ms: '<= 5'}}", OWN
    ).objective
    assert objective.score_rule == "best"
    assert all(goal.score_rule == "last" for goal in objective.further_objectives)
    assert described(objective).endswith("subject to ms <= 5, best value as score")


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ("first", r"must be `last`, `best` or `\{mean_of_last: k\}`, not 'first'"),
        ("3", "must be `last`, `best`"),
        ("{mean_of_last: 0}", "must be at least 1"),
        ("{mean_of_last: 10001}", "must be at most 10000"),
        ("{mean: 3}", "unknown key `mean`"),
    ],
)
def test_an_invalid_rule_for_the_score_is_refused(tmp_path: Path, score: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        spec_of(tmp_path, f"{{metric: test_loss, score: {score}}}", OWN)


def test_our_own_training_refuses_a_rule_for_the_score_and_names_early_stop(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="early_stop"):
        spec_of(tmp_path, "{metric: val_loss, score: best}")
    assert spec_of(tmp_path, "{metric: val_loss, score: last}").objective.score_rule == "last"
