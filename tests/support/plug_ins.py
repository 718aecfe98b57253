"""Distributions with entry points, written into a folder as pip would install them."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"
_BLOCK = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)


def documented_files() -> dict[str, str]:
    """The files of docs/extending.md by name; blocks of one name follow one another."""
    files: dict[str, str] = {}
    for name, text in _BLOCK.findall(EXTENDING.read_text()):
        files[name] = f"{files[name]}\n{text}" if name in files else text
    return files


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def install(
    site: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    entry_points: Mapping[str, Mapping[str, str]],
) -> None:
    """Write a distribution into a folder of the path.

    Args:
        site: the folder.
        name, version: of the distribution.
        files: its modules.
        entry_points: by group without ``tunecli.``, by name, ``module:attribute``.
    """
    write_files(site, files)
    groups = [
        "\n".join([f"[tunecli.{group}]", *(f"{key} = {value}" for key, value in points.items())])
        for group, points in entry_points.items()
    ]
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    write_files(
        site,
        {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/entry_points.txt": "\n".join(groups) + "\n",
        },
    )


def install_documented(site: Path, version: str = "1.0") -> None:
    """The package of docs/extending.md."""
    files = documented_files()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    points = {key.removeprefix("tunecli."): value for key, value in project["entry-points"].items()}
    modules = {name: text for name, text in files.items() if name.startswith("hill/")}
    install(site, project["name"], version, {"hill/__init__.py": "", **modules}, points)


def environment_with(site: Path) -> dict[str, str]:
    """The environment of a process that imports from a folder."""
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "300"}
