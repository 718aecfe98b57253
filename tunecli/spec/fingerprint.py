"""What the user's own code was when a study began: the SHA-256 of each source the file names, or that those import.

Imports are followed as far as they lie beside the file; what is installed is known by its version. Sources are read and
never run, so what is imported by a computed name is not seen; and neither is a script whose name the environment tells.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunecli.spec.code import command_words, module_files, uses
from tunecli.spec.command import is_script, program_path, script_place
from tunecli.spec.load import concrete_trials
from tunecli.spec.paths import is_file
from tunecli.spec.signature import parsed
from tunecli.spec.study import StudySpec

_Source = tuple[Path, Path]
"""A file, and the folder in which what it imports is looked for."""


def fingerprint(spec: StudySpec) -> dict[str, str]:
    """The SHA-256, in hexadecimal, of every file of the user's own code, by its path from the file's folder."""
    base_path = spec.base_path.resolve()
    waiting = [
        source
        for plain in concrete_trials(spec.space)
        for source in (
            *(
                (file, base_path)
                for use in uses(plain, spec.objective)
                for file in module_files(base_path, use.module)
            ),
            *_of_command(plain, base_path),
        )
    ]
    seen: set[_Source] = set()
    while waiting:
        source = waiting.pop()
        if source not in seen and source[0].is_relative_to(base_path):
            seen.add(source)
            waiting.extend(_imported(*source))
    files = sorted({file for file, _ in seen})
    return {file.relative_to(base_path).as_posix(): _sha256(file) for file in files}


def changes(recorded: Mapping[str, str], spec: StudySpec) -> list[str]:
    """What of the user's code is not what ``recorded`` says: each file's name, and what became of it."""
    now = fingerprint(spec)
    return [
        f"{name} {'is new' if name not in recorded else 'is gone' if name not in now else 'has changed'}"
        for name in sorted({*recorded, *now})
        if recorded.get(name) != now.get(name)
    ]


def changed_files(recorded: Mapping[str, str], base_path: Path) -> list[str]:
    """Which of a study's files are no more what they were, as far as this process would still read them.

    A module that is loaded runs as it was when it was, whatever became of its file.

    Args:
        recorded: what `fingerprint` gave.
        base_path: the folder that its names start from.
    """
    folder = base_path.resolve()
    loaded = {vars(module).get("__file__") for module in list(sys.modules.values()) if module is not None}
    return [
        name
        for name, sha256 in recorded.items()
        if str(folder / name) not in loaded and _sha256(folder / name) != sha256
    ]


def _of_command(plain: Any, base_path: Path) -> Iterator[_Source]:
    """The program where it lies beside the file, its script, and modules that it is told to run.

    Every other file of a command is data: it may well be what the program writes.
    """
    if not isinstance(plain, Mapping) or "command" not in plain:
        return
    words = command_words(plain)
    if len(words) < len(plain["command"]):
        return
    script = script_place(words)
    for place, word in enumerate(words):
        if place and words[place - 1] == "-m":
            yield from (
                (found, base_path) for found in module_files(base_path, [*word.split("."), "__main__"])
            )
            continue
        path = program_path(word, base_path) or word if place == 0 else word
        file = Path(os.path.normpath(base_path / path))
        if (place in (0, script) or is_script(word)) and is_file(file):
            yield file, file.parent  # what Python puts on the path of a script


def _imported(file: Path, root: Path) -> Iterator[_Source]:
    if file.suffix != ".py":
        return
    try:
        nodes = list(ast.walk(parsed(file)))
    except (OSError, SyntaxError):
        return
    for node in nodes:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from ((found, root) for found in module_files(root, alias.name.split(".")))
            case ast.ImportFrom(module=module, names=names, level=level) if level < len(file.parents):
                folder = file.parents[level - 1] if level else root
                for alias in names:
                    steps = [*(module.split(".") if module else ()), alias.name]
                    yield from ((found, root) for found in module_files(folder, steps))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # a program that may be run and not read
        return ""
