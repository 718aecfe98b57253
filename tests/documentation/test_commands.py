"""Every command of the documentation has a verb, options and values that exist."""

import re

import click
import pytest
import typer

from tests.support.page_blocks import BLOCKS, PAGES, ROOT, SHELL, calls
from tunecli.cli import app

GROUP = typer.main.get_command(app)
CALLS = [
    pytest.param(words, id=f"{block} {' '.join(words)}")
    for block in BLOCKS
    if block.language in SHELL
    for words in calls(block.commands)
]
INLINE = re.compile(r"`tunecli ([a-z]{2,})([^`\n]*)`")


def verb_named(name: str) -> click.Command:
    verb = GROUP.get_command(click.Context(GROUP), name)
    assert verb is not None, f"no verb `{name}`"
    return verb


@pytest.mark.parametrize("words", CALLS)
def test_a_command_of_a_block_can_be_read(words):
    if words[0].startswith("-"):
        assert words[0] in {option for parameter in GROUP.params for option in parameter.opts} | {"--help"}
    else:
        verb_named(words[0]).make_context(words[0], words[1:])


def test_a_command_in_a_sentence_has_a_verb_and_options_that_exist():
    wrong = []
    for page in PAGES:
        for name, rest in INLINE.findall(page.read_text(encoding="utf-8")):
            verb = GROUP.get_command(click.Context(GROUP), name)
            known = {option for parameter in verb.params for option in parameter.opts} if verb else set()
            wrong += [
                f"{page.relative_to(ROOT)}: tunecli {name}{rest}: {option}"
                for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)
                if option not in known | {"--help"}
            ]
            wrong += [] if verb else [f"{page.relative_to(ROOT)}: tunecli {name}"]
    assert not wrong


def test_a_block_that_calls_tunecli_is_marked_as_one_for_a_shell():
    hidden = [str(block) for block in BLOCKS if block.language == "" and "tunecli " in block.text]
    assert not hidden
