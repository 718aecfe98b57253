from __future__ import annotations

import math
import struct
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.reader import MapNode, Node, ScalarNode, read
from tunecli.objective import Objective
from tunecli.results.export import concrete_document

ACCURACY = Objective("val_accuracy", maximize=True)
TAGS = {str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}
TRAPS = [
    *(
        "yes",
        "no",
        "on",
        "off",
        "y",
        "N",
        "true",
        "False",
        "null",
        "~",
        "",
        " ",
        "NULL",
        "<<",
        "=",
        "!x",
        "&a",
        "*a",
    ),
    *(
        "010",
        "0o17",
        "0x1f",
        "0b1",
        "1_000",
        "12:30",
        "1e-3",
        "1e3",
        "1.",
        ".5",
        "+1",
        "-0",
        ".inf",
        "-.Inf",
        ".nan",
    ),
    *(
        "2024-01-01",
        "2024-01-01 10:00:00",
        "a: b",
        "a #b",
        "- a",
        "{a}",
        "[a]",
        "'",
        '"',
        "a\nb",
        "\ta",
        "a ",
        "%",
        "@",
    ),
    *(
        "\ufeff",
        "\x85",
        "\u2028",
        "漢字",
        "👩‍🔬",
        "${env:TOKEN}",
        "1" * 65,
        "...",
        "---",
        "? a",
        "|",
        ">",
    ),
]


def document(trial: dict[str, Any], **more: Any) -> str:
    return concrete_document("digits", 7, ACCURACY, trial, 123, {"device": "auto"}, **more)


def plain(node: Node) -> Any:
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, MapNode):
        return {key: plain(item) for key, item in node.items.items()}
    return [plain(item) for item in node.items]


def by_yaml_1_2(text: str) -> Any:
    return plain(read(text.encode(), "best.yaml"))


def tag_by_yaml_1_1(text: str, key: str) -> str:
    """The type that PyYAML's resolver gives the value at ``trial.key``, without constructing it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    (trial,) = [value for name, value in root.value if name.value == "trial"]
    (node,) = [value for name, value in trial.value if name.value == key]
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def test_the_document_is_complete_and_readable() -> None:
    trial = {
        "data": {"source": "digits"},
        "model": {"name": "mlp", "hidden": [64, 32]},
        "optimizer": {"name": "adamw", "lr": 1e-5},
        "learning_rate": [{"name": "cosine", "to": 0.0}],
    }
    assert document(trial, number=17, score=0.1 + 0.2) == (
        "# study digits, trial 17, val_accuracy 0.30000000000000004\n"
        "study: digits\n"
        "seed: 7\n"
        "objective:\n"
        "  metric: val_accuracy\n"
        "  direction: maximize\n"
        "trial:\n"
        "  data:\n"
        "    source: digits\n"
        "  model:\n"
        "    name: mlp\n"
        "    hidden: [64, 32]\n"
        "  optimizer:\n"
        "    name: adamw\n"
        "    lr: 1.0e-05\n"
        "  learning_rate:\n"
        "  - name: cosine\n"
        "    to: 0.0\n"
        "  seed: 123\n"
        "run:\n"
        "  device: auto\n"
    )


def test_the_trials_own_seed_replaces_the_one_in_its_configuration() -> None:
    read_back = by_yaml_1_2(document({"seed": 5, "loss": None}))
    assert list(read_back["trial"].items()) == [("seed", 123), ("loss", None)]


def test_the_direction_minimize_is_written() -> None:
    text = concrete_document("a", 0, Objective("val_loss", maximize=False), {}, 0, {})
    assert by_yaml_1_2(text)["objective"] == {"metric": "val_loss", "direction": "minimize"}


def test_a_study_name_cannot_end_the_comment() -> None:
    text = concrete_document("x\nrun: {device: evil}\x1b[2J", 7, ACCURACY, {}, 1, {})
    assert text.splitlines()[0] == "# study x run: {device: evil}[2J"
    assert by_yaml_1_2(text)["run"] == {}


def test_a_shared_value_is_written_twice_and_not_as_an_alias() -> None:
    shared = [1, {"a": 2}]
    text = document({"a": shared, "b": shared})
    assert "&" not in text
    assert by_yaml_1_2(text)["trial"]["a"] == by_yaml_1_2(text)["trial"]["b"] == shared


def test_a_value_that_is_no_plain_data_is_refused() -> None:
    with pytest.raises(yaml.representer.RepresenterError):
        document({"a": object()})


PLACES = [(value, place) for value in TRAPS for place in ("value", "in a list", "key")]


# The reader refuses a merge key everywhere, even quoted, so no configuration has one.
@pytest.mark.parametrize(("value", "place"), [pair for pair in PLACES if pair != ("<<", "key")])
def test_a_string_that_looks_like_another_type_reads_back_as_a_string(value: str, place: str) -> None:
    values: dict[str, Any] = {"value": value, "in a list": [value], "key": {value: 1}}
    trial = {"v": values[place]}
    text = document(trial)
    assert by_yaml_1_2(text)["trial"] == {**trial, "seed": 123}
    if place == "value":
        assert tag_by_yaml_1_1(text, "v") == "str"


# The reader also refuses NUL, since neither a name nor a path can hold one.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | TEXTS


@given(SCALARS)
def test_every_scalar_reads_back_to_the_same_bits_and_type(value: Any) -> None:
    text = document({"v": value})
    read_back = by_yaml_1_2(text)["trial"]["v"]
    assert type(read_back) is type(value)
    if isinstance(value, float):
        assert struct.pack("d", read_back) == struct.pack("d", value)
    else:
        assert read_back == value
    assert tag_by_yaml_1_1(text, "v") == TAGS[type(value)]


def test_nan_reads_back_as_nan() -> None:
    assert math.isnan(by_yaml_1_2(document({"v": math.nan}))["trial"]["v"])


KEYS = TEXTS.filter(lambda key: key not in ("", "seed", "<<"))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_every_tree_reads_back_with_its_keys_in_order(trial: dict[str, Any]) -> None:
    assert repr(by_yaml_1_2(document(trial))["trial"]) == repr({**trial, "seed": 123})
