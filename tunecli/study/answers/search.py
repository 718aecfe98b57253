"""How a sweep ended, for `search` and `resume`, as an `Answer`: why, its ranked table, and what to do next."""

from __future__ import annotations

from shlex import quote

from tunecli.results.answer import Answer
from tunecli.results.table import top
from tunecli.study.answers.standing import (
    REASONS,
    going_on,
    lifted,
    records_of,
    section_of,
    standing_data,
    standing_lines,
)
from tunecli.study.sweep import Ending

_SHOWN_AT_END = 10


def why_none(ending: Ending) -> str:
    """That no trial succeeded, and why where all that ran failed alike."""
    return "no trial succeeded" + (f": {REASONS['alike']}: {ending.cause}" if ending.cause else "")


def next_after_none(ending: Ending) -> str:
    """What to do where no trial succeeded."""
    path = quote(str(ending.path))
    if ending.cause:
        return f"mend it and begin a new study; or go on: {going_on(str(ending.path), ending.reason)}"
    if ending.n_failed:
        return f"tunecli results {path} shows why each failed"
    return f"none was trained to its end: {going_on(str(ending.path), ending.reason)}"


def of_ending(ending: Ending) -> Answer:
    """How a sweep ended, and its ranked table."""
    table = ending.table
    n_hidden = max(0, len(table.rows) - _SHOWN_AT_END)
    lines = [("ended", REASONS[ending.reason]), *standing_lines(ending.standing)]
    lines.append(("run folder", ending.path))
    if lifted(ending.reason):
        lines.append(("to go on", going_on(str(ending.path), ending.reason)))
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
        **standing_data(ending.standing),
        "columns": list(table.columns),
        "trials": records_of(table),
    }
    return Answer("search", data, tuple(lines), (section_of(top(table, _SHOWN_AT_END)),))
