"""The versions of the software that a result may depend on.

The version of this program includes a hash of its sources, because they change between two version numbers.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunecli.registry.plugins import PlugIn

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


def versions(plug_ins: Iterable[PlugIn] = ()) -> Mapping[str, str]:
    """Return the versions of this program, Python, the packages that compute results, and the study's plug-ins.

    Args:
        plug_ins: the study's plug-ins; each adds the version of its distribution.
    """
    return {**_versions(), **{plug_in.distribution: plug_in.version for plug_in in plug_ins}}


@cache
def _versions() -> Mapping[str, str]:
    version_of = {"tunecli": tunecli_version(), "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            version_of[package] = version(package)
        except PackageNotFoundError:
            version_of[package] = "absent"
    return version_of


def changed_versions(then: Mapping[str, str], plug_ins: Iterable[PlugIn] = ()) -> list[str]:
    """Return a line for each version that differs from ``then``, including the versions of plug-ins."""
    return [
        f"note: {name} was {then[name]}, and is {now}"
        for name, now in versions(plug_ins).items()
        if then.get(name, now) != now
    ]


def absent_plug_ins(then: Mapping[str, str]) -> list[str]:
    """Return the recorded distributions that are not installed now, with their recorded versions."""
    known = _versions()
    return [f"{name} {then[name]}" for name in then if name not in known and not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
