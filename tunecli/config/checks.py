"""Problems of a study that was parsed: invalid trials, ranges without a grid, settings that exclude each other.

The user's own code is read, and never run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunecli.config.concrete_trial import (
    concrete,
    has_more_points,
    locate,
    points_of,
    points_to_check,
)
from tunecli.config.enumeration import n_grid_points
from tunecli.config.error_messages import problems_of
from tunecli.config.expressions import (
    Broken,
    Derived,
    Group,
    n_expressions,
    walk,
)
from tunecli.config.metric_hints import unknown_metric
from tunecli.config.metric_names import facts_of_metric, metric_of
from tunecli.config.metrics import LEARNING_RATE, METRICS, THRESHOLD
from tunecli.config.paths import is_index
from tunecli.config.resolution import MAX_VALUES, DanglingReferenceError
from tunecli.config.schema import AnyTrial, TrialConfig, trial_model, trial_of
from tunecli.config.secrets import Place, names_in, redacted, references, resolved
from tunecli.config.space import Space
from tunecli.config.study import StudySettings
from tunecli.config.surroundings import surroundings_of
from tunecli.config.surroundings_checks import metrics_file_problems
from tunecli.config.user_code import METRIC, NO_SURROUNDINGS, CodeProblem, code_problems
from tunecli.errors import Problem
from tunecli.objective import Objective
from tunecli.registry.pruners import pruner_info
from tunecli.registry.samplers import SAMPLERS, SamplerInfo, sampler_info
from tunecli.trial import Scalar

DataProblems = Iterable[tuple[str, str, str]]
"""Problems that only the data shows: (path under ``trial``, message, hint)."""
Inspect = Callable[[TrialConfig, Objective, Path, int], DataProblems]
"""(config, objective, base path, the study's seed) → problems."""
InspectTrial = Callable[[TrialConfig, Objective, Path], DataProblems]
"""The same, for one seed."""
MAX_VISITED = 2_000_000
"""Largest number of values in all checked trials together; checking so many takes some seconds."""


def trial_problems(
    space: Space,
    settings_tree: Space,
    settings: StudySettings | None,
    base_path: Path,
    inspect: InspectTrial | None,
) -> Iterator[Problem]:
    """Problems of the trials of a space, each at its place in the file.

    Args:
        space: the space.
        settings_tree: the tree of the settings, for the places of their problems.
        settings: the settings; None: they have problems of their own.
        base_path: the folder that relative names start from.
        inspect: returns problems that only the data shows; None: neither data nor code are read.
    """
    objective = settings.objective.objective if settings else None
    surroundings = surroundings_of(settings.run) if settings else NO_SURROUNDINGS
    n_visited, n_each = 0, n_expressions(space.tree)
    has_broken_part = any(isinstance(part, Broken) for part in walk(space.tree))
    if has_more_points(space, MAX_VISITED // n_each):
        n_visited = MAX_VISITED - n_each  # the first point is checked alone; to check more is futile
    for point in points_to_check(space):
        n_visited += n_each
        if n_visited > MAX_VISITED:
            mark = space.tree.mark
            message = f"too many ranges and options to check: the limit is {MAX_VISITED:,} values in total"
            yield Problem(message, mark.file, mark.line, mark.column, "trial")
            return
        try:
            plain = concrete(space, point)
            n_visited += _n_values(plain)
        except DanglingReferenceError as error:
            n_visited += MAX_VALUES
            mark = error.reference.mark
            if has_broken_part and isinstance(error.reference, Derived):
                continue  # the formula may lack the part whose problem is reported already
            hint = _hint_of_inactive(space, point, error) or error.hint
            yield Problem(error.message, mark.file, mark.line, mark.column, hint=hint)
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
            code_findings: Iterable[CodeProblem] = unset or _of_data_alone(plain, base_path, inspect)
        else:
            code_findings = chain(
                code_problems(plain, objective, base_path, surroundings),
                _of_metrics_files(trial, settings, space),
                _inspected(trial, plain, objective, base_path, inspect),
            )
        for place, message, hint, is_key in code_findings:
            is_setting = place[0] == METRIC[0]
            tree, at = (settings_tree, {}) if is_setting else (space, point)
            _, expression = locate(tree, at, place)
            _, parent = locate(tree, at, place[:-1])
            mark = parent.marks[str(place[-1])] if is_key and isinstance(parent, Group) else expression.mark
            name = ".".join(map(str, place if is_setting else ("trial", *place)))
            yield Problem(message, mark.file, mark.line, mark.column, name, hint)


def _hint_of_inactive(space: Space, point: Mapping[str, Scalar], error: DanglingReferenceError) -> str:
    """How to write a formula with a parameter that only some trials have; empty if the mistake is another one."""
    if not isinstance(error.reference, Derived):
        return ""
    for name in error.reference.formula.names:
        if any(path in space.names and path not in point for path in (name, f"params.{name}")):
            return f"only some trials have `{name}`: write the formula into the option that contains it"
    return ""


def _of_metrics_files(trial: AnyTrial, settings: StudySettings | None, space: Space) -> Iterable[CodeProblem]:
    if settings is None:
        return ()
    return metrics_file_problems(trial, settings.run, is_search=bool(space.parameters))


def _unset(place: Place, name: str) -> CodeProblem:
    message = f"the environment variable `{name}` is not set"
    return CodeProblem(
        place, message, f"run `export {name}=…`, or write `$${{env:{name}}}` for the text itself"
    )


def grid_problems(space: Space) -> Iterator[Problem]:
    """The ranges that have no finite number of grid points."""
    for parameter in space.parameters:
        if n_grid_points(parameter.domain) is None:
            steps = [int(step) if is_index(step, MAX_VALUES) else step for step in parameter.name.split(".")]
            _, expression = locate(space, next(points_of(space, parameter)), steps)
            mark, hint = expression.mark, "add `grid: n` or `step:` to the range, or use another sampler"
            message = "the sampler `grid` needs a finite range, not a continuous one"
            yield Problem(message, mark.file, mark.line, mark.column, f"trial.{parameter.name}", hint)


def goal_problems(settings: StudySettings, settings_tree: Space) -> Iterator[Problem]:
    """Settings that do not work with several objectives, with constraints, or with earlier studies."""
    objective, search = settings.objective.objective, settings.search
    several, bounded = bool(objective.further_objectives), bool(objective.constraints)
    unsupported_settings: list[tuple[str, str, str]] = []
    if several and search.pruner != "none" and not pruner_info(search.pruner.name).handles_several_goals:
        message = f"a pruner needs one objective, and this study has {len(objective.goals)}"
        unsupported_settings.append(
            (
                "pruner",
                message,
                "remove `pruner`, or turn all objectives but one into constraints: `subject_to`",
            )
        )
    if several and search.stop is not None:
        message = f"`stop` needs one objective, and this study has {len(objective.goals)}"
        unsupported_settings.append(
            ("stop", message, "remove `stop`, or turn all objectives but one into constraints: `subject_to`")
        )
    info = sampler_info(search.sampler_name)
    if search.earlier and not info.reads_earlier:
        fitting = [f"`{sampler.name}`" for sampler in SAMPLERS.values() if sampler.reads_earlier]
        message = f"the sampler `{info.name}` does not learn from earlier studies"
        unsupported_settings.append(("from", message, f"remove `from`, or use {' or '.join(fitting)}"))
    elif search.earlier and several:
        message = f"`from` needs one objective, and this study has {len(objective.goals)}"
        unsupported_settings.append(
            ("from", message, "remove `from`, or turn all objectives but one into constraints: `subject_to`")
        )
    if (several and not info.handles_several_goals) or (bounded and not info.handles_constraints):
        unsupported = "several objectives" if several and not info.handles_several_goals else "constraints"
        fitting = [f"`{sampler.name}`" for sampler in SAMPLERS.values() if _learns_from_all(sampler)]
        unsupported_settings.append(
            ("sampler", f"`{info.name}` does not support {unsupported}", f"use {' or '.join(fitting)}")
        )
    for key, message, hint in unsupported_settings:
        _, at = locate(settings_tree, {}, ("search", key))
        yield Problem(message, at.mark.file, at.mark.line, at.mark.column, f"search.{key}", hint)
    if not several and (message := _unreachable_target(settings)):
        _, at = locate(settings_tree, {}, ("search", "stop", "target"))
        yield Problem(message, at.mark.file, at.mark.line, at.mark.column, "search.stop.target")


def column_problems(settings: StudySettings, settings_tree: Space) -> Iterator[Problem]:
    """Metrics of `run.results.metrics` that no trial of tunecli's own training records."""
    columns = settings.run.results.metrics
    objective = settings.objective.objective
    own = [goal.metric for goal in objective.goals if goal.python]
    known = [*METRICS, *own, LEARNING_RATE, THRESHOLD]
    for number, name in enumerate(columns if isinstance(columns, list) else ()):
        of_validation = re.sub(r"^test_", "val_", name).removesuffix("_std")
        if name not in known and of_validation not in own and metric_of(of_validation) is None:
            _, at = locate(settings_tree, {}, ("run", "results", "metrics", number))
            path = f"run.results.metrics.{number}"
            yield Problem(unknown_metric(name, known), at.mark.file, at.mark.line, at.mark.column, path)


def _unreachable_target(settings: StudySettings) -> str:
    """The message for a target beyond the best possible value of a built-in metric; empty: it can be reached."""
    stop, goal = settings.search.stop, settings.objective.objective
    facts = None if goal.python else facts_of_metric(goal.metric)
    if stop is None or stop.target is None or facts is None or facts.best is None:
        return ""
    if facts.maximize != goal.maximize or goal.sign * stop.target >= goal.sign * facts.best:
        return ""
    side = "above" if goal.maximize else "below"
    return f"no trial reaches {stop.target:g}, because {goal.metric} is never {side} {facts.best:g}"


def _learns_from_all(info: SamplerInfo) -> bool:
    """Whether a sampler learns from results with any kind of objective."""
    return info.reads_results and info.handles_constraints and info.handles_several_goals


def _n_values(plain: Any) -> int:
    match plain:
        case dict():
            return 1 + sum(map(_n_values, plain.values()))
        case list():
            return 1 + sum(map(_n_values, plain))
        case _:
            return 1


def _inspected(
    trial: AnyTrial, plain: Any, objective: Objective, base_path: Path, inspect: InspectTrial
) -> Iterator[CodeProblem]:
    if not isinstance(trial, TrialConfig):
        return
    names = names_in(plain)
    for path, message, hint in inspect(trial, objective, base_path):
        yield CodeProblem(_steps(path), redacted(message, names), redacted(hint, names))


def _steps(path: str) -> Place:
    """The steps of a path; the name of a bounded metric is one step, whatever characters it has."""
    above, is_bound, metric = path.partition("subject_to.")
    names = [*above.rstrip(".").split("."), "subject_to", metric] if is_bound else path.split(".")
    return tuple(int(step) if is_index(step, MAX_VALUES) else step for step in names)


def _of_data_alone(plain: Any, base_path: Path, inspect: InspectTrial) -> Iterator[CodeProblem]:
    """Problems of the data of a trial that has other problems, so that one run reports both."""
    if not isinstance(plain, dict) or trial_model(plain) is not TrialConfig:
        return
    try:
        trial = TrialConfig.model_validate(resolved({"data": plain.get("data")}))
    except ValidationError:
        return
    problems = _inspected(trial, plain, Objective("val_loss", False), base_path, inspect)
    yield from (problem for problem in problems if problem.place[0] == "data")
