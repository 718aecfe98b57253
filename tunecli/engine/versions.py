"""The versions of the software on this machine that a result may depend on, and their comparison between machines.

The version of this program includes a hash of its sources, because they change between two version numbers.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("torch", "numpy", "scikit-learn", "scikit-optimize", "scipy")

_SHOWN_DIGITS = 12


@cache
def tunecli_version() -> str:
    """This program's version and, behind a ``+``, the first digits of the SHA-256 of its sources."""
    package = sys.modules["tunecli"]  # an import of the package would count as one of all its public names
    folder, digest = Path(str(package.__file__)).parent, hashlib.sha256()
    paths = sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).parts)
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:  # gone meanwhile, or not to be read: then it is not run either
            continue
        name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
        digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    number = str(package.__version__)
    return f"{number}+{digest.hexdigest()[:_SHOWN_DIGITS]}" if paths else number


@cache
def software_versions() -> Mapping[str, str]:
    """The versions of this program, of Python and of the packages that compute results, by name."""
    version_of = {"tunecli": tunecli_version(), "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            version_of[package] = version(package)
        except PackageNotFoundError:
            version_of[package] = "absent"
    return version_of


def unlike_versions(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Why a trial must not run with the versions ``there``: ``torch 2.12.0 in place of 2.13.0``; empty: it may.

    Other sources of this program may read a job differently. Another torch gives other bits, and another
    minor version of Python may. The build of torch does not count.
    """
    for name in ("tunecli", "torch", "python"):
        wanted, found = (_compared(name, versions.get(name, "")) for versions in (here, there))
        if wanted and wanted != found:
            return f"{name} {there.get(name, '') or 'absent'} in place of {here[name]}"
    return ""


def _compared(name: str, number: str) -> str:
    """The part of a version that must be the same on all machines."""
    if name == "python":
        return ".".join(number.split(".")[:2])
    return number.partition("+")[0] if name == "torch" else number
