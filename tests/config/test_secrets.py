"""References to environment variables stay unresolved in every record, and no message contains their values."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.commands.check import load_checked
from tunecli.config.concrete_trial import concrete, resolve_trial
from tunecli.config.load import parse_study
from tunecli.config.placeholders import rendered
from tunecli.config.schema.data import Data, with_absolute_paths
from tunecli.config.schema.sources import FileSource, Images
from tunecli.config.secrets import names_in, redacted, references, resolved
from tunecli.config.space import point_with
from tunecli.errors import ConfigError, UsageError

ENVIRONMENT = {"TOKEN": "s3cr3t", "DATA": "/data", "EMPTY": "", "BRACES": "a{lr}b", "NESTED": "${env:TOKEN}"}
COMMAND = """\
objective: {metric: loss, direction: minimize}
trial:
  command: [python, -c, 'pass', 'key=${env:TUNECLI_TOKEN}', '{t}']
  params: {t: {choice: ['${env:TUNECLI_OTHER}', plain]}}
"""
TABLE = """\
study: table
objective: {metric: val_accuracy}
trial:
  data: {source: '${env:TUNECLI_DATA}/mine.csv', target: y, validation: {file: '${env:TUNECLI_DATA}/valid.csv'}}
  model: {name: mlp, hidden: [4]}
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:TOKEN}", "s3cr3t"),
        ("a ${env:TOKEN} and ${env:DATA}/x.csv", "a s3cr3t and /data/x.csv"),
        ("${env:EMPTY}", ""),
        ("$${env:TOKEN}", "${env:TOKEN}"),
        ("$${env:ABSENT}", "${env:ABSENT}"),
        ("$$${env:TOKEN}", "$${env:TOKEN}"),
        ("${env:NESTED}", "${env:TOKEN}"),
        ("${TOKEN} $TOKEN {env:TOKEN} ${env:TOKEN", "${TOKEN} $TOKEN {env:TOKEN} ${env:TOKEN"),
    ],
)
def test_a_text_takes_its_variables_values(text, value):
    assert resolved(text, ENVIRONMENT) == value
    assert resolved({"params": [{"a": text}, 3]}, ENVIRONMENT) == {"params": [{"a": value}, 3]}


def test_only_text_values_are_resolved():
    tree = {"${env:TOKEN}": [1, 2.5, True, None, "${env:TOKEN}"]}
    assert resolved(tree, ENVIRONMENT) == {"${env:TOKEN}": [1, 2.5, True, None, "s3cr3t"]}
    assert tree["${env:TOKEN}"][4] == "${env:TOKEN}"


def test_the_default_environment_is_that_of_the_process(monkeypatch):
    monkeypatch.setenv("TUNECLI_TOKEN", "s3cr3t")
    assert resolved("${env:TUNECLI_TOKEN}") == "s3cr3t"
    assert redacted("s3cr3t", ["TUNECLI_TOKEN"]) == "${env:TUNECLI_TOKEN}"


def test_a_variable_that_is_not_set_is_named_with_the_path_of_the_text():
    with pytest.raises(UsageError) as caught:
        resolved({"params": {"keys": ["${env:TOKEN}", "${env:TOKEN}${env:ABSENT}"]}}, ENVIRONMENT)
    assert caught.value.message == "`params.keys.1`: the environment variable `ABSENT` is not set"
    assert "export ABSENT=" in caught.value.hint
    assert "s3cr3t" not in str(caught.value) + caught.value.hint


def test_the_variables_of_a_tree_are_named_once_each_with_their_places():
    tree = {"a": "${env:B} ${env:A}", "c": ["$${env:D}", {"e": "${env:A}"}, 3]}
    assert names_in(tree) == ("B", "A")
    assert list(references(tree)) == [(("a",), "B"), (("a",), "A"), (("c", 1, "e"), "A")]


def test_braces_in_a_value_are_not_placeholders_of_a_command():
    trial = {
        "command": ["${env:BRACES}{lr}", "$${env:TOKEN}", "${env:NESTED}", "{p}"],
        "params": {"lr": 0.5, "p": "${env:BRACES}"},
    }
    found = resolved(trial, ENVIRONMENT)
    said = [rendered(argument, found["params"], {}) for argument in found["command"]]
    assert said == ["a{lr}b0.5", "${env:TOKEN}", "${env:TOKEN}", "a{lr}b"]


def test_a_command_that_is_not_resolved_yet_is_rendered_around_its_variables():
    assert rendered("${env:TOKEN}-{lr}-{{}}", {"lr": 0.5}, {}) == "${env:TOKEN}-0.5-{}"


@pytest.mark.parametrize(
    "text",
    [
        "key s3cr3t was refused",
        "s3cr3ts3cr3t",
        repr("quote ' \" and \\ s3cr3t"),
        json.dumps({"a": ["s3cr3t"]}),
        "Traceback …\n  raise ValueError('s3cr3t')\nValueError: s3cr3t\n",
    ],
)
def test_redaction_removes_a_value_from_any_text(text):
    told = redacted(text, ["TOKEN", "EMPTY", "ABSENT"], ENVIRONMENT)
    assert "s3cr3t" not in told
    assert "${env:TOKEN}" in told


@pytest.mark.parametrize("quoted", [repr, json.dumps, lambda value: json.dumps(value, ensure_ascii=False)])
def test_a_quoted_value_is_redacted(quoted):
    value = "pä\\ss'w\"ord\nsecond line\t!"
    told = redacted(f"it is {quoted(value)}.", ["P"], {"P": value})
    assert told.replace('"', "'") == "it is '${env:P}'."


def test_a_value_is_redacted_in_a_url_and_line_by_line():
    environment = {"P": "first part/of it\n  second part\n}\n"}
    assert redacted("ValueError: first part/of it", ["P"], environment) == "ValueError: ${env:P}"
    assert redacted("  second part", ["P"], environment) == "  ${env:P}"
    assert redacted("{}", ["P"], environment) == "{}", "a line of one character hides nothing"
    assert redacted("?key=a%2Fb%20c", ["U"], {"U": "a/b c"}) == "?key=${env:U}"


def test_the_longer_of_two_values_is_redacted_first():
    environment = {"A": "abc", "ABC": "abcdef", "E": "env"}
    assert redacted("abcdef abc env", environment, environment) == "${env:ABC} ${env:A} ${env:E}"


def test_a_text_without_variables_is_unchanged():
    assert redacted("anything", []) == "anything"
    assert redacted("anything", ["EMPTY", "ABSENT"], ENVIRONMENT) == "anything"


values = st.text("0123456789 äß/\\'\"\n", min_size=3).filter(lambda value: len(value.strip()) >= 3)


@given(values, st.text("0123 \n"), st.text("0123 \n"), st.sampled_from([str, repr, json.dumps]))
def test_resolved_values_are_redacted_everywhere(value, before, after, quoted):
    environment = {"NAME": value}
    whole = resolved(f"{before}${{env:NAME}}{after}", environment)
    assert whole == before + value + after
    told = redacted(f"{before}{quoted(value)}{after}", ["NAME"], environment)
    assert value not in told
    assert quoted(value) not in told


def test_check_reports_an_unset_variable_at_its_position_but_a_recorded_study_can_be_read(tmp_path):
    (tmp_path / "own.yaml").write_text(COMMAND)
    with pytest.raises(ConfigError) as caught:
        load_checked(tmp_path / "own.yaml", ())
    said = [str(problem).replace(str(tmp_path), "") for problem in caught.value.problems]
    assert [text.partition(" (")[0] for text in said] == [
        "/own.yaml:3:33: trial.command.3: the environment variable `TUNECLI_TOKEN` is not set",
        "/own.yaml:4:25: trial.params.t: the environment variable `TUNECLI_OTHER` is not set",
    ]
    assert parse_study(COMMAND.encode(), "own.yaml", (), tmp_path).space.names == ("params.t",)


def test_a_concrete_trial_keeps_its_variables_until_it_is_resolved(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNECLI_TOKEN", "s3cr3t")
    monkeypatch.setenv("TUNECLI_OTHER", "s3cr3t too")
    (tmp_path / "own.yaml").write_text(COMMAND)
    spec = load_checked(tmp_path / "own.yaml", ())
    kept = concrete(spec.space, point_with(spec.space, {}))
    assert kept["command"][3] == "key=${env:TUNECLI_TOKEN}"
    assert kept["params"] == {"t": "${env:TUNECLI_OTHER}"}
    run = resolve_trial(spec.space, point_with(spec.space, {}))
    assert run.command[3] == "key=s3cr3t"
    assert run.params == {"t": "s3cr3t too"}


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    folder = tmp_path / "somewhere-private"
    folder.mkdir()
    rows = "".join(f"{n % 7},{n % 5},{'ab'[n % 2]}\n" for n in range(60))
    for name in ("mine.csv", "valid.csv"):
        (folder / name).write_text(f"a,b,y\n{rows}")
    monkeypatch.setenv("TUNECLI_DATA", str(folder))
    (tmp_path / "table.yaml").write_text(TABLE)
    return folder


def test_data_are_read_from_the_path_in_an_environment_variable(data_folder, tmp_path):
    spec = load_checked(tmp_path / "table.yaml", ())
    assert concrete(spec.space, {})["data"]["source"] == "${env:TUNECLI_DATA}/mine.csv"
    assert resolve_trial(spec.space, {}).data.source.path == f"{data_folder}/mine.csv"


@pytest.mark.parametrize("name", ["mine.csv", "valid.csv"])
def test_problems_of_data_do_not_reveal_their_path(data_folder, tmp_path, name):
    (data_folder / name).unlink()
    with pytest.raises(ConfigError) as caught:
        load_checked(tmp_path / "table.yaml", ())
    said = " ".join(map(str, caught.value.problems))
    assert f"there is no file ${{env:TUNECLI_DATA}}/{name}" in said
    assert "somewhere-private" not in said


def test_an_empty_variable_is_checked_as_an_empty_text(data_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNECLI_DATA", "")
    text = TABLE.replace("'${env:TUNECLI_DATA}/mine.csv'", "{name: file, path: '${env:TUNECLI_DATA}'}")
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_checked(tmp_path / "table.yaml", ())
    assert any(problem.parameter == "trial.data.source.path" for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("${env:DATA}", FileSource(path="${env:DATA}")),
        ("${env:DATA}/", Images(path="${env:DATA}/")),
        ("sets/${env:DATA}.csv", FileSource(path="sets/${env:DATA}.csv")),
    ],
)
def test_a_source_that_the_environment_names_is_a_file_or_a_folder(source, kind):
    assert Data.model_validate({"source": source}).source == kind


def test_an_exported_file_keeps_variables_and_has_absolute_paths():
    data = {
        "source": "${env:DATA}/mine.csv",
        "target": "y",
        "validation": {"file": "sets/${env:NAME}.csv"},
        "test": {"file": "test.csv"},
    }
    found = with_absolute_paths({"data": data}, Path("/base"))["data"]
    assert found["source"] == "${env:DATA}/mine.csv"
    assert found["validation"] == {"file": "/base/sets/${env:NAME}.csv"}
    assert found["test"] == {"file": "/base/test.csv"}


def test_a_program_from_the_environment_is_checked_and_reported_by_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNECLI_TOOLS", str(tmp_path / "private"))
    text = COMMAND.replace(
        "python, -c, 'pass', 'key=${env:TUNECLI_TOKEN}', '{t}'", "'${env:TUNECLI_TOOLS}/run', '{t}'"
    )
    (tmp_path / "own.yaml").write_text(text.replace("'${env:TUNECLI_OTHER}', ", ""))
    with pytest.raises(ConfigError) as caught:
        load_checked(tmp_path / "own.yaml", ())
    assert "program `${env:TUNECLI_TOOLS}/run` not found" in str(caught.value)
    assert "private" not in str(caught.value).replace(str(tmp_path / "own.yaml"), "")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "private" / "run").chmod(0o755)
    assert load_checked(tmp_path / "own.yaml", ()).settings.study == "own"
    assert os.environ["TUNECLI_TOOLS"] not in str(
        concrete(load_checked(tmp_path / "own.yaml", ()).space, {"params.t": "plain"})
    )
