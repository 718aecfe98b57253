"""The placeholders of a command: each becomes exactly its value, to the last bit."""

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.command import program_path
from tunecli.config.placeholders import PlaceholderError, rendered

PARAMS = {
    "optimizer": {"lr": 0.1, "name": "sgd"},
    "hidden": [32, 64],
    "is_deep": True,
    "seed": 5,
    "none": None,
}
FACTS = {"seed": "11", "number": 3}


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--lr", "--lr"),
        ("{optimizer.lr}", "0.1"),
        ("--lr={optimizer.lr}:{optimizer.name}", "--lr=0.1:sgd"),
        ("{hidden}", "[32, 64]"),
        ("{hidden.1}", "64"),
        ("{is_deep}", "true"),
        ("{none}", "null"),
        ("{number}", "3"),
        ("{seed}", "5"),  # a parameter of that name goes first
        ('{{"lr": {optimizer.lr}}}', '{"lr": 0.1}'),
        ("{{}}", "{}"),
        ("{optimizer}", '{"lr": 0.1, "name": "sgd"}'),
        (3, "3"),
        (1e-05, "1e-05"),
        ("", ""),
    ],
)
def test_an_argument_is_rendered(argument, text):
    assert rendered(argument, PARAMS, FACTS) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_reads_back_to_itself(number):
    text = rendered("{x}", {"x": number}, {})
    assert type(number)(text) == number
    assert json.loads(text) == number
    assert rendered(number, {}, {}) == text


@given(st.text())
def test_text_is_rendered_unchanged(text):
    assert rendered("{x}", {"x": text}, {}) == text


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("{optimizer.rl}", "did you mean `optimizer.lr`?"),
        ("{hidden.2}", "`{hidden.2}` is no key under `params`"),
        ("{}", "known names: optimizer.lr, optimizer.name, hidden"),
        ("{optimizer.lr", "unmatched `{`"),
        ("a}", "write `}}` for a literal brace"),
    ],
)
def test_an_unknown_placeholder_is_refused(argument, words):
    with pytest.raises(PlaceholderError) as caught:
        rendered(argument, PARAMS, FACTS)
    assert words in f"{caught.value.message} ({caught.value.hint})"


def test_a_program_is_found_on_the_path_or_beside_the_file(tmp_path):
    script = tmp_path / "mine.sh"
    script.write_text("#!/bin/sh\n")
    assert program_path("mine.sh", tmp_path) is None
    script.chmod(0o755)
    assert program_path("mine.sh", tmp_path) == str(script)
    assert program_path("./mine.sh", tmp_path) == str(script)
    assert program_path(str(script), Path()) == str(script)
    assert program_path("python", tmp_path) == sys.executable
    found = program_path("sh", tmp_path)
    assert found is not None and os.access(found, os.X_OK)
    assert program_path("no-such-program", tmp_path) is None
    assert program_path(".", tmp_path) is None
