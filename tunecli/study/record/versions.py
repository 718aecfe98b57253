"""The versions of the software that a result may depend on: those of every machine, and those of a study's plug-ins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from tunecli.engine.versions import software_versions, tunecli_version

if TYPE_CHECKING:
    from tunecli.registry.plugins import PlugIn

__all__ = ["absent_plug_ins", "changed_versions", "tunecli_version", "versions"]


def versions(plug_ins: Iterable[PlugIn] = ()) -> Mapping[str, str]:
    """Return the versions of this program, Python, the packages that compute results, and the study's plug-ins.

    Args:
        plug_ins: the study's plug-ins; each adds the version of its distribution.
    """
    return {**software_versions(), **{plug_in.distribution: plug_in.version for plug_in in plug_ins}}


def changed_versions(then: Mapping[str, str], plug_ins: Iterable[PlugIn] = ()) -> list[str]:
    """Return a line for each version that differs from ``then``, including the versions of plug-ins."""
    return [
        f"note: {name} was {then[name]}, and is {now}"
        for name, now in versions(plug_ins).items()
        if then.get(name, now) != now
    ]


def absent_plug_ins(then: Mapping[str, str]) -> list[str]:
    """Return the recorded distributions that are not installed now, with their recorded versions."""
    known = software_versions()
    return [f"{name} {then[name]}" for name in then if name not in known and not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
