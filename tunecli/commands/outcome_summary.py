"""What several verbs show of a study's outcome: its table, its best trial, its Pareto front, why its sweep ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

from tunecli.config.labels import shown
from tunecli.config.run import Limit
from tunecli.objective import Objective
from tunecli.results.ranking import Standing
from tunecli.results.table import ABSENT, Table, display_cells, to_json
from tunecli.results.view import Block, Fit, Section
from tunecli.study.record.overview import Overview
from tunecli.study.runner.retries import FAILED_ALIKE
from tunecli.study.runner.stopping_rule import ENDED_BY_ITSELF
from tunecli.trial import Scalar, Trial

REASONS = {
    "complete": ("finished", "all trials have ended"),
    "exhausted": ("finished", "every point of the space has been tried"),
    "time": ("stopped", "run.limit.time has passed"),
    "trials": ("stopped", "run.limit.trials have begun"),
    "epochs": ("stopped", "run.limit.epochs are trained"),
    "failures": ("stopped", "run.limit.failures have failed"),
    "alike": ("stopped", f"the first {FAILED_ALIKE} trials all failed alike"),
    "improvement": (
        "finished",
        "another trial is expected to better the best by less than search.stop.improvement",
    ),
    "stagnation": (
        "finished",
        "search.stop.stagnation complete trials in a row were no better than the best before them",
    ),
}
"""Why a sweep ended, by the reason on record: a label, and the reason in words."""
_SHOWN_OF_FRONT = 20
_WHERE_IT_DIFFERS = ("device", "epochs", "seconds")
_BESIDE = {*_WHERE_IT_DIFFERS, "seed", "failure"}  # after the parameters; failures are listed below the table


def reason_line(reason: str, n_trials: int) -> tuple[str, str]:
    """Why a sweep ended, as a labelled line."""
    if reason == "complete":
        return "finished", "the one trial" if n_trials == 1 else f"all {n_trials:,} trials"
    return REASONS.get(reason, ("ended", reason))


def lifted(reason: str) -> str:
    """What to ask for besides to go on past ``reason``; empty where nothing that was set ended the sweep."""
    if reason in ENDED_BY_ITSELF:
        return " --set search.stop=null"
    if reason == "alike":
        return " --set run.limit.failures=0"
    return f" --set run.limit.{reason}=…" if reason in Limit.model_fields else ""


def going_on(path: str, reason: str) -> str:
    """The command that goes on with the study at ``path``, past what ended it."""
    return f"tunecli resume {quote(path)}{lifted(reason)}"


def standing_lines(standing: Standing | None) -> list[tuple[str, str]]:
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


def standing_data(standing: Standing | None) -> dict[str, Any]:
    """The same as JSON data; empty where one metric tells all."""
    if standing is None:
        return {}
    return {"n_feasible": standing.n_feasible, "pareto_front": list(standing.front)}


def section_of(found: Overview, *, how: str, is_asked: bool = False) -> Section:
    """The table as texts, without empty columns; a terminal gets the columns that fit.

    There rank, trial and metrics come first, and the status where it differs; then the parameters that differ, those
    first that matter most for the scores; then epochs, seconds and device where they differ.

    Args:
        found: what to show.
        how: how to see the columns for which a terminal has no room.
        is_asked: the columns are those that were asked for: none is left out but for want of room.
    """
    table = found.table
    cells = display_cells(table, found.labels)
    used = list(range(len(table.columns)))
    if not is_asked:
        used = [place for place in used if any(row[place] not in ("", ABSENT) for row in cells)]
    columns = [table.columns[place] for place in used]
    rows = tuple(tuple(row[place] for place in used) for row in cells)
    place_of = {column: place for place, column in enumerate(columns)}
    if is_asked:
        first, then = list(place_of), []
    else:
        told = [column for column in columns if column not in found.parameters and column not in _BESIDE]
        first = [column for column in told if column != "status" or column in found.varying]
        then = [column for column in (*found.order, *_WHERE_IT_DIFFERS) if column in found.varying]
    fit = Fit(
        tuple(found.headings.get(column, column) for column in columns),
        tuple(place_of[column] for column in first),
        tuple(place_of[column] for column in then if column in place_of),
        how,
    )
    return Section("", tuple(columns), rows, fit)


def best_block(found: Overview, how: str) -> tuple[Block, ...]:
    """The best trial, its metrics and its parameters; empty where no trial has a rank."""
    if found.best is None:
        return ()
    trial = found.best.trial
    told = metric_texts(trial, found.objective)
    if found.best.is_feasible is False:
        told.append("(no trial holds every constraint; this one breaks them least)")
    elif found.standing is not None and len(found.standing.front) > 1:
        told.append(f"(first of the {len(found.standing.front)} on the Pareto front)")
    return (parameters_block(found, trial, "  ".join(["best", f"trial {trial.number}", *told]), how),)


def parameters_block(found: Overview, trial: Trial, heading: str, how: str) -> Block:
    """A trial's parameters below ``heading``, by their full names."""
    columns = [column for column, name in found.parameters.items() if name in trial.parameters]
    pairs = tuple(
        (column, _value(trial.parameters[found.parameters[column]], found.labels.get(column, {})))
        for column in columns
    )
    order = tuple(columns.index(each) for each in found.order if each in columns)
    return Block(heading, pairs, tuple(found.headings.get(column, column) for column in columns), order, how)


def metric_texts(trial: Trial, objective: Objective) -> list[str]:
    """``val_accuracy 0.9861`` for each goal and constraint."""
    if trial.outcome is None:
        return []
    metrics = {**trial.outcome.metrics, objective.metric: trial.outcome.score}
    return [f"{name} {value:.6g}" for name in objective.metrics if (value := metrics.get(name)) is not None]


def _value(value: Scalar, labels: Mapping[str, str]) -> str:
    return labels.get(repr(value)) or (f"{value:.6g}" if isinstance(value, float) else shown(value))


def records_of(table: Table) -> list[dict[str, Any]]:
    """Its rows as JSON data, by the names of the columns."""
    records: list[dict[str, Any]] = json.loads(to_json(table))
    return records
