"""Whether a study trains several trials as one model, how many at most, and what keeps the others by themselves.

It is settled when the study begins, by what its file says alone, since a fused trial's bits are not those of a trial by
itself. Knows no torch: what can share a model is the signature's to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from tunecli.config.concrete_trial import (
    DanglingReferenceError,
    concrete_trials,
    parents_of,
    points_to_check,
    resolve_trial,
    trial_models,
)
from tunecli.config.domains import Categorical, bounds
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space, point_with
from tunecli.config.study import StudySpec
from tunecli.config.user_code import code_hashes, uses
from tunecli.registry.pruners import is_pausing
from tunecli.registry.samplers import sampler_info
from tunecli.train.fused.signature import FusionBlocker, fusion_blockers
from tunecli.train.workload import Cost, cost
from tunecli.trial import Parameters

# Measured for the plain loop on one core: what a step costs whatever its size, and arithmetic on small matrices.
_SECONDS_A_STEP = 2.5e-4
_MULTIPLY_ADDS_A_SECOND = 2.0e10


WIDTH = 16  # beyond, a core's caches hold no more of the group: measured, 8 to 32 cost a trial the same
_MOST_WEIGHTS = 20_000  # on a CPU arithmetic outweighs what fusing saves beyond
_LEAST_GROUP = 4


@dataclass(frozen=True, slots=True)
class Fusing:
    """What of a study is trained together.

    Attributes:
        width: how many trials a group has at most; 0 where each is trained by itself.
        share: which of the trials can be one of a group.
        obstacles: what keeps the others by themselves; empty where there are none.
    """

    width: int
    share: Literal["all", "some", "none"]
    obstacles: tuple[FusionBlocker, ...]


def fusing(spec: StudySpec, n_workers: int, n_trials: int) -> Fusing:
    """What of a study is trained together, and why the rest is not.

    Args:
        spec: the study.
        n_workers: how many groups run at a time.
        n_trials: how many trials there are.
    """
    width = fused_width(spec, n_workers)
    of_all = [*_of_the_study(spec, n_workers), *_of_the_numbers(spec, width, n_workers, n_trials)]
    if of_all:
        return Fusing(width, "none", tuple(of_all))
    each = _of_each_trial(spec)
    share: Literal["all", "some", "none"] = "some" if any(each) else "all"
    if all(each):
        share = "none"
    elif not width:
        return Fusing(0, "none", (_of_the_size(spec),))
    most = max(1, -(-n_trials // n_workers))  # as many groups are made as there are workers
    return Fusing(min(width, most), share, tuple(dict.fromkeys(one for several in each for one in several)))


def fused_width(spec: StudySpec, n_workers: int) -> int:
    """How many trials a group has at most; 0 where each is trained by itself.

    ``auto`` fuses where several trials are known before the first of them ends, and where their models are so small
    that what surrounds the arithmetic costs more than it.

    Args:
        spec: the study.
        n_workers: how many groups run at a time.
    """
    if not may_fuse(spec, n_workers) or next(_of_the_code(spec), None) or all(_of_each_trial(spec)):
        return 0
    if spec.settings.run.fuse != "auto":
        return int(spec.settings.run.fuse)
    n_weights = _most_weights(spec)
    is_small = n_weights is not None and n_weights <= _MOST_WEIGHTS
    return min(WIDTH, _room(spec, n_workers)) if is_small else 0


def may_fuse(spec: StudySpec, n_workers: int) -> bool:
    """Whether the study fuses trials as far as its settings tell, whatever its trials are like and cost."""
    return next(_of_the_settings(spec, n_workers), None) is None


def _of_the_study(spec: StudySpec, n_workers: int) -> Iterator[FusionBlocker]:
    yield from _of_the_settings(spec, n_workers)
    yield from _of_the_code(spec)


def _of_the_settings(spec: StudySpec, n_workers: int) -> Iterator[FusionBlocker]:
    """What in the settings keeps all trials by themselves."""
    search, run = spec.settings.search, spec.settings.run
    if run.fuse == "off":
        yield FusionBlocker("run.fuse", "off", "each trial is trained by itself")
        return
    if trial_models(spec.space.tree) != {TrialConfig}:
        yield FusionBlocker("trial", "", "it is trained by your own code")
        return
    if is_pausing(search.pruner):
        yield FusionBlocker("search.pruner", search.pruner.name, "trials pause on their way")
    if search.repeats > 1:
        yield FusionBlocker("search.repeats", str(search.repeats), "each trial is trained over several seeds")
    if run.fuse != "auto":
        return
    if run.trial_limit.time is not None or run.trial_limit.idle is not None:
        yield FusionBlocker("run.trial_limit", "", "a trial that may be ended has a worker of its own")
    if _room(spec, n_workers) < _LEAST_GROUP:
        yield _of_the_room(spec, n_workers)


def _of_the_room(spec: StudySpec, n_workers: int) -> FusionBlocker:
    search = spec.settings.search
    enough = f"`search.lookahead: {_LEAST_GROUP * n_workers}` or more tells enough of them"
    if search.lookahead != "auto":
        why = f"too few trials are known before the first ends; {enough}"
        return FusionBlocker("search.lookahead", str(search.lookahead), why)
    why = f"each trial waits for the results before it; {enough}"
    if sampler_info(search.sampler_name).reads_results:
        return FusionBlocker("search.sampler", search.sampler_name, why)
    return FusionBlocker("search.pruner", getattr(search.pruner, "name", str(search.pruner)), why)


def _of_the_code(spec: StudySpec) -> Iterator[FusionBlocker]:
    """A module of the user's own beside the file: no trial of a study that has one shares a model."""
    used = next((use for plain in concrete_trials(spec.space) for use in uses(plain, spec.objective)), None)
    if used is not None and (spec.objective.python or code_hashes(spec)):
        place = ".".join(map(str, (*used.place, "python")))
        yield FusionBlocker(place, "", "what is part of your own code is trained by itself")


def _of_the_numbers(spec: StudySpec, width: int, n_workers: int, n_trials: int) -> Iterator[FusionBlocker]:
    """What leaves every group with one trial, though its bits are those of a group."""
    search, limit = spec.settings.search, spec.settings.run.trial_limit
    if not width:
        return
    if width == 1:
        yield FusionBlocker("run.fuse", "1", "each is a group of its own")
    if n_trials <= n_workers:
        why = "too few trials" if n_workers == 1 else f"each of {n_workers} workers has one at most"
        yield FusionBlocker("search.trials", str(n_trials), why)
    if limit.time is not None or limit.idle is not None:
        yield FusionBlocker("run.trial_limit", "", "a trial that may be ended has a worker of its own")
    if search.lookahead != "auto" and search.lookahead < 2 * n_workers:
        why = f"too few trials are known at a time; `search.lookahead: {width * n_workers}` fills the groups"
        yield FusionBlocker("search.lookahead", str(search.lookahead), why)


def _of_the_size(spec: StudySpec) -> FusionBlocker:
    n_weights = _most_weights(spec)
    how_many = "of an unknown size" if n_weights is None else f"of {n_weights:,} weights"
    why = (
        f"beyond {_MOST_WEIGHTS:,} weights nothing was gained when measured, but `run.fuse: {WIDTH}` does it"
    )
    return FusionBlocker("model", how_many, why)


def _most_weights(spec: StudySpec) -> int | None:
    _, largest = extremes(spec)
    return None if largest is None else largest.n_parameters


def _of_each_trial(spec: StudySpec) -> list[tuple[FusionBlocker, ...]]:
    """What the knobs of each trial that stands for others keep it by itself for."""
    trials = (resolve_trial(spec.space, point) for point in points_to_check(spec.space))
    return [fusion_blockers(trial) for trial in trials if isinstance(trial, TrialConfig)]


def _room(spec: StudySpec, n_workers: int) -> int:
    """How many trials a worker may have before any of their results is seen."""
    search = spec.settings.search
    if search.lookahead != "auto":
        return search.lookahead // n_workers
    return WIDTH if reads_nothing(spec) else 1


def reads_nothing(spec: StudySpec) -> bool:
    """Whether no trial depends on what came of another, so that any number may be begun at once."""
    search = spec.settings.search
    return not sampler_info(search.sampler_name).reads_results and search.pruner == "none"


def extremes(spec: StudySpec) -> tuple[Cost, Cost] | tuple[None, None]:
    """What the smallest and the largest trial cost; the steps alone where any has a model of the user's own."""
    costs = []
    for point in (*points_to_check(spec.space), *_corners(spec.space)):
        try:
            trial = resolve_trial(spec.space, point)
        except (
            DanglingReferenceError,
            ValidationError,
        ):  # of a corner, which nobody checked: it will cost nothing
            continue
        found = cost(trial, spec.base_path) if isinstance(trial, TrialConfig) else None
        if found is None:
            return None, None
        costs.append(found)
    if any(found.n_multiply_adds is None for found in costs):
        costs = [Cost(None, found.n_steps, None) for found in costs]
    return min(costs, key=seconds_of), max(costs, key=seconds_of)


def _corners(space: Space) -> Iterator[Parameters]:
    """Points at which all numbers stand at their lowest, or at their highest, with each option of each choice."""
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


def seconds_of(found: Cost) -> float:
    """Roughly how long a trial of that cost takes on one core, by the plain loop."""
    return found.n_steps * _SECONDS_A_STEP + (found.n_multiply_adds or 0) / _MULTIPLY_ADDS_A_SECOND
