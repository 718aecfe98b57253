"""Notes on valid trials, and on values that do not work together."""

import numpy as np
import pytest

from tunecli.commands.check import check, load_checked
from tunecli.commands.trial_notes import combinations_that_fail
from tunecli.errors import ConfigError


@pytest.fixture
def loaded(tmp_path):
    def load(trial: str, metric: str = "val_loss", rest: str = "search: {sampler: random, trials: 5}"):
        path = tmp_path / "study.yaml"
        path.write_text(f"objective: {{metric: {metric}}}\ntrial: {trial}\n{rest}\n")
        return load_checked(path, ())

    return load


def noted(spec, word):
    return [note for note in check(spec).notes if word in note]


def test_groups_in_two_parts_are_noted_and_series_are_not(loaded, tmp_path):
    (tmp_path / "t.csv").write_text(
        "d,g,a,y\n" + "".join(f"{n // 2},{n % 2},{n % 7},{n}.5\n" for n in range(60))
    )
    data = "data: {{source: t.csv, target: y, columns: {{time: d, group: g}}, validation: {{by: time, fraction: 0.2}}{}}}"
    for series, n_notes in (("", 1), (", series: {window: 3}", 0)):
        spec = loaded(f"{{{data.format(series)}, model: mlp}}")
        assert len(noted(spec, "rows of one group may be in two parts")) == n_notes


@pytest.mark.parametrize(
    ("chain", "training", "is_noted"),
    [
        ("{warmup: {epochs: 1}}", "{batch_size: full}", False),
        ("{warmup: {epochs: 1, start: 0}}", "{batch_size: full}", True),
        ("{warmup: {epochs: 1, start: 0}}", "{batch_size: 16}", False),
        ("{warmup: {epochs: 2, start: 0, every: epoch}}", "{batch_size: 16}", True),
        ("{warmup: {epochs: 2, every: epoch}}", "{batch_size: 16}", False),
        ("{warmup: {epochs: 2, start: 0, from_epoch: 7}}", "{batch_size: full}", True),
        ("{warmup: {epochs: 2, start: 0}}, {cut: {floor: 1e-4}}", "{batch_size: full}", False),
        ("{warmup: {epochs: 2, start: 0}}, {clip: {min: 1e-4}}", "{batch_size: full}", False),
        ("warmup_stable_decay", "{batch_size: full}", False),
        ("one_cycle, cosine", "{batch_size: full}", False),
        ("{one_cycle: {div: 1e15}}", "{batch_size: full}", True),
        ("{cosine: {until_epoch: 4}}", "{batch_size: full}", False),
        ("{warmup: {epochs: 1, start: 0}}", "{batch_size: 16, accumulate: 8}", True),
    ],
)
def test_an_epoch_at_rate_0_is_noted_for_every_link(loaded, chain, training, is_noted):
    found = noted(
        loaded(f"{{data: {{source: iris}}, learning_rate: [{chain}], training: {training}}}"), "rate is 0"
    )
    assert len(found) == is_noted


def test_an_epoch_at_rate_0_is_noted_for_user_data_too(loaded, tmp_path):
    (tmp_path / "mine.py").write_text("def make():\n    raise SystemExit\n")
    trial = "{{data: {{source: {{python: 'mine:make'}}}}, learning_rate: [{{warmup: {{start: 0{}}}}}]}}"
    assert noted(loaded(trial.format(", every: epoch")), "rate is 0")
    assert not noted(loaded(trial.format("")), "rate is 0")


def test_a_note_for_some_values_names_them(loaded):
    spec = loaded("{data: {source: iris}, training: {batch_size: {choice: [16, 5000, full]}}}")
    (note,) = noted(spec, "more than the 120 training examples")
    assert note.startswith("if training.batch_size is 5000: ")


def test_a_default_batch_size_is_not_noted(loaded):
    assert not noted(loaded("{data: {source: iris, train_fraction: 0.2}}"), "training examples")


@pytest.mark.parametrize(
    ("trial", "is_noted"),
    [
        ("{data: {source: iris}}", False),
        ("{data: {source: iris}, training: {epochs: 20}}", True),
        ("{data: {source: iris}, training: {epochs: 300}}", False),
        ("{data: {source: iris}, training: {epochs: 300}, model: linear}", True),
        ("{data: {source: digits}}", False),
        ("{data: {source: digits}, model: linear}", False),
        ("{data: {source: digits}, model: linear, training: {epochs: 20}}", True),
        ("{data: {source: iris}, optimizer: {name: adam, lr: 0.01}}", False),
        ("{data: {source: iris}, optimizer: {name: lbfgs, lr: 1}}", False),
        ("{data: {source: iris}, training: {epochs: {int: [1, 1000], default: 200}}}", False),
    ],
)
def test_a_training_that_is_likely_too_short_is_noted_with_its_steps(loaded, trial, is_noted):
    assert bool(noted(loaded(trial), "still falling")) == is_noted


def test_a_convolutional_network_that_sees_too_few_steps_is_noted(loaded, tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 20, 2)), np.arange(60) % 2
    np.savez(tmp_path / "series.npz", x=x, y=y)
    trial = "{{data: {{source: series.npz, inputs: sequence}}, model: {{name: tcn, channels: [4, 4], kernel: {}}}}}"
    (note,) = noted(loaded(trial.format(3)), "the last step of tcn sees")
    assert note.startswith("the last step of tcn sees 13 steps of a sequence of 20: raise `model.kernel`")
    assert not noted(loaded(trial.format(5)), "the last step of tcn sees")


def test_two_ways_of_weighing_classes_are_noted_as_a_combination_that_fails(loaded):
    spec = loaded(
        "{data: {source: breast_cancer, balance: {choice: [none, weight, sample]}}, model: linear,"
        " loss: {choice: [focal, {name: cross_entropy, class_weights: [1, {uniform: [1, 30]}]}]},"
        " optimizer: {name: adamw, lr: {loguniform: [1e-3, 1]}}}"
    )
    (found,) = spec.space.constraints.refused
    assert dict(found.values) == {"data.balance": ("weight",), "loss": ("cross_entropy",)}
    assert not combinations_that_fail(spec)
    (note,) = noted(spec, "do not work together")
    assert "data.balance weight and loss cross_entropy do not work together, so no trial has them" in note
    assert "class weights of its own" in note


@pytest.mark.parametrize(
    ("trial", "names"),
    [
        (
            (
                "{data: {source: iris}, model: {name: mlp, norm: {choice: [none, batch]}},"
                " training: {batch_size: {choice: [32, 1]}}}"
            ),
            {"model.norm", "training.batch_size"},
        ),
        (
            "{data: {source: iris}, learning_rate: [{clip: {min: {uniform: [0.1, 0.3]}, max: {uniform: [0.25, 0.9]}}}]}",
            {"learning_rate.0.clip.min", "learning_rate.0.clip.max"},
        ),
        (
            (
                "{data: {source: iris}, learning_rate: [{warmup: {epochs: {int: [1, 15]}}}],"
                " training: {epochs: {int: [10, 100]}}}"
            ),
            {"learning_rate.0.warmup.epochs", "training.epochs"},
        ),
        (
            (
                "{data: {source: digits, augment: {choice: [[], [{name: crop, pixels: 2}]]}},"
                " model: {choice: [mlp, {name: transformer, patch: {choice: [2, 4]}}]}}"
            ),
            set(),
        ),
        (
            (
                "{data: {source: iris}, optimizer: {choice: [adamw, lbfgs]},"
                " training: {precision: {choice: [float32, bf16]}, epochs: {int: [5, 50]}}}"
            ),
            {"optimizer", "training.precision"},
        ),
    ],
)
def test_values_that_do_not_work_together_are_named_and_no_others(loaded, trial, names):
    spec = loaded(trial)
    found = (*combinations_that_fail(spec), *spec.space.constraints.refused)
    assert {name for one in found for name, _ in one.values} == names


def test_a_failing_trial_0_is_noted(loaded):
    spec = loaded(
        "{data: {source: iris}, learning_rate: [{warmup: {epochs: {int: [1, 15]}}}],"
        " training: {epochs: {int: [10, 100]}}}"
    )
    first = {"learning_rate.0.warmup.epochs": 14, "training.epochs": 11}
    (found,) = combinations_that_fail(spec, first)
    assert found.has_first
    assert "trial 0 has them" in str(found)


def test_a_user_trial_gets_no_notes(loaded, tmp_path):
    (tmp_path / "mine.py").write_text("def train(params, trial):\n    return 1.0\n")
    spec = loaded("{python: 'mine:train', params: {a: {uniform: [0, 1]}, b: {int: [1, 9]}}}")
    assert combinations_that_fail(spec) == ()
    assert not check(spec).data


@pytest.mark.parametrize(
    ("trial", "metric", "expected"),
    [
        ("{data: {source: diabetes}}", "val_loss", "val_loss is on the standardised target"),
        (
            "{data: {source: diabetes}, loss: {name: huber, delta: 2.0}}",
            "val_mae",
            "loss.delta is in standard",
        ),
        ("{data: {source: iris}}", "val_f1", "val_f1 is the macro average"),
        (
            "{data: {source: iris}, loss: {name: cross_entropy, label_smoothing: 0.1}}",
            "val_loss",
            "with its label_smoothing",
        ),
        ("{data: {source: iris}, loss: focal}", "val_loss", "with its gamma"),
    ],
)
def test_the_averaging_of_a_score_is_noted_if_its_name_does_not_say(loaded, trial, metric, expected):
    assert len(noted(loaded(trial, metric), expected)) == 1


@pytest.mark.parametrize(
    ("trial", "metric"),
    [
        ("{data: {source: diabetes}}", "val_rmse"),
        ("{data: {source: iris}}", "val_loss"),
        ("{data: {source: iris}, loss: focal}", "val_accuracy"),
        ("{data: {source: {name: friedman1}}, loss: mae}", "val_mae"),
    ],
)
def test_a_score_that_its_name_describes_is_not_noted(loaded, trial, metric):
    words = ("standardised", "standard deviations", "macro", "that is trained")
    assert not [word for word in words if noted(loaded(trial, metric), word)]


def test_the_metrics_of_a_task_are_listed_with_the_average_of_f1(loaded):
    with pytest.raises(ConfigError) as caught:
        loaded("{data: {source: iris}}", "val_r2")
    assert "val_f1 (macro average)" in caught.value.problems[0].hint
