"""A confirmation as JSON: the candidates, the confirmed score, and each fresh run with its machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tunecli.commands.confirm import Confirmation
from tunecli.results.confirmed import Candidate, Interval, Quote
from tunecli.trial import FreshRun


def confirmation_data(confirmation: Confirmation) -> dict[str, Any]:
    """The document of a confirmation; a score that is not finite is None."""
    value = confirmation.value
    return {
        "study": confirmation.study,
        "path": confirmation.path,
        "metric": confirmation.objective.metric,
        "direction": "maximize" if confirmation.objective.maximize else "minimize",
        "confirmation": value.id,
        "repeats": value.n_repeats,
        "splits": value.is_split,
        "n_trials_then": value.n_trials_then,
        "candidates": [_candidate_data(candidate) for candidate in value.candidates],
        "set": [candidate.number for candidate in value.in_set],
        "quote": None if value.quote is None else _quote_data(value.quote),
        "runs": [_run_data(run) for run in confirmation.runs],
        "seed_deviation": value.seed_deviation,
        "is_seed_ignored": value.is_seed_ignored,
        "n_missing": value.n_missing,
        "n_failed": confirmation.n_failed,
        "n_trainings": confirmation.cost.n_runs,
        "seconds": confirmation.cost.seconds,
        "part_sizes": asdict(confirmation.sizes),
        "command": confirmation.command,
    }


def _candidate_data(candidate: Candidate) -> dict[str, Any]:
    return {
        "trial": candidate.number,
        "search_score": _finite(candidate.search_score),
        "scores": _finite_all(candidate.scores),
        "confirmed": _interval_data(candidate.fresh),
        "is_in_set": candidate.is_in_set,
        "is_first": candidate.is_first,
        "seconds": candidate.seconds,
    }


def _quote_data(found: Quote) -> dict[str, Any]:
    return {
        "trial": found.number,
        "scores": _finite_all(found.scores),
        "score": _interval_data(found.score),
        "one_more": _interval_data(found.one_more),
        "validation": _interval_data(found.validation),
        "n_valid": found.n_valid,
        "tested": _intervals_data(found.tested),
        "n_openings": found.n_openings,
        "note": found.note,
    }


def _run_data(run: FreshRun) -> dict[str, Any]:
    """One fresh run; its machine is None if that was the one on which `confirm` ran."""
    end = run.outcome
    assert end is not None
    return {
        "trial": run.number,
        "stage": run.stage.value,
        "repeat": run.repeat,
        "seed": run.seed,
        "state": end.state.value,
        "score": _finite(end.score),
        "seconds": end.seconds,
        "device": end.device,
        "machine": run.host or None,
        "failure": None
        if end.failure is None
        else {"kind": end.failure.kind.value, "cause": end.failure.cause},
    }


def _intervals_data(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: _interval_data(interval) for name, interval in intervals.items()}


def _interval_data(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else asdict(interval)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _finite_all(values: Sequence[float]) -> list[float | None]:
    return [_finite(value) for value in values]
