"""Edits by position leave the rest of a file as the user wrote it."""

import textwrap

import pytest

from tunecli.config.load import parse_study
from tunecli.config.range_edits import RangeEditor, UneditableError, commented
from tunecli.config.reader import MapNode, plain_of, read
from tunecli.config.text_edits import Edit, Source
from tunecli.errors import ConfigError

FILE = """\
# a study
study: demo
objective: {metric: loss, direction: minimize}
trial:
  python: own.py:train     # mine
  params:
    lr: {loguniform: [1e-5,  1e-1], default: 1e-3}   # the rate
    width:
      int: [16, 64]
      step: 16
    kind:
      choice:   # which
        - a
        # the second
        - b
        - {name: c, x: {uniform: [0, 1]}}
    flat: {choice: [one, two, three]}
    layers: {list: {of: {int: [1, 9]}, length: {int: [1, 3]}}}
    power: {power: {of: 2, int: [3, 8]}}
search: {trials: 10}
"""


@pytest.fixture
def editor(tmp_path):
    (tmp_path / "own.py").write_text("def train(**params):\n    return 0.0\n")
    return editor_of(FILE, tmp_path)


def editor_of(text, path):
    spec = parse_study(text.encode(), "demo.yaml", (), path)
    return RangeEditor(Source.of(text, "demo.yaml"), spec.space)


def changed_lines(old, new):
    return [line for line in new.splitlines() if line not in old.splitlines()]


def test_new_ends_keep_the_comment_and_the_spaces_of_the_line(editor):
    new = editor.source.edited([editor.ends("params.lr", 1e-4, 1e-1)])
    assert changed_lines(FILE, new) == ["    lr: {loguniform: [0.0001,  1e-1], default: 1e-3}   # the rate"]


def test_new_ends_lie_on_the_steps_of_the_range(editor):
    new = editor.source.edited([editor.ends("params.width", 10, 100)])
    assert changed_lines(FILE, new) == ["      int: [16, 96]"]
    new = editor.source.edited([editor.ends("params.width", 20, 33)])
    assert changed_lines(FILE, new) == ["      int: [16, 48]"]


def test_a_comment_goes_above_the_line_with_its_indentation(editor):
    new = editor.source.edited([commented(editor.ends("params.lr", 1e-4, 1e-1), "was wider", "since then")])
    assert "    # was wider\n    # since then\n    lr: {loguniform: [0.0001,  1e-1]" in new
    assert plain_of(read(new.encode(), "x"))["trial"]["params"]["lr"]["loguniform"] == [1e-4, 1e-1]


def test_a_long_comment_is_wrapped(editor):
    new = editor.source.edited([commented(editor.ends("params.lr", 1e-4, 1e-1), "word " * 60)])
    assert max(map(len, new.splitlines())) <= 115
    assert plain_of(read(new.encode(), "x"))["trial"]["params"]["width"] == {"int": [16, 64], "step": 16}


def test_the_value_of_a_block_range_replaces_all_of_its_keys(editor):
    new = editor.source.edited([editor.value("params.width", 32)])
    assert plain_of(read(new.encode(), "x"))["trial"]["params"]["width"] == 32
    assert "# which" in new


def test_an_option_of_a_flow_choice_replaces_the_choice(editor):
    new = editor.source.edited([editor.value("params.flat", "two")])
    assert changed_lines(FILE, new) == ["    flat: two"]
    new = editor.source.edited([editor.value("params.kind", "c")])
    assert plain_of(read(new.encode(), "x"))["trial"]["params"]["kind"] == {
        "name": "c",
        "x": {"uniform": [0, 1]},
    }


@pytest.mark.parametrize("kept", [(0, 1), (0, 2), (1, 2), (1,), (0,), (2,)])
def test_only_the_kept_options_stay(editor, kept):
    for key, name in (("params.flat", "flat"), ("params.kind", "kind")):
        new = editor.source.edited(editor.options(key, kept))
        options = plain_of(read(FILE.encode(), "x"))["trial"]["params"][name]["choice"]
        expected = [options[n] for n in kept]
        assert plain_of(read(new.encode(), "x"))["trial"]["params"][name]["choice"] == expected


def test_defaults_are_added_to_flow_and_block_ranges(editor, tmp_path):
    point = {
        "params.lr": 0.01,
        "params.width": 48,
        "params.kind": "c",
        "params.kind.x": 0.25,
        "params.flat": "three",
        "params.layers.length": 2,
        "params.layers.0": 4,
        "params.layers.1": 5,
        "params.power": 64,
    }
    new = editor.source.edited(list(editor.defaults(point)))
    params = plain_of(read(new.encode(), "x"))["trial"]["params"]
    assert params["lr"]["default"] == 0.01
    assert params["width"] == {"default": 48, "int": [16, 64], "step": 16}
    assert params["kind"]["default"] == "c"
    assert params["kind"]["choice"][2]["x"]["default"] == 0.25
    assert params["layers"]["default"] == [4, 5]
    assert params["power"]["default"] == 64
    assert "# default was 1e-3" in new
    from tunecli.config.space import default_point

    assert default_point(editor_of(new, tmp_path).space) == point


def test_an_edit_inside_of_a_removed_option_is_left_out(editor):
    inner = editor.ends("params.kind{c}.x", 0.5, 1)
    new = editor.source.edited([inner, *editor.options("params.kind", (0, 1))])
    assert plain_of(read(new.encode(), "x"))["trial"]["params"]["kind"]["choice"] == ["a", "b"]


def test_windows_line_ends_stay(tmp_path, editor):
    text = FILE.replace("\n", "\r\n")
    windows = editor_of(text, tmp_path)
    new = windows.source.edited([commented(windows.ends("params.width", 16, 96), "wider")])
    assert new.count("\n") == new.count("\r\n") == text.count("\n") + 1
    assert "      # wider\r\n      int: [16, 96]\r\n" in new


def test_a_range_behind_an_anchor_elsewhere_is_not_edited(tmp_path, editor):
    text = FILE.replace("[16, 64]", "[&low 16, 64]").replace("of: {int: [1, 9]}", "of: {int: [*low, 90]}")
    with pytest.raises(UneditableError, match="anchor"):
        editor_of(text, tmp_path).ends("params.layers.0", 20, 90)


def test_options_with_weights_are_not_dropped(tmp_path, editor):
    text = FILE.replace("[one, two, three]", "[one, two, three], weights: [1, 2, 3]")
    with pytest.raises(UneditableError, match="weights"):
        editor_of(text, tmp_path).options("params.flat", (0,))


def test_an_entry_is_added_to_a_flow_map_and_to_a_block_map():
    source = Source.of("a: {b: 1}\nc:\n  d: 2  # two\n", "x")
    assert isinstance(source.root, MapNode)
    edits = [source.entry(source.root.items["a"], "e", "3"), source.entry(source.root.items["c"], "f", "4")]
    assert source.edited(edits) == "a: {b: 1, e: 3}\nc:\n  f: 4\n  d: 2  # two\n"


def test_spans_of_unusual_text_are_found():
    text = textwrap.dedent("""\
        a: "x\\u2028y, ü"
        b: 'it''s'
        c: [ {d: 1 }, [ 2,
             3 ] ]
        """)
    source = Source.of("\ufeff" + text, "x")
    assert isinstance(source.root, MapNode)
    assert [source.slice(node) for node in source.root.items.values()] == [
        '"x\\u2028y, ü"',
        "'it''s'",
        "[ {d: 1 }, [ 2,\n     3 ] ]",
    ]


def test_a_text_that_is_no_yaml_is_refused():
    with pytest.raises(ConfigError):
        Source.of("a: [", "x")


def test_edits_apply_from_the_end():
    source = Source.of("a: 1\nb: 2\n", "x")
    assert source.edited([Edit(3, 4, "10"), Edit(8, 9, "20")]) == "a: 10\nb: 20\n"
