"""Syntax errors of YAML: both places, and a hint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.reader import read
from tunecli.errors import ConfigError

BROKEN = [
    ("study: 'a\nseed: 7\nrun: {}\n", "4:1", "the quote ' opened at 1:8 is never closed", "close it"),
    ('study: "a\nseed: 7\n', "3:1", 'the quote " opened at 1:8 is never closed', "close it"),
    (
        "a: [64, 64\nb: 1\n",
        "2:2",
        "the list opened by `[` at 1:4 needs `,` or `]` here",
        "close it with `]`",
    ),
    (
        "a:\n  b: {c: 1\nd: 2\n",
        "3:2",
        "the map opened by `{` at 2:6 needs `,` or `}` here",
        "close it with `}`",
    ),
    ("a: [1, 2}\n", "1:9", "the list opened by `[` at 1:4", "close it with `]`"),
    ("a: {b: [1, 2}\n", "1:13", "the list opened by `[` at 1:8", "close it with `]`"),
    (
        "command: [python, x.py, --lr={lr}]\n",
        "1:30",
        "opened by `[` at 1:10",
        'quote an argument that contains a brace: "--lr={lr}"',
    ),
    (
        "command: [x, {if: a, then: --x={x}}]\n",
        "1:32",
        "the map opened by `{` at 1:14",
        'quote an argument that contains a brace: "--x={x}"',
    ),
    (
        "command: [x, {then: x{a-b?}}]\n",
        "1:22",
        "the map opened by `{` at 1:14",
        'quote an argument that contains a brace: "x{a-b?}"',
    ),
    (
        "command: [x, --a {b.c}]\n",
        "1:18",
        "opened by `[` at 1:10",
        'quote an argument that contains a brace: "--a {b.c}"',
    ),
    (
        "command: [x, {lr}x, y]\n",
        "1:18",
        "opened by `[` at 1:10",
        'quote an argument that contains a brace: "{lr}x"',
    ),
    (
        "command: [x, {a}{b}]\n",
        "1:17",
        "opened by `[` at 1:10",
        'quote an argument that contains a brace: "{a}{b}"',
    ),
    (
        "a: {lr}=3\n",
        "1:8",
        "unexpected text after a closing brace",
        'quote an argument that contains a brace: "{lr}=3"',
    ),
    ("a: 'it's'\n", "1:8", "unexpected text after a closing quote", "write a quote twice"),
    ("a: b: c\n", "1:5", "unexpected `:`", "quote a text that contains `: `"),
    ("a 1\nb: 2\n", "2:2", "unexpected `:`", "the line above"),
    ("a: @x\n", "1:4", "a value cannot start with `@`", "quote the value"),
    ("a: %x\n", "1:4", "a value cannot start with `%`", "quote the value"),
    ("\ta: 1\n", "1:1", "a tab", "spaces"),
    (
        "a:\n  b: 1\n c: 2\n",
        "3:2",
        "not indented like the map that starts at 1:1",
        "by the same number of spaces",
    ),
    ("- a\nb: 1\n", "2:1", "not indented like the list of `-` items that starts at 1:1", ""),
    ('a: "\\q"\n', "1:5", "unknown escape after", "single quotes"),
    ("a: }\n", "1:4", "missing value before `}`", ""),
]


@pytest.mark.parametrize(("text", "place", "message", "hint"), BROKEN, ids=[repr(row[0]) for row in BROKEN])
def test_a_syntax_error_names_its_start_and_its_place(text, place, message, hint):
    with pytest.raises(ConfigError) as caught:
        read(text.encode(), "f")
    (problem,) = caught.value.problems
    assert f"{problem.line}:{problem.column}" == place
    assert problem.message.startswith("invalid YAML: ")
    assert message in problem.message
    assert hint in problem.hint


def test_places_are_those_of_the_surrounding_file():
    with pytest.raises(ConfigError) as caught:
        read(b"[1, 2", "f", line=7, column=11)
    (problem,) = caught.value.problems
    assert "at 7:11 " in problem.message


@given(st.text("a: [{]},'\"\n-\t=#&*%@!|>lr0", max_size=40))
def test_any_text_is_read_or_refused_in_plain_words(text):
    try:
        read(text.encode(), "f")
    except ConfigError as error:
        for problem in error.problems:
            assert "flow" not in problem.message
            assert "scalar" not in problem.message
            assert "token" not in problem.message
