"""Reads a configuration from a file, a dict or a YAML text, and checks it as `tunecli check` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from tunecli.api.code_names import code_name
from tunecli.api.plain_values import (
    CONFIG,
    Overrides,
    UnnamedCodeError,
    override_places,
    override_texts,
    plain_tree,
)
from tunecli.commands.check import completed, load_checked
from tunecli.config.load import parse_study
from tunecli.config.python_source import module_file
from tunecli.config.reader import MapNode, Node, ScalarNode, read
from tunecli.config.schema.sources import absolute, with_absolute_path
from tunecli.config.study import StudySpec
from tunecli.config.yaml_writer import yaml_text
from tunecli.errors import ConfigError, Problem, UsageError
from tunecli.store.folder import RunFolder
from tunecli.train.validation import trial_problems

Config = str | PathLike[str] | Mapping[str, Any]
"""A configuration: the path of a YAML file, a dict with the keys of such a file, or its text."""


def load(config: Config, *, overrides: Overrides = ()) -> StudySpec:
    """Read a configuration and check it, with its data. Nothing is trained.

    Args:
        config: the path of a YAML file; a dict; or YAML text. A `str` with a line end or with ``": "`` is text, any
            other `str` is a path. The relative paths in a file start from its folder; those in a dict or a text start
            from the current folder.
        overrides: settings that replace those of ``config``: a map of paths and values, or texts ``path=value``. A path
            that begins with no top-level key is one under ``trial``.

    Returns:
        The study that `search` runs.

    Raises:
        ConfigError: the configuration has problems; the error has all of them.
        UsageError: an override has no ``path=value`` form, or the file is a sweep of another tool.

    Examples:
        >>> trial = {"data": {"source": "iris"}, "model": {"name": "mlp"}}
        >>> spec = tunecli.load({"objective": {"metric": "val_accuracy"}, "trial": trial})
        >>> spec.settings.seed
        0
    """
    texts = override_texts(overrides)
    with override_places():
        return checked(config, texts)


def checked(config: Config, texts: tuple[str, ...]) -> StudySpec:
    """`load` with overrides as texts ``path=value``; a problem names the place of one ``--set PATH``.

    Raises:
        ConfigError, UsageError: as `load`.
    """
    match config:
        case str() if "\n" in config or ": " in config:
            return _parsed(config.encode("utf-8", "surrogateescape"), texts)
        case str() | PathLike():
            return load_checked(Path(config), texts)
        case Mapping():
            text = yaml_text(_tree(config))
            try:
                return _parsed(text.encode(), texts)
            except ConfigError as error:
                raise ConfigError(_by_path(text, error.problems)) from None
        case _:
            raise UsageError(
                f"a configuration is a path, a dict or YAML text, not {type(config).__qualname__}",
                hint='tunecli.load("study.yaml")',
            )


def run_paths(runs: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[str]:
    """The absolute paths of run folders, each given by its path or by the study's name under ``runs/``.

    Raises:
        UsageError: there is no such study.
    """
    several = [runs] if isinstance(runs, str | PathLike) else runs
    return [str(RunFolder.find(fspath(run)).path.resolve()) for run in several]


def _parsed(data: bytes, overrides: tuple[str, ...]) -> StudySpec:
    spec = parse_study(data, CONFIG, overrides, Path.cwd(), trial_problems)
    return completed(spec, CONFIG)


def _tree(config: Mapping[str, Any]) -> dict[str, Any]:
    """The plain tree of a dict. If it holds functions of another folder, that one becomes ``run.folder``."""
    folders: dict[Path, str] = {}

    def named(code: Any) -> str:
        text, folder = code_name(code)
        if folder is not None:
            folders.setdefault(folder, text)
        if len(folders) > 1:
            (one, first), (other, last), *_ = folders.items()
            raise UnnamedCodeError(
                f"`{first}` is in {one} and `{last}` is in {other}",
                "keep the code of one study in one folder",
            )
        return text

    tree: dict[str, Any] = plain_tree(config, named)
    run = tree.get("run") or {}
    if not folders or not isinstance(run, dict):
        return tree
    (folder, text), *_ = folders.items()
    if "folder" in run:
        steps = tuple(text.partition(":")[0].split("."))
        there, own = (module_file(place, steps) for place in (Path(str(run["folder"])), folder))
        if there is None or (own is not None and not there.samefile(own)):
            problem = Problem(f"`{text}` is in {folder}", CONFIG, parameter="run.folder", hint="leave it out")
            raise ConfigError([problem])
        return tree
    if folder == Path.cwd().resolve():
        return tree
    return {**_with_absolute_paths(tree), "run": {**run, "folder": str(folder)}}


def _with_absolute_paths(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with absolute paths of data: `run.folder` would move the relative ones to another folder."""

    def moved(value: Any, key: str) -> Any:
        match value:
            case dict() if key == "source" and "name" in value:
                return with_absolute_path(value, Path.cwd())
            case dict():
                return {own: moved(item, key if own == "choice" else own) for own, item in value.items()}
            case list():
                return [moved(item, key) for item in value]
            case str() if key == "source":
                return with_absolute_path(value, Path.cwd())
            case str() if key == "file":
                return absolute(value, Path.cwd())
        return value

    trial = tree.get("trial")
    if not isinstance(trial, dict) or "data" not in trial:
        return tree
    return {**tree, "trial": {**trial, "data": moved(trial["data"], "data")}}


def _by_path(text: str, problems: tuple[Problem, ...]) -> list[Problem]:
    """The problems of a dict: each has the path of its key, in place of a line of a file that does not exist."""
    root = read(text.encode(), CONFIG)
    return [
        replace(one, line=0, column=0, parameter=one.parameter or _path_at(root, one.line, one.column))
        if one.file == CONFIG
        else one
        for one in problems
    ]


def _path_at(root: Node, line: int, column: int) -> str:
    """The path of the key or value at a place of the text; empty if there is none."""
    waiting: list[tuple[tuple[str, ...], Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if path and (node.mark.line, node.mark.column) == (line, column):
            return ".".join(path)
        match node:
            case ScalarNode():
                continue
            case MapNode(items=items, marks=marks):
                for key, item in items.items():
                    if (marks[key].line, marks[key].column) == (line, column):
                        return ".".join((*path, key))
                    waiting.append(((*path, key), item))
            case _:
                waiting.extend(((*path, str(n)), item) for n, item in enumerate(node.items))
    return ""
