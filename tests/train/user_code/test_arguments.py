"""Programs of many habits get the parameters of a trial, each with `{args}` and at most three further keys."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.jobs import make_job
from tunecli.config.schema import CommandTrial
from tunecli.messages import Ended, Job
from tunecli.objective import Objective
from tunecli.train.trials import run
from tunecli.train.user_code.parameters import parameters_of
from tunecli.trial import Outcome

REPORT = """
import json
def tell(seen):
    open("seen.json", "w").write(json.dumps(seen))
    print(json.dumps({"val_loss": 1.0}))
"""
ARGPARSE = """
import argparse
from report import tell
parser = argparse.ArgumentParser(allow_abbrev=False)
"""
PROGRAMS = {
    "flags without a value": (
        ARGPARSE
        + """
parser.add_argument("--weight-decay", type=float)
parser.add_argument("--tied", action="store_true")
parser.add_argument("--cuda", action="store_true")
tell(vars(parser.parse_args()))
""",
        {"args": {"booleans": "flag"}},
        {"weight-decay": 1e-05, "tied": True, "cuda": False},
        {"weight_decay": 1e-05, "tied": True, "cuda": False},
    ),
    "BooleanOptionalAction and nargs": (
        ARGPARSE
        + """
parser.add_argument("--tied", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--hidden", type=int, nargs="+")
parser.add_argument("--note")
tell(vars(parser.parse_args()))
""",
        {"args": {"booleans": "no-flag", "lists": "space"}},
        {"tied": False, "hidden": [16, 32], "note": "--tied \"it's\"\n"},
        {"tied": False, "hidden": [16, 32], "note": "--tied \"it's\"\n"},
    ),
    "options that repeat": (
        ARGPARSE + "parser.add_argument('--layer', type=int, action='append')\ntell(vars(parser.parse_args()))\n",
        {"args": {"lists": "repeat"}},
        {"layer": [8, 4]},
        {"layer": [8, 4]},
    ),
    "HfArgumentParser": (
        ARGPARSE
        + """
def boolean(text):
    return {"true": True, "false": False}[text.lower()]
parser.add_argument("--learning_rate", type=float)
parser.add_argument("--optim_beta", type=float)
parser.add_argument("--fp16", type=boolean, nargs="?", const=True, default=False)
parser.add_argument("--report_to", nargs="+")
tell(vars(parser.parse_args()))
""",
        {"args": {"style": "underscore", "lists": "space"}},
        {"learning_rate": 3e-05, "optim": {"beta": 0.9}, "fp16": True, "report_to": ["none", "csv"]},
        {"learning_rate": 3e-05, "optim_beta": 0.9, "fp16": True, "report_to": ["none", "csv"]},
    ),
    "tyro": (
        ARGPARSE
        + """
parser.add_argument("--opt.lr", type=float)
parser.add_argument("--opt.amsgrad", "--opt.no-amsgrad", nargs=0, action=type("Flag", (argparse.Action,), {
    "__call__": lambda self, parser, space, values, option: setattr(space, self.dest, ".no-" not in option)}))
parser.add_argument("--anneal-lr", action=argparse.BooleanOptionalAction)
tell(vars(parser.parse_args()))
""",
        {"args": {"booleans": "no-flag"}},
        {"opt": {"lr": 0.1 + 0.2, "amsgrad": False}, "anneal-lr": True},
        {"opt.lr": 0.1 + 0.2, "opt.amsgrad": False, "anneal_lr": True},
    ),
    "fire": (
        """
import ast, sys
from report import tell
def value(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
pairs = (word.removeprefix("--").partition("=") for word in sys.argv[1:])
tell({name: value(text) for name, _, text in pairs})
""",
        {"args": {"booleans": "True/False"}},
        {"module__hidden": [4, 2], "lr": 1.0, "tied": True, "name": "a b"},
        {"module__hidden": [4, 2], "lr": 1.0, "tied": True, "name": "a b"},
    ),
    "Hydra": (
        """
import sys
from report import tell
def value(text):
    if text[:1] == "'":
        return text[1:-1].replace("\\\\'", "'")
    if text[:1] == "[":
        return [value(item) for item in text[1:-1].split(",")]
    return {"true": True, "null": None}[text] if text in ("true", "null") else float(text) if text[:1].isdigit() else text
tell({name: value(text) for name, _, text in (word.partition("=") for word in sys.argv[1:])})
""",
        {"args": {"style": "hydra"}},
        {"optimizer": {"lr": 0.001, "name": "adam"}, "tied": True, "n": None, "h": [1.5, 2.5], "s": "it's, 1e3"},
        {"optimizer.lr": 0.001, "optimizer.name": "adam", "tied": True, "n": None, "h": [1.5, 2.5], "s": "it's, 1e3"},
    ),
    "Lightning CLI": (
        ARGPARSE
        + """
parser.add_argument("command", choices=["fit"])
parser.add_argument("--model.lr", type=json.loads)
parser.add_argument("--model.layers", type=json.loads)
parser.add_argument("--model.tied", type=json.loads)
tell(vars(parser.parse_args()))
""".replace("parser.add", "import json\nparser.add", 1),
        {"command": ["python", "x.py", "fit", "{args}"]},
        {"model": {"lr": 1e-07, "layers": [2, 3], "tied": False}},
        {"command": "fit", "model.lr": 1e-07, "model.layers": [2, 3], "model.tied": False},
    ),
    "nanoGPT": (
        """
import sys
from ast import literal_eval
from report import tell
known = {"learning_rate": 0.5, "compile": False, "dataset": "", "n_layer": 1, "betas": [0.5]}
for word in sys.argv[1:]:
    key, text = word.split("=")
    try:
        attempt = literal_eval(text)
    except (SyntaxError, ValueError):
        attempt = text
    assert word.startswith("--") and type(attempt) == type(known[key[2:]]), word
    known[key[2:]] = attempt
tell(known)
""",
        {"args": {"booleans": "True/False"}},
        {"learning_rate": 1.0, "compile": True, "dataset": "shakespeare", "n_layer": 6, "betas": [0.9, 1.0]},
        {"learning_rate": 1.0, "compile": True, "dataset": "shakespeare", "n_layer": 6, "betas": [0.9, 1.0]},
    ),
    "getopt, name and value apart": (
        """
import getopt, sys
from report import tell
tell(dict(getopt.gnu_getopt(sys.argv[1:], "", ["lr=", "tied", "sizes="])[0]))
""",
        {"args": {"style": "space", "booleans": "flag", "lists": "comma"}},
        {"lr": -0.5, "tied": True, "sizes": [3, 4]},
        {"--lr": "-0.5", "--tied": "", "--sizes": "3,4"},
    ),
    "a JSON file": (
        "import sys, json\nfrom report import tell\ntell(json.load(open(sys.argv[1])))\n",
        {"command": ["python", "x.py", "{params_json}"]},
        {"opt": {"lr": 1e-05}, "tied": True, "n": None, "s": "1e-3"},
        {"opt": {"lr": 1e-05}, "tied": True, "n": None, "s": "1e-3"},
    ),
    "a YAML file": (
        "import sys, yaml\nfrom report import tell\ntell(yaml.safe_load(open(sys.argv[1].partition('=')[2])))\n",
        {"command": ["python", "x.py", "--config={params_yaml}"]},
        {"opt": {"lr": 1e-05, "eps": 1e16}, "tied": True, "n": None, "s": "1e-3", "no": "no"},
        {"opt": {"lr": 1e-05, "eps": 1e16}, "tied": True, "n": None, "s": "1e-3", "no": "no"},
    ),
    "the environment": (
        """
import json, os, sys
from report import tell
names = [name for name in os.environ if name.startswith("TUNECLI_PARAM")]
tell([json.loads(os.environ["TUNECLI_PARAMS"]), {name: os.environ[name] for name in sorted(names) if name[13:14] == "_"}])
""",
        {"command": ["python", "x.py"], "unused": "allow"},
        {"opt": {"weight-decay": 0.5}, "s": "a b", "h": [1, 2], "t": True, "n": None, "x.y": 1, "x_y": 2},
        [
            {"opt": {"weight-decay": 0.5}, "s": "a b", "h": [1, 2], "t": True, "n": None, "x.y": 1, "x_y": 2},
            {
                "TUNECLI_PARAM_H": "[1, 2]",
                "TUNECLI_PARAM_OPT_WEIGHT_DECAY": "0.5",
                "TUNECLI_PARAM_S": "a b",
                "TUNECLI_PARAM_T": "true",
            },
        ],
    ),
    "a shell that passes its arguments on": (
        "import sys\nfrom report import tell\ntell(sys.argv[1:])\n",
        {"command": ["sh", "-c", 'exec "$0" x.py "$@" 2>&1', sys.executable, "{args}"]},
        {"a": "$HOME `id` 'x'", "b": 2},
        ["--a=$HOME `id` 'x'", "--b=2"],
    ),
    "arguments that depend on a parameter": (
        "import sys\nfrom report import tell\ntell(sys.argv[1:])\n",
        {
            "command": [
                "python",
                "x.py",
                {"if": "tied", "then": "--tied", "else": ["--untied", "{lr}"]},
                {"if": "opt.name == sgd", "then": ["--sgd"]},
                {"if": "opt.name != sgd", "then": "--other", "else": []},
                {"if": "device == cpu", "then": "--no-cuda"},
                "--momentum={opt.momentum?}",
                "--nesterov={opt.nesterov?}",
                "--none={none?}",
                "{args}",
            ]
        },
        {"tied": False, "lr": 0.5, "opt": {"name": "sgd", "momentum": 0.0}, "none": None, "more": "x"},
        ["--untied", "0.5", "--sgd", "--no-cuda", "--momentum=0.0", "--more=x"],
    ),
}  # fmt: skip


def job_of(folder: Path, params: dict, **trial) -> Job:
    config = {"command": ["python", "x.py", "{args}"], "params": params, **trial}
    changes = {"device": "cpu", "base_path": str(folder), "checkpoint_dir": str(folder / "kept")}
    return make_job(4, config, Objective("val_loss", False), 1, 100, **changes)


def outcome_of(job: Job) -> Outcome:
    *_, ended = run(job)
    assert isinstance(ended, Ended)
    return ended.outcome


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gets_its_parameters(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TUNECLI_PARAM_OF_AN_OUTER_TRIAL", "1")
    program, trial, params, seen = PROGRAMS[name]
    assert len(trial) <= 3
    (tmp_path / "report.py").write_text(REPORT)
    (tmp_path / "x.py").write_text(program)
    outcome = outcome_of(job_of(tmp_path, params, **trial))
    assert outcome.failure is None
    assert json.loads((tmp_path / "seen.json").read_text()) == seen


def test_files_of_parameters_are_private_and_end_with_the_trial(tmp_path):
    text = """
import json, os, sys, pathlib
paths = [pathlib.Path(word) for word in sys.argv[1:]]
assert not any(os.scandir(os.environ["TUNECLI_CHECKPOINT_DIR"]))
assert all(path.parent.stat().st_mode & 0o077 == 0 for path in paths)
open("seen.json", "w").write(json.dumps([str(path) for path in paths]))
print(json.dumps({"val_loss": json.loads(paths[0].read_text())["x"]}))
"""
    (tmp_path / "x.py").write_text(text)
    job = job_of(tmp_path, {"x": 0.5}, command=["python", "x.py", "{params_json}", "{params_yaml}"])
    assert outcome_of(job).score == 0.5
    paths = [Path(path) for path in json.loads((tmp_path / "seen.json").read_text())]
    assert len(paths) == 2
    assert not any(path.exists() or path.parent.exists() or tmp_path in path.parents for path in paths)


def test_parameters_too_long_for_a_variable_are_in_a_file():
    params = {"x": 1, "text": "é" * 70_000}
    with parameters_of(CommandTrial(command=["x"], params=params)) as parameters:
        (name, path), *others = parameters.variables.items()
        assert (name, others) == ("TUNECLI_PARAMS_FILE", [])
        assert json.loads(Path(path).read_text()) == params
        assert parameters.environment({"A": "1", "TUNECLI_PARAMS": "2"}) == {"A": "1", name: path}
    assert not Path(path).exists()
    short = {"x": 1, "text": "e" * 100_000}
    with parameters_of(CommandTrial(command=["x"], params=short)) as parameters:
        assert parameters.files == {}
        assert json.loads(parameters.variables["TUNECLI_PARAMS"]) == short


def test_a_file_is_named_by_its_placeholder_only_where_no_parameter_has_that_name():
    trial = CommandTrial(command=["x", "{params_json}"], params={"params_json": 3})
    with parameters_of(trial) as parameters:
        assert parameters.files == {}


def test_text_that_an_environment_cannot_hold_is_in_the_json_alone():
    with parameters_of(
        CommandTrial(command=["x"], params={"a": "\ud800", "b": "\0", "c": "é"})
    ) as parameters:
        assert parameters.variables.keys() == {"TUNECLI_PARAMS", "TUNECLI_PARAM_C"}
        assert json.loads(parameters.variables["TUNECLI_PARAMS"])["a"] == "\ud800"


def test_a_yaml_file_reads_back_to_the_same_values():
    params = {
        "a": 0.1 + 0.2,
        "b": 1e-300,
        "c": "0x1F",
        "d": ["on", None, True, 3],
        "e": {"f": "x: y\n"},
        "g": 1e20,
    }
    with parameters_of(CommandTrial(command=["x", "{params_yaml}"], params=params)) as parameters:
        assert yaml.safe_load(Path(parameters.files["params_yaml"]).read_text()) == params


def test_arguments_that_are_too_long_name_the_file_to_use(tmp_path):
    (tmp_path / "x.py").write_text("")
    failure = outcome_of(job_of(tmp_path, {"x": "a" * 200_000})).failure
    assert failure is not None
    assert "too long for this system: pass the parameters in a file, {params_json}" in failure.cause


def test_secrets_reach_the_program_and_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "s3cr3t,token")
    (tmp_path / "x.py").write_text(
        "import os, sys\nsys.exit(os.environ['TUNECLI_PARAM_TOKEN'] + sys.argv[1])\n"
    )
    failure = outcome_of(job_of(tmp_path, {"token": "${env:MY_TOKEN}"})).failure
    assert failure is not None
    assert failure.cause == "exit code 1: ${env:MY_TOKEN}--token=${env:MY_TOKEN}"
    assert "s3cr3t" not in failure.traceback
    refused = outcome_of(job_of(tmp_path, {"h": ["${env:MY_TOKEN}"]}, args={"lists": "comma"})).failure
    assert refused is not None and "s3cr3t" not in refused.cause
    assert os.environ["MY_TOKEN"] == "s3cr3t,token"
