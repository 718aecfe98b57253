"""A command as the file writes it: the words that a trial starts, and the program that it names. Starts nothing.

An argument is a text with placeholders, ``{args}``, or a map that chooses between arguments. The words are passed on
as they are, without a shell.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tunecli.config.argument_styles import arguments_of
from tunecli.config.placeholders import (
    PARAMETER_FILES,
    Condition,
    is_all_parameters,
    parse_condition,
    placeholders,
    rendered,
)
from tunecli.config.schema.user_code import Argument, CommandTrial, ConditionalArgument

COMPUTE_NAMES = ("threads", "device_index", "n_devices", "visible_devices")
TRIAL_NAMES = ("seed", "device", "number", "checkpoint_dir", *COMPUTE_NAMES, *PARAMETER_FILES)
"""Names that an argument can contain besides paths under ``params``."""

_INTERPRETER = re.compile(
    r"(awk|bash|dash|deno|fish|gawk|julia|ksh|lua|node|octave|perl|php|pypy|python|Rscript|ruby|sh|tclsh|zsh)[\d.]*"
)

_SCRIPT = re.compile(r"\S*\.(awk|bash|[cm]?js|go|jl|lua|m|php|pl|py|r|rb|sh|tcl|ts|zsh)", re.IGNORECASE)
_CODE_FOLLOWS = re.compile(r"-[A-Za-z]*[cem]|--eval")

Decide = Callable[[Condition], bool]
"""Whether a condition is met."""


class Word(NamedTuple):
    """One word of a command as it runs.

    Attributes:
        text: the word.
        item: index of the item of ``command`` that it comes from.
    """

    text: str
    item: int


def words_of(trial: CommandTrial, facts: Mapping[str, Any], decide: Decide | None = None) -> list[Word]:
    """The words that a trial starts its program with, the program first.

    Args:
        trial: a concrete trial.
        facts: its seed, device and so on, by `TRIAL_NAMES`.
        decide: decides the conditions; None: the trial's parameters and facts do.

    Raises:
        PlaceholderError: a placeholder is unknown, or a brace is unmatched.
    """
    items = range(len(trial.command))
    return [Word(text, item) for item in items for text in item_texts(trial, item, facts, decide)]


def item_texts(
    trial: CommandTrial, item: int, facts: Mapping[str, Any], decide: Decide | None = None
) -> list[str]:
    """The words that one item of a trial's ``command`` becomes.

    Raises:
        PlaceholderError: as for `words_of`.
    """
    argument = trial.command[item]
    texts: Sequence[Argument] = (argument,) if not isinstance(argument, ConditionalArgument) else ()
    if isinstance(argument, ConditionalArgument):
        condition = parse_condition(argument.if_)
        is_met = condition.is_met(trial.params, facts) if decide is None else decide(condition)
        texts = argument.texts(is_met=is_met)
    words: list[str] = []
    for text in texts:
        if is_all_parameters(text, trial.params):
            words += arguments_of(trial.params, mentioned_paths(trial), trial.args)
        elif (word := rendered(text, trial.params, facts, is_python=trial.args.is_python)) is not None:
            words.append(word)
    return words


def mentioned_paths(trial: CommandTrial) -> frozenset[str]:
    """The paths of the placeholders and conditions of a trial's command, those of both branches included."""
    paths: set[str] = set()
    for argument in trial.command:
        texts: Sequence[Argument] = (argument,) if not isinstance(argument, ConditionalArgument) else ()
        if isinstance(argument, ConditionalArgument):
            paths.add(parse_condition(argument.if_).path)
            texts = (*argument.texts(is_met=True), *argument.texts(is_met=False))
        paths |= {
            path.removesuffix("?") for text in texts if isinstance(text, str) for path in placeholders(text)
        }
    return frozenset(paths)


def program_path(program: str, *folders: Path, search_path: str | None = None) -> str | None:
    """Path of a command's program: from PATH, or else from one of the folders; None if there is no such program.

    Args:
        program: its name or path; ``python`` is the interpreter of this process.
        folders: the folders for a program that is not on PATH.
        search_path: the value of PATH; None: this process's.
    """
    if program == "python":
        return sys.executable
    path = None if "/" in program else shutil.which(program, path=search_path)
    paths = (shutil.which(str((folder / program).resolve())) for folder in folders)
    return path or next(filter(None, paths), None)


def is_script(word: str) -> bool:
    """Whether a word looks like the file name of a script."""
    return _SCRIPT.fullmatch(word) is not None


def script_place(words: Sequence[str]) -> int | None:
    """Index of the script among the words of a command that starts an interpreter: the first word that is no option.

    None if the program is no known interpreter, or receives its code as an argument or by module name.
    """
    if not _INTERPRETER.fullmatch(Path(words[0]).name):
        return None
    for place, word in enumerate(words[1:], start=1):
        if _CODE_FOLLOWS.fullmatch(word):
            return None
        if not word.startswith("-"):
            return place
    return None
