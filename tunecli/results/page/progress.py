"""How the search went: each trial's score by its number, and the best score so far."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunecli.effects import Reliability
from tunecli.results.page.axes import Scale, Ticks, number, ticks
from tunecli.results.page.markup import Markup, join, tag
from tunecli.results.page.svg import (
    Frame,
    axis_name,
    base_line,
    columns_grid,
    figure,
    legend,
    lines,
    mark,
    path_through,
    percent,
    rows_grid,
)
from tunecli.results.page.values import PageValues, describe, left_out, score_of
from tunecli.text import counted
from tunecli.trial import State, Trial

_HEIGHT = 260
_TOP = 22  # pixels above the plot, for the name of the line where the model begins
_FLOOR = 18  # pixels below the scores, for trials without one


def progress_section(values: PageValues) -> Markup:
    """The figure of all scores by trial number; empty: no trial has a score."""
    if not values.scores:
        return Markup("")
    report = values.report
    last = max(row.trial.number for row in values.ended)
    across = Scale(-0.5, max(1.5, last + 0.5))
    plot_height = _HEIGHT - _FLOOR
    records = list(best_so_far(values))
    better = "higher" if report.objective.maximize else "lower"
    frame = Frame(
        "progress",
        "Score by trial number",
        _description(values, records),
        height=_HEIGHT,
        bottom=40,
        top=_TOP,
    )
    note = " ".join(filter(None, [left_out(values, len(values.drawn)), _expected(values)]))
    return figure(
        frame,
        rows_grid(ticks(values.scale), plot_height),
        columns_grid(whole_ticks(across, last), _HEIGHT, lines=False),
        _initial(values, across),
        base_line(_HEIGHT),
        _line(records, across, values.scale, plot_height),
        *(
            trial_mark(values, row.trial, across.at(row.trial.number), plot_height, _HEIGHT - 7)
            for row in values.drawn
        ),
        axis_name("trial number", _HEIGHT, y=36),
        caption=f"{report.objective.metric} of each trial, {better} is better.",
        below=join(
            [legend(_entries(values, has_line=bool(records))), tag("p", note, class_="small") if note else ""]
        ),
    )


def best_so_far(values: PageValues) -> Iterator[tuple[int, float]]:
    """Trial number and score of each ranked, feasible trial that is better than all before it; of one goal only."""
    if values.report.objective.further_objectives:
        return  # no order of the trials follows from one goal
    sign = values.report.objective.sign
    ranked = {
        row.trial.number
        for row in values.report.ranked
        if row.rank is not None and row.is_feasible is not False
    }
    best: float | None = None
    for trial in values.trials:
        score = score_of(trial) if trial.number in ranked else None
        if score is not None and (best is None or sign * score < sign * best):
            best = score
            yield trial.number, score


def _line(records: list[tuple[int, float]], across: Scale, scale: Scale, height: float) -> Markup:
    if not records:
        return Markup("")
    points = [(across.at(number), scale.at(score)) for number, score in records]
    points.append((1.0, points[-1][1]))
    return lines(height, tag("path", class_="best-so-far", d=path_through(points, height, is_step=True)))


def whole_ticks(scale: Scale, last: int) -> Ticks:
    """Ticks at whole numbers from 0 to ``last``."""
    whole = ticks(Scale(0.0, max(1.0, float(last))), 6)
    whole_numbers = {round(position * max(1, last)) for position in whole.positions}
    values = sorted(max(value, math.ceil(scale.low)) for value in whole_numbers if value <= scale.high)
    values = list(dict.fromkeys(values))
    return Ticks(tuple(scale.at(value) for value in values), tuple(f"{value:,}" for value in values))


def trial_mark(
    values: PageValues, trial: Trial, x: float, height: float, floor: float, *, titled: bool = True
) -> Markup:
    """The mark of a trial at its score: shapes differ for the best, for pruned, failed and infeasible trials.

    Args:
        values: of the page.
        trial: a trial that has ended.
        x: position across, from 0 to 1.
        height: of the scores' part of the plot, in pixels.
        floor: where trials without a score lie, in pixels from the top.
        titled: whether a browser shows the trial's score when the pointer rests on the mark.
    """
    title = describe(trial) if titled else ""
    score = score_of(trial)
    if score is None:
        return mark(trial.number, x, floor, "failed", shape="cross", title=title)
    y = (1 - values.scale.at(score)) * height
    if trial.number in values.leaders:
        return mark(trial.number, x, y, "best", shape="diamond", title=title)
    kind = "pruned" if trial.state.shown is State.PRUNED else ""
    if not values.scale.contains(score):
        return mark(
            trial.number, x, y, "out", shape="up" if score > values.scale.high else "down", title=title
        )
    if trial.number in values.infeasible:
        return mark(trial.number, x, y, "infeasible", shape="square", title=title)
    return mark(trial.number, x, y, kind, title=title)


def _entries(values: PageValues, *, has_line: bool) -> list[tuple[str, str, str]]:
    states = {row.trial.state.shown for row in values.drawn}
    entries = [("complete", "", "complete trial")] if State.COMPLETE in states else []
    if State.PRUNED in states:
        entries.append(("pruned", "", "pruned trial"))
    if any(score_of(row.trial) is None for row in values.drawn):
        entries.append(("failed", "cross", "failed, or without a score"))
    if values.infeasible:
        entries.append(("infeasible", "square", "violates a constraint"))
    if values.leaders:
        entries.append(("best", "diamond", values.leaders_text))
    if has_line:
        entries.append(("best-so-far", "step", "best so far"))
    if n := values.n_outliers:
        shape = "down" if values.report.objective.maximize else "up"
        entries.append(("out", shape, f"{n:,} {'score lies' if n == 1 else 'scores lie'} beyond the axis"))
    return entries


def _initial(values: PageValues, across: Scale) -> Markup:
    n = values.report.facts.model_from
    last = values.trials[-1].number
    if not 0 < n <= last:
        return Markup("")
    x = percent(across.at(n - 0.5))
    is_left = across.at(n - 0.5) < 0.6
    side = {"dx": 5 if is_left else -5, "class_": "start" if is_left else "end"}
    return join(
        [
            tag("line", class_="initial", x1=x, x2=x, y1=-_TOP + 4, y2=_HEIGHT),
            tag("text", "model-based from here", x=x, y=-10, **side),
        ]
    )


def _expected(values: PageValues) -> str:
    effects = values.report.effects
    if effects.expected_improvement is None or effects.reliability is Reliability.UNKNOWN:
        return ""
    gain = number(effects.expected_improvement, 2)
    caution = "" if values.is_reliable else " The model is not reliable here, so this number is uncertain."
    return f"The model expects the next trial to improve the best score by {gain}.{caution}"


def _description(values: PageValues, records: list[tuple[int, float]]) -> str:
    if not records:
        return f"{len(values.ended):,} trials have ended. The table of all trials has each score."
    number_, score = records[-1]
    first, start = records[0]
    return (
        f"{len(values.ended):,} trials have ended. The best score is {number(start)} after trial {first} and "
        f"{number(score)} after trial {number_}. It improved {counted(len(records) - 1, 'time')}. "
        "The table of all trials has each score."
    )
