"""Which command adds a missing package to the environment that runs this program.

The command names the packages themselves and never an extra of tunecli: the name `tunecli` on the public package index
belongs to another project.
"""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

_DISTRIBUTION = "tunecli"


def install_command(package: str, extra: str = "", environment: Path | None = None) -> str:
    """Return the command that installs a package, with the versions that this installation of tunecli asks for.

    Args:
        package: the name that pip knows; it alone is installed if ``extra`` is empty or unknown.
        extra: the extra of tunecli whose packages are installed.
        environment: the folder of the environment; None: that of this process.

    Returns:
        For example ``pip install 'optuna>=4' 'cmaes>=0.11'``.
    """
    wanted = requirements_of(extra) or (package,)
    return " ".join([_installer(environment or Path(sys.prefix)), *map(shlex.quote, wanted)])


def requirements_of(extra: str) -> tuple[str, ...]:
    """Return the requirements of an extra, by the metadata of the installed tunecli; empty: unknown."""
    try:
        lines = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:  # the code runs from a folder that no pip installed
        return ()
    parts = (line.partition(";") for line in lines)
    markers = {f"extra == {quote}{extra}{quote}" for quote in "'\""}
    return tuple(wanted.strip() for wanted, _, marker in parts if marker.strip() in markers)


def _installer(environment: Path) -> str:
    """The words before the packages: pip, or the tool that made the environment and gave it no pip."""
    if (environment / "pipx_metadata.json").is_file():
        return f"pipx inject {_DISTRIBUTION}"
    if (environment / "uv-receipt.toml").is_file():
        return f"uv pip install --python {shlex.quote(str(environment))}"
    try:
        is_made_by_uv = "\nuv = " in (environment / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        is_made_by_uv = False
    return "uv pip install" if is_made_by_uv else "pip install"
