"""The whole way from a file to a `StudySpec`, every problem gathered before anything is said.

Text → nodes → overrides → expressions → the space → concrete trials at every branch and every bound of every
range, each validated. What only the data can tell is asked of an `inspect` function that the caller brings,
so this room needs none of the training's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunecli.errors import ConfigError, Problem
from tunecli.spec.complaints import problems_of
from tunecli.spec.domains import Categorical, bounds
from tunecli.spec.expressions import Broken, Fixed, Group, Sequence, literal, walk
from tunecli.spec.grammar import parse
from tunecli.spec.knobs import TrialConfig
from tunecli.spec.overrides import TOP_LEVEL, override
from tunecli.spec.reader import MapNode, Node, read
from tunecli.spec.space import (
    DanglingReferenceError,
    Parameter,
    Space,
    branches_with_references,
    concrete,
    locate,
    point_with,
)
from tunecli.spec.study import STUDY_NAME, StudySettings, StudySpec
from tunecli.spec.wording import nearest
from tunecli.trial import Objective, Parameters, Scalar

Inspect = Callable[[TrialConfig, Objective, Path], Iterable[tuple[str, str, str]]]
"""(config, objective, base path) → what only the data can tell: (path under ``trial``, message, hint)."""


def load(path: Path, overrides: tuple[str, ...] = (), inspect: Inspect | None = None) -> StudySpec:
    """Read, override and check the file at ``path``.

    Raises:
        ConfigError: with every problem found.
        UsageError: an override is no ``path=value``.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        hint = "`tunecli init` writes one to start from"
        raise ConfigError([Problem("there is no such file", str(path), hint=hint)]) from None
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", str(path))]) from None
    return understand(data, str(path), overrides, path.parent, inspect)


def understand(
    data: bytes, file: str, overrides: tuple[str, ...], base_path: Path, inspect: Inspect | None = None
) -> StudySpec:
    """The same for a file's bytes; ``file`` is the name that problems bear.

    Raises:
        ConfigError: with every problem found.
        UsageError: an override is no ``path=value``.
    """
    root = read(data, file)
    problems: list[Problem] = []
    for assignment in overrides:
        try:
            root = override(root, assignment)
        except ConfigError as error:
            problems.extend(error.problems)
    if not isinstance(root, MapNode):
        raise ConfigError([Problem("a study is a map of keys", file, root.mark.line, root.mark.column)])
    problems.extend(_unknown_keys(root))
    settings, settings_tree = _settings(root, file, problems)
    space = _space(root, file, problems)
    if space is not None:
        objective = settings.objective.objective if settings else None
        problems.extend(_trial_problems(space, settings_tree, objective, base_path, inspect))
    if problems or settings is None or space is None:
        raise ConfigError(_in_order(problems, file))
    return StudySpec(settings, space, data.decode("utf-8-sig"), overrides, base_path)


def settled(space: Space, point: Parameters) -> TrialConfig:
    """The concrete trial at ``point`` of a space that was checked."""
    return TrialConfig.model_validate(concrete(space, point))


def _in_order(problems: list[Problem], file: str) -> list[Problem]:
    """By place, the file's own first; a range refused at both its ends is told once."""
    told: dict[tuple[str, int, int, str, str], Problem] = {}
    for problem in problems:
        gist = problem.message.partition("; this is ")[0]
        told.setdefault((problem.file, problem.line, problem.column, problem.parameter, gist), problem)
    return sorted(told.values(), key=lambda p: (p.file != file, p.file, p.line, p.column))


def _unknown_keys(root: MapNode) -> Iterator[Problem]:
    for key, mark in root.marks.items():
        if key not in TOP_LEVEL:
            inside_trial = "it belongs under `trial`" if key in TrialConfig.model_fields else ""
            hint = inside_trial or nearest(key, TOP_LEVEL) or f"known here: {', '.join(TOP_LEVEL)}"
            yield Problem(f"`{key}` is not known here", mark.file, mark.line, mark.column, key, hint)


def _settings(root: MapNode, file: str, problems: list[Problem]) -> tuple[StudySettings | None, Space]:
    own = MapNode(
        {k: v for k, v in root.items.items() if k in TOP_LEVEL and k != "trial"}, root.marks, root.mark
    )
    found: list[Problem] = []
    tree = parse(own, found.append)
    for part in walk(tree):
        if not isinstance(part, Fixed | Broken | Group | Sequence):
            mark = part.mark
            found.append(Problem("a range belongs under `trial`", mark.file, mark.line, mark.column))
    problems.extend(found)
    try:
        plain: dict[str, Any] = literal(tree)
    except ValueError:
        return None, Space(tree)
    stem = Path(file).stem
    if STUDY_NAME.fullmatch(stem):
        plain.setdefault("study", stem)
    try:
        return StudySettings.model_validate(plain), Space(tree)
    except ValidationError as error:
        problems.extend(problems_of(error, StudySettings, Space(tree), {}, ""))
        return None, Space(tree)


def _space(root: MapNode, file: str, problems: list[Problem]) -> Space | None:
    trial: Node | None = root.items.get("trial")
    if not isinstance(trial, MapNode):
        mark = root.mark if trial is None else trial.mark
        missing = "`trial` is missing" if trial is None else "`trial` is a map of keys"
        problems.append(Problem(missing, mark.file, mark.line, mark.column, "trial"))
        return None
    return Space(parse(trial, problems.append))


def _trial_problems(
    space: Space, settings_tree: Space, objective: Objective | None, base_path: Path, inspect: Inspect | None
) -> Iterator[Problem]:
    for point in points_to_check(space):
        try:
            plain = concrete(space, point)
        except DanglingReferenceError as error:
            mark = error.reference.mark
            yield Problem(error.message, mark.file, mark.line, mark.column)
            continue
        try:
            config = TrialConfig.model_validate(plain)
        except ValidationError as error:
            yield from problems_of(error, TrialConfig, space, point, "trial")
            continue
        if inspect is not None and objective is not None:
            for path, message, hint in inspect(config, objective, base_path):
                steps = [int(step) if step.isdigit() else step for step in path.split(".")]
                is_own = path.startswith("objective")
                _, found = locate(settings_tree, {}, steps) if is_own else locate(space, point, steps)
                name = path if is_own else f"trial.{path}"
                yield Problem(message, found.mark.file, found.mark.line, found.mark.column, name, hint)


def points_to_check(space: Space) -> Iterator[Parameters]:
    """Points at which every branch is taken and every range stands at each of its bounds, one at a time.

    Where a `ref` stands in a branch, that branch is taken together with every option of every other choice,
    since what the `ref` names may be there in some of them only.
    """
    yield point_with(space, {})
    for parameter in space.parameters:
        for value in bounds(parameter.domain):
            yield point_with(space, {**_parents(parameter), parameter.key: value})
    branches = [branch for branch in branches_with_references(space) if branch]
    for parameter in space.parameters:
        if isinstance(parameter.domain, Categorical):
            for branch in branches:
                for value in parameter.domain.options:
                    yield point_with(space, {**_parents(parameter), parameter.key: value, **branch})


def _parents(parameter: Parameter) -> dict[str, Scalar]:
    return {condition.key: condition.values[-1] for condition in parameter.conditions if condition.values}
