"""Packages that replace another tool's in a trial (`trial.shim`). A script that imports such a tool runs unchanged.

Each shim has a folder that is put in front of Python's path for one trial. Its package uses the standard library only,
because the script of a command may run in an environment without tunecli.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Shim:
    """One shim.

    Attributes:
        name: the value of ``trial.shim``, and the name of the package that it replaces.
        folder: the folder for Python's path.
    """

    name: str
    folder: Path


SHIMS: Mapping[str, Shim] = MappingProxyType({"wandb": Shim("wandb", Path(__file__).parent / "wandb_path")})
"""Every shim by name."""
