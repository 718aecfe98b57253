"""How each verb's finding becomes an `Answer`: what a person reads, and the same as JSON data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from shlex import quote
from typing import Any

from tunecli.results.answer import Answer, Section
from tunecli.results.ranking import Standing
from tunecli.results.table import Table, display_cells, to_json, top
from tunecli.spec.domains import shown
from tunecli.spec.goals import described, spelled
from tunecli.study.plan.fusing import Fusing
from tunecli.study.questions.check import Check
from tunecli.study.questions.doctor import Examination
from tunecli.study.questions.results import Results
from tunecli.study.questions.status import Status
from tunecli.study.questions.train import Trained
from tunecli.study.sweep import Ending
from tunecli.study.underway.standstill import ENDED_BY_ITSELF
from tunecli.train.cost import Cost
from tunecli.trial import Outcome, Scalar, State, Trial

_SHOWN_AT_END = 10
_SHOWN_OF_FRONT = 20
_REASONS = {
    "complete": "all trials have ended",
    "exhausted": "every point of the space has been tried",
    "time": "run.limit.time has passed",
    "trials": "run.limit.trials have begun",
    "epochs": "run.limit.epochs are trained",
    "failures": "run.limit.failures have failed",
    "improvement": "another trial is expected to better the best by less than search.stop.improvement",
    "stagnation": "search.stop.stagnation complete trials in a row were no better than the best before them",
}


def of_results(found: Results) -> Answer:
    """The ranked table, and which trial is predicted to be the best where that is not the one with the best score."""
    standing = found.standing
    data: dict[str, Any] = {
        "columns": list(found.table.columns),
        "trials": _records(found.table),
        **_standing_data(standing),
    }
    if found.is_predicted:
        number, prediction = found.best or (None, None)
        told = prediction and {
            "trial": number,
            "predicted": prediction.score,
            "uncertainty": prediction.uncertainty,
        }
        data["predicted_best"] = told
    lines = [*_standing_lines(standing), *([("predicted best", found.line)] if found.line else [])]
    section = _section(found.table)
    section = replace(section, foldable=section.foldable - set(found.predicted))
    return Answer("results", data, tuple(lines), (section,))


def of_ending(ending: Ending) -> Answer:
    """How a sweep ended, and its ranked table."""
    table = ending.table
    n_hidden = max(0, len(table.rows) - _SHOWN_AT_END)
    lines = [("ended", _REASONS[ending.reason]), *_standing_lines(ending.standing)]
    lines.append(("run folder", ending.path))
    if ending.reason in ENDED_BY_ITSELF:
        lines.append(("to go on", f"tunecli resume {quote(str(ending.path))} --set search.stop=null"))
    if n_hidden:
        lines.append(("more", f"{n_hidden} more trials: tunecli results {quote(str(ending.path))}"))
    if ending.n_scored:
        lines.append(("next", f"tunecli export {quote(str(ending.path))} -o best.yaml"))
    if ending.standing is not None and len(ending.standing.front) > 1:
        lines.append(("any other", f"tunecli export {quote(str(ending.path))} --trial N"))
    data = {
        "reason": ending.reason,
        "path": ending.path,
        "n_scored": ending.n_scored,
        **_standing_data(ending.standing),
        "columns": list(table.columns),
        "trials": _records(table),
    }
    return Answer("search", data, tuple(lines), (_section(top(table, _SHOWN_AT_END)),))


def of_status(status: Status) -> Answer:
    """Where a study stands."""
    ended = sum(status.counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    lines = [
        ("study", status.study),
        ("state", status.word + (f" by {status.holder}" if status.holder else "")),
        ("trials", f"{ended} of {status.n_trials} ended"),
        *((state.value, str(n)) for state, n in status.counts.items() if n),
    ]
    score = None
    lines += _standing_lines(status.standing)
    if status.best is not None and status.best.outcome is not None:
        score = status.best.outcome.score
        metrics = {**status.best.outcome.metrics, status.objective.metric: score}
        told = "  ".join(f"{name} {metrics[name]:.6g}" for name in status.objective.metrics)
        lines.append(("best", f"{told} (trial {status.best.number})"))
    if status.word == "finished" and status.ending:
        lines.append(("ended", _REASONS.get(status.ending, status.ending)))
    if status.word == "interrupted":
        lines.append(("next", f"tunecli resume {quote(str(status.path))}"))
    data = {
        "study": status.study,
        "path": status.path,
        "state": status.word,
        "n_trials": status.n_trials,
        "n_ended": ended,
        "counts": {state.value: n for state, n in status.counts.items()},
        "best": None
        if status.best is None
        else {"trial": status.best.number, "metric": status.objective.metric, "score": score},
        **_standing_data(status.standing),
        "elapsed_s": status.elapsed_s,
        "reason": status.ending or None,
        "holder": str(status.holder) if status.holder else None,
    }
    return Answer("status", data, tuple(lines))


def _standing_lines(standing: Standing | None) -> list[tuple[str, str]]:
    """Which trials hold their constraints, and which are on the front."""
    if standing is None or not standing.n_ranked:
        return []
    lines = []
    n = standing.n_feasible
    if n is not None:
        least = "; the first one breaks its constraints least" * (n == 0)
        lines.append(("feasible", f"{n} of {standing.n_ranked} complete trials{least}"))
    if standing.front:
        numbers = ", ".join(map(str, standing.front[:_SHOWN_OF_FRONT]))
        more = f" and {len(standing.front) - _SHOWN_OF_FRONT} more" * (len(standing.front) > _SHOWN_OF_FRONT)
        word = "trials" if len(standing.front) > 1 else "trial"
        lines.append(("pareto front", f"{word} {numbers}{more}; best.yaml is trial {standing.front[0]}"))
    return lines


def _standing_data(standing: Standing | None) -> dict[str, Any]:
    if standing is None:
        return {}
    return {"n_feasible": standing.n_feasible, "pareto_front": list(standing.front)}


def of_damage(path: str, why: str) -> Answer:
    """A study whose record cannot be read."""
    return Answer(
        "status", {"path": path, "state": "damaged", "why": why}, (("path", path), ("state", "damaged"))
    )


def of_training(trained: Trained) -> Answer:
    """One training run and its metrics."""
    outcome = trained.outcome
    metrics = sorted(outcome.metrics.items(), key=lambda item: (item[0] != trained.metric, item[0]))
    lines = [(name, f"{value:.6g}") for name, value in metrics]
    lines += [("epochs", _epochs(outcome)), ("seconds", f"{outcome.seconds:.2f}"), ("device", outcome.device)]
    data = {
        "study": trained.study,
        "state": outcome.state.value,
        "objective": trained.metric,
        "score": outcome.score,
        "metrics": {name: value if value - value == 0 else None for name, value in metrics},
        "epochs": outcome.epochs,
        "kept_epoch": outcome.kept_epoch,
        "seconds": outcome.seconds,
        "seed": trained.seed,
        "device": outcome.device,
    }
    return Answer("train", data, tuple(lines))


def of_check(found: Check, suggestions: Sequence[Trial] = ()) -> Answer:
    """What is known before spending; with ``suggestions``, the first points that would be tried."""
    names = tuple(dict.fromkeys(row.name for row in found.parameters))
    rows = tuple((row.name, row.range, row.default, row.only_where) for row in found.parameters)
    sections = [Section("parameters", ("name", "range", "default", "only where"), rows)] if rows else []
    if suggestions:
        points = tuple(
            (
                str(trial.number),
                *(_value(trial.parameters[name]) if name in trial.parameters else "—" for name in names),
            )
            for trial in suggestions
        )
        sections.append(Section("the first trials", ("trial", *names), points))
    plan = found.plan
    lines = (
        ("study", found.study),
        ("objective", described(found.objective)),
        ("space", "no end of points" if found.size is None else f"{found.size:,} points"),
        (
            "grid",
            "not a grid: a range names no `grid: n`" if found.grid is None else f"{found.grid:,} points",
        ),
        (
            "search",
            f"{found.sampler}, {plan.n_trials:,} trials, {plan.n_workers} at a time, lookahead {plan.lookahead}",
        ),
        ("at a time", _at_a_time(found)),
        ("together", _together(found.fusing)),
        ("a trial", _cost_range(found.smallest, found.largest)),
        (
            "the sweep",
            "unknown"
            if found.seconds is None
            else f"very roughly {_duration(found.seconds[0])} to {_duration(found.seconds[1])} on this machine's cores",
        ),
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
        "estimated_seconds": None if found.seconds is None else list(found.seconds),
        "notes": list(found.notes),
        "suggestions": [dict(trial.parameters) for trial in suggestions],
    }
    return Answer("check", data, lines, tuple(sections), found.notes)


def of_examination(found: Examination) -> Answer:
    """What is here to compute with."""
    versions = tuple(sorted(found.versions.items()))
    slots = ", ".join(found.slots)
    lines = (
        ("cores", str(found.n_cores)),
        ("auto", found.auto),
        (
            "slots",
            f"run.per_device jobs at a time on each of {slots}"
            if slots
            else "one job for every run.threads cores",
        ),
    )
    sections = (
        Section("devices", ("name", "what"), tuple(found.devices.items())),
        Section("versions", ("package", "version"), versions),
    )
    data = {
        "cores": found.n_cores,
        "auto": found.auto,
        "slots": list(found.slots),
        "devices": dict(found.devices),
        "versions": dict(versions),
    }
    return Answer("doctor", data, lines, sections)


def _section(table: Table) -> Section:
    """The table as texts, without columns in which nothing stands."""
    cells = display_cells(table)
    used = [i for i in range(len(table.columns)) if any(row[i] not in ("", "—") for row in cells)]
    first, last = table.n_leading, table.columns.index("epochs")  # the parameters stand between
    return Section(
        "",
        tuple(table.columns[i] for i in used),
        tuple(tuple(row[i] for i in used) for row in cells),
        frozenset(table.columns[first:last]),
    )


def _records(table: Table) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(to_json(table))
    return records


def _epochs(outcome: Outcome) -> str:
    if outcome.kept_epoch in (0, outcome.epochs):
        return str(outcome.epochs)
    return f"{outcome.epochs}, of which epoch {outcome.kept_epoch} is kept"


def _value(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)


def _at_a_time(found: Check) -> str:
    """How many jobs run at a time, and where."""
    n_threads = found.plan.threads
    each = f"{n_threads} thread each" if n_threads == 1 else f"{n_threads} threads each"
    on = ", ".join(f"{n} on {device}" for device, n in found.jobs_by_device.items())
    return f"{on}, {each}"


def _together(found: Fusing) -> str:
    """How many trials share a model, and what keeps the rest from it."""
    reasons = "; ".join(map(str, found.obstacles))
    if found.share == "none":
        return f"no: {reasons}"
    return f"up to {found.width} trials as one model{f', but not with {reasons}' if reasons else ''}"


def _cost_range(smallest: Cost | None, largest: Cost | None) -> str:
    if smallest is None or largest is None:
        return "your own code: its cost is unknown"

    def between(low: int, high: int) -> str:
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    steps = f"{between(smallest.n_steps, largest.n_steps)} steps"
    if smallest.n_parameters is None or largest.n_parameters is None:
        return f"{steps}; your own model: its weights and their cost are unknown"
    return f"{between(smallest.n_parameters, largest.n_parameters)} weights, {steps}"


def _cost_data(cost: Cost | None) -> dict[str, int | None] | None:
    if cost is None:
        return None
    return {
        "n_parameters": cost.n_parameters,
        "n_steps": cost.n_steps,
        "n_multiply_adds": cost.n_multiply_adds,
    }


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
