"""From a file to a `StudySpec`; every problem is collected before any is reported.

Text → nodes → overrides (``--set``) → expressions → the space → concrete trials at every branch and every bound of
every range, each validated. Problems that depend on the data come from an `inspect` function that the caller passes
in, so this package does not import training code.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunecli.config.checks import (
    Inspect,
    InspectTrial,
    column_problems,
    goal_problems,
    grid_problems,
    trial_problems,
)
from tunecli.config.concrete_trial import (
    locate,
    trial_models,
)
from tunecli.config.constraint_checks import constraints_of, emptiness_problems
from tunecli.config.constraints import Combination
from tunecli.config.earlier_defaults import DEFAULTS, UNRECORDED
from tunecli.config.error_messages import problems_of
from tunecli.config.expressions import (
    Broken,
    Choice,
    Expression,
    Fixed,
    FixedList,
    Group,
    VariableList,
    literal,
    n_expressions,
    walk,
)
from tunecli.config.feasibility import has_feasible_point
from tunecli.config.grammar import parse
from tunecli.config.hints import unknown_keys
from tunecli.config.mentions import argument_problems
from tunecli.config.objectives import OWN_TRIAL
from tunecli.config.overrides import TOP_LEVEL, override
from tunecli.config.paths import is_folder
from tunecli.config.priors.space_priors import with_priors
from tunecli.config.reader import MAX_BYTES, MapNode, Node, ScalarNode, read
from tunecli.config.refusals import refused_combinations
from tunecli.config.resolution import MAX_VALUES
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space
from tunecli.config.start_points import start_points
from tunecli.config.study import BY_DATA, STUDY_NAME, UNCOUNTED, StudySettings, StudySpec
from tunecli.config.surroundings import mentioned_in_env
from tunecli.config.surroundings_checks import surroundings_problems
from tunecli.errors import ConfigError, Problem, os_reason
from tunecli.registry.samplers import sampler_info


def load(path: Path, overrides: tuple[str, ...] = (), inspect: Inspect | None = None) -> StudySpec:
    """Read, override and check the file at ``path``.

    Raises:
        ConfigError: the file has problems; the error contains all of them.
        UsageError: an override is not ``path=value``.
    """
    return parse_study(bytes_of(path), str(path), overrides, path.parent, inspect)


def bytes_of(path: Path, if_missing: str = "`tunecli init` writes one to start from") -> bytes:
    """The content of the file at ``path``, up to one byte more than a study may have.

    Args:
        path: the file.
        if_missing: the hint of the error for a file that does not exist.

    Raises:
        ConfigError: the file does not exist, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)  # not all of it: it may be a device, and endless
    except FileNotFoundError:
        raise ConfigError([Problem("file not found", str(path), hint=if_missing)]) from None
    except OSError as error:
        raise ConfigError([Problem(f"cannot read the file: {os_reason(error)}", str(path))]) from None


def parse_study(
    data: bytes,
    file: str,
    overrides: tuple[str, ...],
    base_path: Path,
    inspect: Inspect | None = None,
    *,
    is_begun: bool = False,
    defaults: int = DEFAULTS,
) -> StudySpec:
    """The same for the bytes of a file; problems name it ``file``.

    In a study that ``is_begun``, parameters without effect are no problem, and ``defaults`` is the version of the
    defaults with which it began.

    Raises:
        ConfigError: the file has problems; the error contains all of them.
        UsageError: an override is not ``path=value``.
    """
    root = read(data, file)
    problems: list[Problem] = []
    for assignment in overrides:
        try:
            root = override(root, assignment)
        except ConfigError as error:
            problems.extend(error.problems)
    if not isinstance(root, MapNode):
        raise ConfigError([Problem("a study must be a map of keys", file, root.mark.line, root.mark.column)])
    problems.extend(unknown_keys(root, TOP_LEVEL))
    space = _space(root, file, defaults, problems)
    settings, settings_tree = _settings(root, file, space, problems)
    inspect_trial = None if inspect is None else _seeded(inspect, 0 if settings is None else settings.seed)
    if settings is None:
        base_path = _folder_as_written(root) or base_path
    elif settings.run.folder is not None:
        base_path = Path(settings.run.folder)
        if inspect is not None and not is_folder(base_path):
            _, expression = locate(settings_tree, {}, ("run", "folder"))
            mark = expression.mark
            problems.append(Problem("folder not found", mark.file, mark.line, mark.column, "run.folder"))
    if settings is not None and space is not None:
        problems.extend(
            surroundings_problems(settings.run, settings_tree, space, base_path, inspect is not None)
        )
    if space is not None and not any(isinstance(part, Broken) for part in walk(space.tree)):
        refused: tuple[Combination, ...] = ()
        if inspect_trial is not None and settings is not None:
            refused = refused_combinations(space, inspect_trial, settings.objective.objective, base_path)
        is_counted = inspect is not None and settings is not None
        space = _constrained(space, settings_tree, refused, problems, is_counted=is_counted)
    if space is not None:
        if settings is not None and sampler_info(settings.search.sampler_name).needs_grid:
            problems.extend(grid_problems(space))
        if settings is not None:
            problems.extend(goal_problems(settings, settings_tree))
        is_checked = inspect is not None and not is_begun  # a study that has begun keeps its columns
        if settings is not None and is_checked and trial_models(space.tree) == {TrialConfig}:
            problems.extend(column_problems(settings, settings_tree))
        problems.extend(trial_problems(space, settings_tree, settings, base_path, inspect_trial))
        if inspect is not None and not any(
            problem.parameter.startswith("trial.command") for problem in problems
        ):
            others = mentioned_in_env(settings.run) if settings else ()
            problems.extend(argument_problems(space, is_begun=is_begun, others=others))
    if problems or settings is None or space is None:
        raise ConfigError(_in_order(problems, file))
    if settings.search.priors == "auto" and sampler_info(settings.search.sampler_name).uses_priors:
        space = with_priors(space, base_path)
    return StudySpec(settings, space, data.decode("utf-8-sig"), overrides, base_path)


def _seeded(inspect: Inspect, study_seed: int) -> InspectTrial:
    """The same function for one seed, which determines the split of the data."""
    return lambda config, objective, base_path: inspect(config, objective, base_path, study_seed)


def _constrained(
    space: Space,
    settings_tree: Space,
    refused: tuple[Combination, ...],
    problems: list[Problem],
    *,
    is_counted: bool,
) -> Space:
    """The space with the constraints and the start points of the settings.

    Args:
        space: the space.
        settings_tree: the tree of the settings.
        refused: combinations of choices that tunecli refuses.
        problems: takes the problems of constraints and start points.
        is_counted: whether constraints that no point meets are looked for, which takes a fraction of a second.
    """
    constraints = constraints_of(space, settings_tree, problems.append)
    avoiding = replace(space, constraints=replace(constraints, refused=refused))
    # If tunecli refuses every point, the errors of the points say more than a list of combinations.
    is_avoiding = bool(refused) and has_feasible_point(avoiding)
    space = avoiding if is_avoiding else replace(space, constraints=constraints)
    space = replace(space, start=start_points(space, settings_tree, problems.append))
    if is_counted and space.constraints and not problems:
        problems.extend(emptiness_problems(space, settings_tree))
    return space


def problem_at(spec: StudySpec, path: tuple[str, ...], message: str, hint: str = "") -> Problem:
    """A problem of a setting of a parsed study that only the machine shows, at its place in the file."""
    root: Node = read(spec.text.encode(), spec.space.tree.mark.file)
    for assignment in spec.overrides:
        root = override(root, assignment)
    mark = root.mark
    for step in path:
        root = root.items[step] if isinstance(root, MapNode) and step in root.items else root
        mark = root.mark
    return Problem(message, mark.file, mark.line, mark.column, ".".join(path), hint)


def _folder_as_written(root: MapNode) -> Path | None:
    """``run.folder`` of a file whose settings have problems, so that the data is looked for in the right folder."""
    run = root.items.get("run")
    folder = run.items.get("folder") if isinstance(run, MapNode) else None
    match folder:
        case ScalarNode(value=str(name)) if name.startswith("/"):
            return Path(name)
        case _:
            return None


def _in_order(problems: list[Problem], file: str) -> list[Problem]:
    """Problems by place, those of the file first; a range that is invalid at both ends is reported once."""
    first_of_each: dict[tuple[str, int, int, str, str], Problem] = {}
    for problem in problems:
        gist = problem.message.partition(", not ")[0]
        first_of_each.setdefault(
            (problem.file, problem.line, problem.column, problem.parameter, gist), problem
        )
    return sorted(first_of_each.values(), key=lambda p: (p.file != file, p.file, p.line, p.column))


def _settings(
    root: MapNode, file: str, space: Space | None, problems: list[Problem]
) -> tuple[StudySettings | None, Space]:
    own = MapNode(
        {k: v for k, v in root.items.items() if k in TOP_LEVEL and k != "trial"}, root.marks, root.mark
    )
    range_problems: list[Problem] = []
    tree = _bounded(own, range_problems)
    for part in walk(tree):
        if not isinstance(part, Fixed | Broken | Group | FixedList):
            mark = part.mark
            hint = "write one value here"
            range_problems.append(
                Problem("a range is allowed only under `trial`", mark.file, mark.line, mark.column, hint=hint)
            )
    problems.extend(range_problems)
    if range_problems:
        tree = Broken(root.mark)  # the settings below a choice have no place
    if isinstance(tree, Broken):
        return None, Space(tree)
    try:
        plain: dict[str, Any] = literal(tree)
    except ValueError:
        return None, Space(tree)
    stem = Path(file).stem
    if STUDY_NAME.fullmatch(stem):
        plain.setdefault("study", stem)
    try:
        is_own = space is not None and trial_models(space.tree) != {TrialConfig}
        uncounted = "your own training" if is_own else _uncounted(space) if space is not None else ""
        context = {OWN_TRIAL: is_own, UNCOUNTED: uncounted}
        return StudySettings.model_validate(plain, context=context), Space(tree)
    except ValidationError as error:
        problems.extend(problems_of(error, StudySettings, Space(tree), {}, ""))
        return None, Space(tree)


def _uncounted(space: Space) -> str:
    """Why the file alone, or with its data, does not tell the number of epochs of a trial; empty if it does."""
    if any(isinstance(part, Group) and "steps" in part.items for part in walk(space.tree)):
        return "steps"
    if space.defaults == UNRECORDED or not isinstance(space.tree, Group):
        return ""
    data, training = space.tree.items.get("data"), space.tree.items.get("training")
    sources = [part.items.get("source") for part in walk(data) if isinstance(part, Group)] if data else []
    is_own = any(
        isinstance(part, Group) and "python" in part.items
        for source in sources
        if source is not None
        for part in walk(source)
    )
    return BY_DATA if is_own and _may_be_auto(training) else ""


def _may_be_auto(training: Expression | None) -> bool:
    """Whether a trial may have no number of epochs in the file."""
    match training:
        case Group(items=items):
            epochs = items.get("epochs")
            return epochs is None or any(
                isinstance(part, Fixed) and not isinstance(part.value, int) for part in walk(epochs)
            )
        case Choice(options=options):
            return any(map(_may_be_auto, options))
        case _:
            return True


def _space(root: MapNode, file: str, defaults: int, problems: list[Problem]) -> Space | None:
    trial: Node | None = root.items.get("trial")
    if not isinstance(trial, MapNode):
        mark = root.mark if trial is None else trial.mark
        message = "missing key `trial`" if trial is None else "`trial` must be a map of keys"
        hint = "for example `trial: {data: {source: digits}}`"
        problems.append(Problem(message, mark.file, mark.line, mark.column, "trial", hint))
        return None
    return Space(_bounded(trial, problems), defaults=defaults)


def _bounded(node: Node, problems: list[Problem]) -> Expression:
    """The parsed node, or a problem if its lists multiply to too many values."""
    tree = parse(node, problems.append)
    if n_expressions(tree) <= MAX_VALUES:
        return tree
    some = islice(walk(tree), MAX_VALUES)
    lists = (part for part in some if isinstance(part, VariableList) and n_expressions(part) > MAX_VALUES)
    mark = next(lists, tree).mark
    message = f"more than {MAX_VALUES:,} values, counting each list at its greatest length"
    problems.append(Problem(message, mark.file, mark.line, mark.column))
    return Broken(node.mark)
