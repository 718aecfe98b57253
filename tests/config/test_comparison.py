"""Differences between two files, by path, and the settings that may change after a study has begun."""

from pathlib import Path

import pytest

from tunecli.config.comparison import differences, kept_overrides, says
from tunecli.config.load import parse_study

TEXT = """\
study: small
seed: 3
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8, 4]}
  optimizer:
    choice:
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
      - {name: adamw, lr: {loguniform: [1e-4, 1e-1], default: 1e-2}}
  training: {epochs: 4, batch_size: {choice: [16, 32]}}
search: {sampler: random, trials: 6, lookahead: 2}
run: {device: cpu}
"""


def spec_of(text=TEXT, *overrides):
    return parse_study(text.encode(), "f.yaml", overrides, Path())


def differences_of(text, *overrides, old=TEXT):
    return [str(each) for each in differences(spec_of(old), spec_of(text, *overrides))]


def changed(old, new):
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seed: 3", "seed: 4", "seed: 3 → 4"),
        ("study: small", "study: other", "study: small → other"),
        ("val_accuracy", "val_f1", "objective.metric: val_accuracy → val_f1"),
        ("val_accuracy}", "val_accuracy, direction: minimize}", "objective.direction: maximize → minimize"),
        ("val_accuracy}", "val_accuracy, subject_to: {val_loss: '<= 1'}}", "objective.subject_to: nothing → {val_loss: <= 1.0}"),
        ("epochs: 4", "epochs: 5", "trial.training.epochs: 4 → 5"),
        ("epochs: 4", "epochs: {int: [4, 5]}", "trial.training.epochs: 4 → {int: [4, 5]}"),
        ("[1e-3, 1.0]", "[1e-3, 0.5]", "trial.optimizer.choice.0.lr: {loguniform: [0.001, 1.0]} → {loguniform: [0.001, 0.5]}"),
        (", default: 1e-2", "", "trial.optimizer.choice.1.lr: {loguniform: [0.0001, 0.1], default: 0.01} → {loguniform: [0.0001, 0.1]}"),
        ("[8, 4]", "[8, 5]", "trial.model.hidden.1: 4 → 5"),
        ("[8, 4]", "[8]", "trial.model.hidden: [8, 4] → [8]"),
        ("{choice: [16, 32]}", "{choice: [16, 32, full]}", "trial.training.batch_size.choice: [16, 32] → [16, 32, full]"),
        ("source: iris", "source: iris, normalize: none", "trial.data.normalize: nothing → none"),
        ("sampler: random", "sampler: bayes", "search.sampler: random → bayes"),
        ("lookahead: 2", "lookahead: 2, repeats: 2", "search.repeats: 1 → 2"),
        ("lookahead: 2", "lookahead: auto", "search.lookahead: 2 → auto"),
        ("lookahead: 2", "lookahead: 2, pruner: median", "search.pruner: none → {name: median, startup_trials: 5, warmup_epochs: 1}"),
        ("device: cpu", "device: cpu, threads: 2", "run.threads: 1 → 2"),
    ],
)  # fmt: skip
def test_settings_that_the_record_depends_on_cannot_change(old, new, line):
    assert differences_of(changed(old, new)) == [line]
    assert [each.may_change for each in differences(spec_of(), spec_of(changed(old, new)))] == [False]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("trials: 6", "trials: 9", "search.trials: 6 → 9"),
        ("trials: 6, ", "", "search.trials: 6 → nothing"),
        ("device: cpu", "device: cuda", "run.device: cpu → cuda"),
        ("device: cpu", "device: cpu, workers: 3", "run.workers: auto → 3"),
        ("device: cpu", "device: cpu, engine: inline", "run.engine: local → inline"),
        ("device: cpu", "device: cpu, limit: {time: 2h}", "run.limit.time: nothing → 7200.0"),
        ("device: cpu", "device: cpu, trial_limit: {idle: 5m}", "run.trial_limit.idle: nothing → 300.0"),
        ("device: cpu", "device: cpu, checkpoint: off", "run.checkpoint: auto → off"),
        ("device: cpu", "device: cpu, checkpoint: {epochs: 2}", "run.checkpoint: auto → {epochs: 2}"),
        ("device: cpu", "device: cpu, on_failure: {oom: skip}", "run.on_failure.oom: split → skip"),
        ("device: cpu", "device: cpu, folder: /", "run.folder: nothing → /"),
    ],
)
def test_the_total_the_device_and_the_limits_may_change(old, new, line):
    assert differences_of(changed(old, new)) == [line]
    assert [each.may_change for each in differences(spec_of(), spec_of(changed(old, new)))] == [True]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 3\n", "seed: 3  # as before\n\n"),
        ("study: small\nseed: 3", "seed: 3\nstudy: small"),
        ("study: small\n", ""),
        ("{metric: val_accuracy}", "{metric: val_accuracy, direction: maximize}"),
        ("run: {device: cpu}", "run: {device: cpu, threads: 1, limit: {}, on_failure: {oom: split}}"),
        ("lookahead: 2}", "lookahead: 2, pruner: {name: none}, repeats: 1}"),
        ("source: iris", "'source': \"iris\""),
        ("{name: mlp, hidden: [8, 4]}", "{hidden: [8, 4], name: mlp}"),
    ],
)
def test_another_spelling_of_a_file_is_not_a_difference(old, new):
    assert differences_of(changed(old, new)) == []


def test_the_order_of_the_ranges_is_part_of_the_studys_identity():
    moved = changed("  training: {epochs: 4, batch_size: {choice: [16, 32]}}\n", "")
    moved = moved.replace("trial:\n", "trial:\n  training: {epochs: 4, batch_size: {choice: [16, 32]}}\n")
    (line,) = differences_of(moved)
    assert line.startswith("trial: ranges in the order optimizer, ")
    assert line.endswith(
        " → ranges in the order training.batch_size, optimizer, optimizer{sgd}.lr, optimizer{adamw}.lr"
    )
    assert not differences(spec_of(), spec_of(moved))[0].may_change


def test_differences_have_the_order_of_the_file_and_include_overrides():
    found = differences_of(TEXT, "run.limit.trials=9", "training.epochs=5", "search.trials=7", "seed=1")
    assert [line.partition(":")[0] for line in found] == [
        "seed",
        "trial.training.epochs",
        "search.trials",
        "run.limit.trials",
    ]


def test_values_1_and_1_0_and_true_differ():
    own = "objective: {metric: loss, direction: minimize}\ntrial: {python: 'mine:f', params: {a: %s}}\n"
    values = ("1", "1.0", "true", "'1'", "null")
    for before in values:
        for after in values:
            assert bool(differences_of(own % after, old=own % before)) == (before != after)


def test_long_values_are_cut():
    (line,) = differences_of(changed("[8, 4]", f"[{', '.join(['8'] * 300)}]"))
    assert len(line) < 300
    assert line.endswith(" …")


def test_an_override_applies_until_the_file_changes_its_key():
    overrides = (
        "search.trials=3",
        "optimizer.lr=0.5",
        "model.hidden.0=3",
        "trial.training.epochs=2",
        "run.limit.time=1h",
    )
    assert kept_overrides(overrides, TEXT, TEXT) == overrides
    assert kept_overrides(overrides, TEXT, TEXT + "# more\n") == overrides
    assert kept_overrides(overrides, TEXT, changed("trials: 6", "trials: 9")) == overrides[1:]
    assert "trial.training.epochs=2" not in kept_overrides(overrides, TEXT, changed("epochs: 4", "epochs: 5"))
    assert "model.hidden.0=3" not in kept_overrides(overrides, TEXT, changed("[8, 4]", "[8]"))
    assert "optimizer.lr=0.5" not in kept_overrides(overrides, TEXT, changed("1e-3, 1.0", "1e-3, 0.9"))
    limited = changed("device: cpu", "device: cpu, limit: {trials: 3}")
    assert kept_overrides(overrides, TEXT, limited) == overrides[:-1]


def test_a_file_or_an_override_sets_a_key():
    assert says(TEXT, (), "study")
    assert not says("objective: {metric: val_loss}", (), "study")
    assert says("objective: {metric: val_loss}", ("study=x",), "study")
