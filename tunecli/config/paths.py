"""What text from a file may mean as a place: an index into a list, or a name on disk. Never raises.

Text that could be neither (``²``, a name longer than the file system allows) is simply no place.
"""

from __future__ import annotations

from pathlib import Path


def is_index(step: str, length: int) -> bool:
    """Whether ``step`` of a path is the number of an item, from 0, in a list of ``length``."""
    is_number = step.isascii() and step.isdecimal()
    return is_number and len(step) <= len(str(length)) and int(step) < length


def is_file(path: Path) -> bool:
    """Whether a file lies at ``path``."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder lies at ``path``."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
