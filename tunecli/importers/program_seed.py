"""The option with which an imported program takes its seed, read from its source and never by running it.

A program that ignores the trial's seed gives each repetition the same score, or a score that cannot be reproduced.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tunecli.config.python_source import parsed

SEED = "{seed}"
_SEED_OPTION = re.compile(r"--(?:(?:random|manual|rng|global|train|training|base)[-_]?)?seed", re.IGNORECASE)
_SEED_NAME = re.compile(_SEED_OPTION.pattern.removeprefix("--"), re.IGNORECASE)
_DECLARES = {"add_argument", "option", "Option"}  # of argparse, click and typer
_MAX_BYTES = 1_000_000


def passes_seed(command: Sequence[object], parameters: Sequence[str]) -> bool:
    """Whether a command passes the trial's seed already, or a parameter has the place of it."""
    names = (name.rpartition(".")[2] for name in parameters)
    return any(SEED in str(word) for word in command) or any(map(_SEED_NAME.fullmatch, names))


def seed_argument(command: Sequence[object], folder: Path) -> tuple[str, str]:
    """Return the argument that passes a trial's seed to a command's program, and the program's file.

    Args:
        command: the words of the command.
        folder: the folder that relative names start from.

    Returns:
        For example ``("--seed={seed}", "train.py")``; empty texts: no program in Python declares such an option.
    """
    for word in command:
        if isinstance(word, str) and word.endswith(".py"):
            for option in _options(folder / word):
                return f"{option}={SEED}", word
    return "", ""


def _options(path: Path) -> Iterator[str]:
    """The options for a seed that a source file declares."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return
        tree = parsed(path)
    except (OSError, SyntaxError, ValueError):  # `tunecli check` names what is wrong with the program
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) in _DECLARES:
            for argument in node.args:
                text = argument.value if isinstance(argument, ast.Constant) else None
                if isinstance(text, str) and _SEED_OPTION.fullmatch(text):
                    yield text


def _called(function: ast.expr) -> str:
    """The last name of the function that is called; empty: it has none."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""
