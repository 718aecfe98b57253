"""The table that completion reads is that of the program."""

import typer

from tunecli.cli import app
from tunecli.cli.describe import table_text
from tunecli.completion.command_line import TABLE_PATH, read_table


def test_the_table_in_the_package_is_that_of_the_program():
    hint = "write it again: make reference"
    assert TABLE_PATH.read_text(encoding="utf-8") == table_text(), hint


def test_the_table_has_each_option_of_each_verb():
    verbs = read_table().verbs
    for name, command in typer.main.get_command(app).commands.items():
        options = {
            text
            for parameter in command.params
            if parameter.opts[0].startswith("-")
            for text in parameter.opts
        }
        assert options | {"--help", "-h"} == {text for slot in verbs[name].options for text in slot.names}
