"""`search.start: {from: …}`: which points of an earlier study a new one begins with, and its record of them."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.record.related import STUDY, run
from tests.study.sweeps import Silent
from tunecli.commands.check import check, check_view, load_checked
from tunecli.errors import ConfigError
from tunecli.results.ranking import rank
from tunecli.store.folder import RunFolder
from tunecli.study.record.facts import facts_of
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import State

NEW = (
    STUDY.replace("study: old", "study: new")
    .replace("epochs: 9", "epochs: 9, batch_size: {choice: [16, 32]}")
    .replace("trials: 12", "trials: 5, start: {from: old, best: 3}")
)


def trials_of(path):
    with open_to_read(RunFolder.open_existing(path)) as study:
        return study.spec, study.log.trials(), facts_of(study.log)


def best_points(path):
    spec, trials, _ = trials_of(path)
    return [dict(entry.trial.parameters) for entry in rank(trials, spec.objective) if entry.rank is not None]


def test_a_study_begins_with_the_best_points_of_another_and_trains_them_again(file, tmp_path):
    run(file(), tmp_path / "new")
    _, trials, facts = trials_of(tmp_path / "new")
    expected = [{**point, "training.batch_size": 16} for point in best_points(tmp_path / "old")[:3]]
    assert [dict(trial.parameters) for trial in trials[:3]] == facts["start"] == expected
    assert len(trials) == 5
    assert all(trial.state is not State.WAITING for trial in trials)


def test_a_resume_reads_the_points_from_its_own_record(file, tmp_path):
    path = file()
    best = best_points(tmp_path / "old")
    with begin(load_checked(path, ()), tmp_path / "new") as study:
        assert len(study.spec.space.start) == 3
    shutil.rmtree(tmp_path / "old")
    with reopen(RunFolder.open_existing(tmp_path / "new"), {}) as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(1)))
    with fork(RunFolder.open_existing(tmp_path / "new"), "third", {}) as study:
        assert len(study.spec.space.start) == 3
    _, trials, _ = trials_of(tmp_path / "new")
    assert [trial.parameters["optimizer.lr"] for trial in trials[:3]] == [p["optimizer.lr"] for p in best[:3]]


def test_trials_outside_the_new_ranges_or_constraints_are_passed_over(file, tmp_path):
    path = file(**{"[1e-3, 1.0]": "[1e-2, 1.0]", "best: 3}": "best: 9}, where: [optimizer.lr < 0.3]"})
    lrs = [point["optimizer.lr"] for point in best_points(tmp_path / "old")]
    fitting = [lr for lr in lrs if 0.01 <= lr < 0.3]
    assert 0 < len(fitting) < len(lrs)
    spec = load_checked(path, ())
    assert [point["optimizer.lr"] for point in spec.space.start] == fitting[:9]
    lines = dict(check_view(check(spec)).lines)
    assert lines["start"] == f"{len(fitting)} points of old, tried first"


def test_points_of_several_studies_are_sorted_together_and_taken_once(file, tmp_path):
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    one, both = (load_checked(file(**{"from: old": f"from: {each}"}), ()) for each in ("old", "[old, copy]"))
    assert one.space.start == both.space.start
    assert len(both.space.start) == 3


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"from: old": "from: nowhere"}, "there is no study in"),
        ({"metric: val_loss": "metric: val_accuracy"}, "another objective, minimize val_loss"),
        ({"[1e-3, 1.0]": "[2.0, 3.0]"}, "fits this space"),
        ({"optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}": "loss: focal", "mlp, hidden: [{int: [2, 32]}]":
          "mlp", "choice: [linear, {name: mlp}]": "name: linear"}, "fits this space"),
        ({"best: 3": "best: 0"}, "at least 1"),
    ],
)  # fmt: skip
def test_an_earlier_study_that_does_not_fit_is_refused_at_its_place(file, replaced, message):
    path = file(**replaced)
    with pytest.raises(ConfigError, match=message) as raised:
        load_checked(path, ())
    (problem,) = raised.value.problems
    assert problem.line == 8
    assert problem.parameter.startswith("search.start")


def test_a_single_training_reads_no_earlier_study(file):
    text = NEW.replace("{choice: [linear, {name: mlp, hidden: [{int: [2, 32]}]}]}", "linear")
    text = text.replace("{loguniform: [1e-3, 1.0]}", "0.1").replace("{choice: [16, 32]}", "16")
    spec = load_checked(file(text, **{"from: old": "from: nowhere"}), ())
    assert not spec.space.start
