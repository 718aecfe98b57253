"""How a sweep ended, for `search` and `resume`, as an `Answer`: its ranked table, why it ended, what next, the best."""

from __future__ import annotations

from shlex import quote

from tunecli.results.answer import Answer
from tunecli.results.table import top
from tunecli.results.wording import counted
from tunecli.study.answers.standing import (
    REASONS,
    best_block,
    going_on,
    lifted,
    reason_line,
    records_of,
    section_of,
    standing_data,
    standing_lines,
)
from tunecli.study.sweep import Ending

_SHOWN_AT_END = 10


def why_none(ending: Ending) -> str:
    """That no trial succeeded, and why where all that ran failed alike."""
    return "no trial succeeded" + (f": {REASONS['alike'][1]}: {ending.cause}" if ending.cause else "")


def next_after_none(ending: Ending) -> str:
    """What to do where no trial succeeded."""
    path = quote(str(ending.path))
    if ending.cause:
        return f"mend it and begin a new study; or go on: {going_on(str(ending.path), ending.reason)}"
    if ending.n_failed:
        return f"tunecli results {path} --failed shows why each failed"
    return f"no trial was trained to its end: {going_on(str(ending.path), ending.reason)}"


def of_ending(ending: Ending) -> Answer:
    """How a sweep ended, and its ranked table."""
    found, table, path = ending.overview, ending.table, quote(str(ending.path))
    n_hidden = max(0, len(table.rows) - _SHOWN_AT_END)
    lines = [reason_line(ending.reason, len(table.rows)), *standing_lines(ending.standing)]
    lines.append(("run folder", ending.path))
    if lifted(ending.reason):
        lines.append(("to go on", going_on(str(ending.path), ending.reason)))
    if n_hidden:
        lines.append(("more", f"{counted(n_hidden, 'more trial')}: tunecli results {path}"))
    if ending.n_scored:
        lines.append(("next", f"tunecli export {path} -o best.yaml"))
    if ending.standing is not None and len(ending.standing.front) > 1:
        lines.append(("any other", f"tunecli export {path} --trial N"))
    data = {
        "reason": ending.reason,
        "path": ending.path,
        "n_scored": ending.n_scored,
        "best_trial": None if found.best is None else found.best.trial.number,
        **standing_data(ending.standing),
        "columns": list(table.columns),
        "trials": records_of(table),
    }
    shown = found.with_table(top(table, _SHOWN_AT_END))
    how = f"tunecli results {path} --columns, or --format csv"
    best_trial = "" if found.best is None else f"tunecli results {path} --trial {found.best.trial.number}"
    return Answer(
        "search",
        data,
        tuple(lines),
        (section_of(shown, how=how),),
        asides=found.failures,
        blocks=best_block(found, best_trial),
    )
