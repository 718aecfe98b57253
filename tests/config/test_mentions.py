"""A parameter that no argument of a command mentions is refused, unless the file allows it or the study has begun."""

import pytest

from tunecli.commands.check import check, load_checked
from tunecli.config.load import parse_study
from tunecli.config.mentions import variable_name
from tunecli.errors import ConfigError

TWO = "a: {uniform: [0, 1]}, b: {uniform: [0, 1]}"
OPTIMIZERS = "opt: {choice: [{name: sgd, momentum: {uniform: [0, 1]}}, {name: adam}]}"
HEAD = "objective: {metric: loss, direction: minimize}\ntrial: "


def command(arguments: str, params: str, more: str = "") -> str:
    return f"{{command: [python, -c, pass, {arguments}], params: {{{params}}}{more}}}"


def problems(trial: str, **named) -> list[tuple[str, str]]:
    try:
        parse_study(f"{HEAD}{trial}\n".encode(), "f.yaml", (), inspect=lambda *_: (), **FOLDER, **named)
    except ConfigError as error:
        return [(problem.parameter, str(problem)) for problem in error.problems]
    return []


FOLDER = {}


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    FOLDER["base_path"] = tmp_path


@pytest.mark.parametrize(
    ("arguments", "params", "unused"),
    [
        ("'{a}'", TWO, ["b"]),
        ("'--a={a}', '--b={b}'", TWO, []),
        ("x", TWO, ["a", "b"]),
        ("'{{a}}', '{b}'", TWO, ["a"]),
        ("'{args}'", TWO, []),
        ("'{{args}}'", TWO, ["a", "b"]),
        ("'{args}'", f"args: {{int: [1, 2]}}, {TWO}", ["a", "b"]),
        ("'--config={params_json}'", TWO, []),
        ("'--config={params_yaml}'", TWO, []),
        ("'{a?}'", TWO, ["b"]),
        ("{if: a, then: -x, else: '{b}'}", TWO, []),
        ("{if: 'a == 1', then: ['{args}']}", TWO, []),
        ("{if: 'a == 1', then: -x}", TWO, ["b"]),
        ("'echo $TUNECLI_PARAM_A'", TWO, ["b"]),
        ("'echo $TUNECLI_PARAMS'", TWO, []),
        ("'{opt}'", OPTIMIZERS, []),
        ("'{opt.name}'", "opt: {choice: [{name: x}, {name: y}]}", []),
        ("'{opt.name}', '{opt.momentum?}'", OPTIMIZERS, []),
        ("'{opt.name}'", OPTIMIZERS, ["opt.momentum"]),
        ("'{c}'", f"c: {{ref: params.a}}, {TWO}", ["b"]),
        ("'{h}'", "h: {list: {of: {int: [1, 9]}, length: {int: [1, 3]}}}", []),
        ("'{h.0}'", "h: {list: {of: {int: [1, 9]}, length: 2}}", ["h.1"]),
        ("x", "h: {list: {of: {int: [1, 9]}, length: {int: [1, 1]}}}", ["h", "h.0"]),
        ("'{n}'", "n: {choice: [0, {uniform: [1, 2]}]}, m: {choice: [1, 2]}", ["m"]),
        ("'{ab}'", "ab: {uniform: [0, 1]}, a: {uniform: [0, 1]}", ["a"]),
        ("{choice: ['{a}', '{b}']}", TWO, []),
    ],
)
def test_a_parameter_that_no_argument_mentions_is_refused(arguments, params, unused):
    trial = command(arguments, params)
    assert [name for name, _ in problems(trial)] == [f"trial.params.{path}" for path in unused]
    assert problems(trial, is_begun=True) == []
    assert problems(command(arguments, params, ", unused: allow")) == []


def test_the_message_names_the_parameters_place_and_the_arguments_to_write():
    ((_, text),) = problems(command("'{a}'", TWO))
    assert text == (
        "f.yaml:2:80: trial.params.b: this parameter has a range, but no argument of `command` mentions it (add the "
        'argument "{args}" for all parameters, or "--b={b}"; or write under `trial` `unused: allow` if the program '
        "reads TUNECLI_PARAMS, or `shim: wandb` if it reads wandb.config)"
    )


def test_a_parameter_is_searched_in_its_own_command():
    one, other = command("'{a}'", "a: {uniform: [0, 1]}"), command("x", "b: {uniform: [0, 1]}")
    assert problems(f"{{choice: [{one}, {one}]}}") == []
    assert [name for name, _ in problems(f"{{choice: [{one}, {other}]}}")] == ["trial.params.b"]
    both = "{choice: [[python, -c, pass, '{a}'], [python, -c, pass, '{b}']]}"
    assert problems(f"{{command: {both}, params: {{{TWO}}}}}") == []


def test_parameters_of_a_function_need_no_mention(tmp_path):
    (tmp_path / "mine.py").write_text("def train(params, trial): pass\n")
    assert problems(f"{{python: 'mine:train', params: {{{TWO}}}}}") == []


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("'--m={opt.momentun?}'", "f.yaml:2:37: trial.command: `opt.momentun` is no key under `params` in any trial"),
        ("'--m={opt.momentun?}'", "did you mean `opt.momentum`?"),
        ("{if: opt.nam, then: x}", "f.yaml:2:42: trial.command: `opt.nam` is no key"),
        ("{if: 'opt.nam == sgd', then: x}", "`opt.nam` is no key"),
        ("{if: 'opt.name == sgd', then: '{opt.mom}'}", "trial.command.3: `{opt.mom}` is no key"),
        ("{if: 'number == 7', then: '{opt.mom}'}", "`{opt.mom}` is no key"),
        ("{if: '', then: x}", "trial.command.3.if: must be the name of a parameter, or `name == value`"),
        ("{when: opt, then: x}", "unknown key `when`"),
        ("{then: x}", "missing key `if`"),
        ("{args}", 'f.yaml:2:37: trial.command.3: YAML reads {args} without quotes as a map: put it in quotes, "{args}"'),
        ("{if: opt, then: {opt.name}}", 'trial.command.3.then: YAML reads {opt.name} without quotes as a map'),
        ("'--all={args}'", "trial.command.3: `{args}` must be an argument of its own"),
    ],
)  # fmt: skip
def test_an_argument_that_no_trial_can_have_is_refused(argument, words):
    texts = [text for _, text in problems(command(f"{argument}, '{{opt}}'", OPTIMIZERS))]
    assert any(words in text for text in texts), texts


def test_an_optional_name_of_another_branch_or_below_a_reference_is_known():
    params = f"{OPTIMIZERS}, again: {{ref: params.opt}}, h: {{list: {{of: {{int: [1, 9]}}, length: {{int: [1, 2]}}}}}}"
    arguments = "'{opt.name}', '{opt.momentum?}', '{again.momentum?}', '{h.1?}', '{h.0}', '{device?}'"
    assert problems(command(arguments, params)) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("args: {style: {choice: [gnu, space]}}", "trial.args: `args` must not contain a range"),
        ("unused: {choice: [allow, refuse]}", "trial.unused: `unused` must not contain a range"),
        ("args: {style: gnuu}", "trial.args.style: must be one of `gnu`, `underscore`, `space`, `hydra`"),
        ("args: hydra", "trial.args: must be a map, not the text 'hydra'"),
        ("args: {style: hydra, booleans: flag}", "`booleans: flag` does not work with `style: hydra`"),
        ("args: {style: hydra, lists: comma}", "`lists: comma` does not work with `style: hydra`"),
        ("args: {styl: hydra}", "unknown key `styl` (did you mean `style`?)"),
        ("unused: true", "trial.unused: must be one of `refuse`, `allow`, not true"),
    ],
)
def test_settings_of_arguments_have_one_valid_value(more, words):
    texts = [text for _, text in problems(command("'{args}'", TWO, f", {more}"))]
    assert len(texts) == 1
    assert words in texts[0], texts


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("lr", "LR"),
        ("opt.lr", "OPT_LR"),
        ("weight-decay", "WEIGHT_DECAY"),
        ("größe", "GR__E"),
        ("a b", "A_B"),
    ],
)
def test_a_variable_is_named_in_capitals(path, name):
    assert variable_name(path) == f"TUNECLI_PARAM_{name}"


def test_parameters_that_would_share_a_variable_are_noted(tmp_path):
    params = "a.b: 1, a_b: {int: [1, 9]}, c: 2"
    (tmp_path / "f.yaml").write_text(f"{HEAD}{command(chr(39) + '{args}' + chr(39), params)}\n")
    notes = check(load_checked(tmp_path / "f.yaml", ())).notes
    (note,) = (note for note in notes if "TUNECLI" in note)
    assert note == (
        "a.b and a_b would share the environment variable TUNECLI_PARAM_A_B, so a trial with both sets neither; "
        "TUNECLI_PARAMS holds all parameters"
    )
