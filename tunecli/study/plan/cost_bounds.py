"""The cheapest and the dearest trial of a study, as far as its file and its data tell."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from tunecli.config.concrete_trial import DanglingReferenceError, parents_of, points_to_check, resolve_trial
from tunecli.config.domains import Categorical, bounds
from tunecli.config.schema import TrialConfig
from tunecli.config.space import Space, point_with
from tunecli.config.study import StudySpec
from tunecli.train.workload import Cost, cost
from tunecli.trial import Parameters

# Measured for the plain loop on one core: what a step costs whatever its size, and arithmetic on small matrices.
_SECONDS_A_STEP = 2.5e-4
_MULTIPLY_ADDS_A_SECOND = 2.0e10


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
