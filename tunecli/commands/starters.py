"""The files that `tunecli init` can write to start from: a study's file, and example files that lie beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunecli.config.suggestions import nearest
from tunecli.errors import UsageError

_FOLDER = Path(__file__).parent / "starter_files"
_BESIDE: Mapping[str, Mapping[str, str]] = {
    "csv": {"rents.csv": "rents.csv"},
    "text": {"reviews.csv": "reviews.csv"},
    "own": {"own_training.py": "own_training.txt"},  # not a module of tunecli
    "command": {"own_program.py": "own_program.txt"},
}
"""By template, the names of its example files, each with the name that it has in the package."""

TEMPLATES = ("mlp", "cnn", "csv", "text", "own", "command")
"""The values of `--template`."""


@dataclass(frozen=True, slots=True)
class Starter:
    """A file to start from.

    Attributes:
        text: the study's file.
        beside: the files that it names, by name; they lie in the same folder.
    """

    text: str
    beside: Mapping[str, bytes] = field(default_factory=dict)


def starter(template: str | None = None) -> Starter:
    """The files of a template; None: the file that `init` writes without one.

    Raises:
        UsageError: there is no such template.
    """
    if template is not None and template not in TEMPLATES:
        hint = nearest(template, TEMPLATES) or f"use {', '.join(TEMPLATES)}"
        raise UsageError(f"--template: no template `{template}`", hint=hint)
    text = (_FOLDER / f"{template or 'study'}.yaml").read_text(encoding="utf-8")
    files = _BESIDE.get(template or "", {})
    return Starter(text, {name: (_FOLDER / stored).read_bytes() for name, stored in files.items()})
