"""What files of the user's own code hold, as a study's record has it: the SHA-256 of each. Knows no study."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path


def sha256_of(path: Path) -> str:
    """In hexadecimal; empty where the file cannot be read, as a program may be that can be run."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def changed_files(recorded: Mapping[str, str], base_path: Path) -> list[str]:
    """Which of a study's files are no more what they were, as far as this process would still read them.

    A module that is loaded runs as it was when it was, whatever became of its file.

    Args:
        recorded: by the file's name, its SHA-256 when the study began.
        base_path: the folder that the names start from.
    """
    folder = base_path.resolve()
    changed = [name for name, sha256 in recorded.items() if sha256_of(folder / name) != sha256]
    if not changed:  # as good as always, and every trial asks
        return []
    loaded = {vars(module).get("__file__") for module in list(sys.modules.values()) if module is not None}
    return [name for name in changed if str(folder / name) not in loaded]
