"""`report --next` writes the file of the next study, and never over another file."""

import json
import shlex
from dataclasses import replace

import pytest

from tests.study.sweeps import run_whole
from tests.support.reports import make_effect, make_effects
from tests.verbs import called
from tunecli.commands import next_config as module
from tunecli.commands.next_config import NextConfig, next_config, next_config_view
from tunecli.commands.next_text import next_name, next_text
from tunecli.commands.report import report
from tunecli.config.load import load, parse_study
from tunecli.config.space import default_point
from tunecli.effects import EdgeVotes
from tunecli.errors import ConfigError, UsageError
from tunecli.results.next_space import Act, Change
from tunecli.store.folder import RunFolder
from tunecli.study.record.fork import fork
from tunecli.trial import Outcome, State, Trial

STUDY = """\
# irises
study: small
seed: 3
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: {list: {of: {logint: [4, 16]}, length: {int: [1, 2]}}}, dropout: {uniform: [0.0, 0.9]}}
  optimizer:
    choice:   # two
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.9]}}
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-2}}
  training: {epochs: 3, batch_size: {choice: [16, 32]}}
search: {sampler: random, trials: 5}
run: {device: cpu, workers: 1, engine: inline}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The report of the small study, and its run folder."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.yaml").write_text(STUDY)
    run_whole(folder / "small.yaml", folder / "run")
    run = RunFolder.open_existing(folder / "run")
    return report(run), run


def test_the_next_file_begins_with_the_best_trial_and_carries_the_record(small, tmp_path):
    found, run = small
    path = tmp_path / "next.yaml"
    written = next_config(run, found, path)
    spec = load(path)
    assert spec.settings.study == written.name == "small-2"
    assert default_point(spec.space) == found.best.parameters
    assert (written.n_carried, written.n_ended) == (5, 5)
    assert "# irises\n" in spec.text
    assert "choice:   # two\n" in spec.text
    assert "# was small: " in spec.text


def test_a_fork_with_the_next_file_carries_as_many_trials_as_it_says(small, tmp_path):
    found, run = small
    path = tmp_path / "next.yaml"
    written = next_config(run, replace(found, effects=make_effects(r2=0.95)), path)
    with fork(run, f"forked-{tmp_path.name}", {}, config_path=path) as study:
        assert len(study.log.trials()) == written.n_carried == 5


def test_an_existing_file_is_never_overwritten(small, tmp_path):
    found, run = small
    path = tmp_path / "next.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        next_config(run, found, path)
    assert path.read_text() == "mine"
    with pytest.raises(UsageError):
        next_config(run, found, tmp_path / "none" / "next.yaml")


def test_the_verb_writes_the_file_and_says_how_to_go_on(small, tmp_path, capsys, monkeypatch):
    path = tmp_path / "next.yaml"
    words = ("report", small[1].path, "--next", path)
    code, out, err = called(*words, capture=capsys, monkeypatch=monkeypatch)
    assert (code, out) == (0, "")
    assert f"wrote {path}: study small-2" in err
    code, _, err = called(*words, capture=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert "exists already" in err
    other = tmp_path / "other.yaml"
    code, out, _ = called(*words[:3], other, "--json", capture=capsys, monkeypatch=monkeypatch)
    assert json.loads(out)["n_carried"] == 5
    assert other.read_text() == path.read_text()


def test_next_excludes_the_page_and_the_watch(small, tmp_path, capsys, monkeypatch):
    for option in (("-o", tmp_path / "page.html"), ("--watch", "5")):
        words = ("report", small[1].path, "--next", tmp_path / "next.yaml", *option)
        code, _, err = called(*words, capture=capsys, monkeypatch=monkeypatch)
        assert code == 2
        assert f"--next does not work with {option[0]}" in err
    assert not list(tmp_path.iterdir())


def test_a_study_without_a_complete_trial_ends_with_code_3(tmp_path, capsys, monkeypatch):
    (tmp_path / "own.py").write_text("def train(params, trial):\n    raise RuntimeError('no')\n")
    text = "study: bad\nobjective: {metric: loss, direction: minimize}\ntrial: {python: 'own:train', params: {x: {uniform: [0, 1]}}}\n"
    (tmp_path / "bad.yaml").write_text(
        text + "search: {trials: 1, sampler: random}\nrun: {engine: inline, workers: 1}\n"
    )
    run_whole(tmp_path / "bad.yaml", tmp_path / "run")
    words = ("report", tmp_path / "run", "--next", tmp_path / "next.yaml")
    code, _, err = called(*words, capture=capsys, monkeypatch=monkeypatch)
    assert code == 3
    assert "no trial of" in err
    assert not (tmp_path / "next.yaml").exists()


def test_the_view_says_how_to_go_on(small, tmp_path):
    found, run = small
    view = next_config_view(next_config(run, found, tmp_path / "next.yaml"))
    assert "5 ended trials of 5" in view.messages[-1]
    assert f"--fork small-2 --config {tmp_path / 'next.yaml'}" in view.messages[-1]
    assert view.data["changes"][0]["act"] == "begin"


def test_an_override_is_a_word_of_the_command_as_it_was_given(tmp_path):
    override = "trial.params.url=http://host//a b/"
    written = NextConfig(tmp_path / "next.yaml", tmp_path, "small-2", (), (), (override,), 0, 0)
    [*_, last] = next_config_view(written).messages
    assert shlex.split(last.split("`")[1])[-2:] == ["--set", override]


def test_advice_on_a_report_becomes_changes_of_the_file(small, tmp_path):
    found, run = small
    index = [axis.name for axis in found.axes].index("model.dropout")
    effect = replace(make_effect("model.dropout", 0.3), votes=EdgeVotes(0, 8, 8))
    at_the_end = replace(found, effects=make_effects(effect, r2=0.9), positions=_at_end(found, index))
    path = tmp_path / "next.yaml"
    written = next_config(run, at_the_end, path)
    widened = next(change for change in written.changes if change.act is Act.WIDEN)
    assert widened.axis == "model.dropout"
    assert 0.9 < widened.high < 1.0  # the key excludes 1
    assert "# model.dropout: wider, was {uniform: [0.0, 0.9]}:" in path.read_text()


def _at_end(found, index):
    return {
        n: tuple(0.97 if i == index else position for i, position in enumerate(positions))
        for n, positions in found.positions.items()
    }


def test_names_are_counted():
    assert next_name("digits") == "digits-2"
    assert next_name("digits-2") == "digits-3"
    assert next_name("digits-mlp") == "digits-mlp-2"
    assert len(next_name("x" * 64)) == 64


def changed(text, *changes, trials=None, space=None):
    spec = parse_study(text.encode(), "small.yaml", (), module.Path())

    def require(new):
        parse_study(new.encode(), "next.yaml", (), module.Path())

    return next_text(text, space or spec.space, "small", changes, trials or {}, require)


def test_a_change_that_the_file_cannot_take_is_left_out_and_said():
    good = Change(Act.WIDEN, "Good.", "optimizer.lr (sgd)", 1e-3, 10.0)
    bad = Change(Act.WIDEN, "Bad.", "model.dropout", 0.0, 1.5)
    written = changed(STUDY, bad, good)
    assert written.applied == (good,)
    assert len(written.left_out) == 1
    assert written.left_out[0].startswith("`model.dropout` stays as it is: ")
    assert "loguniform: [1e-3, 10.0]" in written.text
    with pytest.raises(ConfigError):
        changed(STUDY.replace("source: iris", "sauce: iris"), good)


def test_the_items_of_a_list_change_together():
    narrow = [Change(Act.NARROW, "r", f"model.hidden.{n}", low, 12) for n, low in enumerate((5, 6))]
    assert "{logint: [5, 12]}" in changed(STUDY, *narrow).text
    assert "{logint: [4, 16]}" in changed(STUDY, narrow[0]).text
    wide = Change(Act.WIDEN, "r", "model.hidden.1", 4, 32)
    assert "{logint: [4, 32]}" in changed(STUDY, narrow[0], wide).text


def test_a_dropped_option_and_its_ranges_leave_the_file():
    drop = Change(Act.DROP, "r", "optimizer", kept=(1,))
    inside = Change(Act.WIDEN, "r", "optimizer.momentum", 0.0, 0.95)
    text = changed(STUDY, drop, inside).text
    assert (
        "# optimizer: dropped {name: sgd, lr: {loguniform: [1e-3, 1.0]}, momentum: {uniform: [0.0, 0.9]}}: r\n"
        in text
    )
    assert "\n      - {name: sgd" not in text
    assert "\n      - {name: adamw" in text


def test_a_fixed_parameter_takes_the_value_of_its_trial():
    point = {
        "model.hidden.length": 1,
        "model.hidden.0": 8,
        "model.dropout": 0.25,
        "optimizer": "adamw",
        "optimizer.lr": 0.02,
        "training.batch_size": 32,
    }
    trial = Trial(4, point, 1, State.COMPLETE, Outcome(State.COMPLETE, 0.9))
    fixed = [Change(Act.FIX, "r", axis, trial=4) for axis in ("model.dropout", "training.batch_size")]
    written = changed(STUDY, Change(Act.BEGIN, "Trial 4.", trial=4), *fixed, trials={4: trial})
    assert "dropout: 0.25}" in written.text
    assert "batch_size: 32}" in written.text
    assert "default: adamw" in written.text
    assert "# default was 1e-2" in written.text
    assert "length: {int: [1, 2]}}, default: [8]}" in written.text
    assert not written.left_out


def test_a_list_whose_items_are_fixed_keeps_its_default_length():
    point = {
        "model.hidden.length": 2,
        "model.hidden.0": 8,
        "model.hidden.1": 9,
        "model.dropout": 0.25,
        "optimizer": "adamw",
        "optimizer.lr": 0.02,
        "training.batch_size": 32,
    }
    trial = Trial(4, point, 1, State.COMPLETE, Outcome(State.COMPLETE, 0.9))
    fixed = [Change(Act.FIX, "r", f"model.hidden.{n}", trial=4) for n in range(2)]
    written = changed(STUDY, Change(Act.BEGIN, "Trial 4.", trial=4), *fixed, trials={4: trial})
    assert "hidden: {list: {of: 8, length: {int: [1, 2], default: 2}}}" in written.text
    assert not written.left_out
    length = Change(Act.FIX, "r", "model.hidden.length", trial=4)
    written = changed(STUDY, Change(Act.BEGIN, "Trial 4.", trial=4), *fixed, length, trials={4: trial})
    assert "hidden: {list: {of: 8, length: 2}}" in written.text
    assert not written.left_out


def test_a_study_with_too_few_trials_gets_more_of_the_same_sampler():
    bayes = STUDY.replace("sampler: random", "sampler: bayes")
    text = changed(bayes, Change(Act.MORE_TRIALS, "It is unknown.", n_trials=40)).text
    assert "# was 5: It is unknown.\nsearch: {sampler: bayes, trials: 40}" in text


def test_a_note_on_the_trials_changes_no_setting():
    note = Change(Act.MORE_TRIALS, "It is unknown.", n_trials=5)
    assert "# It is unknown.\nsearch: {sampler: random, trials: 5}" in changed(STUDY, note).text
    without = "".join(line for line in STUDY.splitlines(keepends=True) if not line.startswith("search"))
    assert "# It is unknown.\ntrial:\n" in changed(without, note).text


def test_a_file_without_a_name_gets_one():
    assert "study: small-2\n" in changed(STUDY.replace("study: small\n", "")).text


def test_epochs_that_the_command_line_set_stay():
    longer = Change(Act.TRAIN_LONGER, "r", factor=1.5)
    assert "epochs: 4," in changed(STUDY, longer).text
    spec = parse_study(STUDY.encode(), "small.yaml", ("training.epochs=7",), module.Path())
    written = changed(STUDY, longer, space=spec.space)
    assert written.left_out == ("`training.epochs` stays as it is: it was set on the command line",)
