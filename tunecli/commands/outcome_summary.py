"""The parts of a study's outcome that several verbs show: table, best trial, Pareto front, and why the sweep ended."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any

from tunecli.config.labels import shown
from tunecli.config.run import Limit
from tunecli.objective import Objective
from tunecli.results.ranking import FrontSummary
from tunecli.results.table import ABSENT, display_cells
from tunecli.results.view import Block, Fit, Section
from tunecli.study.record.phase import ENDED_BY_ITSELF
from tunecli.study.record.publish import Overview
from tunecli.text import counted
from tunecli.trial import Scalar, Trial

REASONS = {
    "complete": ("finished", "all trials have ended"),
    "exhausted": ("finished", "every point of the space has been tried"),
    "time": ("stopped", "run.limit.time is reached"),
    "trials": ("stopped", "run.limit.trials is reached"),
    "epochs": ("stopped", "run.limit.epochs is reached"),
    "failures": ("stopped", "run.limit.failures is reached"),
    "alike": ("stopped", "the first trials all failed in the same way"),
    "improvement": (
        "finished",
        "one more trial is expected to improve the best by less than search.stop.improvement",
    ),
    "stagnation": ("finished", "too many complete trials in a row brought no improvement"),
    "target": ("finished", "a complete trial reached search.stop.target"),
}
"""For each recorded reason why a sweep ended, a label and the reason in words."""
_SHOWN_OF_FRONT = 20
_SHOWN_IF_DIFFERENT = ("device", "epochs", "steps", "seconds")
_AFTER_PARAMETERS = {*_SHOWN_IF_DIFFERENT, "seed", "failure"}  # failures are listed below the table


def reason_line(reason: str, n_trials: int, stagnation: int | None = None) -> tuple[str, str]:
    """The reason why a sweep ended, as a label and a text; ``stagnation`` is the number at `search.stop.stagnation`."""
    if reason == "complete":
        return "finished", "the one trial" if n_trials == 1 else f"all {n_trials:,} trials"
    if reason == "stagnation" and stagnation is not None:
        text = f"{counted(stagnation, 'complete trial')} in a row brought no improvement (search.stop.stagnation)"
        return "finished", text
    return REASONS.get(reason, ("ended", reason))


def resume_options(reason: str) -> str:
    """The options with which `resume` lifts the limit that ended a sweep; empty: no setting ended it."""
    if reason in ENDED_BY_ITSELF:
        return " --set search.stop=null"
    if reason == "alike":
        return " --set run.limit.failures=0"
    return f" --set run.limit.{reason}=…" if reason in Limit.model_fields else ""


def resume_command(path: str, reason: str) -> str:
    """The command that continues the study at ``path``, with the limit that ended its sweep lifted."""
    return f"tunecli resume {quote(path)}{resume_options(reason)}"


def front_lines(summary: FrontSummary | None) -> list[tuple[str, str]]:
    """The number of feasible trials, and the trials on the Pareto front."""
    if summary is None or not summary.n_ranked:
        return []
    lines = []
    n = summary.n_feasible
    if n is not None:
        least = "; trials are ranked by how little they break the constraints" * (n == 0)
        lines.append(("feasible", f"{n} of {summary.n_ranked} complete trials{least}"))
    if summary.front:
        numbers = ", ".join(map(str, summary.front[:_SHOWN_OF_FRONT]))
        more = f" and {len(summary.front) - _SHOWN_OF_FRONT} more" * (len(summary.front) > _SHOWN_OF_FRONT)
        word = "trials" if len(summary.front) > 1 else "trial"
        lines.append(("pareto front", f"{word} {numbers}{more}; best.yaml is trial {summary.front[0]}"))
    return lines


def front_data(summary: FrontSummary | None) -> dict[str, Any]:
    """The same as JSON data; empty: there is one goal and no constraint."""
    if summary is None:
        return {}
    return {"n_feasible": summary.n_feasible, "pareto_front": list(summary.front)}


def section_of(seen: Overview, *, how: str, is_selected: bool = False) -> Section:
    """The table as texts. A terminal gets the columns that fit.

    Empty columns are left out, but a table without rows keeps them.

    A terminal shows rank, trial, metrics and a status that differs; then the parameters that differ, the most important
    for the scores first; then epochs, seconds and device if they differ.

    Args:
        seen: the study's trials.
        how: the option or command that shows the columns for which a terminal has no room.
        is_selected: the columns were selected by name, so a terminal leaves out a column only if it does not fit.
    """
    table = seen.table
    cells = display_cells(table, seen.labels)
    used = list(range(len(table.columns)))
    if cells and not is_selected:
        used = [place for place in used if any(row[place] not in ("", ABSENT) for row in cells)]
    columns = [table.columns[place] for place in used]
    rows = tuple(tuple(row[place] for place in used) for row in cells)
    place_of = {column: place for place, column in enumerate(columns)}
    if is_selected:
        first, then = list(place_of), []
    else:
        leading = [c for c in columns if c not in seen.parameters and c not in _AFTER_PARAMETERS]
        first = [column for column in leading if column != "status" or column in seen.varying]
        then = [column for column in (*seen.order, *_SHOWN_IF_DIFFERENT) if column in seen.varying]
    fit = Fit(
        tuple(seen.headings.get(column, column) for column in columns),
        tuple(place_of[column] for column in first),
        tuple(place_of[column] for column in then if column in place_of),
        how,
    )
    return Section("", tuple(columns), rows, fit)


def best_block(seen: Overview, how: str) -> tuple[Block, ...]:
    """The best trial with its metrics and parameters; empty: no trial has a rank."""
    if seen.best is None:
        return ()
    trial = seen.best.trial
    texts = metric_texts(trial, seen.objective)
    if seen.best.is_feasible is False:
        texts.append("(no trial satisfies every constraint; this one breaks them least)")
    elif seen.front_summary is not None and len(seen.front_summary.front) > 1:
        texts.append(f"(first of the {len(seen.front_summary.front)} on the Pareto front)")
    return (parameters_block(seen, trial, "  ".join(["best", f"trial {trial.number}", *texts]), how),)


def parameters_block(seen: Overview, trial: Trial, heading: str, how: str) -> Block:
    """A trial's parameters by their full names, below ``heading``."""
    columns = [column for column, name in seen.parameters.items() if name in trial.parameters]
    pairs = tuple(
        (column, _value(trial.parameters[seen.parameters[column]], seen.labels.get(column, {})))
        for column in columns
    )
    order = tuple(columns.index(column) for column in seen.order if column in columns)
    return Block(heading, pairs, tuple(seen.headings.get(column, column) for column in columns), order, how)


def metric_texts(trial: Trial, objective: Objective) -> list[str]:
    """A text such as ``val_accuracy 0.9861`` for each goal and constraint."""
    if trial.outcome is None:
        return []
    metrics = {**trial.outcome.metrics, objective.metric: trial.outcome.score}
    return [f"{name} {value:.6g}" for name in objective.metrics if (value := metrics.get(name)) is not None]


def _value(value: Scalar, labels: Mapping[str, str]) -> str:
    return labels.get(repr(value)) or (f"{value:.6g}" if isinstance(value, float) else shown(value))
