"""Common mistakes with the line that is suggested for each; no hint suggests the refused value again."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.config.test_bad_files import SOUND, chain, hidden, lr, study
from tunecli.config.expressions import MODIFIERS, RANGE_KEYS
from tunecli.config.hints import tool_of
from tunecli.config.load import parse_study
from tunecli.config.model_paths import Place, example_of, fields_of, models_in, paths_by_key
from tunecli.config.overrides import TOP_LEVEL
from tunecli.config.reader import read
from tunecli.config.schema import CommandTrial, FunctionTrial, TrialConfig
from tunecli.config.study import StudySettings
from tunecli.config.suggestions import nearest
from tunecli.errors import ConfigError

TOGETHER = "{uniform: [0.0001, 0.1]} or {loguniform: [0.0001, 0.1]}"


def training(keys: str) -> str:
    return study("epochs: 3", f"epochs: 3, {keys}")


def model(keys: str) -> str:
    return study("hidden: [8]", f"hidden: [8], {keys}")


def optimizer(text: str) -> str:
    return study("{name: adam, lr: 1e-2}", text)


HINTS: list[tuple[str, str, str]] = [
    # plain values whose meaning follows from the key
    (study("hidden: [8]", "hidden: '8,8'"), "trial.model.hidden", "write `hidden: [8, 8]`"),
    (study("hidden: [8]", "hidden: 16 x 8"), "trial.model.hidden", "write `hidden: [16, 8]`"),
    (study("hidden: [8]", "hidden: {int: [8, 16]}"), "trial.model.hidden", "write [{int: [8, 16]}]"),
    (study("hidden: [8]", "hidden: {logint: [8, 64]}"), "trial.model.hidden", "write [{logint: [8, 64]}]"),
    (lr("{log: [1e-5, 1e-1]}"), "trial.optimizer.lr", "write {loguniform: [1e-05, 0.1]}"),
    (lr("{log: [-5, -1]}"), "trial.optimizer.lr", "write {loguniform: [1e-05, 0.1]}"),
    (model("batch_norm: batch"), "trial.model.batch_norm", "did you mean `norm`?"),
    (training("threshold: auto"), "trial.training.threshold", "use `objective.threshold`"),
    (training("clip_grad_norm: {norm: 1}"), "trial.training.clip_grad_norm", "did you mean `grad_clip`?"),
    # ranges in other tools' words
    (lr("{min: 0.0001, max: 0.1}"), "trial.optimizer.lr", f"write {TOGETHER}"),
    (lr("{lower: 0.0001, upper: 0.1}"), "trial.optimizer.lr", f"write {TOGETHER}"),
    (lr("{values: [0.1, 0.2]}"), "trial.optimizer.lr", "write {choice: [0.1, 0.2]}"),
    (lr("{categorical: [0.1, 0.2]}"), "trial.optimizer.lr", "write {choice: [0.1, 0.2]}"),
    (
        lr("{distribution: log_uniform_values, min: 1e-4, max: 0.1}"),
        "trial.optimizer.lr",
        "write {loguniform: [0.0001, 0.1]}",
    ),
    (lr("{suggest_float: [1e-4, 0.1]}"), "trial.optimizer.lr", "write {uniform: [0.0001, 0.1]}"),
    (lr("{quniform: [0.1, 1, 0.1]}"), "trial.optimizer.lr", "write {uniform: [0.1, 1], step: 0.1}"),
    (lr("{uniform: [0.1, 1, 0.1]}"), "trial.optimizer.lr", "write {uniform: [0.1, 1], step: 0.1}"),
    (lr("{uniform: {min: 0.1, max: 1}}"), "trial.optimizer.lr", "write {uniform: [0.1, 1]}"),
    (lr("{_type: uniform, _value: [0.1, 1]}"), "trial.optimizer.lr", "write {uniform: [0.1, 1]}"),
    (lr("{space: loguniform, lower: 1e-4, upper: 1}"), "trial.optimizer.lr", "write {loguniform: [0.0001, 1]}"),
    (lr("'tune.loguniform(1e-4, 1e-1)'"), "trial.optimizer.lr", "write {loguniform: [0.0001, 0.1]}"),
    (lr("tune.loguniform(1e-4, 1e-1)"), "trial.optimizer.lr", "write lr: {loguniform: [0.0001, 0.1]}"),
    (lr("tune.loguniform(1e-4, 1e-1)"), "trial.optimizer.1e-1)", "write lr: {loguniform: [0.0001, 0.1]}"),
    (lr("'choice(0.1, 0.2)'"), "trial.optimizer.lr", "write {choice: [0.1, 0.2]}"),
    (lr("'interval(0.1, 0.2)'"), "trial.optimizer.lr", "write {uniform: [0.1, 0.2]}"),
    (lr("0.1..0.2"), "trial.optimizer.lr", "write {uniform: [0.1, 0.2]} or {loguniform: [0.1, 0.2]}"),
    (lr("{list: [0.1, 0.2]}"), "trial.optimizer.lr", "write {choice: [0.1, 0.2]}"),
    (lr("[1e-4, 1e-1]"), "trial.optimizer.lr", f"write {TOGETHER} or {{choice: [0.0001, 0.1]}}"),
    (lr("[0.1, 0.2, 0.3]"), "trial.optimizer.lr", "write {choice: [0.1, 0.2, 0.3]}"),
    (training("batch_size: {min: 16, max: 64}"), "trial.training.batch_size", "write {int: [16, 64]} or {logint: [16, 64]}"),
    (training("batch_size: {randint: [16, 65]}"), "trial.training.batch_size", "write {int: [16, 64]}"),
    (model("activation: [relu, gelu]"), "trial.model.activation", "write {choice: [relu, gelu]}"),
    (model("dropout: [0.1, 0.2, 0.3]"), "trial.model.dropout", "write {choice: [0.1, 0.2, 0.3]}"),
    (optimizer("[adam, sgd]"), "trial.optimizer", "write {choice: [adam, sgd]}"),
    # plain values where a map or a list is meant
    (training("early_stop: 5"), "trial.training.early_stop", "write `early_stop: {patience: 5}`"),
    (training("early_stop: yes"), "trial.training.early_stop", "write `early_stop: {patience: 5}`"),
    (training("early_stop: true"), "trial.training.early_stop", "write `early_stop: {patience: 5}`"),
    (training("grad_clip: 1.0"), "trial.training.grad_clip", "write `grad_clip: {norm: 1.0}`"),
    (study("{metric: val_accuracy}", "val_accuracy"), "objective", "write `objective: {metric: val_accuracy}`"),
    (chain("learning_rate: cosine"), "trial.learning_rate", "write `learning_rate: [cosine]`"),
    (chain("learning_rate: {name: CosineAnnealingLR}"), "trial.learning_rate", "write `learning_rate: [cosine]`"),
    (chain("learning_rate: {cosine: {to: 0}}"), "trial.learning_rate", "write `learning_rate: [{cosine: {to: 0}}]`"),
    (chain("learning_rate: [{warmup: 5}]"), "trial.learning_rate.0", "write `{warmup: {epochs: 5}}`"),
    (chain("weights: [{cut: 0.3}]"), "trial.weights.0", "write `{cut: {fraction: 0.3}}`"),
    (
        chain("learning_rate: 1e-3"),
        "trial.learning_rate",
        "the learning rate is `optimizer.lr`: write optimizer: {name: adamw, lr: 0.001}",
    ),
    (optimizer("{adamw: {lr: 1e-3}}"), "trial.optimizer", "write `optimizer: {name: adamw, lr: 0.001}`"),
    (optimizer("{lr: 1e-3}"), "trial.optimizer", "for example `name: adamw`"),
    (optimizer("{type: adam, lr: 1e-3}"), "trial.optimizer", "write `name: adam` instead of `type: adam`"),
    (optimizer("{name: torch.optim.AdamW}"), "trial.optimizer", "did you mean `adamw`?"),
    (study("{source: iris}", "{source: iris, validation: 5}"), "trial.data.validation", "write `validation: {folds: 5}`"),
    (hidden("64"), "trial.model.hidden", "write `hidden: [64]`"),
    (study("device: cpu", "limit: 2h"), "run.limit", "write `limit: {time: 2h}`"),
    # keys that belong elsewhere
    (chain("epochs: 5"), "trial.epochs", "use `training.epochs`"),
    (chain("batch_size: 5"), "trial.batch_size", "use `training.batch_size`"),
    (chain("lr: 0.1"), "trial.lr", "use `optimizer.lr`"),
    (chain("num_epochs: 5"), "trial.num_epochs", "use `training.epochs`"),
    (chain("class_weights: balanced"), "trial.class_weights", "write `data.balance: weight`"),
    (training("weight_decay: 0.1"), "trial.training.weight_decay", "use `optimizer.weight_decay`"),
    (study("device: cpu", "trials: 20"), "run.trials", "use `search.trials` or `run.limit.trials`"),
    (optimizer("{name: adam, learning_rate: 1e-3}"), "trial.optimizer.learning_rate", "did you mean `lr`?"),
    (study("{name: mlp, hidden: [8]}", "{_target_: mymod.Net}"), "trial.model", "write {python: mymod:Net}"),
    ("seed: [1, 2, 3]\n" + SOUND, "seed", "write `search: {repeats: 3}` to train each trial with 3 seeds"),
    ("epochs: 5\n" + SOUND, "epochs", "use `trial.training.epochs`"),
    # words and numbers
    (study("device: cpu", "device: gpu"), "run.device", "did you mean `cuda`?"),
    (study("device: cpu", "device: gpu:1"), "run.device", "did you mean `cuda:1`?"),
    (study("device: cpu", "device: 0"), "run.device", "did you mean `cuda:0`?"),
    (study("trials: 2", "trials: 1e3"), "search.trials", "write 1000"),
    (study("trials: 2", "trials: 1_000"), "search.trials", "write 1000"),
    (study("trials: 2", "trials: '20'"), "search.trials", "write 20 without quotes"),
    (training("compile: yes"), "trial.training.compile", "write true"),
    (study("random", "Bayesian"), "search.sampler", "did you mean `bayes`?"),
    (study("trials: 2", "trials: 2, pruner: sha"), "search.pruner", "did you mean `halving`?"),
    (study("random", "curves"), "search.sampler", "`curves` is a pruner: write `pruner: curves`"),
    (study("random", "{name: curves, factor: 3}"), "search.sampler", "`curves` is a pruner: write `pruner: curves`"),
    (study("random", "{name: bays, surrogate: gp}"), "search.sampler", "did you mean `bayes`?"),
    (study("random", "{name: bayes, surrogate: rf}"), "search.sampler.surrogate", "did you mean `random_forest`?"),
    (study("random", "{name: hyperband}"), "search.sampler", "`hyperband` is a pruner: write `pruner: hyperband`"),
    (study("trials: 2", "trials: 2, pruner: bayes"), "search.pruner", "`bayes` is a sampler: write `sampler: bayes`"),
    (study("trials: 2", "trials: 2, from: 3"), "search.from", "write `from: [runs/a, runs/b]`"),
    (study("trials: 2", "trials: 2, from: [runs/a, {study: b}]"), "search.from.1", "write `from: [runs/a, runs/b]`"),
    (chain("loss: CrossEntropyLoss"), "trial.loss", "did you mean `cross_entropy`?"),
    (lr(""), "trial.optimizer.lr", "write a value, or remove the key"),
    (lr("{normal: [1, 0.1], by: 0.1}"), "trial.optimizer.lr", "keys allowed beside it: `default`, `step`, `grid`"),
    (lr("{choice: [1, 2], step: 1}"), "trial.optimizer.lr", "keys allowed beside it: `default`, `weights`, `ordered`, `as`"),
    (lr("{ref: seed, default: 1}"), "trial.optimizer.lr", "`ref` takes no other key"),
]  # fmt: skip


def problems(text: str) -> tuple:
    try:
        parse_study(text.encode(), "study.yaml", (), Path())
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(("text", "parameter", "hint"), HINTS, ids=[f"{row[1]}: {row[2]}" for row in HINTS])
def test_a_common_mistake_gets_the_line_to_write(text, parameter, hint):
    found = [(problem.parameter, problem.hint) for problem in problems(text)]
    assert (parameter, hint) in found, found


@pytest.mark.parametrize("name", ["random", "grid", "auto"])
def test_settings_of_a_sampler_that_has_none_are_refused_in_one_sentence(name):
    (problem,) = problems(study("random", f"{{name: {name}, order: 3}}"))
    assert problem.parameter == "search.sampler"
    assert problem.message == f"`{name}` has no settings: write its name alone"
    assert problems(study("random", f"{{name: {name}}}")) == problems(study("random", name))


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ("[]", []),
        ("''", [("search.from", "must be text of at least 1 character, not the text ''")]),
        ("[a, b, c, d, e, f, g, h, i, j, k]", [("search.from", "must have at most 10 items, not 11")]),
        ("[runs/a, 3]", [("search.from.1", "must be text, not 3")]),
    ],
)
def test_a_refused_list_of_earlier_studies_is_described_by_its_size_or_by_its_items(given, messages):
    found = problems(study("trials: 2", f"trials: 2, from: {given}"))
    assert [(problem.parameter, problem.message) for problem in found] == messages


@pytest.mark.parametrize(("text", "parameter", "hint"), HINTS, ids=[f"{row[1]}: {row[2]}" for row in HINTS])
def test_a_suggested_line_is_yaml_and_differs_from_the_original(text, parameter, hint):
    for line in re.findall(r"write (\{.*?\}(?: or \{.*?\})*)$", hint):
        for each in line.split(" or "):
            read(f"a: {each}".encode(), "hint")
            assert each not in text


def every_place(model, seen=()):
    for key, field in fields_of(model).items():
        yield Place(model, key, field, is_item=False)
        for inner in models_in(field.annotation):
            if inner not in seen:
                yield from every_place(inner, (*seen, inner))


PLACES = {
    (place.owner, place.key): place
    for kind in (StudySettings, TrialConfig, FunctionTrial, CommandTrial)
    for place in every_place(kind)
}


def test_every_key_has_an_example_that_it_takes():
    """Hints for keys that also take maps or lists; no plain value raises another error."""
    values = (5, 0.25, "yes", True, None, [1], {"a": 1}, {"name": "x"}, "a b", [])
    for place, given in itertools.product(PLACES.values(), values):
        example = example_of(place, given)
        assert example, (place.key, given)
        assert example.startswith(f"{place.key}: ")
        value = read(example.encode(), "example")
        assert list(value.items) == [place.key]


def maps_of_keys():
    """Each key of the file whose value may be a map, with its path; without the chains."""
    for path in sorted({path for paths in paths_by_key().values() for path in paths}):
        place = next((each for each in PLACES.values() if path.endswith(each.key)), None)
        steps = path.split(".")
        model_of = {"trial": TrialConfig}.get(steps[0], StudySettings)
        steps = steps[1:] if steps[0] == "trial" else steps
        found, field = [model_of], None
        for step in steps:
            field = next((each.model_fields[step] for each in found if step in each.model_fields), None)
            if field is None:
                break
            found = models_in(field.annotation)
        if field is not None and found and place is not None:
            yield path


@pytest.mark.parametrize("path", list(maps_of_keys()))
@pytest.mark.parametrize("given", ["5.5", "true", "[1.5]"])
def test_a_plain_value_in_place_of_any_map_is_answered_with_a_line_for_that_key(path, given):
    key = path.split(".")[-1]
    try:
        parse_study(SOUND.encode(), "study.yaml", (f"{path}={given}",), Path())
    except ConfigError as error:
        at = [problem for problem in error.problems if key in problem.parameter.split(".")[-2:]]
        told = [f"{problem.message} {problem.hint}" for problem in at]
        assert told, [str(problem) for problem in error.problems]
        assert any(key in text or "choice" in text or "name" in text or "`" in text for text in told), told


@pytest.mark.parametrize("key", RANGE_KEYS)
@pytest.mark.parametrize(
    "other", [*RANGE_KEYS, *MODIFIERS, "Step", "defaults", "grids", "log", "q", "weights"]
)
def test_no_hint_suggests_the_key_beside_a_range_that_was_just_refused(key, other):
    body = {"choice": "[1, 2]", "list": "{of: 1, length: 2}", "ref": "seed"}.get(key, "[1, 2]")
    for problem in problems(lr(f"{{{key}: {body}, {other}: 1}}")):
        assert f"did you mean `{other}`?" not in problem.hint
        if f"unknown key `{other}` beside" in problem.message:
            suggested = re.findall(r"`(\w+)`", problem.hint)
            for word in suggested:
                beside = problems(lr(f"{{{key}: {body}, {word}: 1}}")) if word not in RANGE_KEYS else ()
                assert not any(f"unknown key `{word}` beside" in each.message for each in beside)


@pytest.mark.parametrize(
    "level", ["", "trial", "trial.optimizer", "trial.training", "search", "run", "objective"]
)
def test_no_hint_suggests_the_place_at_which_a_key_was_just_refused(level):
    for key in paths_by_key():
        wrong = f"{level}.{key}" if level else key
        for problem in problems(override(wrong)):
            if problem.parameter == wrong and "unknown key" in problem.message:
                assert f"did you mean `{key}`?" != problem.hint
                suggested = re.findall(r"`([\w.]+)`", problem.hint)
                assert wrong not in suggested
                if level.startswith("trial"):
                    assert wrong.removeprefix("trial.") not in suggested


def override(path: str) -> str:
    """The valid file with one more key at ``path``."""
    level, _, key = path.rpartition(".")
    if not level:
        return SOUND if key in TOP_LEVEL else f"{key}: 1\n{SOUND}"
    lines = {
        "trial": ("  training: {", f"  {key}: 1\n  training: {{"),
        "trial.optimizer": ("{name: adam,", f"{{name: adam, {key}: 1,"),
        "trial.training": ("{epochs: 3", f"{{{key}: 1, epochs: 3"),
        "search": ("{sampler: random", f"{{{key}: 1, sampler: random"),
        "run": ("{device: cpu", f"{{{key}: 1, device: cpu"),
        "objective": ("{metric: val", f"{{{key}: 1, metric: val"),
    }
    return study(*lines[level])


def test_a_suggested_word_differs_from_the_word():
    known = [*paths_by_key(), *RANGE_KEYS, *MODIFIERS]
    for word in known:
        assert f"`{word}`" not in nearest(word, known)


FILES = {
    "a W&B sweep": "program: train.py\nmethod: bayes\nmetric: {name: val_loss}\nparameters: {lr: {min: 0, max: 1}}\n",
    "an Optuna study": "study_name: x\ndirection: minimize\nn_trials: 5\n",
    "a Ray Tune configuration": "param_space: {lr: 1}\ntune_config: {num_samples: 5}\n",
    "a Ludwig configuration": "input_features: [a]\noutput_features: [b]\n",
    "an NNI experiment": "searchSpace: {lr: {_type: choice, _value: [1]}}\ntrialCommand: python x.py\n",
    "a Katib experiment": "apiVersion: kubeflow.org/v1beta1\nkind: Experiment\nspec: {}\n",
    "a Determined experiment": "name: x\nsearcher: {name: adaptive_asha}\nhyperparameters: {}\nentrypoint: a:B\n",
    "a Hydra configuration": "defaults: [a]\nhydra: {sweeper: {}}\n",
}


@pytest.mark.parametrize("tool", FILES)
def test_the_first_problem_of_a_file_of_another_tool_names_the_tool(tool):
    found = problems(FILES[tool])
    assert found[0].message == f"this looks like {tool}, not a tunecli study"
    assert (found[0].line, found[0].column) == (1, 1)
    assert len(found) > 1, "the message names its keys"


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")))
def test_tunecli_files_are_not_mistaken_for_those_of_other_tools(path):
    root = read(path.read_bytes(), path.name)
    assert tool_of(root.items, TOP_LEVEL) == ""


def test_all_mistakes_of_a_file_are_reported_at_once():
    text = (
        lr("{min: 0.1, max: 1}")
        .replace("epochs: 3", "epochs: '3', early_stop: 5")
        .replace("trials: 2", "trials: 1e3")
    )
    text = text.replace("device: cpu", "device: gpu, trials: 3")
    hints = [problem.hint for problem in problems(text)]
    assert hints == [
        "write {uniform: [0.1, 1]} or {loguniform: [0.1, 1]}",
        "write 3 without quotes",
        "write `early_stop: {patience: 5}`",
        "write 1000",
        "did you mean `cuda`?",
        "use `search.trials` or `run.limit.trials`",
    ]


def test_the_examples_of_a_command_are_lists_of_words():
    with pytest.raises(ValidationError):
        CommandTrial.model_validate({"command": "python x.py"})
    place = PLACES[CommandTrial, "command"]
    assert example_of(place, "python x.py {lr}") == 'command: [python, x.py, "{lr}"]'


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("search: {sampler: random, stop: 3}", "search: {sampler: random, stop: {stagnation: 3}}"),
        ("search: {sampler: random, stop: true}", "search: {sampler: random, stop: {stagnation: 20}}"),
        (
            "objective: {metric: val_accuracy, subject_to: n_parameters < 5}",
            'objective: {metric: val_accuracy, subject_to: {n_parameters: "<= 5"}}',
        ),
        (
            "objective: {metric: val_accuracy, constraints: {n_parameters: '<= 5'}}",
            "objective: {metric: val_accuracy, subject_to: {n_parameters: '<= 5'}}",
        ),
        ("sweep: {trials: 3}", "search: {trials: 3}"),
    ],
)
def test_suggested_lines_are_accepted(wrong: str, right: str) -> None:
    key = right.partition(":")[0]
    kept = "\n".join(line for line in SOUND.splitlines() if not line.startswith(f"{key}:"))
    (problem,) = (each for each in problems(f"{kept}\n{wrong}\n") if each.hint)
    inner = re.search(r"`(.*)`", problem.hint)
    assert inner
    assert inner[1] in right
    assert problems(f"{kept}\n{right}\n") == ()


@pytest.mark.parametrize("key", ["file", "path", "csv", "name"])
def test_a_data_file_at_a_key_of_another_name_is_a_source(key: str) -> None:
    found = problems(study("source: iris", f"{key}: mine.csv"))
    assert "write `source: mine.csv`" in {each.hint for each in found}
