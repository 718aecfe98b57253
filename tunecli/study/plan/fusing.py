"""Whether a study trains several trials as one model (*fusing*): how many, or why not. And the costs of its trials.

Fusing is decided when the study begins, from its file alone, since a fused trial's bits differ from those of a trial
trained alone. Loads no torch: `fusion_blockers` decides from a trial's settings whether it can share a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from tunecli.config.concrete_trial import (
    concrete_trials,
    parents_of,
    points_to_check,
    resolve_trial,
    trial_models,
)
from tunecli.config.domains import Categorical, bounds
from tunecli.config.feasibility import is_feasible
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space, point_with
from tunecli.config.study import StudySpec
from tunecli.config.user_code import code_hashes, uses
from tunecli.registry.pruners import is_pausing
from tunecli.registry.samplers import sampler_info
from tunecli.train.fused.signature import FusionBlocker, fusion_blockers
from tunecli.train.workload import Cost, cost
from tunecli.trial import Parameters

# Measured for the plain loop on one core: the fixed cost of a step, and arithmetic on small matrices.
_SECONDS_A_STEP = 2.5e-4
_MULTIPLY_ADDS_A_SECOND = 2.0e10


WIDTH = 16  # larger groups do not fit a core's caches: measured, 8 to 32 trials cost the same per trial
_MAX_WEIGHTS = 20_000  # with more, arithmetic on a CPU outweighs the saving
_MIN_GROUP = 4  # with fewer trials in a group, ``run.fuse: auto`` trains each trial alone


@dataclass(frozen=True, slots=True)
class Fusing:
    """How a study fuses trials.

    Attributes:
        width: the largest number of trials in a group; 0: each trial is trained alone.
        share: how many of the trials can be in a group.
        blockers: why the other trials are trained alone; empty if all trials can be in a group.
    """

    width: int
    share: Literal["all", "some", "none"]
    blockers: tuple[FusionBlocker, ...]


def fusing(spec: StudySpec, n_workers: int, n_trials: int) -> Fusing:
    """How a study fuses trials, and why it does not fuse the others.

    Args:
        spec: the study.
        n_workers: number of groups that run at a time.
        n_trials: the study's total.
    """
    width = fused_width(spec, n_workers)
    study_blockers = [*_study_blockers(spec, n_workers), *_number_blockers(spec, width, n_workers, n_trials)]
    if study_blockers:
        return Fusing(width, "none", tuple(study_blockers))
    trial_blockers = _blockers_of_trials(spec)
    share: Literal["all", "some", "none"] = "some" if any(trial_blockers) else "all"
    if all(trial_blockers):
        share = "none"
    elif not width:
        return Fusing(0, "none", (_size_blocker(spec),))
    most = max(1, -(-n_trials // n_workers))  # rounded up; as many groups are made as there are workers
    return Fusing(
        min(width, most),
        share,
        tuple(dict.fromkeys(blocker for blockers in trial_blockers for blocker in blockers)),
    )


def fused_width(spec: StudySpec, n_workers: int) -> int:
    """The largest number of trials in a group; 0: each trial is trained alone.

    ``run.fuse: auto`` fuses trials if several are suggested before the first of them ends, and if their models are so
    small that the overhead of a step costs more than its arithmetic.

    Args:
        spec: the study.
        n_workers: number of groups that run at a time.
    """
    if (
        not may_fuse(spec, n_workers)
        or next(_user_code_blockers(spec), None)
        or all(_blockers_of_trials(spec))
    ):
        return 0
    if spec.settings.run.fuse != "auto":
        return int(spec.settings.run.fuse)
    n_weights = _most_weights(spec)
    is_small = n_weights is not None and n_weights <= _MAX_WEIGHTS
    return min(WIDTH, _n_per_worker(spec, n_workers)) if is_small else 0


def may_fuse(spec: StudySpec, n_workers: int) -> bool:
    """Whether the settings allow fusing; the trials' models and sizes are not looked at."""
    return next(_settings_blockers(spec, n_workers), None) is None


def _study_blockers(spec: StudySpec, n_workers: int) -> Iterator[FusionBlocker]:
    yield from _settings_blockers(spec, n_workers)
    yield from _user_code_blockers(spec)


def _settings_blockers(spec: StudySpec, n_workers: int) -> Iterator[FusionBlocker]:
    """The settings that prevent fusing for all trials."""
    search, run = spec.settings.search, spec.settings.run
    if run.fuse == "off":
        yield FusionBlocker("run.fuse", "off", "each trial is trained alone")
        return
    if trial_models(spec.space.tree) != {TrialConfig}:
        yield FusionBlocker("trial", "", "it is trained by your own code")
        return
    if is_pausing(search.pruner):
        yield FusionBlocker("search.pruner", search.pruner.name, "trials pause and are continued")
    if search.repeats > 1:
        yield FusionBlocker("search.repeats", str(search.repeats), "each trial is trained over several seeds")
    if run.fuse != "auto":
        return
    if run.trial_limit.time is not None or run.trial_limit.idle is not None:
        yield FusionBlocker("run.trial_limit", "", "a trial with a time limit needs a worker of its own")
    if _n_per_worker(spec, n_workers) < _MIN_GROUP:
        yield _lookahead_blocker(spec, n_workers)


def _lookahead_blocker(spec: StudySpec, n_workers: int) -> FusionBlocker:
    search = spec.settings.search
    enough = f"`search.lookahead: {_MIN_GROUP * n_workers}` or more turns it on"
    if search.lookahead != "auto":
        why = f"too few trials are known before the first ends; {enough}"
        return FusionBlocker("search.lookahead", str(search.lookahead), why)
    why = f"each trial needs earlier results; {enough}"
    if sampler_info(search.sampler_name).reads_results:
        return FusionBlocker("search.sampler", search.sampler_name, why)
    return FusionBlocker("search.pruner", getattr(search.pruner, "name", str(search.pruner)), why)


def _user_code_blockers(spec: StudySpec) -> Iterator[FusionBlocker]:
    """The user's own code: if one trial of a study uses it, all its trials are trained alone."""
    used = next((use for plain in concrete_trials(spec.space) for use in uses(plain, spec.objective)), None)
    if used is not None and (spec.objective.python or code_hashes(spec)):
        place = ".".join(map(str, (*used.place, "python")))
        yield FusionBlocker(place, "", "trials that use your own code are trained alone")


def _number_blockers(spec: StudySpec, width: int, n_workers: int, n_trials: int) -> Iterator[FusionBlocker]:
    """The settings by which every group has a single trial. Such a trial still has the bits of a fused trial."""
    search, limit = spec.settings.search, spec.settings.run.trial_limit
    if not width:
        return
    if width == 1:
        yield FusionBlocker("run.fuse", "1", "each trial is a group of its own")
    if n_trials <= n_workers:
        why = "too few trials" if n_workers == 1 else f"each of {n_workers} workers gets at most one trial"
        yield FusionBlocker("search.trials", str(n_trials), why)
    if limit.time is not None or limit.idle is not None:
        yield FusionBlocker("run.trial_limit", "", "a trial with a time limit needs a worker of its own")
    if search.lookahead != "auto" and search.lookahead < 2 * n_workers:
        why = f"too few trials are known at a time; `search.lookahead: {width * n_workers}` fills the groups"
        yield FusionBlocker("search.lookahead", str(search.lookahead), why)


def _size_blocker(spec: StudySpec) -> FusionBlocker:
    n_weights = _most_weights(spec)
    how_many = "of an unknown size" if n_weights is None else f"of {n_weights:,} weights"
    why = f"above {_MAX_WEIGHTS:,} weights fusing saved no time when measured; `run.fuse: {WIDTH}` forces it"
    return FusionBlocker("model", how_many, why)


def _most_weights(spec: StudySpec) -> int | None:
    _, largest = cost_bounds(spec)
    return None if largest is None else largest.n_parameters


def _blockers_of_trials(spec: StudySpec) -> list[tuple[FusionBlocker, ...]]:
    """Why each representative trial is trained alone, by its settings; empty tuples for trials that can be fused."""
    trials = (resolve_trial(spec.space, point) for point in points_to_check(spec.space))
    return [fusion_blockers(trial) for trial in trials if isinstance(trial, TrialConfig)]


def _n_per_worker(spec: StudySpec, n_workers: int) -> int:
    """Number of trials that a worker can get before any of their results is needed."""
    search = spec.settings.search
    if search.lookahead != "auto":
        return search.lookahead // n_workers
    return WIDTH if reads_nothing(spec) else 1


def reads_nothing(spec: StudySpec) -> bool:
    """Whether no trial depends on the result of another, so that any number can begin at once."""
    search = spec.settings.search
    return not sampler_info(search.sampler_name).reads_results and search.pruner == "none"


def cost_bounds(spec: StudySpec) -> tuple[Cost, Cost] | tuple[None, None]:
    """Cost of the cheapest and of the most expensive trial.

    If a trial has a model of the user's own, only the numbers of steps are known. Both costs are None if a trial is
    trained by the user's own code.
    """
    costs = []
    corners = (point for point in _corners(spec.space) if is_feasible(spec.space, point))
    for point in (*points_to_check(spec.space), *corners):
        try:
            trial = resolve_trial(spec.space, point)
        except (DanglingReferenceError, ValidationError):
            continue  # no check has seen this corner; such a trial fails before it costs anything
        workload = cost(trial, spec.base_path, spec.settings.seed) if isinstance(trial, TrialConfig) else None
        if workload is None:
            return None, None
        costs.append(workload)
    if any(workload.n_multiply_adds is None for workload in costs):
        costs = [Cost(None, workload.n_steps, None) for workload in costs]
    return min(costs, key=seconds_of), max(costs, key=seconds_of)


def _corners(space: Space) -> Iterator[Parameters]:
    """Points with all numbers at their lowest or at their highest value, and each option of each choice."""
    for end in (0, -1):
        numbers = {
            parameter.key: list(bounds(parameter.domain))[end]
            for parameter in space.parameters
            if not isinstance(parameter.domain, Categorical)
        }
        yield point_with(space, numbers)
        for parameter in space.parameters:
            if isinstance(parameter.domain, Categorical):
                for option in parameter.domain.options:
                    yield point_with(space, {**numbers, **parents_of(parameter), parameter.key: option})


def seconds_of(workload: Cost) -> float:
    """Rough estimate of a trial's seconds on one core in the plain loop."""
    return workload.n_steps * _SECONDS_A_STEP + (workload.n_multiply_adds or 0) / _MULTIPLY_ADDS_A_SECOND
