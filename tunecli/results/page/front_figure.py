"""Several goals and constraints: the Pareto front, the bounds, and the trials that satisfy them."""

from __future__ import annotations

import math

from tunecli.objective import Constraint, Objective
from tunecli.results.page.axes import Scale, number, ticks, without_outliers
from tunecli.results.page.markup import Markup, details, join, table, tag
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
from tunecli.results.page.values import PageValues, left_out, metrics_of
from tunecli.results.ranking import Ranked
from tunecli.text import counted
from tunecli.trial import State

_HEIGHT = 280
_MOST_PAIRS = 6
_MOST_ROWS = 100
Pair = tuple[str, str]


def front_section(values: PageValues) -> Markup:
    """The front of each pair of goals, and the score against each constraint; empty: one goal and no constraint."""
    report = values.report
    objective = report.objective
    if report.front is None and not objective.constraints and not objective.further_objectives:
        return Markup("")
    pairs = _pairs(objective)
    figures = [_figure(values, pair, place) for place, pair in enumerate(pairs[:_MOST_PAIRS])]
    more = ""
    if len(pairs) > _MOST_PAIRS:
        more = tag("p", f"{len(pairs) - _MOST_PAIRS} further pairs of metrics have no figure.", class_="dim")
    return join([_statement(values), tag("div", *figures, class_="pairs-of-goals"), more, _table(values)])


def _pairs(objective: Objective) -> list[Pair]:
    """Every pair of goals, then the first goal against each constraint's metric."""
    goals = [goal.metric for goal in objective.goals]
    pairs = [(goals[j], goals[i]) for i in range(len(goals)) for j in range(i + 1, len(goals))]
    bounded = [constraint.metric for constraint in objective.constraints if constraint.metric not in goals]
    return list(dict.fromkeys([*pairs, *((metric, goals[0]) for metric in bounded)]))


def _statement(values: PageValues) -> Markup:
    front, objective = values.report.front, values.report.objective
    sentences = []
    if front is not None and objective.further_objectives:
        sentences.append(f"{counted(len(front.front), 'trial')} of {front.n_ranked:,} form the Pareto front.")
    if front is not None and front.n_feasible is not None:
        bounds = " and ".join(map(str, objective.constraints))
        sentences.append(f"{front.n_feasible:,} of {counted(front.n_ranked, 'trial')} satisfy {bounds}.")
    if objective.further_objectives:
        sentences.append("Each value comes from one training: tunecli confirms studies with one goal.")
    return tag("p", " ".join(sentences), class_="dim")


def _figure(values: PageValues, pair: Pair, place: int) -> Markup:
    objective = values.report.objective
    across_name, up_name = pair
    across, up = (_scale(values, name) for name in pair)
    shown = [row for row in values.drawn if row.trial.state.shown is not State.FAILED]
    marks, front, n_out = [], [], 0
    for row in reversed(shown):
        metrics = metrics_of(row, objective)
        x, y = metrics.get(across_name, math.nan), metrics.get(up_name, math.nan)
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        n_out += not (across.contains(x) and up.contains(y))
        marks.append(_mark(values, row, (x, y), (across, up)))
        if row.front == 1:
            front.append((x, y))
    signs = {goal.metric: goal.sign for goal in objective.goals}
    is_front = across_name in signs and up_name in signs and len(objective.goals) == 2
    outline = _staircase(front, (signs[across_name], signs[up_name]), (across, up)) if is_front else ""
    entries = [("complete", "", "trial")]
    if values.leaders:
        entries.append(("best", "diamond", values.leaders_text))
    if objective.constraints:
        entries += [
            ("infeasible", "square", "violates a constraint"),
            ("bound", "tick", "bound of a constraint"),
        ]
    if n_out:
        entries.append(
            ("out", "down", f"{n_out:,} {'trial lies' if n_out == 1 else 'trials lie'} beyond the axes")
        )
    note = left_out(values, len(values.drawn))
    frame = Frame(
        f"front-{place}",
        f"{up_name} against {across_name}",
        _describe(values, pair),
        height=_HEIGHT,
        bottom=40,
    )
    return figure(
        frame,
        rows_grid(ticks(up), _HEIGHT),
        columns_grid(ticks(across), _HEIGHT),
        base_line(_HEIGHT),
        lines(_HEIGHT, tag("path", class_="best-so-far", d=outline)) if outline else "",
        *(_bound(constraint, pair, (across, up)) for constraint in objective.constraints),
        *marks,
        axis_name(f"{across_name}{_direction(objective, across_name)}", _HEIGHT, y=36),
        caption=f"{up_name}{_direction(objective, up_name)} over {across_name}.",
        below=join([legend(entries), tag("p", note, class_="small") if note else ""]),
    )


def _direction(objective: Objective, metric: str) -> str:
    for goal in objective.goals:
        if goal.metric == metric:
            return f" ({'higher' if goal.maximize else 'lower'} is better)"
    return ""


def _scale(values: PageValues, name: str) -> Scale:
    objective = values.report.objective
    numbers = [value for row in values.ended if (value := metrics_of(row, objective).get(name)) is not None]
    maximize = next((goal.maximize for goal in objective.goals if goal.metric == name), None)
    for constraint in objective.constraints:
        if constraint.metric == name:
            maximize = constraint.is_least if maximize is None else maximize
    scale = without_outliers(numbers, maximize=bool(maximize))
    bounds = [one.bound for one in objective.constraints if one.metric == name and math.isfinite(one.bound)]
    span = scale.high - scale.low
    kept = [bound for bound in bounds if scale.low - span <= bound <= scale.high + span]
    leading = (
        metrics_of(row, objective).get(name) for row in values.ended if row.trial.number in values.leaders
    )
    kept += [value for value in leading if value is not None and math.isfinite(value)]
    room = 0.04 * span
    return Scale(
        min([scale.low, *(value - room for value in kept)]),
        max([scale.high, *(value + room for value in kept)]),
    )


def _mark(values: PageValues, row: Ranked, point: tuple[float, float], scales: tuple[Scale, Scale]) -> Markup:
    across, up = scales
    x, y = across.at(point[0]), (1 - up.at(point[1])) * _HEIGHT
    title = f"trial {row.trial.number}: {number(point[1])} and {number(point[0])}"
    is_leader = row.trial.number in values.leaders
    if is_leader:
        return mark(row.trial.number, x, y, "best", shape="diamond", title=title)
    if row.is_feasible is False:
        return mark(row.trial.number, x, y, "infeasible", shape="square", title=title)
    if not up.contains(point[1]) or not across.contains(point[0]):
        shape = (
            ("down" if point[1] < up.low else "up")
            if not up.contains(point[1])
            else ("left" if point[0] < across.low else "right")
        )
        return mark(row.trial.number, x, y, "out", shape=shape, title=title)
    return mark(
        row.trial.number, x, y, "pruned" if row.trial.state.shown is State.PRUNED else "", title=title
    )


def _staircase(
    points: list[tuple[float, float]], signs: tuple[float, float], scales: tuple[Scale, Scale]
) -> str:
    """The edge of the region that the front dominates."""
    losses = sorted({(signs[0] * x, signs[1] * y) for x, y in points})
    placed = [(scales[0].at(signs[0] * a), scales[1].at(signs[1] * b)) for a, b in losses]
    corners: list[tuple[float, float]] = []
    for (x, y), after in zip(placed, [*placed[1:], None], strict=True):
        corners.append((x, y))
        if after is not None:
            corners.append((after[0], y))
    return path_through(corners, _HEIGHT)


def _bound(constraint: Constraint, pair: Pair, scales: tuple[Scale, Scale]) -> Markup:
    across, up = scales
    if constraint.metric == pair[0] and across.contains(constraint.bound):
        position = across.at(constraint.bound)
        x = percent(position)
        is_right = position < 0.6
        text = tag(
            "text",
            str(constraint),
            x=x,
            dx=5 if is_right else -5,
            y=12,
            class_="ink " + ("start" if is_right else "end"),
        )
        return join([tag("line", class_="bound", x1=x, x2=x, y1=0, y2=_HEIGHT), text])
    if constraint.metric == pair[1] and up.contains(constraint.bound):
        y = (1 - up.at(constraint.bound)) * _HEIGHT
        text = tag("text", str(constraint), x="100%", y=y - 5 if y > 20 else y + 14, class_="ink end")
        return join([tag("line", class_="bound", x1=0, x2="100%", y1=y, y2=y), text])
    return Markup("")


def _describe(values: PageValues, pair: Pair) -> str:
    front = values.report.front
    n_front = len(front.front) if front is not None else 0
    return (
        f"Each mark is a trial. {n_front} lie on the Pareto front. The table below lists them."
        if n_front
        else (
            f"Each mark is a trial, at its {pair[0]} and its {pair[1]}. The table of all trials has the values."
        )
    )


def _table(values: PageValues) -> Markup:
    objective = values.report.objective
    if not objective.further_objectives:
        return Markup("")
    rows = [row for row in values.report.ranked if row.front == 1]
    columns = ("trial", *objective.metrics)
    cells = [
        (
            str(row.trial.number),
            *(number(metrics_of(row, objective).get(name, math.nan)) for name in objective.metrics),
        )
        for row in rows[:_MOST_ROWS]
    ]
    more = (
        tag("p", f"The table leaves out {len(rows) - _MOST_ROWS} further trials.", class_="dim")
        if len(rows) > _MOST_ROWS
        else ""
    )
    return details(
        "The front as a table", table("Trials on the Pareto front", columns, cells, n_text_columns=1), more
    )
