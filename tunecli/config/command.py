"""A command as the file writes it: its placeholders, and the program that it names. Starts nothing.

A placeholder such as ``{optimizer.lr}`` becomes a value under ``params``. Numbers are written as JSON writes them: the
shortest text that reads back to the same bits in any language.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunecli.config.expressions import (
    Fixed,
    FixedList,
    Group,
    Reference,
    walk,
)
from tunecli.config.paths import is_index
from tunecli.config.space import Space
from tunecli.config.suggestions import nearest

TRIAL_NAMES = ("seed", "device", "number", "checkpoint_dir")
"""Names that an argument can contain besides paths under ``params``."""

_INTERPRETER = re.compile(
    r"(awk|bash|dash|deno|fish|gawk|julia|ksh|lua|node|octave|perl|php|pypy|python|Rscript|ruby|sh|tclsh|zsh)[\d.]*"
)

_SCRIPT = re.compile(r"\S*\.(awk|bash|[cm]?js|go|jl|lua|m|php|pl|py|r|rb|sh|tcl|ts|zsh)", re.IGNORECASE)
_CODE_FOLLOWS = re.compile(r"-[A-Za-z]*[cem]|--eval")
_PREFIX = "params."
_PIECE = re.compile(r"(\$\{env:[^{}]*\})|\{\{|\}\}|\{([^{}]*)\}|[{}]")


class PlaceholderError(LookupError):
    """An argument contains an unknown placeholder, or an unmatched brace."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def rendered(argument: str | int | float, params: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Replace the placeholders of one argument.

    Args:
        argument: the argument in the file. ``{path}`` is a value under ``params``, or else one of ``facts``; ``{{`` and
            ``}}`` are literal braces. An unresolved ``${env:NAME}`` is kept.
        params: the trial's parameters, nested as in the file.
        facts: the trial's seed, device and so on, by `TRIAL_NAMES`.

    Raises:
        PlaceholderError: a placeholder is unknown, or a brace is unmatched.
    """
    if not isinstance(argument, str):
        return json.dumps(argument)

    def value_of(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[2] is None:
            raise PlaceholderError(f"unmatched `{match[0]}`", f"write `{match[0] * 2}` for a literal brace")
        return _text(_look_up(match[2], params, facts))

    return _PIECE.sub(value_of, argument)


def placeholders(argument: str) -> Iterator[str]:
    """The paths in the placeholders of an argument."""
    for match in _PIECE.finditer(argument):
        if match[2] is not None:
            yield match[2].strip().rstrip("?")


def program_path(program: str, *folders: Path) -> str | None:
    """Path of a command's program: from PATH, or else from one of the folders; None if there is no such program.

    ``python`` is the interpreter of this process.
    """
    if program == "python":
        return sys.executable
    path = None if "/" in program else shutil.which(program)
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


def _look_up(path: str, params: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    value: Any = params
    for step in path.split("."):
        match value:
            case Mapping() if step in value:
                value = value[step]
            case list() if is_index(step, len(value)):
                value = value[int(step)]
            case _:
                if path in facts:
                    return facts[path]
                known = [*_paths(params), *facts]
                hint = (
                    nearest(path, known)
                    or f"known names: {', '.join(known)}; write `{{{{` for a literal brace"
                )
                if path in known:
                    nested = path.replace(".", ": {") + ": …" + "}" * path.count(".")
                    hint = f"a dot separates levels: nest the key, `{nested}`"
                raise PlaceholderError(f"`{{{path}}}` is no key under `params`", hint)
    return value


def _paths(params: Mapping[str, Any]) -> Iterator[str]:
    for key, value in params.items():
        inner = list(_paths(value)) if isinstance(value, Mapping) else []
        yield from (f"{key}.{path}" for path in inner) if inner else (key,)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def unused_parameters(space: Space) -> Iterator[str]:
    """Names under ``params`` of the parameters that no placeholder of any command in the space uses."""
    commands = list(_commands(space))
    if not commands:
        return
    paths = {path for texts in commands for text in texts for path in placeholders(text)}
    paths |= {part.path.removeprefix(_PREFIX) for part in walk(space.tree) if isinstance(part, Reference)}
    if any(isinstance(part, Group) and {"command", "shim"} <= part.items.keys() for part in walk(space.tree)):
        return  # the shim passes all parameters
    for name in space.names:
        if name.startswith(_PREFIX):
            path = name.removeprefix(_PREFIX)
            owner = path.removesuffix(".choice").removesuffix(".length")
            if not any(_is_on_one_line(owner, used) for used in paths):
                yield path


def _is_on_one_line(path: str, other: str) -> bool:
    """Whether one of two paths is a prefix of the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _commands(space: Space) -> Iterator[list[str]]:
    """The arguments of each command that a trial may run, texts only."""
    for part in walk(space.tree):
        if isinstance(part, Group) and "command" in part.items:
            for lists in walk(part.items["command"]):
                if isinstance(lists, FixedList):
                    yield [
                        part.value
                        for part in walk(lists)
                        if isinstance(part, Fixed) and isinstance(part.value, str)
                    ]
            return
