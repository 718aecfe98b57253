"""Text from a file as a list index or as a path. Never raises.

Text that cannot be either (``²``, a name longer than the file system allows) is neither.
"""

from __future__ import annotations

from pathlib import Path


def is_index(step: str, length: int) -> bool:
    """Whether ``step`` of a path is an index, from 0, into a list of ``length``."""
    is_number = step.isascii() and step.isdecimal()
    return is_number and len(step) <= len(str(length)) and int(step) < length


def is_file(path: Path) -> bool:
    """Whether there is a file at ``path``."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder at ``path``."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
