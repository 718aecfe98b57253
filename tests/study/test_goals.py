"""Sweeps with several objectives and with constraints, from the file to the exported best."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.study.sweeps import Silent, comparable
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.results import results
from tunecli.commands.status import status
from tunecli.commands.train import train
from tunecli.commands.verify import verify
from tunecli.errors import Interrupted, UsageError
from tunecli.results.ranking import front_numbers
from tunecli.results.table import without_clock
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import State

STUDY = """\
study: goals
seed: 5
objective: {}
trial:
  data: {{source: iris}}
  model: {{name: mlp, hidden: {{list: {{of: {{logint: [2, 64]}}, length: {{int: [1, 2]}}}}}}}}
  optimizer: {{name: adamw, lr: {{loguniform: [1e-3, 1e-1]}}}}
  training: {{epochs: 4}}
search: {{sampler: bayes, trials: 12, lookahead: 2}}
run: {{device: cpu, workers: 1, engine: inline}}
"""
PARETO = "{pareto: [{metric: val_accuracy}, {metric: n_parameters}]}"
BOUNDED = "{metric: val_loss, subject_to: {n_parameters: '<= 60', val_accuracy: '>= 0.5'}}"
HOPELESS = "{metric: val_loss, subject_to: {n_parameters: '<= 1'}}"
BOTH = "{pareto: [{metric: val_loss}, {metric: n_parameters}], subject_to: {n_parameters: '<= 200'}}"


@pytest.fixture
def file_of(tmp_path):
    def write(objective: str, name: str = "goals.yaml") -> Path:
        path = tmp_path / name
        path.write_text(STUDY.format(objective))
        return path

    return write


def run_whole(path: Path, folder: Path, *overrides: str):
    with begin(load_checked(path, overrides), folder) as study:
        return sweep(study, Silent())


def records(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def kept_weights(folder: Path) -> set[int]:
    return {
        int("".join(filter(str.isdigit, path.name.split(".")[0])))
        for path in (folder / "checkpoints").glob("*.safetensors")
    }


def test_a_sweep_with_two_objectives_ranks_its_pareto_front_first(file_of, tmp_path):
    ending = run_whole(file_of(PARETO), tmp_path / "run")
    assert ending.table.columns[:6] == ("rank", "trial", "status", "front", "val_accuracy", "n_parameters")
    rows = records(ending.table)
    points = [(-row["val_accuracy"], float(row["n_parameters"])) for row in rows]
    assert [row["front"] for row in rows] == front_numbers(points)
    assert [row["front"] for row in rows] == sorted(row["front"] for row in rows)
    front = [row["trial"] for row in rows if row["front"] == 1]
    assert ending.front_summary.front == tuple(front)
    assert ending.front_summary.n_feasible is None
    assert kept_weights(tmp_path / "run") == {*front}, "the weights of the whole front are kept"
    assert all(isinstance(row["n_parameters"], int) for row in rows)


def test_any_trial_with_two_objectives_can_be_exported_verified_and_trained(file_of, tmp_path):
    ending = run_whole(file_of(PARETO), tmp_path / "run", "search.trials=8")
    folder = RunFolder.open_existing(tmp_path / "run")
    rows = records(ending.table)
    assert status(folder).best.number == rows[0]["trial"]
    assert (tmp_path / "run" / "best.yaml").read_text() == export(folder, None, None).text
    for row in (rows[0], rows[-1]):
        exported = tmp_path / "one.yaml"
        exported.write_text(export(folder, row["trial"], tmp_path / "one.safetensors").text)
        outcome = train(load_checked(exported, ()), None).outcome
        assert outcome.score == row["val_accuracy"]
        assert outcome.metrics["n_parameters"] == row["n_parameters"]
    assert (
        f"n_parameters {float(rows[0]['n_parameters'])!r}" in export(folder, None, None).text.splitlines()[0]
    )
    assert verify(folder, is_all=True, is_exact=True).unreproduced == ()


def test_a_constrained_sweep_ends_feasible(file_of, tmp_path):
    ending = run_whole(file_of(BOUNDED), tmp_path / "run", "search.trials=16")
    rows = records(ending.table)
    held = [row["n_parameters"] <= 60 and row["val_accuracy"] >= 0.5 for row in rows]
    assert [row["feasible"] for row in rows] == held == sorted(held, reverse=True)
    assert held[0]
    scores = [row["val_loss"] for row, is_held in zip(rows, held, strict=True) if is_held]
    assert scores == sorted(scores)
    assert (ending.front_summary.n_ranked, ending.front_summary.n_feasible) == (16, sum(held))
    assert kept_weights(tmp_path / "run") == {rows[0]["trial"]}


def test_a_sweep_without_a_feasible_trial_ranks_by_violation_and_reports_it(file_of, tunecli, tmp_path):
    file_of(HOPELESS)
    ended = tunecli("search", "goals.yaml", "--out", "run", "--set", "search.trials=4")
    assert ended.returncode == 0, ended.stderr
    assert (
        "feasible    0 of 4 complete trials; trials are ranked by how little they break the constraints"
        in ended.stdout
    )
    assert "not feasible" in ended.stderr
    rows = records(results(RunFolder.open_existing(tmp_path / "run")).table)
    assert rows[0]["n_parameters"] == min(row["n_parameters"] for row in rows)
    assert "how little they break the constraints" in tunecli("status", "run").stdout


def test_results_names_the_trials_of_the_pareto_front(file_of, tunecli, tmp_path):
    ending = run_whole(file_of(BOTH), tmp_path / "run", "search.trials=10")
    first, *_ = ending.front_summary.front
    shown = tunecli("results", "run").stdout
    numbers = ", ".join(map(str, ending.front_summary.front))
    assert f"{numbers}; best.yaml is trial {first}" in shown
    data = json.loads(tunecli("results", "run", "--json").stdout)
    assert data["pareto_front"] == [*ending.front_summary.front]
    assert data["n_feasible"] == ending.front_summary.n_feasible
    assert data["trials"][0]["trial"] == first
    assert (
        (tmp_path / "run" / "results.csv")
        .read_text()
        .startswith("rank,trial,status,front,feasible,val_loss,n_parameters,")
    )


@pytest.mark.parametrize(
    "objective",
    [pytest.param(PARETO, marks=pytest.mark.slow), pytest.param(BOUNDED, marks=pytest.mark.slow), BOTH],
)
def test_a_stopped_and_resumed_sweep_with_several_objectives_gives_the_same_table(
    file_of, tmp_path, objective
):
    path = file_of(objective)
    whole = run_whole(path, tmp_path / "whole").table
    with begin(load_checked(path, ()), tmp_path / "run") as study, pytest.raises(Interrupted):
        sweep(study, Silent(stop_after=7))
    folder = RunFolder.open_existing(tmp_path / "run")
    with reopen(folder, {}) as study:
        ending = sweep(study, Silent())
    assert comparable(ending.table) == comparable(whole)
    assert kept_weights(tmp_path / "run") == kept_weights(tmp_path / "whole")


def test_the_number_of_workers_does_not_change_fused_trials_with_two_objectives(file_of, tmp_path):
    path = file_of(BOTH)
    overrides = ("search.sampler=random", "run.fuse=4", "search.trials=8", "run.engine=local")
    one = run_whole(path, tmp_path / "one", *overrides).table
    two = run_whole(path, tmp_path / "two", *overrides, "run.workers=2").table
    assert comparable(one) == comparable(two)
    assert all(row["n_parameters"] for row in records(one))


def test_a_metric_of_the_clock_never_makes_verify_or_tables_differ(file_of, tmp_path):
    ending = run_whole(
        file_of("{pareto: [{metric: latency_ms}, {metric: val_accuracy}]}"),
        tmp_path / "run",
        "search.trials=3",
    )
    assert "latency_ms" in ending.table.columns
    assert "latency_ms" not in without_clock(ending.table).columns
    folder = RunFolder.open_existing(tmp_path / "run")
    assert verify(folder, is_all=True, is_exact=True).unreproduced == ()
    assert export(folder, 0, tmp_path / "w.safetensors").text


def test_another_objective_needs_a_fork(file_of, tmp_path):
    run_whole(file_of(PARETO), tmp_path / "run", "search.trials=2")
    folder = RunFolder.open_existing(tmp_path / "run")
    other = file_of("{metric: val_accuracy, subject_to: {n_parameters: '<= 100'}}", "other.yaml")
    with pytest.raises(UsageError, match="objective") as caught, reopen(folder, {}, config_path=other):
        pass
    assert "--fork" in str(caught.value.hint)
    respelt = STUDY.format("{pareto: [{metric: val_accuracy, direction: maximize}, {metric: n_parameters}]}")
    other.write_text(respelt.replace("trials: 12", "trials: 2"))
    with reopen(folder, {}, config_path=other) as study:
        assert study.plan.n_trials == 2


@pytest.mark.parametrize("pruner", ["median", "halving", "curves"])
def test_pruners_compare_the_metric_and_the_table_ranks_by_constraints(file_of, tmp_path, pruner):
    ending = run_whole(file_of(BOUNDED), tmp_path / "run", f"search.pruner={pruner}")
    complete = [row for row in records(ending.table) if row["status"] == "complete"]
    held = [row["feasible"] for row in complete]
    assert held == sorted(held, reverse=True)
    with open_to_read(RunFolder.open_existing(tmp_path / "run")) as study:
        states = {trial.state for trial in study.log.trials()}
    assert states <= {State.COMPLETE, State.PRUNED if pruner == "median" else State.PAUSED}
