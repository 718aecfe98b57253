"""Take the trials of related studies into a new one, `search.from: [runs/a, runs/b]`, for the sampler to learn from.

The earlier studies are only read, once, when the new study begins. Its record holds the points and losses that were
taken, with a hash, so nothing depends on the other folders later (record-is-the-state). A taken trial is no trial of
the new study: it is never ranked, and its score is never shown.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunecli.config.earlier_trials import TrialValues, mapped_trial, values_of_trial
from tunecli.config.metrics import MEASURED
from tunecli.config.overrides import override
from tunecli.config.reader import MapNode, Mark, Node, SequenceNode, read
from tunecli.config.space import Space
from tunecli.config.study import StudySpec
from tunecli.errors import ConfigError, Problem, StoreDamaged, StoreTooNew, TunecliError
from tunecli.objective import Objective
from tunecli.search.bo.training_subset import best_and_spread
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.record.facts import facts_of, from_record, recorded_spec
from tunecli.trial import EarlierStudy, Parameters, State, Trial

MAX_TRIALS = 100
"""The most trials that are taken from one study: half of them the best, half spread over the ranks of the others."""
_KEY = ("search", "from")
_MOST_NAMES = 5


@dataclass(frozen=True)
class _Recorded:
    """An earlier study on record."""

    name: str
    points: list[dict[str, Any]]
    losses: list[float]
    unknown: list[str]
    n_complete: int
    n_fitting: int
    left_out: dict[str, int]
    basis: str
    sha256: str


class _UnfitError(TunecliError):
    """An earlier study has no trial that the new study can learn from."""


def with_earlier_studies(spec: StudySpec, file: str) -> StudySpec:
    """The study with the trials of the studies that its `search.from` names; else the study itself.

    Args:
        spec: a loaded study.
        file: the name of its file, for error messages.

    Raises:
        ConfigError: an earlier study cannot be found, its objective does not fit, or none of its trials fits the space.
        StoreDamaged, StoreTooNew: the database of an earlier study cannot be used.
    """
    folders = spec.settings.search.earlier_folders
    if not folders or not spec.space.parameters:
        return spec
    studies: list[EarlierStudy] = []
    paths: list[Path] = []
    problems: list[Problem] = []
    for number, name in enumerate(folders):
        path = spec.base_path / name
        try:
            if path.resolve() in paths:
                raise _UnfitError(f"{name} is named twice")
            studies.append(_taken(spec, name, path))
        except (StoreDamaged, StoreTooNew) as error:
            mark = _mark(spec, file, number)
            where = f"{mark.file}:{mark.line}:{mark.column}: {'.'.join(_KEY)}"
            hint = (
                f"restore a copy of {path}, or remove it from `from`"
                if isinstance(error, StoreDamaged)
                else error.hint
            )
            raise type(error)(f"{where}: {error.message}", hint=hint) from error
        except TunecliError as error:
            mark, problem = _mark(spec, file, number), _message_and_hint(error, path)
            problems.append(
                Problem(problem[0], mark.file, mark.line, mark.column, ".".join(_KEY), problem[1])
            )
        paths.append(path.resolve())
    if problems:
        raise ConfigError(problems)
    return replace(spec, space=replace(spec.space, earlier=tuple(studies)))


def with_recorded_studies(spec: StudySpec, facts: Mapping[str, Any], path: Path) -> StudySpec:
    """The study with the earlier trials that its record holds, if its `search.from` names studies.

    In a fork with another space, trials that do not fit it any more are left out.

    Args:
        spec: a loaded study.
        facts: the facts on record.
        path: the database that holds them.

    Raises:
        StoreDamaged: the recorded trials are not those that were taken.
    """
    if not spec.settings.search.earlier_folders:
        return spec
    studies = [_from_record(spec.space, record, path) for record in facts["earlier"]]
    return replace(spec, space=replace(spec.space, earlier=tuple(studies)))


def earlier_facts(spec: StudySpec) -> dict[str, Any]:
    """The facts for the record: the trials that were taken from earlier studies; empty if there are none."""
    if not spec.space.earlier:
        return {}
    records = [
        {
            **asdict(study),
            "points": [dict(point) for point in study.points],
            "sha256": _sha256(study.points, study.losses),
        }
        for study in spec.space.earlier
    ]
    return {"earlier": records}


def _taken(spec: StudySpec, name: str, path: Path) -> EarlierStudy:
    """The complete trials of the study in ``path`` that fit the space of ``spec``.

    Raises:
        TunecliError: the study cannot be read, or has no such trials.
    """
    folder = RunFolder.open_existing(path)
    with Log.open_to_read(folder.database_path) as log:
        earlier = recorded_spec(facts_of(log), folder)
        complete = [trial for trial in log.trials() if trial.state is State.COMPLETE]
    loss_by_number, basis = _losses(complete, earlier.objective, spec.objective, path)
    points: list[Parameters] = []
    losses: list[float] = []
    left_out = Counter[str]()
    unknown = {*spec.space.names}
    for trial in complete:
        if trial.number not in loss_by_number:
            continue
        mapped = mapped_trial(spec.space, values_of_trial(earlier.space, trial.parameters))
        if mapped.refused:
            left_out[mapped.refused] += 1
            continue
        points.append(mapped.point)
        losses.append(loss_by_number[trial.number])
        unknown -= {*mapped.point} - mapped.missing
    absent = spec.space.names if unknown == {*spec.space.names} else ()
    _require_information(points, losses, left_out, absent, len(complete), path)
    n_fitting, kept = len(points), _best_and_spread(losses)
    return EarlierStudy(
        name,
        tuple(points[index] for index in kept),
        tuple(losses[index] for index in kept),
        tuple(each for each in spec.space.names if each in unknown),
        len(complete),
        n_fitting,
        dict(left_out),
        basis,
    )


def _losses(
    complete: Sequence[Trial], earlier: Objective, own: Objective, path: Path
) -> tuple[dict[int, float], str]:
    """The finite loss of each complete trial by number, and its source, if it is not the study's own objective.

    Raises:
        _UnfitError: the order of the earlier trials says nothing on the objective of the study.
    """
    metrics = {trial.number: _metrics(trial, earlier) for trial in complete}
    goal = next((each for each in earlier.goals if each.metric == own.metric), None)
    if goal is not None and goal.sign != own.sign:
        here, there = _described(own.metric, own.sign), _described(goal.metric, goal.sign)
        raise _UnfitError(
            f"{path} has the opposite direction: its objective is {there}, and here it is {here}"
        )
    if goal is not None or (complete and all(own.metric in each for each in metrics.values())):
        basis = "" if goal is not None else f"its recorded {own.metric}"
        sign, name = own.sign, own.metric
    else:
        sign, name = earlier.sign, earlier.metric
        shown = _described(name, sign)
        if earlier.further_objectives or name in MEASURED or own.metric in MEASURED:
            raise _UnfitError(
                f"{path} has no values of {own.metric}: its objective is {shown}, which says nothing on it",
                hint="name a study with the same metric",
            )
        basis = f"its own objective, {shown}"
    losses = {number: sign * each[name] for number, each in metrics.items() if name in each}
    return {number: loss for number, loss in losses.items() if math.isfinite(loss)}, basis


def _metrics(trial: Trial, objective: Objective) -> dict[str, float]:
    if trial.outcome is None or trial.outcome.score is None:
        return {}
    return {**trial.outcome.metrics, objective.metric: trial.outcome.score}


def _described(metric: str, sign: float) -> str:
    return f"{'maximize' if sign < 0 else 'minimize'} {metric}"


def _require_information(
    points: Sequence[Parameters],
    losses: Sequence[float],
    left_out: Mapping[str, int],
    absent: Sequence[str],
    n_complete: int,
    path: Path,
) -> None:
    """Refuse a study from which a model learns nothing.

    Raises:
        _UnfitError: fewer than two trials fit; or all losses, or all points are equal.
    """
    n_scored, remove = len(points) + sum(left_out.values()), "remove the study from `from`"
    if n_scored < 2:
        scored = "" if n_scored == n_complete else " with a finite score"
        raise _UnfitError(
            f"{path} has {n_scored or 'no'} complete trial{'s' if not n_scored else ''}{scored}, and a model needs two",
            hint=remove,
        )
    if len(points) < 2:
        names = ", ".join(f"{name} in {count}" for name, count in left_out.items())
        raise _UnfitError(
            f"{'only 1' if points else 'none'} of the {n_complete} complete trials of {path} fits this space; left out "
            f"by values that this space does not have: {names}",
            hint=f"widen the ranges, or {remove}",
        )
    if absent:
        names = ", ".join(absent[:_MOST_NAMES]) + ", …" * (len(absent) > _MOST_NAMES)
        hint = f"give parameters the names that they have there, or {remove}"
        raise _UnfitError(f"the trials of {path} have no parameter of this space: {names}", hint=hint)
    if all(point == points[0] for point in points):
        raise _UnfitError(
            f"no parameter of this space differs between the trials of {path}, so a model learns nothing from them",
            hint=remove,
        )
    if len({*losses}) < 2:
        raise _UnfitError(
            f"all {len(points)} trials of {path} that fit this space have the same score, so a model learns nothing "
            "from them",
            hint=remove,
        )


def _best_and_spread(losses: Sequence[float]) -> list[int]:
    """The indices of at most ``MAX_TRIALS`` losses, ascending."""
    if len(losses) <= MAX_TRIALS:
        return list(range(len(losses)))
    ranked = sorted(range(len(losses)), key=lambda index: (losses[index], index))
    return sorted(best_and_spread(ranked, MAX_TRIALS))


def _from_record(space: Space, record: Any, path: Path) -> EarlierStudy:
    known = from_record(_Recorded, record, "earlier", path)
    if len(known.points) != len(known.losses) or known.sha256 != _sha256(known.points, known.losses):
        raise StoreDamaged(
            f"{path} is damaged: the trials of {known.name} are not those that the study took when it began",
            hint="restore a copy of the run folder",
        )
    mapped = [mapped_trial(space, TrialValues(point)) for point in known.points]
    fitting = [index for index, trial in enumerate(mapped) if not trial.refused]
    # A fork may have a parameter that the recorded points lack.
    missing = {name for index in fitting for name in mapped[index].missing}
    missing -= {name for index in fitting for name in {*mapped[index].point} - mapped[index].missing}
    return EarlierStudy(
        known.name,
        tuple(mapped[index].point for index in fitting),
        tuple(float(known.losses[index]) for index in fitting),
        tuple(name for name in space.names if name in missing or name in known.unknown),
        known.n_complete,
        known.n_fitting,
        known.left_out,
        known.basis,
    )


def _sha256(points: Sequence[Parameters], losses: Sequence[float]) -> str:
    """SHA-256, in hexadecimal, of points and losses in one spelling."""
    text = json.dumps([[dict(point) for point in points], [float(loss) for loss in losses]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _message_and_hint(error: TunecliError, path: Path) -> tuple[str, str]:
    if isinstance(error, ConfigError) and error.problems:
        first = error.problems[0]
        return f"this tunecli refuses the file of {path}: {first.message}", error.hint or first.hint
    return error.message, error.hint


def _mark(spec: StudySpec, file: str, number: int) -> Mark:
    """The place of one name in the file, or in an override."""
    node: Node = read(spec.text.encode(), file)
    for assignment in spec.overrides:
        node = override(node, assignment)
    for step in _KEY:
        if isinstance(node, MapNode) and step in node.items:
            node = node.items[step]
    return node.items[number].mark if isinstance(node, SequenceNode) else node.mark
