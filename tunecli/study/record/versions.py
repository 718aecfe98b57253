"""What a result may depend on beside the study's file, its data and the user's code: the versions of what computes."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import tunecli

_PACKAGES = ("torch", "numpy", "scikit-learn", "scikit-optimize", "scipy")


@cache
def versions() -> Mapping[str, str]:
    """What a result may depend on: this program, Python and the packages that compute."""
    found = {"tunecli": tunecli.__version__, "python": platform.python_version()}
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
