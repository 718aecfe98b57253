"""A report as JSON data: every value of it, in full precision; numbers that are not finite are null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from tunecli.objective import Objective
from tunecli.results.baseline import baseline_data
from tunecli.results.ranking import Ranked
from tunecli.results.report import Report
from tunecli.results.search_setup import earlier_data


def report_data(report: Report) -> dict[str, Any]:
    """The report as JSON data."""
    facts = report.facts
    best = report.best
    return {
        "study": facts.name,
        "path": facts.path,
        "state": facts.phase,
        "objective": _goal(report.objective),
        "goals": [_goal(goal) for goal in report.objective.goals],
        "constraints": [str(constraint) for constraint in report.objective.constraints],
        "best": None
        if best is None
        else {"trial": best.number, "score": plain(best.outcome.score if best.outcome else None)},
        "step": plain(report.step),
        "findings": plain(report.findings),
        "n_silenced": report.n_silenced,
        "facts": plain(facts),
        **earlier_data(report.earlier),
        "axes": plain(report.axes),
        "effects": plain(report.effects),
        "confirmed": plain(report.confirmed),
        "baseline": baseline_data(report.baseline),
        "classes": plain(report.classes),
        "front": plain(report.front),
        "failures": list(report.failures),
        "trials": [_row(row, report.positions.get(row.trial.number)) for row in report.ranked],
        "curves": plain(report.curves),
    }


def _goal(objective: Objective) -> dict[str, Any]:
    return {"metric": objective.metric, "direction": "maximize" if objective.maximize else "minimize"}


def _row(row: Ranked, positions: tuple[float | None, ...] | None) -> dict[str, Any]:
    trial, outcome = row.trial, row.trial.outcome
    return {
        "trial": trial.number,
        "rank": row.rank,
        "front": row.front,
        "is_feasible": row.is_feasible,
        "status": trial.state.shown.value,
        "score": plain(outcome.score if outcome else None),
        "parameters": plain(trial.parameters),
        "positions": None if positions is None else list(positions),
        "metrics": plain(outcome.metrics) if outcome else {},
        "epochs": outcome.epochs if outcome else 0,
        "kept_epoch": outcome.kept_epoch if outcome else 0,
        "seconds": outcome.seconds if outcome else 0.0,
        "seed": trial.seed,
        "device": outcome.device if outcome else "",
        "failure": None
        if outcome is None or outcome.failure is None
        else {"kind": outcome.failure.kind.value, "cause": outcome.failure.cause},
    }


def plain(value: Any) -> Any:
    """A value of dataclasses, enums, maps and sequences as JSON data; NaN and the infinities are null."""
    match value:
        case Enum():
            return value.value
        case bool() | int() | str() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")
