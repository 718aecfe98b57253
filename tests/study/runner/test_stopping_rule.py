"""Sweeps that end by themselves, at the same trial for any number of workers."""

from __future__ import annotations

import math
import random

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable
from tests.support.spaces import space_of
from tunecli.commands.check import load_checked
from tunecli.commands.status import status
from tunecli.config.run import Limit
from tunecli.config.study import Stop
from tunecli.errors import Interrupted
from tunecli.objective import Objective
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, reopen
from tunecli.study.runner.stopping_rule import (
    MOST_OF_ONE_OPTION,
    EndReason,
    fail_alike,
    failure_without_values,
    gained_enough,
    may_be_one_option,
    n_since_best,
)
from tunecli.study.sweep import sweep
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial

NOISY = """\
import random

def train(params, trial):
    return {"loss": (params["x"] - 0.3) ** 2 + (params["y"] - 0.6) ** 2 + 0.01 * random.random()}
"""
STUDY = """\
study: still
seed: 3
objective: {metric: loss, direction: minimize}
trial: {python: "noisy:train", params: {x: {uniform: [0, 1]}, y: {uniform: [0, 1]}}}
search: {sampler: bayes, trials: 40, lookahead: 3, stop: {improvement: 0.003, patience: 2}}
run: {device: cpu, engine: inline}
"""
PAUSING = """\
study: still
seed: 3
objective: {metric: val_loss}
trial:
  data: {source: iris}
  model: linear
  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
  training: {epochs: 9}
search: {sampler: random, trials: 60, lookahead: 2, pruner: {name: halving, bracket: 3}, stop: {stagnation: 3}}
run: {device: cpu}
"""


def still_in(folder):
    (folder / "noisy.py").write_text(NOISY)
    (folder / "still.yaml").write_text(STUDY)
    return folder / "still.yaml"


@pytest.fixture
def still(tmp_path):
    return still_in(tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """How the study ends in this process without an interruption."""
    folder = tmp_path_factory.mktemp("still")
    return run(still_in(folder), folder / "whole")


def run(path, folder, *overrides, engine=None):
    with begin(load_checked(path, overrides), folder) as study:
        return sweep(study, Silent(), engine)


@pytest.mark.parametrize(
    ("losses", "n"),
    [([], 0), ([1.0], 0), ([3.0, 2.0, 2.0, 4.0], 2), ([3.0, math.nan, 4.0, math.inf, 1.0, 1.0], 1)],
)
def test_trials_without_improvement_are_counted_from_the_first_best_one(losses, n):
    assert n_since_best([(0.0, loss) for loss in losses]) == n


def test_stop_improvement_ends_a_sweep_at_the_same_trial_for_any_number_of_workers(
    still, tmp_path, uninterrupted
):
    one = uninterrupted
    assert one.reason == "improvement"
    assert 6 < len(one.table.rows) < 40
    two = run(still, tmp_path / "two", "run.engine=local", "run.workers=3")
    assert two.reason == "improvement"
    assert comparable(two.table) == comparable(one.table)


@pytest.mark.parametrize(
    "n_left", [pytest.param(None, marks=pytest.mark.slow), 2, pytest.param(0, marks=pytest.mark.slow)]
)
def test_a_stopped_and_resumed_sweep_ends_at_the_same_trial_as_an_uninterrupted_one(
    still, tmp_path, uninterrupted, n_left
):
    whole = uninterrupted
    n = 1 if n_left is None else len(whole.table.rows) - n_left
    with pytest.raises(Interrupted), begin(load_checked(still, ()), tmp_path / "cut") as study:
        sweep(study, Silent(stop_after=n))
    assert status(RunFolder(tmp_path / "cut")).word == "interrupted"
    with reopen(RunFolder(tmp_path / "cut"), {}) as study:
        resumed = sweep(study, Silent())
    assert (resumed.reason, comparable(resumed.table)) == ("improvement", comparable(whole.table))


def test_a_smaller_improvement_or_a_longer_patience_ends_a_sweep_later(still, tmp_path):
    counts = [
        len(run(still, tmp_path / str(at), f"search.stop={stop}").table.rows)
        for at, stop in enumerate(
            (
                "{improvement: 0.03, patience: 1}",
                "{improvement: 0.003, patience: 1}",
                "{improvement: 0.003, patience: 4}",
            )
        )
    ]
    assert counts[0] < counts[1] < counts[2] <= 40


@pytest.mark.parametrize("sampler", ["random", "quasirandom", "bayes", "grid"])
def test_stagnation_ends_any_sweep_after_that_many_trials_without_a_better_one(still, tmp_path, sampler):
    path = still.with_name("grid.yaml")
    path.write_text(still.read_text().replace("[0, 1]}", "[0, 1], grid: 7}"))
    found = run(path, tmp_path / "run", f"search.sampler={sampler}", "search.stop={stagnation: 5}")
    assert found.reason == "stagnation"
    losses = dict(sorted((row[1], row[3]) for row in found.table.rows))
    seen = [losses[number] for number in range(len(losses) - 2)]
    assert n_since_best([(0.0, loss) for loss in seen]) == 5, (
        "as the next one would see it, two being under way"
    )


def test_failed_and_paused_trials_do_not_count_as_stagnation(tmp_path):
    path = tmp_path / "still.yaml"
    path.write_text(PAUSING)
    found = run(path, tmp_path / "one", engine=FakeEngine(1, random.Random(0)))
    two = run(path, tmp_path / "two", engine=FakeEngine(2, random.Random(5)))
    assert found.reason == two.reason == "stagnation"
    assert comparable(found.table) == comparable(two.table)
    complete = sum(row[2] == State.COMPLETE for row in found.table.rows)
    assert 4 <= complete < len(found.table.rows) < 60


def test_a_sweep_ended_by_stop_improvement_exits_0_and_names_the_command_that_continues(
    still, tmp_path, tunecli
):
    done = tunecli("search", "still.yaml")
    assert done.returncode == 0, done.stderr
    for words in ("less than search.stop.improvement", "resume runs/still --set search.stop=null"):
        assert words in done.stdout
    n = len(done.stderr.splitlines())
    again = tunecli("resume", "still")
    assert again.returncode == 0
    assert "resume runs/still --set search.stop=null" in again.stdout
    assert len(again.stderr.splitlines()) == 1 < n, "nothing more was run"
    told = tunecli("status", "still").stdout
    assert "finished" in told and "less than search.stop.improvement" in told
    more = tunecli("resume", "still", "--set", "search.stop=null", "--trials", "20")
    assert more.returncode == 0
    assert "changed: search.stop" in more.stderr
    assert "all 20 trials" in more.stdout
    assert "20 of 20 ended" in tunecli("status", "still").stdout


TARGET = "search.stop={target: 0.05}"


def first_at_target(table, target=0.05):
    return min(row[1] for row in table.rows if row[3] <= target)


@pytest.mark.parametrize("sampler", ["random", "bayes"])
def test_a_target_ends_a_sweep_once_a_visible_trial_reaches_it(still, tmp_path, sampler):
    one = run(still, tmp_path / "one", TARGET, f"search.sampler={sampler}")
    assert one.reason == "target"
    assert len(one.table.rows) == first_at_target(one.table) + 3, "the lookahead is 3"
    if sampler == "random":
        two = run(
            still, tmp_path / "two", TARGET, "search.sampler=random", "run.engine=local", "run.workers=3"
        )
        assert (two.reason, comparable(two.table)) == ("target", comparable(one.table))


def test_a_sweep_with_a_target_ends_at_the_same_trial_after_interruptions(still, tmp_path):
    overrides = (TARGET, "search.sampler=random")
    whole = run(still, tmp_path / "whole", *overrides)
    for n in (1, len(whole.table.rows)):
        folder = tmp_path / f"cut{n}"
        with pytest.raises(Interrupted), begin(load_checked(still, overrides), folder) as study:
            sweep(study, Silent(stop_after=n))
        with reopen(RunFolder(folder), {}) as study:
            resumed = sweep(study, Silent())
        assert (resumed.reason, comparable(resumed.table)) == ("target", comparable(whole.table))
    assert status(RunFolder(folder)).word == "finished"


def test_only_complete_trials_reach_the_target_of_a_study_whose_trials_pause(tmp_path):
    path = tmp_path / "still.yaml"
    path.write_text(PAUSING)
    tables = []
    for n_workers, order in ((1, 0), (2, 5)):
        found = run(
            path,
            tmp_path / str(order),
            "search.stop={target: 1.7}",
            engine=FakeEngine(n_workers, random.Random(order)),
        )
        assert found.reason == "target"
        tables.append(comparable(found.table))
    assert tables[0] == tables[1]
    scores = {
        state: [row[3] for row in tables[0].rows if row[2] == state] for state in ("complete", "pruned")
    }
    assert min(scores["complete"]) <= 1.7


@pytest.mark.parametrize(
    ("maximize", "scores", "is_over"),
    [
        (True, [(0.0, -0.98)], False),
        (True, [(0.0, -0.99)], True),
        (True, [(0.5, -1.0), (0.0, -0.2)], False),
        (True, [(math.inf, -1.0)], False),
        (False, [(0.0, 0.99)], True),
        (False, [(0.0, -math.inf)], False),
        (False, [(0.0, math.nan)], False),
        (False, [], False),
    ],
)
def test_the_target_is_compared_in_the_direction_of_the_objective(maximize, scores, is_over):
    reason = gained_enough(Stop(target=0.99), Objective("m", maximize), scores)
    assert reason == (EndReason.TARGET if is_over else None)


def failed(cause, **parameters):
    outcome = Outcome(State.FAILED, failure=Failure(FailureKind.ERROR, cause))
    return Trial(0, parameters, 0, State.FAILED, outcome)


def test_failures_that_repeat_the_values_of_their_trials_are_alike():
    trials = [
        failed(
            f"exit code 2: unrecognized arguments: --o={name} --tied={tied} --lr={lr}",
            o=name,
            tied=tied,
            lr=lr,
        )
        for name, tied, lr in [("sgd", True, 0.1), ("adam", False, 1e-3), ("adam-w", True, 7.0)] * 2
    ]
    assert fail_alike(Limit(), map(failure_without_values, trials))
    other = failed("exit code 2: unrecognized arguments: --optimizer=sgd", o="adam")
    assert not fail_alike(Limit(), map(failure_without_values, [*trials, other]))


CHOICES = space_of(
    "params: {optimizer: {choice: [sgd, adam]}, tied: {choice: [true, false]}, lr: {uniform: [0, 1]}}"
)


@pytest.mark.parametrize(
    ("optimizers", "may_be"),
    [
        (["adam"] * 5, True),  # sgd may work
        (["adam"] * 4 + ["sgd"], False),
        (["adam"] * (MOST_OF_ONE_OPTION - 1), True),
        (["adam"] * MOST_OF_ONE_OPTION, False),
    ],
)
def test_failures_of_one_option_of_a_choice_do_not_end_a_sweep_at_once(optimizers, may_be):
    trials = [
        failed(
            "no such optimizer",
            **{"params.optimizer": name, "params.tied": bool(number % 2), "params.lr": 0.5},
        )
        for number, name in enumerate(optimizers)
    ]
    assert fail_alike(Limit(), map(failure_without_values, trials))
    assert may_be_one_option(CHOICES, trials) is may_be


def test_failures_without_a_choice_are_those_of_the_program():
    space = space_of("params: {lr: {uniform: [0, 1]}, only: {choice: [one]}}")
    trials = [failed("no", **{"params.lr": 0.5, "params.only": "one"})] * 5
    assert not may_be_one_option(space, trials)


def test_a_smaller_violation_is_an_improvement_at_any_loss():
    assert n_since_best([(2.0, 0.1), (1.0, 0.5), (0.5, 0.9)]) == 0
    assert n_since_best([(0.0, 0.9), (1.0, 0.1), (0.5, 0.1)]) == 2
    assert n_since_best([(0.0, 0.9), (math.inf, 0.1), (0.0, 0.8)]) == 0
