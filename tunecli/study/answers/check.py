"""What `check` found, as an `Answer`: the space, the search, and what it costs, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tunecli.config.objectives import described, spelled
from tunecli.results.answer import Answer, Fit, Section
from tunecli.results.short_names import short_names
from tunecli.results.table import ABSENT, display_cell
from tunecli.results.wording import counted
from tunecli.study.answers.data import data_json, data_lines, data_notes, first_lines
from tunecli.study.plan.fusing import Fusing
from tunecli.study.questions.check import Check
from tunecli.train.cost import Cost
from tunecli.trial import Trial


def of_check(found: Check, suggestions: Sequence[Trial] = ()) -> Answer:
    """What is known before spending; with ``suggestions``, the first points that would be tried."""
    names = tuple(dict.fromkeys(row.name for row in found.parameters))
    rows = tuple((row.name, row.range, row.default, row.only_where) for row in found.parameters)
    short = short_names(names)
    narrow = tuple(
        (short[row.name], row.range, row.default, _with_short_names(row.only_where, short))
        for row in found.parameters
    )
    columns = ("name", "range", "default", "only where")
    sections = [Section("parameters", columns, rows, narrow=narrow)] if rows else []
    if suggestions:
        points = tuple(
            (str(trial.number), *(_value(trial, name, found.labels.get(name, {})) for name in names))
            for trial in suggestions
        )
        headings = ("trial", *short_names(names, ("trial",)).values())
        fit = Fit(headings, (0,), tuple(range(1, len(headings))), "pipe it, or --json")
        sections.append(Section("the first trials", ("trial", *names), points, fit))
    plan, notes = found.plan, (*data_notes(found.data), *found.notes)
    lines = (
        ("study", found.study),
        ("objective", described(found.objective)),
        *data_lines(found.data),
        ("search space", _space(found)),
        *([("grid", counted(found.grid, "point"))] if found.grid is not None else []),
        ("search", f"{found.sampler}, {counted(plan.n_trials, 'trial')}, lookahead {plan.lookahead}"),
        ("pruner", _pruner(found)),
        ("parallel trials", _parallel(found)),
        ("batched training", _batched(found.fusing)),
        ("one trial", _cost_range(found.smallest, found.largest)),
        ("estimated time", _sweep(found)),
    )
    data: dict[str, Any] = {
        "study": found.study,
        "objective": {
            "metric": found.objective.metric,
            "direction": "maximize" if found.objective.maximize else "minimize",
            **{
                key: value
                for key, value in spelled(found.objective).items()
                if key in ("pareto", "subject_to")
            },
        },
        "sampler": found.sampler,
        "pruner": found.pruner,
        "pauses_after_epochs": list(found.pauses),
        "trials": plan.n_trials,
        "workers": plan.n_workers,
        "lookahead": plan.lookahead,
        "parameters": [
            {"name": row.name, "range": row.range, "default": row.default, "only_where": row.only_where}
            for row in found.parameters
        ],
        "space_size": found.size,
        "grid_size": found.grid,
        "jobs_by_device": dict(found.jobs_by_device),
        "fusing": {
            "width": found.fusing.width,
            "share": found.fusing.share,
            "why_not": [asdict(each) for each in found.fusing.obstacles],
        },
        "smallest_trial": _cost_data(found.smallest),
        "largest_trial": _cost_data(found.largest),
        "estimated_epochs": None if found.epochs is None else list(found.epochs),
        "estimated_seconds": None if found.seconds is None else list(found.seconds),
        "data": data_json(found.data),
        "notes": list(notes),
        "suggestions": [dict(trial.parameters) for trial in suggestions],
    }
    return Answer("check", data, lines, tuple(sections), notes)


def opening_lines(found: Check) -> list[str]:
    """What a person should see before a sweep begins: its data in few lines, and what `check` notes."""
    return [*first_lines(found.data), *(f"note: {note}" for note in found.notes)]


def _value(trial: Trial, name: str, labels: Mapping[str, str]) -> str:
    if name not in trial.parameters:
        return ABSENT
    value = trial.parameters[name]
    return labels.get(repr(value)) or display_cell("null" if value is None else value)


def _with_short_names(conditions: str, short: Mapping[str, str]) -> str:
    return " ".join(short.get(word, word) for word in conditions.split(" "))


def _space(found: Check) -> str:
    if found.size is None:
        return "continuous (no finite number of points)"
    return counted(found.size, "point")


def _pruner(found: Check) -> str:
    """What ends or pauses trials, and when."""
    if not found.pauses:
        return found.pruner
    return f"{found.pruner}, which pauses at the end of epoch {', '.join(map(str, found.pauses))}"


def _parallel(found: Check) -> str:
    """How many jobs run at a time, and where."""
    threads = counted(found.plan.threads, "thread")
    if len(found.jobs_by_device) == 1:
        [(device, n)] = found.jobs_by_device.items()
        return f"{n} ({device}, {threads} each)"
    on = ", ".join(f"{n} on {device}" for device, n in found.jobs_by_device.items())
    return f"{on} ({threads} each)"


def _batched(found: Fusing) -> str:
    """How many trials share a model, and what keeps the rest from it."""
    reasons = "; ".join(map(str, found.obstacles))
    if found.share == "none":
        return f"off: {reasons}"
    return f"on: up to {found.width} trials as one model{f', but not with {reasons}' if reasons else ''}"


def _cost_range(smallest: Cost | None, largest: Cost | None) -> str:
    if smallest is None or largest is None:
        return "your own code: its cost is unknown"
    steps = f"{_span(f'{smallest.n_steps:,}', f'{largest.n_steps:,}')} steps"
    if smallest.n_parameters is None or largest.n_parameters is None:
        return f"{steps}; your own model: weights and cost unknown"
    return f"{_span(f'{smallest.n_parameters:,}', f'{largest.n_parameters:,}')} weights, {steps}"


def _cost_data(cost: Cost | None) -> dict[str, int | None] | None:
    if cost is None:
        return None
    return {
        "n_parameters": cost.n_parameters,
        "n_steps": cost.n_steps,
        "n_multiply_adds": cost.n_multiply_adds,
    }


def _sweep(found: Check) -> str:
    told = []
    if found.epochs is not None:
        told.append(f"{_span(*(f'{n:,}' for n in found.epochs))} epochs")
    if found.seconds is not None:
        told.append(f"{_span(*map(_duration, found.seconds))} of training on this machine (rough)")
    elif told:
        told.append("time unknown")
    return ", ".join(told) or "unknown"


def _span(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
