"""Checks that a folder's name is text, so that a YAML file can hold it: Linux allows any bytes.

A module of its own, since a study is refused for it before it begins and an export when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunecli.errors import UsageError


def is_text(name: str) -> bool:
    """Whether a name that the operating system gave is valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_text(tree: Any, base_path: Path) -> None:
    """Make sure that every text of a plain tree can be written into a file.

    Args:
        tree: what an exported file would hold.
        base_path: the folder that its relative names start from, and the only source of names that are no text.

    Raises:
        UsageError: one cannot.
    """
    if not all(is_text(text) for text in _texts(tree)):
        raise UsageError(
            f"the name of the folder {str(base_path.resolve())!a} is not UTF-8, and an exported file must hold it",
            hint="rename the folder, or move the study's file and what it names into another",
        )


def _texts(tree: Any) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case Mapping():
            for item in tree.values():
                yield from _texts(item)
        case list() | tuple():
            for item in tree:
                yield from _texts(item)
