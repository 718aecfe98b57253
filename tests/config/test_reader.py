"""The YAML reader: the core schema of YAML 1.2, positions, and refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.reader import MapNode, ScalarNode, SequenceNode, read, scalar
from tunecli.errors import ConfigError


def problem(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text if isinstance(text, bytes) else text.encode(), "f")
    return str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("+.5", 0.5),
        ("1.", 1.0),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("-7", -7),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("2001-01-01", "2001-01-01"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("-", "-"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text, value):
    found = scalar(text)
    assert type(found) is type(value)
    assert found == value


def test_nan_is_a_float():
    assert scalar(".nan") != scalar(".nan")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_writes_reads_back_to_the_same_bits(value):
    assert scalar(repr(value)) == value


def test_quoted_scalars_are_text():
    root = read(b"a: '1'\nb: \"true\"\nc: |\n  2\n", "f")
    assert isinstance(root, MapNode)
    assert [node.value for node in root.items.values()] == ["1", "true", "2\n"]


def test_every_node_and_key_knows_its_line_and_column():
    root = read(b"a:\n  - 1\n  - {b: x}\n", "f.yaml")
    assert isinstance(root, MapNode)
    items = root.items["a"]
    assert isinstance(items, SequenceNode)
    inner = items.items[1]
    assert isinstance(inner, MapNode)
    assert (items.items[0].mark.line, items.items[0].mark.column) == (2, 5)
    assert (inner.marks["b"].line, inner.marks["b"].column) == (3, 6)
    assert inner.items["b"].mark.file == "f.yaml"


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", b"a: 1\nb: 2\n"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(text):
    root = read(text, "f")
    assert isinstance(root, MapNode)
    assert {key: node.value for key, node in root.items.items()} == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "f:1:1: the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: 1\na: 2\n", "f:2:1: duplicate key `a` (first on line 1)"),
        ("a: 1\n2: 3\n", "f:2:1: the key `2` must be a text"),
        ("{[a]: 1}", "the key must be a text"),
        ("a: &x 1\nb: {<<: 3}\n", "f:2:5: merge keys"),
        (
            "a: !!python/object:os.system x",
            "f:1:4: the tag `tag:yaml.org,2002:python/object:os.system` is not allowed",
        ),
        ("a: !!float 1", "is not allowed"),
        ("a: &x [*x]", "refers to itself"),
        ("a: *x", "an anchor that is not defined above"),
        ("a: [1, 2", "invalid YAML"),
        ("a:\n\t- 1", "indent with spaces"),
        ("a: 1\n---\nb: 2", "a second document starts here"),
        ("a: " + "9" * 65, "a number must have at most 64 characters"),
        ("[" * 50 + "]" * 50, "nested more than 40 levels deep"),
        (b"a: \xff", "f:1:4: the file is not UTF-8"),
        (b"a: \x07", "YAML does not allow this character"),
        (b"#" + b"x" * 1_000_001, "the limit is 1,000,000"),
    ],
)
def test_a_refused_file_has_place_and_reason(text, words):
    assert words in problem(text)


def test_all_problems_of_a_readable_text_come_at_once():
    with pytest.raises(ConfigError) as caught:
        read(b"a: 1\na: 2\n3: x\nb: !!int 3\n", "f")
    assert len(caught.value.problems) == 3


def test_an_alias_has_the_value_of_its_anchor():
    root = read(b"a: &x {b: 1}\nc: *x\n", "f")
    assert isinstance(root, MapNode)
    assert root.items["a"] is root.items["c"]


def test_multiplying_aliases_are_refused_early():
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 30)]
    assert "more than 10,000 values" in problem("\n".join(lines))


@given(st.text(max_size=200))
def test_no_text_ends_in_anything_but_a_node_or_a_config_error(text):
    try:
        node = read(text.encode("utf-8", "surrogatepass"), "f")
    except ConfigError as error:
        assert error.problems
        return
    assert isinstance(node, ScalarNode | SequenceNode | MapNode)
