"""The versions of the software that a result may depend on.

This program's own version names its sources too, since a number may stand for many states of them.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tunecli

_PACKAGES = ("torch", "numpy", "scikit-learn", "scikit-optimize", "scipy")


_SHOWN_DIGITS = 12


@cache
def tunecli_version() -> str:
    """This program's version and, behind a ``+``, the first digits of the SHA-256 of its sources."""
    folder, digest = Path(tunecli.__file__).parent, hashlib.sha256()
    paths = sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).parts)
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:  # gone meanwhile, or not to be read: then it is not run either
            continue
        name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
        digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return f"{tunecli.__version__}+{digest.hexdigest()[:_SHOWN_DIGITS]}" if paths else tunecli.__version__


@cache
def versions() -> Mapping[str, str]:
    """What a result may depend on: this program, Python and the packages that compute."""
    found = {"tunecli": tunecli_version(), "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def changed_versions(then: Mapping[str, str]) -> list[str]:
    """A line for each version that is not what it was ``then``."""
    return [
        f"note: {name} was {then[name]}, and is {now}"
        for name, now in versions().items()
        if then.get(name, now) != now
    ]
