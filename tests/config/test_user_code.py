"""The user's code is compared with the way it will be called, and never run."""

from pathlib import Path

import pytest

from tunecli.config.load import parse_study
from tunecli.config.user_code import CodeProblem, code_problems
from tunecli.errors import ConfigError
from tunecli.objective import Objective

MINE = """
raise SystemExit("this file is never run")
import numpy as np
def train(params, trial): pass
def other(params): pass
def greedy(params, trial, more): pass
class Net:
    def __init__(self, input_shape, n_outputs, depth, width=8): pass
class Loose:
    def __init__(self, n_outputs, **rest): pass
def by_name(**rest): pass
def loss(outputs, targets, gamma=2.0): pass
def optimizer(parameters, lr): pass
def data(n, noise=0.1): pass
def score(outputs, targets, at=1): pass
value = 3
class Smooth(Base):
    def __init__(self, gamma=2.0): pass
    def forward(self, outputs, targets): pass
"""
LOSS = Objective("val_loss", False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "random.py").write_text("def train(params, trial): pass\n")
    return tmp_path


def problems_of(folder: Path, plain, objective=LOSS) -> list[CodeProblem]:
    return list(code_problems(plain, objective, folder))


def network(**knobs):
    return {"data": {"source": "iris"}, **knobs}


@pytest.mark.parametrize(
    "plain",
    [
        {"python": "mine:train"},
        {"python": "mine:value", "params": {"python": "no:code", "x": 1}},
        {"python": "mine:np.anything"},
        {"python": "json:loads"},
        network(model={"python": "mine:Net", "args": {"depth": 2}}),
        network(model={"python": "mine:Net", "args": {"depth": 2, "width": 3}}),
        network(model={"python": "mine:Loose", "args": {"anything": 2}}),
        network(loss={"python": "mine:loss"}),
        network(loss={"python": "mine:loss", "args": {"gamma": 1.0}}),
        network(loss={"python": "mine:Smooth"}),
        network(loss={"python": "mine:Smooth", "args": {"gamma": 1.0}}),
        network(optimizer={"python": "mine:optimizer", "args": {"lr": 1.0}}),
        {"command": ["python3", "mine.py", "missing.py"]},
        {"command": ["sh", "{checkpoint_dir}/made.sh"]},
        {"command": ["sh", "-ec", "cat missing.py"]},
        {"command": ["cat", "missing.py"]},
        {"data": {"source": {"python": "mine:data", "args": {"n": 3}}}},
        {"data": {"source": {"python": "numpy.random:default_rng", "args": {"n": 3}}}},
    ],
)
def test_callable_code_has_no_problems(folder, plain):
    assert problems_of(folder, plain) == []


@pytest.mark.parametrize(
    ("plain", "place", "words"),
    [
        ({"python": "mien:train"}, ("python",), "module `mien` not found beside the file"),
        ({"python": "mien:train"}, ("python",), "did you mean `mine`?"),
        ({"python": "mine.py:train"}, ("python",), "write `mine:train`, without .py"),
        ({"python": "mine:trian"}, ("python",), "mine.py does not define `trian` (did you mean `train`?)"),
        ({"python": "mine.inner:train"}, ("python",), "module `mine.inner` not found"),
        ({"python": "broken:f"}, ("python",), "broken.py:1: "),
        (
            {"python": "random:train"},
            ("python",),
            "`random` is also the name of a standard Python module (rename random.py)",
        ),
        ({"python": "mine:other"}, ("python",), "it is called as `other(params, trial)`, but takes (params)"),
        ({"python": "mine:by_name"}, ("python",), "it is called as `by_name(params, trial)`, but takes (**)"),
        ({"python": "mine:greedy"}, ("python",), "but takes (params, trial, more)"),
        (network(model={"python": "mine:Net"}), ("model", "python"), "missing argument `depth`"),
        (
            network(model={"python": "mine:Net", "args": {"depth": 1, "widht": 2}}),
            ("model", "args", "widht"),
            "`Net` has no parameter `widht` (did you mean `width`?)",
        ),
        (
            network(model={"python": "mine:Net", "args": {"depth": 1, "n_outputs": 2}}),
            ("model", "args", "n_outputs"),
            "`Net` already receives `n_outputs`",
        ),
        (
            network(loss={"python": "mine:loss", "args": {"targets": 1}}),
            ("loss", "args", "targets"),
            "has no parameter `targets`",
        ),
        (
            network(loss={"python": "mine:other"}),
            ("loss", "python"),
            "it is called as `other(outputs, targets)`",
        ),
        (network(optimizer={"python": "mine:optimizer"}), ("optimizer", "python"), "missing argument `lr`"),
        (
            {"data": {"source": {"python": "mine:data"}}},
            ("data", "source", "python"),
            "missing argument `n`",
        ),
        ({"command": ["no-such-program"]}, ("command", 0), "program `no-such-program` not found"),
        ({"command": ["mine.py"]}, ("command", 0), "chmod +x mine.py"),
        ({"command": ["python", "mien.py"]}, ("command", 1), "did you mean `mine.py`?"),
        (
            network(loss={"python": "mine:Smooth", "args": {"gama": 1.0}}),
            ("loss", "args", "gama"),
            "`Smooth` has no parameter `gama` (did you mean `gamma`?)",
        ),
        ({"command": ["python3", "-u", "mien.py"]}, ("command", 2), "did you mean `mine.py`?"),
        ({"command": ["sh", "mine.sh"]}, ("command", 1), "file mine.sh not found beside"),
        (
            {"command": ["sh", "-c", "{x}"], "params": {"y": 1}},
            ("command", 2),
            "`{x}` is no key under `params`",
        ),
        (
            {"command": ["sh"], "metrics": {"val_los": "(.)"}},
            ("metrics",),
            "no pattern for the objective `val_loss` (did you mean `val_los`?)",
        ),
    ],
)
def test_uncallable_code_is_reported_at_its_place(folder, plain, place, words):
    (found,) = problems_of(folder, plain)
    assert found.place == place
    assert words in f"{found.message} ({found.hint})"


def test_the_arguments_of_a_user_metric_are_checked(folder):
    def metric(args):
        return Objective("val_score", True, "mine:score", args)

    assert problems_of(folder, network(), metric({"at": 3})) == []
    (found,) = problems_of(folder, network(), metric({"att": 3}))
    assert found.place == ("objective", "metric", "args", "att")


def test_a_module_in_a_package_beside_the_file_is_found(folder):
    (folder / "pack" / "deep").mkdir(parents=True)
    (folder / "pack" / "deep" / "own.py").write_text("def train(params, trial): pass\n")
    assert problems_of(folder, {"python": "pack.deep.own:train"}) == []
    (found,) = problems_of(folder, {"python": "pack.deep.own:trial"})
    assert "own.py does not define `trial`" in found.message


FUNCTION = """\
study: own
objective: {metric: loss, direction: minimize}
trial:
  python: {choice: [mine:train, mine:trian]}
  params: {lr: {uniform: [0, 1]}}
"""
NETWORK = """\
study: own
objective: {metric: {python: mine:score, args: {att: 2}}, direction: maximize}
trial:
  data: {source: iris}
"""
COMMAND = """\
study: own
objective: {metric: loss, direction: minimize}
trial:
  command: [sh, -c, "echo {rate}"]
  params: {lr: {uniform: [0, 1]}}
"""


def problems(text: str, folder: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_study(text.encode(), "f.yaml", overrides, folder, lambda *_: ())
    return [str(problem) for problem in caught.value.problems]


def test_problems_have_line_and_column(folder):
    assert problems(FUNCTION, folder) == [
        "f.yaml:4:33: trial.python: mine.py does not define `trian` (did you mean `train`?)"
    ]
    assert problems(NETWORK, folder) == [
        "f.yaml:2:49: objective.metric.args.att: `score` has no parameter `att` (did you mean `at`?)"
    ]
    (found,) = problems(COMMAND, folder)
    assert found.startswith(
        "f.yaml:4:21: trial.command.2: `{rate}` is no key under `params` (known names: lr,"
    )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("objective={metric: height}", "missing `direction` of height"),
        ("objective.metric=1st", "invalid metric name '1st'"),
        ("objective.metric={python: mine:score}", "your own trial reports its metrics itself"),
        ("search.repeats=3", "your own trial runs once"),
        ("python=mine", "must be `module:name`, such as `mine:Net`, not the text 'mine'"),
        ("prams.lr=3", "unknown key `prams` (did you mean `params`?)"),
        ("run.folder=relative", "must be an absolute path such as"),
        ("run.folder=/no/such/folder", "run.folder: folder not found"),
    ],
)
def test_invalid_settings_of_user_functions_are_reported(folder, override, words):
    assert any(words in problem for problem in problems(FUNCTION, folder, override))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("metrics.loss=loss=(.", "trial.metrics.loss: invalid regular expression"),
        ("metrics.loss=.*", "trial.metrics.loss: must have exactly one group, for the number, not 0"),
        ("command=[]", "must name a program"),
        ("command=[[]]", "trial.command.0"),
        ("command=ls", "must be a list"),
    ],
)
def test_a_command_is_checked_before_it_runs(folder, override, words):
    assert any(words in problem for problem in problems(COMMAND, folder, override))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("objective={metric: {python: mine:height}}", "missing `direction` of val_height"),
        ("objective.metric={python: mine:accuracy}", "`val_accuracy` is a built-in metric"),
        ("objective.metric={pyton: mine:score}", "unknown key `pyton` (did you mean `python`?)"),
        ("objective.metric=mine:score", "unknown metric `mine:score`"),
        ("objective.metric=3", "objective.metric: must be text"),
    ],
)
def test_a_user_metric_needs_a_direction_and_a_new_name(folder, override, words):
    assert any(words in problem for problem in problems(NETWORK, folder, override))


def test_a_built_in_metric_keeps_its_direction_in_a_user_trial(folder):
    text = FUNCTION.replace("{metric: loss, direction: minimize}", "{metric: val_accuracy}")
    text = text.replace("{choice: [mine:train, mine:trian]}", "mine:train")
    assert parse_study(text.encode(), "f.yaml", (), folder, lambda *_: ()).objective.maximize
