"""`{args}` writes each parameter so that a parser of the named kind gets its exact value."""

import argparse
import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunecli.config.argument_styles import Arguments, arguments_of
from tunecli.config.placeholders import PlaceholderError

PARAMS = {
    "opt": {"name": "sgd", "lr": 1e-05, "nested": {"on": True}},
    "weight-decay": 0.0,
    "tied": False,
    "hidden": [16, -8],
    "text": "-a 'b'\n",
    "nothing": None,
    "empty": {},
    "none_of": [],
}


def words(params=PARAMS, mentioned=(), **style) -> list[str]:
    return arguments_of(params, frozenset(mentioned), Arguments.model_validate(style))


def test_the_default_is_one_argument_a_parameter_with_json_values():
    assert words() == [
        "--opt.name=sgd",
        "--opt.lr=1e-05",
        "--opt.nested.on=true",
        "--weight-decay=0.0",
        "--tied=false",
        "--hidden=[16, -8]",
        "--text=-a 'b'\n",
        "--none_of=[]",
    ]


def test_underscores_join_the_levels_of_a_name():
    named = ["--opt_name=sgd", "--opt_lr=1e-05", "--opt_nested_on=true", "--weight-decay=0.0"]
    assert words(style="underscore")[:4] == named


def test_a_parameter_becomes_two_arguments_unless_its_value_looks_like_an_option():
    assert words(style="space")[:4] == ["--opt.name", "sgd", "--opt.lr", "1e-05"]
    assert words(style="space")[-3] == "--text=-a 'b'\n"
    assert words({"x": -1e-05, "y": [-1, 2]}, style="space", lists="comma") == ["--x=-1e-05", "--y=-1,2"]


def test_hydra_gets_overrides_in_its_own_grammar():
    assert words(style="hydra") == [
        "opt.name=sgd",
        "opt.lr=1e-05",
        "opt.nested.on=true",
        "weight-decay=0.0",
        "tied=false",
        "hidden=[16,-8]",
        "text='-a \\'b\\'\n'",
        "nothing=null",
        "none_of=[]",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("adam", "adam"),
        ("a.b/c-d", "a.b/c-d"),
        ("", "''"),
        ("1e3", "'1e3'"),
        ("10", "'10'"),
        ("True", "'True'"),
        ("NULL", "'NULL'"),
        ("nan", "'nan'"),
        ("a,b", "'a,b'"),
        ("a b", "'a b'"),
        ("a\\", "'a\\\\'"),
        ("\\'", "'\\\\\\''"),
        ("a\\b", "'a\\b'"),
        ("${x}", "'\\${x}'"),
    ],
)
def test_text_that_hydra_would_read_as_something_else_is_quoted(text, written):
    assert words({"x": text}, style="hydra") == [f"x={written}"]
    assert words({"x": [text, {"k": text}]}, style="hydra") == [f"x=[{written},{{k:{written}}}]"]


@pytest.mark.parametrize(
    ("booleans", "true", "false"),
    [
        ("true/false", ["--a.b=true"], ["--a.b=false"]),
        ("True/False", ["--a.b=True"], ["--a.b=False"]),
        ("flag", ["--a.b"], []),
        ("no-flag", ["--a.b"], ["--a.no-b"]),
    ],
)
@pytest.mark.parametrize("style", ["gnu", "space"])
def test_booleans_are_written_as_the_program_reads_them(booleans, true, false, style):
    for value, expected in ((True, true), (False, false)):
        written = words({"a": {"b": value}}, booleans=booleans, style=style)
        assert "=".join(written) == "=".join(expected)


def test_flags_and_short_options_get_their_dashes():
    assert words({"tied": False}, booleans="no-flag") == ["--no-tied"]
    assert words({"opt": {"tied": False}}, booleans="no-flag", style="underscore") == ["--no-opt_tied"]
    assert words({"-b": 3, "--long": 4}) == ["-b=3", "--long=4"]
    assert words({"x": 3}) == ["--x=3"]


@pytest.mark.parametrize(
    ("lists", "gnu", "space"),
    [
        ("json", ["--x=[1, 2]"], ["--x", "[1, 2]"]),
        ("comma", ["--x=1,2"], ["--x", "1,2"]),
        ("repeat", ["--x=1", "--x=2"], ["--x", "1", "--x", "2"]),
        ("space", ["--x", "1", "2"], ["--x", "1", "2"]),
    ],
)
def test_lists_are_written_as_the_program_reads_them(lists, gnu, space):
    assert words({"x": [1, 2]}, lists=lists) == gnu
    assert words({"x": [1, 2]}, lists=lists, style="space") == space


def test_an_item_that_contains_the_separator_is_refused_without_its_text():
    with pytest.raises(PlaceholderError) as caught:
        words({"x": ["a", "secret,b"]}, lists="comma")
    assert "an item of the list `x` contains a comma" in caught.value.message
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
    assert words({"x": ["a", "b,c"]}, lists="json") == ['--x=["a", "b,c"]']


@pytest.mark.parametrize(
    ("mentioned", "left_out"),
    [
        (["opt.lr"], {"opt.lr"}),
        (["opt"], {"opt.name", "opt.lr", "opt.nested.on"}),
        (["hidden.0"], {"hidden"}),
        (["hid", "op", "opt.lrs"], set()),
    ],
)
def test_a_parameter_that_another_argument_mentions_is_not_repeated(mentioned, left_out):
    names = {word.partition("=")[0].removeprefix("--") for word in words()}
    kept = {word.partition("=")[0].removeprefix("--") for word in words(mentioned=mentioned)}
    assert names - kept == left_out


@pytest.mark.parametrize("setting", [{"booleans": "flag"}, {"booleans": "no-flag"}, {"lists": "repeat"}])
def test_hydra_has_no_flags_and_one_form_of_lists(setting):
    with pytest.raises(ValidationError, match="does not work with `style: hydra`"):
        Arguments.model_validate({"style": "hydra", **setting})


PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@given(st.dictionaries(st.sampled_from("abcdef"), st.booleans() | st.floats(allow_nan=False) | st.integers()))
def test_a_program_that_compares_types_gets_the_same_type_and_bits(params):
    """As nanoGPT reads its arguments; a float never looks like a whole number."""
    for word in words(params, booleans="True/False"):
        name, text = word[2:].split("=")
        if "inf" not in text:
            value = ast.literal_eval(text)
            assert (type(value), value) == (type(params[name]), params[name])


@given(st.lists(PLAIN))
def test_a_list_reads_back_as_json_and_as_python(items):
    ((_, _, text),) = (word.partition("=") for word in words({"x": items}))
    assert json.loads(text) == items
    ((_, _, text),) = (word.partition("=") for word in words({"x": items}, booleans="True/False"))
    assert ast.literal_eval(text) == items


@given(st.text(), st.floats(allow_nan=False), st.lists(st.integers(min_value=0), min_size=1), st.booleans())
@pytest.mark.parametrize("style", ["gnu", "underscore", "space"])
@pytest.mark.parametrize("lists", ["space", "repeat"])
def test_argparse_gets_every_value(style, lists, text, number, items, flag):
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--text")
    parser.add_argument("--number", type=float)
    if lists == "space":
        parser.add_argument("--items", type=int, nargs="+")
    else:
        parser.add_argument("--items", type=int, action="append")
    parser.add_argument("--flag", action=argparse.BooleanOptionalAction)
    params = {"text": text, "number": number, "items": items, "flag": flag}
    assert vars(parser.parse_args(words(params, style=style, lists=lists, booleans="no-flag"))) == params
