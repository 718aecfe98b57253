"""`search.from`: which trials of earlier studies a new one takes, its record of them, and the errors."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

import tunecli
from tests.study.fake_engine import FakeEngine
from tests.study.record.related import STUDY, run
from tests.study.sweeps import Silent
from tests.verbs import called
from tunecli.commands.check import check, check_view, load_checked
from tunecli.commands.search import opening_lines
from tunecli.commands.status import status, status_view
from tunecli.errors import ConfigError, StoreDamaged, StoreTooNew, UsageError
from tunecli.objective import Objective
from tunecli.store.folder import RunFolder
from tunecli.study.record.earlier_studies import MAX_TRIALS, _best_and_spread, _losses
from tunecli.study.record.facts import facts_of
from tunecli.study.record.fork import fork
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import Outcome, State, Trial

NEW = (
    STUDY.replace("study: old", "study: new")
    .replace("epochs: 9", "epochs: 9, batch_size: {choice: [16, 32]}")
    .replace("sampler: random, trials: 12", "trials: 9, from: [old]")
)


def go_on(folder):
    with reopen(RunFolder.open_existing(folder), {}) as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(2)))


def trials_of(path):
    with open_to_read(RunFolder.open_existing(path)) as study:
        return study.log.trials(), facts_of(study.log)


def complete_of(path):
    return [trial for trial in trials_of(path)[0] if trial.state is State.COMPLETE]


def table_of(path):
    return [(trial.number, dict(trial.parameters), trial.seed) for trial in trials_of(path)[0]]


def refusal(path):
    with pytest.raises(ConfigError) as raised:
        load_checked(path, ())
    (problem,) = raised.value.problems
    assert (problem.line, problem.parameter) == (8, "search.from")
    return problem


def test_the_complete_trials_of_an_earlier_study_become_points_of_the_space(file, tmp_path):
    (study,) = load_checked(file(), ()).space.earlier
    complete = complete_of(tmp_path / "old")
    expected = [{**trial.parameters, "training.batch_size": 16} for trial in complete]
    assert [dict(point) for point in study.points] == expected
    assert list(study.losses) == [trial.outcome.score for trial in complete]
    assert (study.name, study.n_complete, study.n_fitting) == ("old", len(complete), len(complete))
    assert study.unknown == ("training.batch_size",)
    assert (study.left_out, study.basis) == ({}, "")


def test_a_trial_outside_of_the_ranges_is_left_out_and_counted(file, tmp_path):
    spec = load_checked(file(**{"[1e-3, 1.0]": "[1e-2, 1.0]"}), ())
    lrs = [trial.parameters["optimizer.lr"] for trial in complete_of(tmp_path / "old")]
    inside = [lr for lr in lrs if lr >= 0.01]
    (study,) = spec.space.earlier
    assert [point["optimizer.lr"] for point in study.points] == inside
    n_outside = len(lrs) - len(inside)
    assert study.left_out == {"optimizer.lr": n_outside}
    line = (
        f"{len(inside)} of {len(lrs)} complete trials of old fit this space; left out by values that this space does "
        f"not have: optimizer.lr in {n_outside}; it has no values of training.batch_size"
    )
    checked = check(spec)
    view = check_view(checked)
    assert dict(view.lines)["learns from"] == line
    assert f"learns from: {line}" in opening_lines(checked)
    (data,) = view.data["learns_from"]
    assert (data["study"], data["fitting_trials"], data["used_trials"]) == ("old", len(inside), len(inside))


def test_an_interrupted_study_goes_on_from_its_own_record_and_suggests_the_same(file, tmp_path):
    path = file()
    run(path, tmp_path / "whole")
    with begin(load_checked(path, ()), tmp_path / "new"):
        pass
    n_complete = len(complete_of(tmp_path / "old"))
    shutil.move(tmp_path / "new", tmp_path / "copy")
    (line,) = [
        text
        for label, text in status_view(status(RunFolder(tmp_path / "copy"))).lines
        if label == "learns from"
    ]
    assert line.startswith(f"{n_complete} of {n_complete} complete trials of old fit this space")
    shutil.rmtree(tmp_path / "old")
    go_on(tmp_path / "copy")
    assert table_of(tmp_path / "copy") == table_of(tmp_path / "whole")
    assert len(table_of(tmp_path / "whole")) == 9
    with fork(RunFolder.open_existing(tmp_path / "copy"), "third", {}) as study:
        (known,) = study.spec.space.earlier
        assert len(known.points) == len(trials_of(tmp_path / "copy")[1]["earlier"][0]["points"])


def test_a_fork_with_a_narrower_space_keeps_the_trials_that_still_fit(file, tmp_path):
    with begin(load_checked(file(), ()), tmp_path / "new") as study:
        (before,) = study.spec.space.earlier
    changed = file(NEW, **{"[1e-3, 1.0]": "[1e-2, 1.0]"})
    with fork(RunFolder.open_existing(tmp_path / "new"), "third", {}, config_path=changed) as study:
        (after,) = study.spec.space.earlier
    assert list(after.points) == [point for point in before.points if point["optimizer.lr"] >= 0.01]
    assert 0 < len(after.points) < len(before.points)


def test_a_parameter_that_a_fork_adds_is_unknown_to_the_recorded_trials(file, tmp_path):
    with begin(load_checked(file(), ()), tmp_path / "new") as study:
        (before,) = study.spec.space.earlier
    added = "optimizer.weight_decay={loguniform: [1e-6, 1e-2]}"
    with fork(RunFolder.open_existing(tmp_path / "new"), "third", {}, (added,)) as study:
        (after,) = study.spec.space.earlier
        folder = study.folder
    assert {*after.unknown} - {*before.unknown} == {"optimizer.weight_decay"}
    with reopen(folder, {}) as study:
        assert study.spec.space.earlier == (after,)


def test_other_earlier_studies_make_it_a_different_study(file, tmp_path):
    with begin(load_checked(file(), ()), tmp_path / "new"):
        pass
    folder = RunFolder.open_existing(tmp_path / "new")
    with pytest.raises(UsageError, match=r"search.from"), reopen(folder, {}, ("search.from=other",)):
        pass


def test_changed_recorded_trials_are_damage(file, tmp_path):
    with begin(load_checked(file(), ()), tmp_path / "new"):
        pass
    folder = RunFolder.open_existing(tmp_path / "new")
    with reopen(folder, {}) as study:
        recorded = facts_of(study.log)["earlier"]
        recorded[0]["losses"][0] += 1.0
        study.log.set_fact("earlier", recorded)
    with pytest.raises(StoreDamaged, match="the trials of old are not those"), reopen(folder, {}):
        pass


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"[old]": "[old, nowhere]"}, "there is no study in"),
        ({"[old]": "new.yaml"}, "there is no study in"),
        ({"[old]": "[old, ./old]"}, "./old is named twice"),
        ({"[1e-3, 1.0]": "[2.0, 3.0]"}, r"none of the \d+ complete trials of .* fits this space; left out .*optimizer.lr in"),
        ({"{metric: val_loss}": "{metric: val_loss, direction: maximize}"}, "the opposite direction"),
        ({"{metric: val_loss}": "{metric: n_parameters}"}, "minimize val_loss, which says nothing on it"),
        ({"model: {choice: [linear, {name: mlp, hidden: [{int: [2, 32]}]}]}": "model: linear",
          "{loguniform: [1e-3, 1.0]}": "0.1"}, "have no parameter of this space: training.batch_size"),
        ({"model: {choice: [linear, {name: mlp, hidden: [{int: [2, 32]}]}]}": "model: linear",
          "{loguniform: [1e-3, 1.0]}": "0.1", "epochs: 9": "epochs: {int: [1, 9]}",
          ", batch_size: {choice: [16, 32]}": ""}, "no parameter of this space differs"),
        ({"trials: 9": "sampler: random, trials: 9"}, "does not learn from earlier studies"),
    ],
)  # fmt: skip
def test_an_earlier_study_that_teaches_nothing_is_refused_at_its_place(file, replaced, message):
    problem = refusal(file(**replaced))
    assert re.search(message, problem.message)


def test_all_earlier_studies_that_cannot_be_used_are_named_at_once(file):
    with pytest.raises(ConfigError) as raised:
        load_checked(file(**{"[old]": "[nowhere, old, new.yaml, ./old]"}), ())
    assert [problem.message.rpartition("/")[2] for problem in raised.value.problems] == [
        "nowhere",
        "new.yaml",
        "old is named twice",
    ]


def test_several_goals_do_not_learn_from_earlier_studies(file):
    problem = refusal(
        file(**{"{metric: val_loss}": "{pareto: [{metric: val_loss}, {metric: n_parameters}]}"})
    )
    assert "needs one objective" in problem.message


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE suggestion SET parameters = 'x'", StoreDamaged),
        ("PRAGMA user_version = 9999", StoreTooNew),
    ],
)
def test_a_damaged_or_newer_earlier_study_is_named_with_its_place_and_exit_code_5(
    file, tmp_path, statement, error
):
    with sqlite3.connect(tmp_path / "old" / "study.db") as connection:
        connection.execute(statement)
    connection.close()
    path = file()
    with pytest.raises(error, match=r"new.yaml:8:\d+: search.from: .*study.db") as raised:
        load_checked(path, ())
    assert raised.value.exit_code == 5
    assert ("remove it from `from`" in raised.value.hint) is (error is StoreDamaged)


@pytest.mark.parametrize(
    ("own", "losses", "basis"),
    [
        (Objective("val_loss", maximize=False), {0: 0.5, 1: 0.25}, ""),
        (Objective("val_accuracy", maximize=True), {0: -0.75, 1: -0.5}, "its recorded val_accuracy"),
        (Objective("val_f1", maximize=True), {0: 0.5, 1: 0.25}, "its own objective, minimize val_loss"),
    ],
)
def test_another_metric_uses_its_recorded_values_or_else_the_order_of_the_earlier_study(own, losses, basis):
    trials = [
        Trial(number, {}, 0, State.COMPLETE, Outcome(State.COMPLETE, score, {"val_accuracy": accuracy}))
        for number, (score, accuracy) in enumerate([(0.5, 0.75), (0.25, 0.5)])
    ]
    assert _losses(trials, Objective("val_loss", maximize=False), own, Path("old")) == (losses, basis)


def test_half_of_the_trials_of_a_long_study_are_its_best():
    losses = [float(value) for value in random.Random(1).sample(range(1000), 1000)]
    kept = [losses[index] for index in _best_and_spread(losses)]
    assert len(kept) == MAX_TRIALS
    assert {*range(MAX_TRIALS // 2)} <= {*kept}
    assert max(kept) > 950


def test_a_single_training_reads_no_earlier_study(file):
    text = NEW.replace("{choice: [linear, {name: mlp, hidden: [{int: [2, 32]}]}]}", "linear")
    text = text.replace("{loguniform: [1e-3, 1.0]}", "0.1").replace("{choice: [16, 32]}", "16")
    assert not load_checked(file(text, **{"[old]": "nowhere"}), ()).space.earlier


def test_python_and_the_command_line_name_earlier_studies_by_path(file, tmp_path, capsys, monkeypatch):
    from tunecli.cli import main

    path = file(**{", from: [old]": ""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["search", str(path), "--from", "old", "--dry-run", "--json"])
    assert ended.value.code in (0, None)
    (study,) = json.loads(capsys.readouterr().out)["learns_from"]
    assert study["study"] == str(tmp_path / "old")
    with pytest.raises(tunecli.UsageError, match="there is no study"):
        tunecli.search(path, earlier="nowhere", progress=False)


TRAINED = (
    NEW.replace("epochs: 9", "epochs: 1")
    .replace("trials: 9", "trials: 3")
    .replace("engine: local", "engine: inline, baseline: off, report: off")
)


def test_no_verb_needs_the_earlier_study_once_the_new_one_has_begun(file, tmp_path, capsys, monkeypatch):
    path, run_folder = file(TRAINED), tmp_path / "run"

    def shown():
        verbs = [
            ("results",),
            ("status",),
            ("report",),
            ("report", "--json"),
            ("export",),
            ("verify", "--trial", 2),
        ]
        words = [(verb, run_folder, *options) for verb, *options in verbs]
        answers = [called(*one, capture=capsys, monkeypatch=monkeypatch) for one in words]
        assert not [answer for answer in answers if answer[0]]
        return [out for _, out, _ in answers]

    assert called("search", path, "--out", run_folder, capture=capsys, monkeypatch=monkeypatch)[0] == 0
    before = shown()
    shutil.rmtree(tmp_path / "old")
    assert shown() == before, "it was deleted"
    with begin(load_checked(file_of_another_study(tmp_path), ()), tmp_path / "old"):
        pass
    assert shown() == before, "another study has its name"
    code, _, err = called("resume", run_folder, "--trials", 4, capture=capsys, monkeypatch=monkeypatch)
    assert (code, len(table_of(run_folder))) == (0, 4), err


def file_of_another_study(folder):
    path = folder / "another.yaml"
    path.write_text(STUDY)
    return path
