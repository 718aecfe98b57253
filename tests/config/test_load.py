"""From a file to a checked study: all problems at once, each at its place."""

from pathlib import Path

import pytest

from tunecli.config.concrete_trial import concrete, points_to_check, resolve_trial
from tunecli.config.load import load, parse_study
from tunecli.config.space import point_with
from tunecli.errors import ConfigError, UsageError

SMALL = """\
study: small
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  optimizer:
    choice:
      - {name: sgd, lr: {loguniform: [1e-3, 1.0]}}
      - {name: adamw, lr: {loguniform: [1e-5, 1e-1]}}
  training: {epochs: {int: [1, 3]}}
"""


def spec_of(text, *overrides, inspect=None):
    return parse_study(text.encode(), "f.yaml", overrides, Path(), inspect)


def problems(text, *overrides, inspect=None):
    with pytest.raises(ConfigError) as caught:
        spec_of(text, *overrides, inspect=inspect)
    return [str(problem) for problem in caught.value.problems]


def test_a_sound_file_becomes_a_spec():
    spec = spec_of(SMALL)
    assert spec.settings.study == "small"
    assert spec.settings.seed == 0
    assert spec.objective.maximize
    assert spec.space.names == ("optimizer", "optimizer.lr", "training.epochs")
    assert spec.text == SMALL


def test_the_file_name_names_a_study_that_has_no_name():
    assert spec_of(SMALL.replace("study: small\n", "")).settings.study == "f"


def test_a_concrete_trial_has_the_values_of_its_point():
    spec = spec_of(SMALL)
    config = resolve_trial(spec.space, {"optimizer": "adamw", "optimizer.lr": 0.01, "training.epochs": 2})
    assert config.optimizer.name == "adamw"
    assert config.optimizer.lr == 0.01
    assert config.training.epochs == 2
    assert config.loss is None


def test_a_reference_repeats_another_value():
    spec = spec_of(
        SMALL.replace("epochs: {int: [1, 3]}", "epochs: {int: [1, 3]}, batch_size: {ref: training.epochs}")
    )
    assert concrete(spec.space, point_with(spec.space, {"training.epochs": 3}))["training"]["batch_size"] == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("study: small", "study: ../x", "f.yaml:1:8: study: must be at most 64 letters, digits"),
        (
            "study: small",
            "studdy: small",
            "f.yaml:1:1: studdy: unknown key `studdy` (did you mean `study`?)",
        ),
        ("study: small", "model: mlp", "unknown key `model` (it belongs under `trial`)"),
        ("study: small", "seed: -1", "f.yaml:1:7: seed: must be at least 0, not -1"),
        ("study: small", "seed: {int: [1, 3]}", "f.yaml:1:8: a range is allowed only under `trial`"),
        ("val_accuracy", "val_acuracy", "did you mean `val_accuracy`?"),
        ("objective:", "objectiv:", "objective: missing key `objective`"),
        ("trial:", "trail:", "trial: missing key `trial`"),
        (
            "source: iris",
            "source: irish",
            "f.yaml:4:18: trial.data.source: unknown name `irish` (did you mean `iris`?)",
        ),
        (
            "source: iris",
            "sauce: iris",
            "trial.data.sauce: unknown key `sauce` (did you mean `source`?)",
        ),
        ("data: {source: iris}", "data: {}", "trial.data.source: missing key `source`"),
        (
            "name: mlp, hidden: [8]",
            "hidden: [8]",
            (
                "missing `name`; one of linear, mlp, tabular_resnet, cnn, resnet, backbone, rnn, lstm, gru, tcn, transformer, "
                "ft_transformer, python (for example `name: mlp`)"
            ),
        ),
        ("hidden: [8]", "hidden: 8", "trial.model.hidden: must be a list, not 8"),
        (
            "hidden: [8]",
            "hidden: [8, x]",
            "f.yaml:5:34: trial.model.hidden.1: must be a whole number, not the text 'x'",
        ),
        ("hidden: [8]", "hidden: [8], dropout: 1.0", "must be below 1, not 1.0"),
        ("hidden: [8]", "hidden: [8], activation: rellu", "did you mean `relu`?"),
        ("[1e-3, 1.0]", "[-1.0, 1.0]", "a logarithmic range must be above 0"),
        (
            "{loguniform: [1e-5, 1e-1]}",
            "{uniform: [-1, 1]}",
            "f.yaml:9:28: trial.optimizer.lr: must be above 0",
        ),
        (
            "name: adamw, lr",
            "name: adamw, lrr",
            "trial.optimizer.lrr: unknown key `lrr` (did you mean `lr`?)",
        ),
        ("{int: [1, 3]}", "{int: [0, 3]}", "every value of the range must be valid"),
        ("{int: [1, 3]}", "{int: [1, 3]}, batch_size: fulll", "did you mean `full`?"),
        (
            "{int: [1, 3]}",
            "{int: [1, 3]}, batch_size: 2.5",
            "must be a whole number or `full`, not 2.5",
        ),
        ("{int: [1, 3]}", "'3'", "must be a whole number or `auto`, not the text '3'"),
        ("{int: [1, 3]}", "true", "must be a whole number or `auto`, not true"),
        ("{int: [1, 3]}", "{ref: training.epochs}", "refers to itself"),
        ("{int: [1, 3]}", "{ref: optimizer.momentum}", "does not exist: no key `momentum`"),
        ("training:", "learning_rate: [{cosin: {to: 0}}]\n  training:", "did you mean `cosine`?"),
        ("training:", "learning_rate: [{cosine: {too: 0}}]\n  training:", "trial.learning_rate.0.cosine.too"),
        ("training:", "learning_rate: [{clip: {min: 1.0, max: 0.1}}]\n  training:", "0.1 is below 1"),
        ("training:", "learning_rate: [{cut: {at: [3]}}]\n  training:", "`at` needs a `factor`"),
        ("training:", "bogus: 1\n  training:", "trial.bogus: unknown key `bogus`"),
    ],
)
def test_a_problem_is_reported_at_its_place(old, new, words):
    assert old in SMALL
    found = problems(SMALL.replace(old, new, 1))
    assert any(words in text for text in found), found


def test_all_problems_come_at_once_in_the_order_of_the_file():
    text = (
        SMALL.replace("study: small", "sed: 1")
        .replace("iris", "irish")
        .replace("[8]", "[0]")
        .replace("[1, 3]", "[3, 1]")
    )
    found = problems(text)
    assert [problem.split(":")[1] for problem in found] == ["1", "4", "5", "10"]


def test_a_range_with_two_bad_ends_is_reported_once():
    assert len(problems(SMALL.replace("{int: [1, 3]}", "{int: [-3, 0]}"))) == 1


def test_an_override_is_read_as_yaml_and_may_be_a_range():
    spec = spec_of(
        SMALL,
        "training.epochs=4",
        "search.trials=9",
        "trial.model.hidden={list: {of: 4, length: {int: [1, 2]}}}",
    )
    assert spec.settings.search.trials == 9
    assert spec.space.names == ("model.hidden.length", "optimizer", "optimizer.lr")
    assert resolve_trial(spec.space, point_with(spec.space, {})).training.epochs == 4


def test_an_override_crosses_a_choice_into_every_branch():
    spec = spec_of(SMALL, "optimizer.lr=0.5")
    assert spec.space.names == ("optimizer", "training.epochs")
    assert {resolve_trial(spec.space, point).optimizer.lr for point in points_to_check(spec.space)} == {0.5}


def test_an_override_turns_a_plain_name_into_a_map():
    spec = spec_of(SMALL, "optimizer=adam", "optimizer.lr=0.5", "model.hidden.0=3")
    config = resolve_trial(spec.space, point_with(spec.space, {}))
    assert (config.optimizer.name, config.optimizer.lr, config.model.hidden) == ("adam", 0.5, [3])


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("optimizer.lrr=1", "--set optimizer.lrr:1:1: trial.optimizer.lrr: unknown key `lrr`"),
        ("training.epochs=x", "--set training.epochs:1:1: trial.training.epochs: must be a whole number"),
        (
            "training.epochs={int: [3, 1]}",
            "--set training.epochs:1:7: trial.training.epochs: the range is reversed",
        ),
        ("training.epochs=[1", "--set training.epochs:"),
        ("training.epochs.x=1", "is a range: set it as a whole"),
        ("model.hidden.7=1", "is a list of length 1: it has no item `7`"),
        ("seed.x=1", "is a plain value"),
    ],
)
def test_a_bad_override_is_named(assignment, words):
    text = SMALL.replace("study: small", "study: small\nseed: 3")
    assert any(words in problem for problem in problems(text, assignment)), problems(text, assignment)


@pytest.mark.parametrize("assignment", ["x", "=3", "a..b=3"])
def test_an_override_without_path_or_value_is_a_usage_error(assignment):
    with pytest.raises(UsageError):
        spec_of(SMALL, assignment)


def test_problems_of_the_data_have_a_place_in_the_file():
    def inspect(config, objective, base_path, study_seed):
        yield "data.source", "no such flower", "pick another"
        yield "objective.metric", "not for flowers", ""

    found = problems(SMALL, inspect=inspect)
    assert found == [
        "f.yaml:2:21: objective.metric: not for flowers",
        "f.yaml:4:18: trial.data.source: no such flower (pick another)",
    ]


def test_every_branch_and_every_bound_is_tried():
    spec = spec_of(SMALL)
    points = list(points_to_check(spec.space))
    assert {point["optimizer"] for point in points} == {"sgd", "adamw"}
    assert {1e-3, 1.0, 1e-5, 1e-1} <= {point["optimizer.lr"] for point in points}
    assert {1, 3} <= {point["training.epochs"] for point in points}


def test_a_missing_file_is_a_config_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yaml")
    assert "file not found" in str(caught.value.problems[0])


@pytest.mark.parametrize("text", ["- 1", "just text", "3"])
def test_a_file_that_is_no_map_is_refused(text):
    assert "a study must be a map of keys" in problems(text)[0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("1h30m", 5400), ("45s", 45), ("1d", 86400), ("90", 90)]
)
def test_a_duration_is_written_as_people_write_it(text, seconds):
    assert spec_of(SMALL, f"run.limit.time={text}").settings.run.limit.time == seconds


def test_a_reference_that_fails_only_where_two_choices_meet_is_found():
    text = SMALL.replace("hidden: [8]", "hidden: [8], dropout: {choice: [0.1, {ref: optimizer.momentum}]}")
    text = text.replace("- {name: sgd,", "- {name: sgd, momentum: 0.5,")
    assert any("no key `momentum`" in problem for problem in problems(text))


def test_a_bad_reference_does_not_hide_other_problems():
    text = SMALL.replace("{int: [1, 3]}", "{ref: nothing}").replace("[8]", "[0]")
    assert any("does not exist" in problem for problem in problems(text))
    assert len(problems(text, "seed.x=1")) >= 2


BARE = "objective: {metric: val_loss}\ntrial: {data: {source: iris}}\n"


def test_an_override_reaches_into_a_default():
    spec = spec_of(BARE, "optimizer.lr=0.2", "model.hidden=[8]", "training.epochs=2")
    config = resolve_trial(spec.space, {})
    assert (config.optimizer.name, config.optimizer.lr) == ("adamw", 0.2)
    assert (config.model.name, config.model.hidden) == ("mlp", [8])
    assert config.training.epochs == 2


def test_an_override_into_a_missing_chain_is_an_error_with_the_line_to_write():
    (told,) = problems(BARE, "weights.0.clip.norm=3")
    assert "`trial.weights` is not in the file: set it as a whole, --set 'weights=[…]'" in told
