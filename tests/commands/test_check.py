"""The output of `check` for a valid file."""

from pathlib import Path

import pytest

from tunecli.commands.check import Check, check, check_view, load_checked
from tunecli.commands.check_parameters import ParameterRow, parameter_section
from tunecli.errors import ConfigError, UsageError
from tunecli.trial import Trial

DATA = "{name: blobs, features: 4, classes: 2}"  # 8 weights in a linear model
DROPOUT = "model: {name: mlp, dropout: {uniform: [0.1, 0.5]}}"
FRACTION = "train_fraction: {uniform: [0.2, 1.0]}"


@pytest.fixture
def checked(tmp_path):
    def found(trial: str, rest: str = "") -> Check:
        path: Path = tmp_path / "study.yaml"
        path.write_text(f"objective: {{metric: val_loss}}\ntrial: {trial}\n{rest}\n")
        return check(load_checked(path, ()))

    return found


@pytest.mark.parametrize(
    ("trial", "keys"),
    [
        ("{data: {choice: [{source: iris}, {source: wine}]}}", ["data.source"]),
        (
            "{data: {choice: [{source: iris, validation: {fraction: 0.2}}, {source: iris, validation: {folds: 3}}]}}",
            ["data.validation"],
        ),
        ("{choice: [{data: {source: iris}}, {data: {source: wine}}]}", ["data.source"]),
        ("{data: {source: {choice: [iris, wine]}}}", ["data.source"]),
        ("{data: {choice: [{source: iris}, {source: iris, normalize: minmax}]}}", []),
        (
            f"{{data: {{source: iris, validation: {{fraction: {{ref: model.dropout}}}}}}, {DROPOUT}}}",
            ["data.validation"],
        ),
    ],
)
def test_scores_from_different_data_are_noted_for_every_spelling_in_the_file(checked, trial, keys):
    said = [note for note in checked(trial).notes if "come from different data" in note]
    assert said == [
        f"{key} differs between trials, so their scores come from different data and cannot be compared"
        for key in keys
    ]


@pytest.mark.parametrize(
    "model", ["{python: 'torch.nn:Linear'}", "{choice: [mlp, {python: 'torch.nn:Linear'}]}"]
)
def test_the_cost_of_a_user_model_is_its_steps_only(checked, model):
    found = checked(f"{{data: {{source: iris}}, model: {model}, training: {{batch_size: full}}}}")
    answer = check_view(found)
    assert dict(answer.lines)["one trial"] == "200 steps; the weights and the cost of the model are unknown"
    assert dict(answer.lines)["estimated time"] == "unknown"
    assert answer.data["smallest_trial"] == {"n_parameters": None, "n_steps": 200, "n_multiply_adds": None}


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (
            "{cut: {fraction: 0.05}}",
            ["weights.0.cut cuts nothing: a fraction of 0.05 of 8 weights rounds to none"],
        ),
        (
            "{clip: {value: 1}}, {cut: {by: columns, fraction: 0.1, per: tensor}}",
            ["weights.1.cut cuts nothing: a fraction of 0.1 of 4 columns rounds to none"],
        ),
        (
            "{cut: {fraction: 0.9}}, {cut: {fraction: 0.6}}",
            ["the 2 cuts of `weights` together leave none of the weights"],
        ),
        ("{cut: {fraction: 0.5}}, {cut: {fraction: 0.5}}", []),
        ("{cut: {fraction: 0.9}}, {cut: {by: columns, fraction: 0.6}}", []),
        ("{clip: {value: 1}}", []),
    ],
)
def test_cuts_without_effect_and_cuts_of_all_weights_are_noted(checked, weights, said):
    trial = f"{{data: {{source: {DATA}}}, model: linear, weights: [{weights}]}}"
    assert [note for note in checked(trial).notes if "cut" in note] == said


def test_cuts_in_a_model_with_unknown_weights_are_not_noted(checked):
    trial = (
        "{data: {source: digits}, model: resnet, weights: [{cut: {fraction: 0.1}}, {cut: {fraction: 0.1}}]}"
    )
    assert not [note for note in checked(trial).notes if "cut" in note]


def test_a_missing_device_is_a_note(checked):
    found = checked("{data: {source: iris}}", "run: {device: 'cuda:99'}")
    (note,) = (note for note in found.notes if "run.device" in note)
    assert note.startswith(
        "run.device: there is no device `cuda:99` on this machine, so this machine cannot run the study"
    )
    found = checked("{data: {source: iris}}", "run: {device: 'cuda:99', per_device: 2}")
    assert not any("on the CPU" in note for note in found.notes)


def test_an_empty_value_is_shown_as_null(checked):
    found = checked(
        "{data: {source: iris}, training: {grad_clip: {choice: [null, {norm: {uniform: [1, 2]}}]}}}"
    )
    choice, _ = found.parameters
    assert choice.range == "choice null, norm"
    answer = check_view(found, [Trial(0, {"training.grad_clip": None}, 0)])
    assert answer.sections[1].rows[0][1] == "null"
    (found,) = checked(
        "{data: {source: iris}, optimizer: {name: adam, amsgrad: {choice: [true, false]}}}"
    ).parameters
    assert found.range == "choice true, false"


def test_the_estimated_time_counts_the_epochs_that_a_pruner_spends(checked):
    trial = "{data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 1]}}, training: {epochs: 9}}"
    rest = "search: {{trials: 9, lookahead: 1, pruner: {}}}\nrun: {{workers: 1}}"
    seconds = {
        pruner: checked(trial, rest.format(pruner)).cost.seconds
        for pruner in ("none", "median", "halving", "curves")
    }
    whole = seconds["none"]
    assert seconds["median"] == whole
    epochs = 9 * 1 + 3 * (3 - 1) + 1 * (9 - 3)
    assert seconds["halving"] == pytest.approx([each * epochs / 81 for each in whole])
    assert seconds["curves"][0] < whole[0] / 2
    assert seconds["curves"][1] == whole[1]


def test_the_epochs_of_pauses_are_shown_and_a_pruner_that_never_pauses_is_noted(study_file):
    path = study_file(**{"epochs: 4": "epochs: 27"})
    found = check(load_checked(path, ("search.pruner=halving",)))
    assert (found.pruner, found.pauses) == ("halving", (3, 9))
    assert dict(check_view(found).lines)["pruner"] == "halving, which pauses trials after epoch 3, 9"
    assert dict(check_view(check(load_checked(path, ()))).lines)["pruner"] == "none"
    short = check(load_checked(path, ("search.pruner={name: halving, max_epochs: 27}", "training.epochs=5")))
    assert short.pauses == (3,)
    never = check(load_checked(path, ("search.pruner=halving", "training.epochs=1")))
    assert "the pruner `halving` changes nothing: its first rung is the end of a trial" in never.notes
    steps = study_file(**{"epochs: 4": "steps: 90"})
    assert check(load_checked(steps, ("search.pruner={name: halving, max_epochs: 27}",))).pauses == (3, 9)


def test_sampler_settings_that_curves_does_not_read_are_refused(study_file):
    path = study_file(**{"sampler: random": "sampler: {name: bayes, acquisition: ei}"})
    with pytest.raises(UsageError, match="its own model and acquisition"):
        check(load_checked(path, ("search.pruner=curves",)))
    plain = study_file(**{"sampler: random": "sampler: {name: bayes, acquisition: mixed}"})
    assert check(load_checked(plain, ("search.pruner=curves",))).pruner == "curves"


def test_clock_metrics_and_pruners_beside_an_objective_are_noted(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "objective: {metric: val_loss, subject_to: {latency_ms: '<= 5'}}\n"
        "trial: {data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 1]}}}\n"
        "search: {pruner: curves}\nrun: {workers: 2}\n"
    )
    found = check(load_checked(path, ()))
    assert (
        "latency_ms is measured while other trials run; `--workers 1` gives undisturbed figures"
        in found.notes
    )
    answer = check_view(found)
    assert dict(answer.lines)["objective"] == "minimize val_loss, subject to latency_ms <= 5"
    assert answer.data["objective"]["subject_to"] == {"latency_ms": "<= 5.0"}


def test_an_unsatisfiable_bound_and_an_unreachable_stop_are_noted(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "objective: {metric: val_loss, subject_to: {n_parameters: '<= 0', latency_ms: '<= 5'}}\n"
        "trial: {data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 1]}}}\n"
        "search: {trials: 6, stop: {stagnation: 6}}\n"
    )
    notes = check(load_checked(path, ())).notes
    assert "no trial can satisfy n_parameters <= 0" in notes
    assert not any("no trial can satisfy latency_ms" in note for note in notes)
    assert "search.stop.stagnation 6 has no effect in a sweep of 6 trials" in notes


def test_a_uniform_range_over_magnitudes_and_per_device_on_the_cpu_are_noted(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "objective: {metric: val_loss}\n"
        "trial:\n  data: {source: iris}\n  model: {name: mlp, hidden: [{int: [4, 512]}]}\n"
        "  optimizer: {name: sgd, lr: {loguniform: [1e-4, 1]}, weight_decay: {uniform: [1e-5, 0.1]}}\n"
        "run: {device: cpu, per_device: 2}\n"
    )
    notes = check(load_checked(path, ())).notes
    told = "rarely draws a small value"
    assert {note for note in notes if told in note} == {
        f"optimizer.weight_decay: uniform 1e-05 … 0.1 {told}; loguniform draws each order of magnitude equally often",
        f"model.hidden.0: int 4 … 512 {told}; logint draws each order of magnitude equally often",
    }
    assert "run.per_device 2 has no effect on the CPU: it counts jobs on an accelerator" in notes


def test_fused_groups_are_no_larger_than_the_trials_of_a_worker(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "objective: {metric: val_loss}\n"
        "trial: {data: {source: iris}, optimizer: {name: sgd, lr: {uniform: [0.1, 1]}}}\n"
        "search: {sampler: random, trials: 6}\nrun: {workers: 2, fuse: 1000, device: cpu}\n"
    )
    assert check(load_checked(path, ())).fusing.width == 3


def test_settings_without_effect_are_noted(study_file):
    path = study_file()
    overrides = (
        "model.dropout={uniform: [0.1, 0.1]}",
        "search.lookahead=1",
        "run.engine=local",
        "run.workers=4",
    )
    notes = " ".join(check(load_checked(path, overrides)).notes)
    assert "model.dropout: the range holds one value only" in notes
    assert "leaves 3 of" in notes


@pytest.mark.parametrize(
    ("trial", "is_noted"),
    [
        (f"{{data: {{source: diabetes, {FRACTION}}}}}", True),
        ("{data: {source: diabetes, train_fraction: {choice: [0.5, 1.0]}}, loss: huber}", True),
        ("{data: {choice: [{source: diabetes}, {source: diabetes, train_fraction: 0.5}]}}", True),
        ("{choice: [{data: {source: diabetes}}, {data: {source: diabetes, train_fraction: 0.5}}]}", True),
        (f"{{data: {{source: diabetes, train_fraction: {{ref: model.dropout}}}}, {DROPOUT}}}", True),
        (f"{{data: {{source: {{python: 'json:loads'}}, {FRACTION}}}}}", True),
        (f"{{data: {{source: {{python: 'json:loads'}}, {FRACTION}}}, loss: {{choice: [focal, mae]}}}}", True),
        (f"{{data: {{source: {{python: 'json:loads'}}, {FRACTION}}}, loss: focal}}", False),
        (f"{{data: {{source: {{python: 'json:loads'}}, task: classification, {FRACTION}}}}}", False),
        (f"{{data: {{source: diabetes, {FRACTION}}}, loss: poisson}}", False),
        (f"{{data: {{source: iris, {FRACTION}}}}}", False),
        (
            "{data: {source: diabetes, train_fraction: 0.5}, optimizer: {name: sgd, lr: {uniform: [0.1, 1]}}}",
            False,
        ),
    ],
)
def test_a_loss_in_units_of_each_training_part_is_noted_as_not_comparable(checked, trial, is_noted):
    said = [note for note in checked(trial).notes if "val_rmse and val_mae are comparable" in note]
    assert len(said) == is_noted
    assert all(note.startswith("val_loss of a regression is not comparable between trials") for note in said)


def test_an_error_in_the_units_of_the_target_is_comparable_and_not_noted(study_file):
    overrides = ("data={source: diabetes, " + FRACTION + "}", "objective.metric=val_rmse")
    notes = check(load_checked(study_file(), overrides)).notes
    assert not any("comparable" in note for note in notes)


def test_check_warns_of_losses_that_cannot_be_compared(study_file):
    overrides = ("objective.metric=val_loss", "loss={choice: [cross_entropy, focal]}")
    assert any("not comparable" in note for note in check(load_checked(study_file(), overrides)).notes)


def test_an_infinite_grid_names_the_range_without_grid_points(study_file):
    with pytest.raises(ConfigError) as caught:
        load_checked(study_file(**{"sampler: random": "sampler: grid"}), ())
    found = [(each.line, each.column, each.parameter) for each in caught.value.problems]
    assert found == [(9, 26, "trial.optimizer.lr"), (10, 28, "trial.optimizer.lr")]
    assert "grid: n" in caught.value.problems[0].hint


def test_a_large_grid_needs_an_explicit_number_of_trials(study_file):
    path = study_file(**{", trials: 6": ""})
    overrides = ("search.sampler=grid", "optimizer=adam", "training.epochs={int: [1, 2000]}")
    with pytest.raises(UsageError, match="the grid has 4,000 points"):
        check(load_checked(path, overrides))
    found = check(load_checked(path, (*overrides, "search.trials=10")))
    assert found.grid == 4000
    assert any("the sweep runs 10 of them" in note for note in found.notes)


def test_few_validation_examples_and_a_model_larger_than_memory_are_noted(study_file):
    few = check(load_checked(study_file(), ("data.validation={fraction: 0.02}",)))
    assert "the score is measured on 3 examples only, so it is noisy" in few.notes
    huge = check(load_checked(study_file(), ("model.hidden=[1000000000000]",)))
    assert any("the largest model needs" in note for note in huge.notes)
    assert not any("largest model" in note for note in few.notes)


def test_a_mistyped_range_in_params_is_noted(checked, tmp_path):
    (tmp_path / "mine.py").write_text("def train(params, trial):\n    return {'val_loss': 1.0}\n")
    params = """{
        lr: {logunifrom: [1e-4, 1e-1]}, x: {uniform: [0, 1]}, deep: [{choise: [a, b], step: 1}],
        kind: {choice: [{name: a, width: {logitn: [1, 64]}}, b]},
        many: {list: {of: {unifrom: [0, 1]}, length: {int: [1, 3]}}},
        inputs: {inputs: [a, b]}, limits: {limits: [0, 1]}, points: {points: [1, 2]}, norms: {norms: [1, 2]},
        norm: {norm: [0, 1]}, dims: {dims: [2, 3]}, words: {unifrom: [a, b, c]}, one: {loguniforms: 1.0},
        pair: {choise: [a], other: 2},
    }"""
    said = [
        note
        for note in checked(f"{{python: 'mine:train', params: {params}}}").notes
        if "is not a range" in note
    ]
    assert said == [
        f"trial.params.{name}: {{{key}: {body}}} is not a range, so your code receives it unchanged "
        f"(did you mean {{{meant}: {body}}}?)"
        for name, key, meant, body in [
            ("lr", "logunifrom", "loguniform", "[0.0001, 0.1]"),
            ("deep.0", "choise", "choice", "[a, b], step: 1"),
            ("kind.width", "logitn", "logint", "[1, 64]"),
            ("many.0", "unifrom", "uniform", "[0, 1]"),
        ]
    ]


def test_a_power_in_another_form_is_noted(checked, tmp_path):
    (tmp_path / "mine.py").write_text("def train(params, trial):\n    return {'val_loss': 1.0}\n")
    params = "{a: {power: [2, 3, 8]}, b: {power: {of: 2, from: 3}}, c: {power: 3}, d: {power: {lines: 3}}}"
    said = [
        note
        for note in checked(f"{{python: 'mine:train', params: {params}}}").notes
        if "is not a range" in note
    ]
    assert [note.partition(" is not a range")[0] for note in said] == [
        "trial.params.a: {power: [2, 3, 8]}",
        "trial.params.b: {power: {of: 2, from: 3}}",
    ]
    assert said[0].endswith("(write {power: {of: 2, int: [3, 8]}} for powers of 2)")


def test_tunecli_keys_are_not_taken_for_ranges_of_another_tool(checked):
    trial = """{
        data: {source: digits, augment: [{noise: {std: 0.1}}]},
        model: {name: mlp, activation: {name: hardtanh, min_val: -1.0, max_val: 1.0},
                init: {choice: [{name: uniform, low: -0.1, high: 0.1}, {name: normal, mean: 0.0, std: 0.1},
                                {name: trunc_normal, mean: 0.0, std: 0.1, low: -0.2, high: 0.2}]}},
        learning_rate: [{clip: {min: 1e-6, max: 1e-1}}, {cut: {at: [1, 2], factor: 0.5}}],
        weights: [{clip: {value: 1.0}}, {noise: {std: 0.1}}],
    }"""
    assert not [note for note in checked(trial).notes if "is not a range" in note]


def test_params_may_have_the_names_of_range_keys(checked, tmp_path):
    (tmp_path / "mine.py").write_text("def train(params, trial):\n    return {'val_loss': 1.0}\n")
    notes = checked("{python: 'mine:train', params: {min: 1, max: 2}}").notes
    assert not [note for note in notes if "is not a range" in note]


def test_the_epochs_of_a_pausing_sweep_are_estimated_for_user_code_too(checked, tmp_path):
    (tmp_path / "mine.py").write_text("def train(params, trial):\n    return {'val_loss': 1.0}\n")
    own = "{python: 'mine:train', params: {x: {uniform: [0, 1]}}}"
    search = "search: {sampler: bayes, trials: 14, pruner: %s}"
    found = checked(own, search % "{name: curves, max_epochs: 9}")
    # two of the fourteen never pause, the others end at the first level at least
    assert found.cost.epochs == (2 * 9 + 12 * 1, 14 * 9)
    answer = check_view(found)
    assert dict(answer.lines)["estimated time"] == "30 to 126 epochs, time unknown"
    assert answer.data["estimated_epochs"] == [30, 126]
    halving = checked(own, search % "{name: halving, max_epochs: 9, bracket: 9}")
    assert halving.cost.epochs is not None
    assert halving.cost.epochs[0] == halving.cost.epochs[1]
    assert checked(own, "search: {trials: 14}").cost.epochs is None
    limited = checked(own, search % "{name: curves, max_epochs: 9}" + "\nrun: {limit: {epochs: 45}}")
    assert limited.cost.epochs == (30, 45)


def test_an_example_trial_is_shown_as_the_command_that_would_run(checked, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "s3cr3t")
    found = checked(
        "{command: [python, -c, 'pass', '{args}', '--m={opt.m?}', {if: opt.m, then: --nesterov}, '{params_json}', "
        "'{checkpoint_dir}/x', '{number}', '{seed}'], seed: 5, args: {booleans: flag}, params: {opt: {choice: "
        "[{name: 'a b', m: {uniform: [0.5, 1.5]}}, {name: b}]}, tied: true, token: '${env:MY_TOKEN}'}}",
        "run: {device: cpu}",
    )
    words = ["--opt.name=a b", "--tied", "--token=${env:MY_TOKEN}", "--m=1.0", "--nesterov"]
    facts = ["{params_json}", "{checkpoint_dir}/x", "0", "5"]
    assert found.command == ("python", "-c", "pass", *words, *facts)
    view = check_view(found)
    assert view.data["command"] == list(found.command)
    assert "python -c pass '--opt.name=a b' --tied" in dict(view.lines)["example trial"]


def test_a_trial_without_a_command_has_no_example(checked):
    view = check_view(checked(f"{{data: {{source: iris}}, {DROPOUT}}}"))
    assert "example trial" not in dict(view.lines)
    assert "command" not in view.data


def test_only_the_verbose_view_has_lines_on_how_trials_wait_and_are_trained_together(checked):
    found = checked(f"{{data: {{source: iris}}, {DROPOUT}}}")
    plain, verbose = check_view(found), check_view(found, is_verbose=True)
    assert set(dict(verbose.lines)) - set(dict(plain.lines)) == {"lookahead", "batched training"}
    assert dict(plain.lines)["search"] == dict(verbose.lines)["search"]
    assert "lookahead" not in dict(plain.lines)["search"]
    assert plain.data == verbose.data
    n = found.plan.lookahead
    assert dict(verbose.lines)["lookahead"].startswith(f"{n}: a suggestion ")


@pytest.mark.parametrize(
    ("default", "usually", "only_where", "columns"),
    [
        ("", "", "", ("name", "range")),
        ("1", "", "", ("name", "range", "default")),
        ("1", "0.1 to 0.3", "", ("name", "range", "default", "usually")),
        ("", "0.1 to 0.3", "", ("name", "range", "usually")),
        ("1", "", "a.b is 1", ("name", "range", "default", "only where")),
        ("1", "0.1 to 0.3", "a.b is 1", ("name", "range", "default", "usually", "only where")),
    ],
)
def test_a_table_of_parameters_leaves_out_columns_that_no_parameter_fills(
    default, usually, only_where, columns
):
    rows = [
        ParameterRow("a.b", "int 1 … 9", default, ""),
        ParameterRow("a.c", "int 1 … 9", "", only_where, usually),
    ]
    section = parameter_section(rows)
    assert section.columns == columns
    last = tuple(text for text in ("a.c", "int 1 … 9", "", usually, only_where) if text)
    assert tuple(text for text in section.rows[1] if text) == last
    assert {len(row) for row in (*section.rows, *section.narrow)} == {len(columns)}


def test_the_usual_rate_of_each_optimizer_is_shown_beside_its_name(checked):
    optimizers = "[sgd, adam, nadam, rmsprop, lion, adagrad]"
    params = f"{{optimizer: {{choice: {optimizers}}}, lr: {{loguniform: [1e-5, 1]}}}}"
    trial = (
        f"{{command: [python, -V, '{{args}}'], metrics: {{val_loss: 'loss ([0-9.]+)'}}, params: {params}}}"
    )
    row = checked(trial).parameters[1]
    assert row.name == "params.lr"
    assert row.usually.startswith("0.0008 to 0.02 (adam, nadam), ") and row.usually.endswith(", …")
    assert row.prior["beside"] == "params.optimizer" and row.prior["low"] == pytest.approx(0.0008)
    assert [each["option"] for each in row.prior["by_option"]][:2] == ["adam", "nadam"]
    assert len(row.prior["by_option"]) == 6
