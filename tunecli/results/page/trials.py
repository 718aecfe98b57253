"""The section of all trials: the controls, the place of the parallel coordinates, and the ranked table.

The table is complete without a script, up to `MAX_ROWS` trials. The controls are hidden until the script shows them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tunecli.results.columns import short_names
from tunecli.results.page.choice import name_text, path_of, shown_axes, spread
from tunecli.results.page.data import MAX_AXES, MAX_LINES, trials_in_data
from tunecli.results.report import AxisKind, Report
from tunecli.results.table import Table, display_cells, results_table
from tunecli.text import counted

MAX_ROWS = 300
MAX_COLUMNS = 24  # of parameters
_LEFT_OUT = ("device", "failure")


def trials_section(report: Report) -> str:
    """The section `trials` of the page.

    Args:
        report: any report; without trials the section says so.

    Returns:
        HTML. Everything from the user is escaped, on one line and of bounded length.
    """
    if not report.ranked:
        body = '<p class="dim">The study has no trial yet.</p>'
    else:
        body = f"{_controls(report)}{_parallel(report)}{_table(report)}"
    return f'<section id="trials" aria-labelledby="trials-title"><h2 id="trials-title">All trials</h2>{body}</section>'


def _controls(report: Report) -> str:
    example = _example(report)
    help_text = (
        "A word matches a status or an option. <code>lr&gt;0.1</code> tests a parameter, the metric, "
        "<code>rank</code>, <code>trial</code>, <code>epochs</code> or <code>seconds</code>; also with "
        "<code>&lt;</code> <code>&lt;=</code> <code>&gt;=</code> <code>=</code> <code>!=</code>. "
        "A trial passes if all tests hold. If several <code>=</code> tests have one name, one of them must hold."
    )
    return (
        '<div class="tools script" role="search" aria-label="Filter the trials" hidden>'
        f'<label class="grow">Filter <input type="search" id="filter" autocomplete="off" spellcheck="false" '
        f'placeholder="{escape(example)}" aria-describedby="filter-help filter-problem"></label>'
        '<label>Best <input type="range" id="best" min="1" max="100" value="100" aria-describedby="best-text"> '
        '<output id="best-text" for="best">100 %</output></label>'
        '<button type="button" id="clear">Clear</button>'
        '<p id="count" role="status"></p></div>'
        '<p id="filter-problem" class="script problem" role="status" hidden></p>'
        f'<details id="filter-help" class="script dim" hidden><summary>Help for the filter</summary>'
        f"<p>{help_text}</p></details>"
    )


def _example(report: Report) -> str:
    """A filter that names an option and a number of this study."""
    options = [text for axis in report.axes for text in axis.options[:1] if text.isidentifier()]
    numbers = [axis for axis in report.axes if axis.kind is AxisKind.NUMBER]
    numbers.sort(key=lambda axis: axis.is_log)
    middles = [
        math.sqrt(axis.low * axis.high) if axis.is_log else (axis.low + axis.high) / 2 for axis in numbers[:1]
    ]
    words = options[:1] + [
        f"{path_of(axis).rpartition('.')[2]}<{middle:.1g}"
        for axis, middle in zip(numbers, middles, strict=False)
    ]
    return name_text(" ".join(words) or "complete")


def _parallel(report: Report) -> str:
    """The place of the parallel coordinates; the script draws them."""
    kept, total = len(trials_in_data(report)), len(report.ranked)
    limits = []
    if kept < total:
        limits.append(
            f" This plot and the filter have {kept:,} of {counted(total, 'trial')}: the best {kept // 2:,}, and "
            f"{kept - kept // 2:,} spread over the others."
        )
    if len(report.axes) > MAX_LINES:
        known = min(len(report.axes), MAX_AXES)
        limits.append(
            f" Of {len(report.axes):,} parameters the plot has {MAX_LINES}, and the filter knows {known}."
        )
    return (
        '<p class="no-script dim">The parallel coordinates, the filter and sorting need a script, '
        "which this viewer does not run. The table below is complete without it.</p>"
        '<figure id="parallel" class="script" hidden><figcaption class="dim">Each line is a trial. '
        "Blue lines are the best third of the ranked trials, the thick line is the best. "
        "Drag along an axis to keep the trials that cross it there; click the axis to release it."
        f'{"".join(limits)}<span id="lines-note"></span></figcaption>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Parallel coordinates">'
        '<div class="layers"><canvas id="lines" role="img"></canvas><canvas id="marked" aria-hidden="true">'
        "</canvas></div></div></figure>"
    )


def _table(report: Report) -> str:
    rows = spread(report.ranked, MAX_ROWS)
    names = list(dict.fromkeys(path_of(axis) for _, axis in shown_axes(report, MAX_COLUMNS)))
    table = results_table(rows, report.objective, names)
    kept = [place for place, column in enumerate(table.columns) if column not in _LEFT_OUT]
    table = Table(
        tuple(table.columns[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in table.rows),
        table.n_leading,
    )
    texts = display_cells(table)
    is_text = [
        any(isinstance(row[place], str | bool) for row in table.rows) for place in range(len(table.columns))
    ]
    body = "".join(
        f'<tr class="t" data-t="{row.trial.number}">{_cells(cells, is_text)}'
        for row, cells in zip(rows, texts, strict=True)
    )
    return (
        f'<p id="table-note" class="dim">{_note(report, len(rows), len(names))}</p>'
        '<div class="scroll tall" tabindex="0" role="region" aria-label="Ranked table">'
        '<table id="ranking" aria-describedby="table-note"><thead><tr>'
        f"{_headings(table, names, is_text)}<tbody>{body}</table></div>"
        '<div class="pages script" role="group" aria-label="Pages of the table" hidden>'
        '<button type="button" id="previous">Previous rows</button><span id="page-text" role="status"></span>'
        '<button type="button" id="next">Next rows</button></div>'
    )


def _headings(table: Table, names: Sequence[str], is_text: Sequence[bool]) -> str:
    columns = table.columns
    short = short_names(names, taken=[name for name in columns if name not in names])
    end = table.n_leading + len(names)
    parts = []
    for place, column in enumerate(columns):
        side = ' class="w"' if is_text[place] else ""
        if table.n_leading <= place < end:
            name = names[place - table.n_leading]
            full = escape(name_text(name))
            parts.append(
                f'<th scope="col"{side} data-path="{full}" title="{full}">{escape(name_text(short[name]))}'
            )
        else:
            parts.append(f'<th scope="col"{side}>{escape(name_text(column))}')
    return "".join(parts)


def _cells(texts: Sequence[str], is_text: Sequence[bool]) -> str:
    return "".join(
        f"<td{' class=w' if words else ''}>{escape(name_text(text))}"
        for text, words in zip(texts, is_text, strict=True)
    )


def _note(report: Report, n_rows: int, n_names: int) -> str:
    total = len(report.ranked)
    paths = len(dict.fromkeys(path_of(axis) for axis in report.axes))
    parts = []
    if n_rows < total:
        parts.append(
            f'<span class="no-script">The table has {n_rows:,} of {total:,} trials: the best {n_rows // 2:,}, and '
            f"{n_rows - n_rows // 2:,} spread over the others. <code>tunecli results</code> shows all.</span>"
        )
    if n_names < paths:
        parts.append(
            f"The table has {n_names:,} of {paths:,} parameters. <code>tunecli results</code> shows all."
        )
    return " ".join(parts)
