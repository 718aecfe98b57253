"""The whole way from a file to a `StudySpec`, every problem gathered before anything is said.

Text → nodes → overrides → expressions → the space → concrete trials at every branch and every bound of every
range, each validated. What only the data can tell is asked of an `inspect` function that the caller brings,
so this room needs none of the training's; with it comes what only the environment can tell, which a reader of a record
may do without. The user's own code is read, and never run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunecli.config.code import METRIC, CodeComplaint, code_complaints
from tunecli.config.domains import Categorical, bounds, n_grid_points
from tunecli.config.elsewhere import unknown_keys
from tunecli.config.error_messages import problems_of
from tunecli.config.expressions import (
    Broken,
    Choice,
    Expression,
    Fixed,
    Group,
    Listing,
    Sequence,
    literal,
    n_expressions,
    walk,
)
from tunecli.config.grammar import parse
from tunecli.config.objectives import OWN_TRIAL
from tunecli.config.overrides import TOP_LEVEL, override
from tunecli.config.paths import is_folder, is_index
from tunecli.config.reader import MAX_BYTES, MapNode, Node, ScalarNode, read
from tunecli.config.schema import AnyTrial, TrialConfig, trial_model, trial_of
from tunecli.config.secrets import Place, names_in, redacted, references, resolved
from tunecli.config.space import (
    MAX_VALUES,
    DanglingReferenceError,
    Parameter,
    Space,
    branches_with_references,
    concrete,
    locate,
    point_with,
)
from tunecli.config.study import STUDY_NAME, UNCOUNTED, StudySettings, StudySpec
from tunecli.errors import ConfigError, Problem
from tunecli.objective import Objective
from tunecli.trial import Parameters, Scalar

Inspect = Callable[[TrialConfig, Objective, Path], Iterable[tuple[str, str, str]]]
"""(config, objective, base path) → what only the data can tell: (path under ``trial``, message, hint)."""

MAX_VISITED = 2_000_000
"""How many values all the trials that are checked may hold: it takes some seconds."""


def load(path: Path, overrides: tuple[str, ...] = (), inspect: Inspect | None = None) -> StudySpec:
    """Read, override and check the file at ``path``.

    Raises:
        ConfigError: with every problem found.
        UsageError: an override is no ``path=value``.
    """
    return parse_study(bytes_of(path), str(path), overrides, path.parent, inspect)


def bytes_of(path: Path) -> bytes:
    """What the file at ``path`` holds, as far as it may be a study's.

    Raises:
        ConfigError: it is not there, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)  # not all of it: it may be a device, and endless
    except FileNotFoundError:
        hint = "`tunecli init` writes one to start from"
        raise ConfigError([Problem("there is no such file", str(path), hint=hint)]) from None
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", str(path))]) from None


def parse_study(
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
    problems.extend(unknown_keys(root, TOP_LEVEL))
    space = _space(root, file, problems)
    settings, settings_tree = _settings(root, file, space, problems)
    if settings is None:
        base_path = _folder_as_written(root) or base_path
    elif settings.run.folder is not None:
        base_path = Path(settings.run.folder)
        if inspect is not None and not is_folder(base_path):
            _, found = locate(settings_tree, {}, ("run", "folder"))
            mark = found.mark
            problems.append(
                Problem("there is no such folder", mark.file, mark.line, mark.column, "run.folder")
            )
    if space is not None:
        objective = settings.objective.objective if settings else None
        if settings is not None and settings.search.sampler == "grid":
            problems.extend(_endless(space))
        if settings is not None:
            problems.extend(_unfit_for_goals(settings, settings_tree))
        problems.extend(_trial_problems(space, settings_tree, objective, base_path, inspect))
    if problems or settings is None or space is None:
        raise ConfigError(_in_order(problems, file))
    return StudySpec(settings, space, data.decode("utf-8-sig"), overrides, base_path)


def _folder_as_written(root: MapNode) -> Path | None:
    """What ``run.folder`` says in a file whose settings have problems, for the data's to be told at the right place."""
    run = root.items.get("run")
    folder = run.items.get("folder") if isinstance(run, MapNode) else None
    match folder:
        case ScalarNode(value=str(name)) if name.startswith("/"):
            return Path(name)
        case _:
            return None


def resolve_trial(space: Space, point: Parameters) -> AnyTrial:
    """The concrete trial at ``point`` of a space that was checked, with what its environment holds.

    Raises:
        UsageError: a variable that it names is not set any more.
    """
    return trial_of(resolved(concrete(space, point)))


def concrete_trials(space: Space) -> Iterator[Any]:
    """The plain tree at each of `points_to_check`, where there is one."""
    for point in points_to_check(space):
        with suppress(DanglingReferenceError):
            yield concrete(space, point)


def trial_models(tree: Expression) -> set[type[AnyTrial]]:
    """Which kinds of trial a trial's tree may become."""
    if isinstance(tree, Choice):
        return {model for option in tree.options for model in trial_models(option)}
    return {trial_model(tree.items if isinstance(tree, Group) else None)}


def _in_order(problems: list[Problem], file: str) -> list[Problem]:
    """By place, the file's own first; a range refused at both its ends is told once."""
    told: dict[tuple[str, int, int, str, str], Problem] = {}
    for problem in problems:
        gist = problem.message.partition("; this is ")[0]
        told.setdefault((problem.file, problem.line, problem.column, problem.parameter, gist), problem)
    return sorted(told.values(), key=lambda p: (p.file != file, p.file, p.line, p.column))


def _settings(
    root: MapNode, file: str, space: Space | None, problems: list[Problem]
) -> tuple[StudySettings | None, Space]:
    own = MapNode(
        {k: v for k, v in root.items.items() if k in TOP_LEVEL and k != "trial"}, root.marks, root.mark
    )
    found: list[Problem] = []
    tree = _bounded(own, found)
    for part in walk(tree):
        if not isinstance(part, Fixed | Broken | Group | Sequence):
            mark = part.mark
            hint = "only what stands under `trial` is searched; write one value here"
            found.append(
                Problem("a range belongs under `trial`", mark.file, mark.line, mark.column, hint=hint)
            )
    problems.extend(found)
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
        is_uncounted = is_own or (space is not None and _counts_steps(space))
        context = {OWN_TRIAL: is_own, UNCOUNTED: is_uncounted}
        return StudySettings.model_validate(plain, context=context), Space(tree)
    except ValidationError as error:
        problems.extend(problems_of(error, StudySettings, Space(tree), {}, ""))
        return None, Space(tree)


def _counts_steps(space: Space) -> bool:
    """Whether a trial may be given by its optimizer steps; how many epochs they are only the data tell."""
    return any(isinstance(part, Group) and "steps" in part.items for part in walk(space.tree))


def _space(root: MapNode, file: str, problems: list[Problem]) -> Space | None:
    trial: Node | None = root.items.get("trial")
    if not isinstance(trial, MapNode):
        mark = root.mark if trial is None else trial.mark
        missing = "`trial` is missing" if trial is None else "`trial` is a map of keys"
        hint = "for example `trial: {data: {source: digits}}`"
        problems.append(Problem(missing, mark.file, mark.line, mark.column, "trial", hint))
        return None
    return Space(_bounded(trial, problems))


def _bounded(node: Node, problems: list[Problem]) -> Expression:
    """The node understood, unless its lists multiply to more than anyone writes."""
    tree = parse(node, problems.append)
    if n_expressions(tree) <= MAX_VALUES:
        return tree
    some = islice(walk(tree), MAX_VALUES)
    lists = (part for part in some if isinstance(part, Listing) and n_expressions(part) > MAX_VALUES)
    mark = next(lists, tree).mark
    message = f"more than {MAX_VALUES:,} values, lists counted at their greatest lengths"
    problems.append(Problem(message, mark.file, mark.line, mark.column))
    return Broken(node.mark)


def _trial_problems(
    space: Space, settings_tree: Space, objective: Objective | None, base_path: Path, inspect: Inspect | None
) -> Iterator[Problem]:
    n_visited, n_each = 0, n_expressions(space.tree)
    for point in points_to_check(space):
        n_visited += n_each
        if n_visited > MAX_VISITED:
            mark = space.tree.mark
            message = f"too many ranges and options to check: the limit is {MAX_VISITED:,} values in all"
            yield Problem(message, mark.file, mark.line, mark.column, "trial")
            return
        try:
            plain = concrete(space, point)
            n_visited += _n_values(plain)
        except DanglingReferenceError as error:
            n_visited += MAX_VALUES
            mark = error.reference.mark
            yield Problem(error.message, mark.file, mark.line, mark.column)
            continue
        named = list(references(plain)) if inspect is not None else []
        unset = [_unset(place, name) for place, name in named if name not in os.environ]
        trial: AnyTrial | None = None
        try:
            trial = trial_of(plain)
            if inspect is not None and not unset and (real := resolved(plain)) != plain:
                trial = trial_of(real)
        except ValidationError as error:
            for problem in problems_of(error, trial_model(plain), space, point, "trial"):
                names = [name for _, name in named]
                message, hint = redacted(problem.message, names), redacted(problem.hint, names)
                yield replace(problem, message=message, hint=hint)
            trial = None
        if inspect is None:
            continue
        if unset or trial is None or objective is None:
            told: Iterable[CodeComplaint] = unset or _of_data_alone(plain, base_path, inspect)
        else:
            told = _complaints(trial, plain, objective, base_path, inspect)
        for place, message, hint, is_key in told:
            is_setting = place[0] == METRIC[0]
            tree, at = (settings_tree, {}) if is_setting else (space, point)
            _, found = locate(tree, at, place)
            _, parent = locate(tree, at, place[:-1])
            mark = parent.marks[str(place[-1])] if is_key and isinstance(parent, Group) else found.mark
            name = ".".join(map(str, place if is_setting else ("trial", *place)))
            yield Problem(message, mark.file, mark.line, mark.column, name, hint)


def _unset(place: Place, name: str) -> CodeComplaint:
    message = f"the environment variable `{name}` is not set"
    return CodeComplaint(place, message, f"export {name}=…; `$${{env:{name}}}` is the text itself")


def _endless(space: Space) -> Iterator[Problem]:
    """The ranges of which a grid would take no end of points."""
    for parameter in space.parameters:
        if n_grid_points(parameter.domain) is None:
            steps = [int(step) if is_index(step, MAX_VALUES) else step for step in parameter.name.split(".")]
            _, found = locate(space, next(points_of(space, parameter)), steps)
            mark, hint = found.mark, "write `grid: n` or `step:` beside it, or take another sampler"
            message = "a grid cannot be made of a continuous range"
            yield Problem(message, mark.file, mark.line, mark.column, f"trial.{parameter.name}", hint)


def _unfit_for_goals(settings: StudySettings, settings_tree: Space) -> Iterator[Problem]:
    """The sampler, the pruner and the stop that know nothing of several goals, or of constraints."""
    objective, search = settings.objective.objective, settings.search
    several, bounded = bool(objective.further_objectives), bool(objective.constraints)
    found: list[tuple[str, str, str]] = []
    if several and search.pruner != "none":
        message = f"a pruner ends trials by one metric, and there are {len(objective.goals)} goals"
        found.append(
            ("pruner", message, "drop `pruner`, or make all goals but one constraints: `subject_to`")
        )
    if several and search.stop is not None:
        message = "of several goals no trial is the best, and so none is better than all before it"
        found.append(("stop", message, "drop `stop`, or make all goals but one constraints: `subject_to`"))
    if search.sampler_name == "cmaes" and (several or bounded):
        what = "several goals" if several else "constraints"
        found.append(("sampler", f"`cmaes` knows nothing of {what}", "take `bayes` or `tpe`"))
    for key, message, hint in found:
        _, at = locate(settings_tree, {}, ("search", key))
        yield Problem(message, at.mark.file, at.mark.line, at.mark.column, f"search.{key}", hint)


def _n_values(plain: Any) -> int:
    match plain:
        case dict():
            return 1 + sum(map(_n_values, plain.values()))
        case list():
            return 1 + sum(map(_n_values, plain))
        case _:
            return 1


def _complaints(
    trial: AnyTrial, plain: Any, objective: Objective, base_path: Path, inspect: Inspect
) -> Iterator[CodeComplaint]:
    yield from code_complaints(plain, objective, base_path)
    if isinstance(trial, TrialConfig):
        yield from _inspected(trial, plain, objective, base_path, inspect)


def _inspected(
    trial: TrialConfig, plain: Any, objective: Objective, base_path: Path, inspect: Inspect
) -> Iterator[CodeComplaint]:
    names = names_in(plain)
    for path, message, hint in inspect(trial, objective, base_path):
        steps = tuple(int(step) if is_index(step, MAX_VALUES) else step for step in path.split("."))
        yield CodeComplaint(steps, redacted(message, names), redacted(hint, names))


def _of_data_alone(plain: Any, base_path: Path, inspect: Inspect) -> Iterator[CodeComplaint]:
    """What is wrong with the data of a trial that has other problems, so that all are told at once."""
    if not isinstance(plain, dict) or trial_model(plain) is not TrialConfig:
        return
    try:
        trial = TrialConfig.model_validate(resolved({"data": plain.get("data")}))
    except ValidationError:
        return
    found = _inspected(trial, plain, Objective("val_loss", False), base_path, inspect)
    yield from (complaint for complaint in found if complaint.place[0] == "data")


def points_to_check(space: Space) -> Iterator[Parameters]:
    """Points at which every branch is taken and every range stands at each of its bounds, one at a time.

    Where a `ref` stands in a branch, that branch is taken together with every option of every other choice,
    since what the `ref` names may be there in some of them only.
    """
    yield point_with(space, {})
    for parameter in space.parameters:
        yield from points_of(space, parameter)
    branches = [branch for branch in branches_with_references(space) if branch]
    for parameter in space.parameters:
        if isinstance(parameter.domain, Categorical):
            for branch in branches:
                for value in parameter.domain.options:
                    yield point_with(space, {**parents_of(parameter), parameter.key: value, **branch})


def points_of(space: Space, parameter: Parameter) -> Iterator[Parameters]:
    """Points at which one parameter takes each of its options or bounds, and all else its default or middle."""
    for value in bounds(parameter.domain):
        yield point_with(space, {**parents_of(parameter), parameter.key: value})


def parents_of(parameter: Parameter) -> dict[str, Scalar]:
    """By key, options of the choices above a parameter under which it is there."""
    return {condition.key: condition.values[-1] for condition in parameter.conditions if condition.values}
