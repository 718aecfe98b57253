"""The schema for editors accepts and refuses the same files as the program, and describes every key."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tunecli.commands.starters import starter
from tunecli.config.json_schema import json_schema, schema_text
from tunecli.config.reader import MapNode, Node, ScalarNode, read

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def plain(node: Node):
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, MapNode):
        return {key: plain(item) for key, item in node.items.items()}
    return [plain(item) for item in node.items]


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("text", [starter().text, *(path.read_text() for path in CONFIGS)])
def test_shipped_files_are_accepted(validator, text):
    assert [error.message for error in validator.iter_errors(plain(read(text.encode(), "f")))] == []


@pytest.mark.parametrize(
    "trial",
    [
        {"data": {"source": "digits"}, "optimizer": {"name": "sgd", "lrr": 1}},
        {"data": {"source": "digits"}, "training": {"epochs": {"unifrom": [1, 2]}}},
        {"data": {"source": "digits"}, "training": {"epochs": "many"}},
        {"data": {"source": "digits"}, "learning_rate": [{"cosin": {}}]},
        {"data": {"source": "digits"}, "modell": "mlp"},
        {"model": "mlp"},
        {"data": {"source": "digits"}, "optimizer": {"choice": ["sgdd"]}},
        {"python": "mine", "params": {}},
        {"python": "mine:train", "prams": {}},
        {"command": "ls"},
        {"command": ["ls", {"unifrom": [0, 1]}]},
    ],
)
def test_mistyped_trials_are_refused(validator, trial):
    assert list(validator.iter_errors({"objective": {"metric": "val_loss"}, "trial": trial}))


SETTINGS = [
    {"run": {"events": "off"}},
    {"run": {"events": "tensorboard"}},
    {"run": {"events": {"name": "mlflow", "experiment": "digits"}}},
    {"run": {"events": ["tensorboard", {"name": "mlflow"}]}},
    {"search": {"pruner": "median"}},
    {"search": {"pruner": "none"}},
    {"search": {"pruner": {"name": "median", "startup_trials": 3, "warmup_epochs": 0}}},
    {"run": {"checkpoint": "off"}},
    {"run": {"checkpoint": {"epochs": 3}}},
    {"run": {"on_failure": {"oom": "split", "timeout": "retry"}}},
]
BAD_SETTINGS = [
    {"run": {"events": "tensorbord"}},
    {"search": {"pruner": "medain"}},
    {"search": {"pruner": {"name": "median", "startup_trials": 0}}},
    {"run": {"checkpoint": "of"}},
    {"run": {"checkpoint": {"epochs": 0}}},
    {"run": {"checkpoint": 5}},
    {"run": {"on_failure": {"crash": "split"}}},
    {"run": {"on_failure": {"diverged": "retry"}}},
]
TRIAL = {"data": {"source": "${env:DATA}"}}


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_are_accepted_in_each_of_their_forms(validator, settings):
    assert not list(validator.iter_errors({"objective": {"metric": "val_loss"}, "trial": TRIAL, **settings}))


@pytest.mark.parametrize("settings", BAD_SETTINGS)
def test_mistyped_settings_are_refused(validator, settings):
    assert list(validator.iter_errors({"objective": {"metric": "val_loss"}, "trial": TRIAL, **settings}))


OBJECTIVES = [
    {"metric": "val_loss", "subject_to": {"n_parameters": "<= 1_000", "latency_ms": ">=.5"}},
    {"pareto": [{"metric": "val_loss"}, {"metric": "val_f1", "direction": "minimize"}]},
    {"pareto": [{"metric": {"python": "mine:score"}, "direction": "maximize"}, {"metric": "val_f1"}]},
]
BAD_OBJECTIVES = [
    {"metric": "val_loss", "subject_to": {"n_parameters": "< 1"}},
    {"metric": "val_loss", "subject_to": {"n_parameters": 5}},
    {"metric": "val_loss", "subject_to": {}},
    {"metric": "val_loss", "pareto": [{"metric": "val_loss"}, {"metric": "val_f1"}]},
    {"pareto": [{"metric": "val_loss"}]},
    {"pareto": [{"metric": "val_loss"}, {"metrc": "val_f1"}]},
    {},
]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_are_accepted_in_each_of_their_forms(validator, objective):
    assert not list(validator.iter_errors({"objective": objective, "trial": TRIAL}))


@pytest.mark.parametrize("objective", BAD_OBJECTIVES)
def test_mistyped_objectives_are_refused(validator, objective):
    assert list(validator.iter_errors({"objective": objective, "trial": TRIAL}))


def test_every_key_has_a_description():
    schema = json_schema()
    missing = [place for place, key in keys_of(schema) if not description_of(key, schema)]
    assert missing == []


def keys_of(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key at any depth, with its place."""
    if isinstance(schema, list):
        for part in schema:
            yield from keys_of(part, place)
    elif isinstance(schema, dict):
        for word, part in schema.items():
            if word in ("properties", "$defs"):
                for name, value in part.items():
                    if word == "properties":
                        yield f"{place}.{name}", value
                    yield from keys_of(value, f"{place}.{name}" if word == "properties" else name)
            else:
                yield from keys_of(part, place)


def description_of(key: dict[str, Any], schema: dict[str, Any]) -> str:
    definition = schema["$defs"][key["$ref"].rpartition("/")[2]] if "$ref" in key else {}
    return key.get("description") or definition.get("description", "")


def test_every_value_of_a_closed_list_has_a_description():
    schema = json_schema()
    for place, values in lists_of(schema, ""):
        texts = values.get("enumDescriptions", [])
        assert len(texts) == len(values["enum"]) and all(texts), place
        for value, text in zip(values["enum"], texts, strict=True):
            assert not is_only_the_name(str(value), text), (place, value)


def lists_of(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = (
        schema.items() if isinstance(schema, dict) else enumerate(schema if isinstance(schema, list) else ())
    )
    if isinstance(schema, dict) and isinstance(schema.get("enum"), list):
        yield place, schema
    for word, part in parts:
        yield from lists_of(part, f"{place}/{word}")


def is_only_the_name(name: str, text: str) -> bool:
    letters = re.sub("[^a-z0-9]", "", text.lower().partition(" default: ")[0])
    return letters in ("", re.sub("[^a-z0-9]", "", name.lower()))


def test_no_description_of_a_key_is_only_its_name():
    schema = json_schema()
    places = [
        place
        for place, key in keys_of(schema)
        if is_only_the_name(place.rpartition(".")[2], description_of(key, schema))
    ]
    assert places == []


def test_a_person_can_open_the_schema():
    lines = schema_text(json_schema()).splitlines()
    assert len(lines) <= 4000
    is_text = re.compile(r' *"[^"]{100,}",?$').match  # the description of a value
    assert [
        line for line in lines if len(line) > 160 and '"description": ' not in line and not is_text(line)
    ] == []


def test_the_written_schema_is_the_schema():
    assert json.loads(schema_text(json_schema())) == json.loads(json.dumps(json_schema()))


def test_every_shipped_file_has_the_modeline():
    for path in CONFIGS:
        assert path.read_text().startswith("# yaml-language-server: $schema=")


def test_no_other_reader_of_yaml_is_used_by_the_package():
    package = Path(__file__).parents[2] / "tunecli"
    for path in package.rglob("*.py"):
        text = path.read_text()
        assert "yaml.load" not in text and "safe_load" not in text, path
        calls = re.findall(r"(?<!safetensors\.)torch\.load\(([^)]*)\)?", text)
        assert "import pickle" not in text, path
        assert all("weights_only=True" in call for call in calls), path


def test_the_schema_in_configs_is_up_to_date():
    shipped = (Path(__file__).parents[2] / "configs" / "tunecli.schema.json").read_text()
    assert shipped == schema_text(json_schema()), "tunecli schema > configs/tunecli.schema.json"
