"""What several verbs say alike of a study: its table, how its trials stand, and why its sweep ended."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from tunecli.results.answer import Section
from tunecli.results.ranking import Standing
from tunecli.results.table import Table, display_cells, to_json
from tunecli.spec.run import Limit
from tunecli.study.underway.policy import FAILED_ALIKE
from tunecli.study.underway.standstill import ENDED_BY_ITSELF

REASONS = {
    "complete": "all trials have ended",
    "exhausted": "every point of the space has been tried",
    "time": "run.limit.time has passed",
    "trials": "run.limit.trials have begun",
    "epochs": "run.limit.epochs are trained",
    "failures": "run.limit.failures have failed",
    "alike": f"the first {FAILED_ALIKE} trials all failed alike",
    "improvement": "another trial is expected to better the best by less than search.stop.improvement",
    "stagnation": "search.stop.stagnation complete trials in a row were no better than the best before them",
}
"""Why a sweep ended, in words, by the reason on record."""

_SHOWN_OF_FRONT = 20


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


def section_of(table: Table) -> Section:
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


def records_of(table: Table) -> list[dict[str, Any]]:
    """Its rows as JSON data, by the names of the columns."""
    records: list[dict[str, Any]] = json.loads(to_json(table))
    return records
