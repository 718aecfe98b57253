"""The estimated cost of a sweep: weights, steps, epochs and training time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunecli.config.feasibility import n_feasible
from tunecli.config.study import StudySpec
from tunecli.registry.pruners import is_pausing
from tunecli.search.protocols import full_trainings
from tunecli.study.plan.fusing import cost_bounds, seconds_of
from tunecli.study.plan.plan import Plan
from tunecli.study.runner.pause_schedule import lengths_of, rungs_of
from tunecli.train.workload import Cost


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The estimated cost of a sweep; each pair is a lower and an upper bound.

    Attributes:
        smallest, largest: the cost of one trial; None: it is the user's own trial, whose cost is unknown.
        seconds: a rough estimate of the sweep's wall time on this machine, in seconds; None: unknown.
        epochs: the epochs that all trials train together; None for a pruner that pauses no trials.
    """

    smallest: Cost | None
    largest: Cost | None
    seconds: tuple[float, float] | None
    epochs: tuple[int, int] | None


def estimate_cost(spec: StudySpec, plan: Plan) -> CostEstimate:
    """The cost of the sweep that ``plan`` describes."""
    smallest, largest = cost_bounds(spec)
    n_trials = min(plan.n_trials, n_feasible(spec.space) or plan.n_trials)
    n_parallel = min(plan.n_workers, plan.lookahead, n_trials)
    least: float = n_trials
    most: float = n_trials
    epochs = None
    pruner = spec.settings.search.pruner
    if is_pausing(pruner):
        least, most = full_trainings(pruner, rungs_of(spec, pruner), spec.space, n_trials)
        shortest, longest = lengths_of(spec, pruner)
        if (limit := spec.settings.run.limit.epochs) is not None:
            least, most = min(least, limit / shortest), min(most, limit / longest)
        epochs = round(least * shortest), round(most * longest)
    seconds = None
    if smallest is not None and largest is not None and smallest.n_multiply_adds is not None:
        seconds = (seconds_of(smallest) * least / n_parallel, seconds_of(largest) * most / n_parallel)
    return CostEstimate(smallest, largest, seconds, epochs)


def cost_lines(cost: CostEstimate) -> tuple[tuple[str, str], ...]:
    """The cost of one trial and of the sweep, as labelled lines."""
    return ("one trial", _one_trial(cost.smallest, cost.largest)), ("estimated time", _sweep(cost))


def cost_data(cost: CostEstimate) -> dict[str, Any]:
    """The estimate as JSON data."""
    return {
        "smallest_trial": _trial_data(cost.smallest),
        "largest_trial": _trial_data(cost.largest),
        "estimated_epochs": None if cost.epochs is None else list(cost.epochs),
        "estimated_seconds": None if cost.seconds is None else list(cost.seconds),
    }


def _one_trial(smallest: Cost | None, largest: Cost | None) -> str:
    if smallest is None or largest is None:
        return "your own code: its cost is unknown"
    steps = f"{_span(f'{smallest.n_steps:,}', f'{largest.n_steps:,}')} steps"
    if smallest.n_parameters is None or largest.n_parameters is None:
        return f"{steps}; the weights and the cost of the model are unknown"
    return f"{_span(f'{smallest.n_parameters:,}', f'{largest.n_parameters:,}')} weights, {steps}"


def _trial_data(cost: Cost | None) -> dict[str, int | None] | None:
    if cost is None:
        return None
    return {
        "n_parameters": cost.n_parameters,
        "n_steps": cost.n_steps,
        "n_multiply_adds": cost.n_multiply_adds,
    }


def _sweep(cost: CostEstimate) -> str:
    parts = []
    if cost.epochs is not None:
        parts.append(f"{_span(*(f'{n:,}' for n in cost.epochs))} epochs")
    if cost.seconds is not None:
        parts.append(f"{_span(*map(_duration, cost.seconds))} of training on this machine (rough)")
    elif parts:
        parts.append("time unknown")
    return ", ".join(parts) or "unknown"


def _span(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
