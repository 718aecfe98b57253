"""The cheapest and the dearest trial of a study, as far as its file and its data tell."""

from __future__ import annotations

from tunecli.spec.knobs import TrialConfig
from tunecli.spec.load import points_to_check, settled
from tunecli.spec.study import StudySpec
from tunecli.train.cost import Cost, cost

# Measured for the plain loop on one core: what a step costs whatever its size, and arithmetic on small matrices.
_SECONDS_A_STEP = 2.5e-4
_MULTIPLY_ADDS_A_SECOND = 2.0e10


def extremes(spec: StudySpec) -> tuple[Cost, Cost] | tuple[None, None]:
    """What the smallest and the largest trial cost; the steps alone where any has a model of the user's own."""
    costs = []
    for point in points_to_check(spec.space):
        trial = settled(spec.space, point)
        found = cost(trial, spec.base_path) if isinstance(trial, TrialConfig) else None
        if found is None:
            return None, None
        costs.append(found)
    if any(found.n_multiply_adds is None for found in costs):
        costs = [Cost(None, found.n_steps, None) for found in costs]
    return min(costs, key=seconds_of), max(costs, key=seconds_of)


def seconds_of(found: Cost) -> float:
    """Roughly how long a trial of that cost takes on one core, by the plain loop."""
    return found.n_steps * _SECONDS_A_STEP + (found.n_multiply_adds or 0) / _MULTIPLY_ADDS_A_SECOND
