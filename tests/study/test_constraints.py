"""Sweeps with `search.where`, `forbid` and `start`: one table for any order of results, after stops, and in forks."""

from __future__ import annotations

import random

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable
from tunecli.commands.check import check, load_checked
from tunecli.config.feasibility import is_feasible
from tunecli.errors import Interrupted, UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.record.suggestions import first_suggestions
from tunecli.study.sweep import sweep

STUDY = """\
study: small
seed: 3
objective: {metric: val_loss}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [{int: [2, 32]}, {int: [2, 32]}]}
  optimizer:
    choice:
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-2}}
  training: {epochs: 9, batch_size: {choice: [16, 32]}}
search:
  sampler: SAMPLER
  trials: 12
  lookahead: 4
  where: [model.hidden.0 >= 2 * model.hidden.1, optimizer.lr < 0.05]
  forbid: [{optimizer: sgd, training.batch_size: 32}]
  start: [{model.hidden: [30, 2]}, {optimizer: sgd, optimizer.lr: 0.03, model.hidden: [9, 4]}]
run: {device: cpu, engine: local, workers: 2}
"""


@pytest.fixture
def file(tmp_path):
    def write(sampler="random", pruner="none", text=STUDY):
        path = tmp_path / "small.yaml"
        path.write_text(text.replace("SAMPLER", f"{sampler}\n  pruner: {pruner}"))
        return path

    return write


def run(path, folder, arrival, stop_after=None, *overrides):
    with begin(load_checked(path, overrides), folder) as study:
        return sweep(study, Silent(stop_after), FakeEngine(2, random.Random(arrival))).table


def trials_of(path):
    with open_to_read(RunFolder.open_existing(path)) as study:
        return study.spec.space, study.log.trials()


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("random", "{name: median, startup_trials: 2}"),
        pytest.param("bayes", "{name: curves, factor: 3}", marks=pytest.mark.slow),
    ],
)
def test_every_sampler_obeys_and_a_resumed_sweep_has_the_uninterrupted_table(sampler, pruner, file, tmp_path):
    path = file(sampler, pruner)
    whole = run(path, tmp_path / "whole", 1)
    with pytest.raises(Interrupted):
        run(path, tmp_path / "cut", 2, 1)
    with reopen(RunFolder.open_existing(tmp_path / "cut"), {}) as study:
        resumed = sweep(study, Silent(), FakeEngine(2, random.Random(5))).table
    space, trials = trials_of(tmp_path / "whole")
    assert len(trials) == 12
    assert all(is_feasible(space, trial.parameters) for trial in trials)
    starts = [trial.parameters for trial in trials[:2]]
    assert starts == [dict(point) for point in space.start]
    assert [point["optimizer"] for point in starts] == ["adamw", "sgd"]
    assert comparable(resumed) == comparable(whole)


def test_the_suggestions_of_a_sampler_without_results_do_not_depend_on_the_lookahead(file, tmp_path):
    path = file("random")
    one, four = (
        run(path, tmp_path / str(lookahead), lookahead, None, f"search.lookahead={lookahead}")
        for lookahead in (1, 4)
    )
    assert comparable(one) == comparable(four)


def test_the_default_follows_the_start_points(file):
    spec = load_checked(file("random", text=STUDY.replace("hidden: [{int: [2, 32]}, {int: [2, 32]}]", "hidden: [20, 2]")
        .replace("model.hidden: [30, 2]", "training.batch_size: 32, optimizer.lr: 0.02")
        .replace(", model.hidden: [9, 4]", "")), ())  # fmt: skip
    points = [trial.parameters for trial in first_suggestions(spec, 4)]
    assert [point["optimizer.lr"] for point in points[:3]] == [0.02, 0.03, 0.01]
    assert [point["optimizer"] for point in points[:3]] == ["adamw", "sgd", "adamw"]


GRID = """\
objective: {metric: val_loss}
trial:
  data: {source: iris}
  optimizer: {name: sgd, lr: {uniform: [0.1, 0.4], grid: 4}, momentum: {uniform: [0.1, 0.4], grid: 4}}
search: {sampler: grid, where: [optimizer.momentum > optimizer.lr], START}
run: {device: cpu}
"""


@pytest.mark.parametrize(
    ("start", "n_trials"),
    [
        ("", 6),
        ("start: [{optimizer.lr: 0.1, optimizer.momentum: 0.4}]", 6),
        ("start: [{optimizer.lr: 0.12}]", 7),
    ],
)
def test_a_grid_counts_its_feasible_points_and_the_start_points_beside_it(start, n_trials, file):
    spec = load_checked(file(text=GRID.replace("START", start)), ())
    checked = check(spec)
    assert (checked.grid, checked.plan.n_trials) == (6, n_trials)
    points = [trial.parameters for trial in first_suggestions(spec, 20)]
    assert len(points) == n_trials
    assert all(is_feasible(spec.space, point) for point in points)
    assert points[: len(spec.space.start)] == list(spec.space.start)


def test_a_small_space_with_constraints_has_as_many_trials_as_feasible_points(file):
    text = GRID.replace("grid: 4", "step: 0.1").replace("grid,", "random,").replace("START", "")
    spec = load_checked(file(text=text), ())
    assert check(spec).plan.n_trials == 6
    assert len(first_suggestions(spec, 20)) == 6


def test_a_resume_refuses_other_constraints_and_a_fork_keeps_the_trials_that_meet_them(file, tmp_path):
    run(file("random"), tmp_path / "small", 1)
    folder = RunFolder.open_existing(tmp_path / "small")
    start = "search.start=[{model.hidden: [12, 4]}]"
    change = "search.where=[model.hidden.0 >= 3 * model.hidden.1]"
    with (
        pytest.raises(UsageError, match=r"different study(.|\n)*search\.where"),
        reopen(folder, {}, (change, start)),
    ):
        pass
    said: list[str] = []
    with fork(folder, "two", {}, (change, start), say=said.append) as study:
        sweep(study, Silent(), FakeEngine(2, random.Random(1)))
    _, before = trials_of(tmp_path / "small")
    space, trials = trials_of(tmp_path / "two")
    kept = [trial.parameters for trial in before if is_feasible(space, trial.parameters)]
    assert 0 < len(kept) < len(before)
    assert [trial.parameters for trial in trials[: len(kept)]] == kept
    assert trials[len(kept)].parameters == space.start[0]
    assert all(is_feasible(space, trial.parameters) for trial in trials)
    assert f"reused: {len(kept)} of the 12 trials" in said[-1]


def test_start_points_beyond_the_number_of_trials_are_noted(file):
    notes = check(load_checked(file("random"), ("search.trials=1",))).notes
    assert "search.trials 1 leaves out the last 1 of 2 start points" in notes
