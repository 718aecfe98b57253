"""Begin with the best points of earlier studies, `search.start: {from: runs/other}`: they become start points.

The earlier studies are only read, once, when the new study begins. Its record holds the points, so `resume` needs no
other folder (record-is-the-state). Each point is trained again: a score that other code or data gave is never ranked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunecli.config.earlier_trials import with_other_option
from tunecli.config.feasibility import is_feasible
from tunecli.config.overrides import override
from tunecli.config.reader import MapNode, Mark, Node, read
from tunecli.config.start_points import completed_point, is_same_point
from tunecli.config.study import StartFrom, StudySpec
from tunecli.errors import ConfigError, Problem, TunecliError
from tunecli.results.ranking import rank
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.record.facts import facts_of, recorded_spec
from tunecli.trial import Parameters

_KEY = ("search", "start", "from")


def with_earlier_points(spec: StudySpec, file: str) -> StudySpec:
    """The study with the best points of the earlier studies that its `search.start` names; else the study itself.

    Args:
        spec: a loaded study.
        file: the name of its file, for error messages.

    Raises:
        ConfigError: an earlier study cannot be read, it has another objective, or none of its trials fits the space.
    """
    start = spec.settings.search.start
    if not isinstance(start, StartFrom) or not spec.space.parameters:
        return spec
    try:
        best = [_best_points(spec, name) for name in start.folders]
    except TunecliError as error:
        mark = _mark(spec, file)
        problem = Problem(error.message, mark.file, mark.line, mark.column, ".".join(_KEY), error.hint)
        raise ConfigError([problem]) from error
    # The best of all come first. Scores of several goals have no common order, so the studies take turns.
    in_order = sorted(
        ((key, point) for points_of_one in best for key, point in points_of_one), key=lambda pair: pair[0]
    )
    points: list[Parameters] = []
    for _, point in in_order:
        if not any(is_same_point(point, known) for known in points):
            points.append(point)
    return _starting_at(spec, points[: start.best])


def with_recorded_points(spec: StudySpec, facts: Mapping[str, Any]) -> StudySpec:
    """The study with the points that its record holds, if its `search.start` names earlier studies."""
    if not isinstance(spec.settings.search.start, StartFrom):
        return spec
    points = (completed_point(spec.space, point) for point in facts["start"])
    return _starting_at(spec, [p for p in points if p is not None and is_feasible(spec.space, p)])


def start_facts(spec: StudySpec) -> dict[str, Any]:
    """The facts for the record: the points that came from earlier studies; empty if there are none."""
    if not isinstance(spec.settings.search.start, StartFrom):
        return {}
    return {"start": [dict(point) for point in spec.space.start]}


def _starting_at(spec: StudySpec, points: Sequence[Parameters]) -> StudySpec:
    return replace(spec, space=replace(spec.space, start=tuple(points)))


class _UnfitError(TunecliError):
    """An earlier study has no point that the new study can begin with."""


def _best_points(spec: StudySpec, name: str) -> list[tuple[float, Parameters]]:
    """The points of a study that fit the space, each with its loss, or with its rank if there are several goals.

    Raises:
        TunecliError: the study cannot be read, or has no such points.
    """
    folder = RunFolder.open_existing(spec.base_path / name)
    with Log.open_to_read(folder.database_path) as log:
        earlier = recorded_spec(facts_of(log), folder)
        ranked = [entry for entry in rank(log.trials(), earlier.objective) if entry.rank is not None]
    theirs, ours = ([(goal.metric, goal.sign) for goal in study.objective.goals] for study in (earlier, spec))
    if theirs != ours:
        shown = " and ".join(f"{'maximize' if sign < 0 else 'minimize'} {metric}" for metric, sign in theirs)
        message = f"{folder.path} has another objective, {shown}, so its best points may not be the best here"
        raise _UnfitError(message, hint="write the points that you want to begin with: `start: [{…}]`")
    if not ranked:
        raise _UnfitError(f"no trial of {folder.path} is complete")
    points: list[tuple[float, Parameters]] = []
    for entry in ranked:
        point = completed_point(spec.space, entry.trial.parameters)
        loss = math.inf if entry.trial.outcome is None else (entry.trial.outcome.score or 0.0) * ours[0][1]
        if point is None or with_other_option(spec.space, point, entry.trial.parameters):
            continue
        if entry.is_feasible is not False and is_feasible(spec.space, point):
            points.append((float(entry.rank or 0) if len(ours) > 1 else loss, point))
    if not points:
        message = (
            f"none of the {len(ranked)} complete trials of {folder.path} fits this space and its constraints"
        )
        raise _UnfitError(message, hint="widen the ranges, or remove `start`")
    return points


def _mark(spec: StudySpec, file: str) -> Mark:
    """The place of the key in the file, or in an override."""
    node: Node = read(spec.text.encode(), file)
    for assignment in spec.overrides:
        node = override(node, assignment)
    return next(_marks(node, _KEY), node.mark)


def _marks(node: Node, path: Sequence[str]) -> Iterator[Mark]:
    if not path:
        yield node.mark
    elif isinstance(node, MapNode) and path[0] in node.items:
        yield from _marks(node.items[path[0]], path[1:])
