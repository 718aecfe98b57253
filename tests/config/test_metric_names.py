"""A metric's settings are a part of its name; a file takes both spellings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.test_objectives import OWN, TRIAL, spec_of
from tunecli.config.comparison import differences
from tunecli.config.metric_names import example_names, metric_of, recorded_name
from tunecli.config.metrics import METRICS
from tunecli.config.objectives import spelled
from tunecli.errors import ConfigError
from tunecli.objective import Objective

NAMES = [
    ("{name: val_f1}", "val_f1"),
    ("{name: val_f1, average: macro}", "val_f1"),
    ("{name: val_f1, average: weighted}", "val_f1_weighted"),
    ("{name: val_precision, average: micro}", "val_precision_micro"),
    ("{name: val_recall, average: binary}", "val_recall_binary"),
    ("{name: val_recall, positive: malignant}", "val_recall_of_malignant"),
    ("{name: val_recall, average: binary, positive: 1}", "val_recall_of_1"),
    ("{name: val_f1, positive: '>50K'}", "val_f1_of_>50K"),
    ("{name: val_f1, positive: true}", "val_f1_of_True"),
    ("{name: val_f1, positive: 2.0}", "val_f1_of_2"),
    ("{name: val_f1, positive: weighted}", "val_f1_of_weighted"),
    ("{name: val_kappa, weights: quadratic}", "val_kappa_quadratic"),
    ("{name: val_top_k, k: 5}", "val_top_5"),
    ("{name: val_pinball, alpha: 0.9}", "val_pinball_0.9"),
    ("val_pinball", "val_pinball"),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_a_map_and_the_recorded_name_mean_the_same_metric(tmp_path: Path, written: str, name: str) -> None:
    objective = spec_of(tmp_path, f"{{metric: {written}}}").objective
    assert objective.metric == name
    assert objective == spec_of(tmp_path, f"{{metric: '{name}'}}").objective
    metric = metric_of(name)
    assert metric is not None
    assert objective.maximize == metric.facts.maximize
    assert spec_of(tmp_path, json.dumps(spelled(objective))).objective == objective


@given(st.text(min_size=1, max_size=40))
def test_every_name_that_is_a_metric_is_the_name_of_its_settings(text: str) -> None:
    for base in METRICS:
        metric = metric_of(f"{base}_{text}")
        if metric is not None:
            assert recorded_name(metric.base, metric.settings) == metric.name


def test_names_of_settings_are_metrics() -> None:
    for base in METRICS:
        for name in example_names(base):
            metric = metric_of(name)
            assert metric is not None and metric.base == base and metric.is_on_request


BAD = [
    ("{metric: auc}", "did you mean `val_auroc`?"),
    ("{metric: val_auc}", "did you mean `val_auroc`?"),
    ("{metric: ap}", "did you mean `val_average_precision`?"),
    ("{metric: test_accuracy}", "did you mean `val_accuracy`?"),
    ("{metric: qwk}", "did you mean `val_kappa_quadratic`?"),
    ("{metric: top5}", "did you mean `val_top_5`?"),
    ("{metric: ece}", "did you mean `val_calibration_error`?"),
    ("{metric: f1_weighted}", "did you mean `val_f1_weighted`?"),
    ("{metric: val_f1_wieghted}", "did you mean `val_f1_weighted`?"),
    ("{metric: mcc}", "did you mean `val_mcc`?"),
    ("{metric: spearmanr}", "did you mean `val_spearman`?"),
    ("{metric: val_top_k}", "`val_top_k` needs a setting; write `val_top_5`"),
    ("{metric: {name: val_top_k}}", "`val_top_k` needs `k`"),
    ("{metric: {name: val_mcc, average: micro}}", "`val_mcc` has no setting `average`"),
    ("{metric: {name: val_f1, average: micro, positive: a}}", "excludes `average: micro`"),
    ("{metric: {name: val_f1, positive: ''}}", "printable"),
    ("{metric: {name: val_f1, avrage: micro}}", "did you mean `average`?"),
    ("{metric: {name: val_fl}}", "did you mean `val_f1`?"),
    ("{metric: {name: val_pinball, alpha: 1.0}}", "must be below 1"),
    ("{metric: val_f1, average: weighted}", "metric: {name: val_f1, average: weighted}"),
    ("{metric: val_loss, also: [auc]}", "did you mean `val_auroc`?"),
    ("{metric: val_loss, also: [{name: val_top_k}]}", "needs `k`"),
]


@pytest.mark.parametrize(("objective", "message"), BAD)
def test_a_mistake_in_a_metric_is_explained(tmp_path: Path, objective: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_of(tmp_path, objective)
    (problem,) = caught.value.problems
    assert message in f"{problem.message}; {problem.hint}"


def recorded(folder: Path, objective: str, rest: str = TRIAL) -> tuple[str, ...]:
    return spec_of(folder, objective, rest).settings.recorded.also


def test_further_metrics_are_those_of_also_and_of_the_results_columns(tmp_path: Path) -> None:
    also = "{metric: val_accuracy, also: [val_mcc, {name: val_kappa, weights: linear}, val_mcc]}"
    assert recorded(tmp_path, also) == ("val_mcc", "val_kappa_linear")
    columns = f"{TRIAL}run: {{results: {{metrics: [val_f1, val_brier, mine, n_parameters]}}}}\n"
    assert recorded(tmp_path, "{metric: val_accuracy}", columns) == ("val_brier", "n_parameters")
    assert recorded(tmp_path, "{metric: val_accuracy}", f"{TRIAL}run: {{results: {{metrics: all}}}}\n") == ()


def test_further_metrics_may_change_while_a_study_runs(tmp_path: Path) -> None:
    old = spec_of(tmp_path, "{metric: val_accuracy}")
    new = spec_of(tmp_path, "{metric: val_accuracy, also: [val_mcc]}")
    assert old.objective == new.objective
    (change,) = differences(old, new)
    assert (change.path, change.may_change) == ("objective.also", True)


def test_a_trial_of_the_users_own_takes_no_settings_and_no_further_metrics(tmp_path: Path) -> None:
    for objective, message in (
        ("{metric: {name: val_f1, average: micro}}", "your own trial reports its metrics itself"),
        ("{metric: loss, also: [val_mcc]}", "`also` is not for your own trial"),
    ):
        with pytest.raises(ConfigError, match=message):
            spec_of(tmp_path, objective, OWN)


@pytest.mark.parametrize("name", ["mcc", "log_loss", "f1_weighted"])
def test_a_function_of_the_users_may_have_the_name_of_a_metric_on_request(tmp_path: Path, name: str) -> None:
    objective = spec_of(tmp_path, f"{{metric: {{python: 'mine:{name}'}}, direction: minimize}}").objective
    assert objective == Objective(f"val_{name}", False, f"mine:{name}")


def test_a_function_of_the_users_cannot_replace_a_standard_metric(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`val_f1` is a built-in metric"):
        spec_of(tmp_path, "{metric: {python: 'mine:f1'}}")


@pytest.mark.parametrize(
    ("setting", "is_valid"),
    [({"name": "val_top_k", "k": 5}, True), ({"name": "val_top_k", "k": 1}, False), ({"name": "x"}, False)],
)
def test_the_schema_describes_settings(setting: dict[str, Any], is_valid: bool) -> None:
    from jsonschema import Draft202012Validator

    from tunecli.config.json_schema import json_schema

    document = {"objective": {"metric": "val_loss", "also": [setting]}, "trial": {"data": {"source": "iris"}}}
    assert (not [*Draft202012Validator(json_schema()).iter_errors(document)]) == is_valid
