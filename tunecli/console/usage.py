"""The command line: help that is printed to any stream, and mistakes in a command as tunecli's own errors."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tunecli.console import Console
from tunecli.errors import TunecliError, UsageError

_VALUES = {
    "--metrics": "all",
    "--watch": "30",
    "--install-completion": "auto",
    "--show-completion": "auto",
}
"""The value of each option that may stand without one: at the end, or before another option."""


class Verb(TyperCommand):
    """A verb whose help is printed by the console."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_values(args))

    def get_help(self, ctx: Any) -> str:
        return _printed(super().get_help(ctx))


class Verbs(TyperGroup):
    """The program, whose help is printed by the console."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_values(args, until_verb=self.commands))

    def get_help(self, ctx: Any) -> str:
        return _printed(super().get_help(ctx))


def whole_number(least: int) -> Callable[[str], int]:
    """A parser for a whole number of at least ``least``."""

    def read(text: str | int) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"'{text}' is not a whole number") from None
        if number < least:
            raise typer.BadParameter(f"must be at least {least}; this is {number}")
        return number

    return read


def run_verb(app: typer.Typer, words: Sequence[str]) -> int:
    """Run a command.

    Returns:
        The exit code.

    Raises:
        UsageError: there is no such verb or option, or a value is missing or invalid.
        TunecliError: any error of the verb.
    """
    try:
        code = app(args=[*words], prog_name="tunecli", standalone_mode=False)
    except TunecliError:
        raise
    except typer.Abort:
        return 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # not an error of the command line
            raise
        raise _usage_error(error) from None
    return code if isinstance(code, int) else 0


def _with_values(words: Sequence[str], until_verb: Container[str] = ()) -> list[str]:
    """The words of a command, with a value after each option that has none.

    Args:
        words: the words.
        until_verb: the verbs, whose own options are left alone; empty: the words are those of one verb.
    """
    ends = (place for place, word in enumerate(words) if word == "--" or word in until_verb)
    options = words[: next(ends, len(words))]
    filled = []
    for place, word in enumerate(words):
        filled.append(word)
        following = words[place + 1 : place + 2]
        if place < len(options) and word in _VALUES and (not following or following[0].startswith("-")):
            filled.append(_VALUES[word])
    return filled


def _printed(text: str) -> str:
    Console().raw(f"{text}\n")
    raise typer.Exit


def _usage_error(error: Any) -> UsageError:
    parameter = getattr(error, "param", None)
    message = str(error.format_message()).rstrip(".")
    names = getattr(parameter, "opts", None)
    if type(error).__name__ == "BadParameter" and names:
        message = f"{names[-1]}: {error.message.rstrip('.')}"
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", None) or "tunecli"
    return UsageError(message, hint=f"{command} --help")
