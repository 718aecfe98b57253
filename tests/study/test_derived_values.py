"""Studies with derived values, powers and weights: the table, exports, resume, fork, and formulas without a value."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest

from tests.verbs import called

CODE = """\
def train(params, trial):
    assert type(params["width"]) is int and type(params["half"]) is int
    return (params["a"] - params["b"]) ** 2 + abs(params["half"] - 16)
"""
STUDY = """\
study: derived
seed: 3
objective: {metric: loss, direction: minimize}
trial:
  python: own:train
  params:
    a: {uniform: [0, 1]}
    b: {expr: "1 - a"}
    width: {power: {of: 2, int: [3, 6]}, default: 16}
    half: {expr: "width // 2"}
    rate: {lognormal: [-5, 1], step: 0.001}
    kind: {choice: [x, y, z], weights: [5, 1, 1]}
search: {sampler: random, trials: 4}
run: {device: cpu, workers: 1}
"""


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    (tmp_path / "own.py").write_text(CODE)
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return partial(called, capture=capsys, monkeypatch=monkeypatch)


def rows(folder: str) -> list[dict[str, str]]:
    with (Path(folder) / "results.csv").open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: int(row["trial"]))


def test_a_study_shows_derived_values_exports_numbers_resumes_and_forks(run):
    code, _, errors = run("search", "study.yaml", "--out", "run", "--json")
    assert code == 0, errors
    first = rows("run")
    assert [row["status"] for row in first] == ["complete"] * 4
    for row in first:
        assert float(row["params.b"]) == 1 - float(row["params.a"])
        assert int(row["params.half"]) * 2 == int(row["params.width"])
        assert float(row["params.rate"]) > 0
    columns = list(first[0])
    assert columns[4:10] == [f"params.{name}" for name in ("a", "width", "rate", "kind", "b", "half")]

    _, out, _ = run("results", "run", "--trial", "0", "--json")
    one = json.loads(out)
    assert one["parameters"]["params.width"] == 16
    assert one["derived"] == {"params.b": 1 - one["parameters"]["params.a"], "params.half": 8}
    assert set(one["parameters"]) == {"params.a", "params.width", "params.rate", "params.kind"}

    code, out, _ = run("export", "run", "--trial", "0", "-o", "-")
    assert code == 0
    assert "half: 8" in out
    assert "expr" not in out
    Path("best.yaml").write_text(out)
    code, out, errors = run("train", "best.yaml", "--json")
    assert code == 0, errors
    assert json.loads(out)["score"] == float(first[0]["loss"])

    code, _, errors = run("resume", "run", "--trials", "6")
    assert code == 0, errors
    assert [{**row, "rank": ""} for row in rows("run")[:4]] == [{**row, "rank": ""} for row in first]

    Path("other.yaml").write_text(
        STUDY.replace("{power: {of: 2, int: [3, 6]}, default: 16}", "{choice: [8, 16, 32, 64]}")
    )
    code, _, errors = run("resume", "run", "--config", "other.yaml", "--fork", "again", "--trials", "7")
    assert code == 0, errors
    assert "reused: 6 of the 6 trials" in errors


def test_an_edited_formula_or_weight_is_another_study(run):
    assert run("search", "study.yaml", "--out", "run", "--set", "search.trials=1")[0] == 0
    for old, new, shown in (
        ("1 - a", "2 - a", "trial.params.b.expr: 1 - a → 2 - a"),
        ("[5, 1, 1]", "[1, 1, 1]", "trial.params.kind.weights.0: 5 → 1"),
        (
            "int: [3, 6]",
            "int: [3, 7]",
            "trial.params.width.power: {of: 2, int: [3, 6]} → {of: 2, int: [3, 7]}",
        ),
    ):
        Path("edited.yaml").write_text(STUDY.replace(old, new))
        code, _, errors = run("resume", "run", "--config", "edited.yaml")
        assert code == 2
        assert shown in errors


def test_a_formula_can_be_set_from_the_command_line(run):
    code, out, errors = run(
        "search", "study.yaml", "--dry-run", "--json", "--set", "params.b={expr: 'a * 2'}"
    )
    assert code == 0, errors
    checked = json.loads(out)
    assert {"name": "params.b", "expr": "a * 2"} in checked["derived"]
    assert all(point["params.b"] == 2 * point["params.a"] for point in checked["suggestions"])


def test_check_refuses_a_formula_without_a_value_at_the_middle_of_a_range(run):
    text = STUDY.replace('"1 - a"', '"1 / (n - 2)"').replace("rate:", "n: {int: [1, 3]}\n    rate:")
    Path("study.yaml").write_text(text)
    code, _, errors = run("search", "study.yaml", "--out", "run")
    assert code == 2
    assert "has no value where n is 2: division by zero" in errors


def test_a_formula_over_a_wrong_range_is_no_second_problem(run):
    Path("study.yaml").write_text(
        STUDY.replace('"1 - a"', '"log(a) + b"').replace("a: {uniform: [", "a: {uniform: [9, ")
    )
    code, _, errors = run("check", "study.yaml")
    assert code == 2
    assert "must be two finite numbers" in errors
    assert "expr" not in errors


def test_a_formula_over_a_parameter_of_one_branch_names_the_option_to_write_it_into(run):
    own = "o: {choice: [{name: x, m: {uniform: [0, 1]}}, y]}\n    rate:"
    Path("study.yaml").write_text(STUDY.replace('"1 - a"', '"1 - o.m"').replace("rate:", own))
    code, _, errors = run("check", "study.yaml")
    assert code == 2
    assert "only some trials have `o.m`: write the formula into the option that contains it" in errors


def test_a_formula_that_only_some_points_break_fails_those_trials(run):
    text = STUDY.replace('"1 - a"', '"log(abs(n - 4))"').replace(
        "rate:", "n: {int: [1, 9], step: 1}\n    rate:"
    )
    text = text.replace("(n - 4)", "(n - 3)").replace("random, trials: 4", "random, trials: 16")
    Path("study.yaml").write_text(text)
    code, _, errors = run("search", "study.yaml", "--out", "run")
    assert code == 0, errors
    for row in rows("run"):
        is_broken = row["params.n"] == "3"
        assert (row["status"] == "failed") is is_broken
        assert ("has no value where n is 3: the result is not a real number" in row["failure"]) is is_broken
    assert any(row["params.n"] == "3" for row in rows("run"))


@pytest.mark.parametrize(
    "formula, message",
    [
        ("1 - gama", "`gama` in `expr: 1 - gama` does not exist here"),
        ("b + 1", "a formula refers to itself"),
        ("exec(a)", "unknown function `exec`"),
        ("9 ** 9 ** 9", "the result is too large"),
    ],
)
def test_check_refuses_a_formula_that_cannot_be_computed_with_its_place(run, formula, message):
    Path("study.yaml").write_text(STUDY.replace("1 - a", formula))
    code, _, errors = run("check", "study.yaml")
    assert code == 2
    assert message in errors
    assert "study.yaml:8:" in errors
