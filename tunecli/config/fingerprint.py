"""What the user's own code was when a study began: the SHA-256 of each source the file names, or that those import.

Imports are followed as far as they lie beside the file; what is installed is known by its version. Sources are read and
never run, so what is imported by a computed name is not seen; and neither is a script whose name the environment tells.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunecli.config.code import command_words, uses
from tunecli.config.command import is_script, program_path, script_place
from tunecli.config.hashing import sha256_of
from tunecli.config.imports import Source, followed, module_files
from tunecli.config.load import concrete_trials
from tunecli.config.paths import is_file
from tunecli.config.study import StudySpec


def fingerprint(spec: StudySpec) -> dict[str, str]:
    """The SHA-256, in hexadecimal, of every file of the user's own code, by its path from the file's folder."""
    base_path = spec.base_path.resolve()
    sources = [
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
    files = sorted({file for file, _ in followed(sources, base_path)})
    return {file.relative_to(base_path).as_posix(): sha256_of(file) for file in files}


def changes(recorded: Mapping[str, str], spec: StudySpec) -> list[str]:
    """What of the user's code is not what ``recorded`` says: each file's name, and what became of it."""
    now = fingerprint(spec)
    return [
        f"{name} {'is new' if name not in recorded else 'is gone' if name not in now else 'has changed'}"
        for name in sorted({*recorded, *now})
        if recorded.get(name) != now.get(name)
    ]


def _of_command(plain: Any, base_path: Path) -> Iterator[Source]:
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
