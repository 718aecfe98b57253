"""One card for each parameter: the trials' scores over its values, and the best score that the model expects there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.effects import ParameterEffect, ProfilePoint
from tunecli.results.page.axes import Scale, axis_ticks, number, position_on, ticks, value_at
from tunecli.results.page.axes import percent as in_percent
from tunecli.results.page.markup import Markup, details, escape, join, tag
from tunecli.results.page.progress import trial_mark
from tunecli.results.page.svg import (
    Frame,
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
from tunecli.results.page.values import MOST_CARDS, PageValues, score_of, title_of
from tunecli.results.report import Axis, AxisKind
from tunecli.text import counted
from tunecli.trial import Trial

MOST_OPTIONS = 12
"""Options that have a row; the others share one."""
_HEIGHT = 132
_FLOOR = 14
_FEW_GAPS = 8  # between whole numbers: each is wider than a mark
_OPTION_ROWS = (36.0, 66.0)  # the least and the greatest height of a row


def cards_section(values: PageValues) -> Markup:
    """The cards, the most important parameter first where that is known; further parameters are listed."""
    axes = values.report.axes
    if not axes:
        return tag("p", "No parameter varies.", class_="dim")
    order = values.order
    cards = [_card(values, place) for place in order[:MOST_CARDS]]
    return join(
        [
            _introduction(values),
            legend(_entries(values)),
            tag("div", *cards, class_="cards"),
            _rest(values, order),
        ]
    )


def _introduction(values: PageValues) -> Markup:
    order = (
        "The most important parameter is first."
        if values.is_reliable
        else "Parameters are in the order of the file."
    )
    n_drawn = len(values.drawn_on_cards)
    drawn = (
        ""
        if n_drawn >= len(values.ended)
        else f" Each card draws {n_drawn:,} of {len(values.ended):,} trials."
    )
    objective = values.report.objective
    score = ""
    if values.scores:
        way = "up" if objective.maximize else "down"
        side = "right" if objective.maximize else "left"
        score = f" The best {objective.metric} is {way}; on the cards of choices it is on the {side}."
    profile = ""
    if values.has_profiles:
        profile = (
            " The line shows the best score that the model expects at each value, over all values of the other"
            " parameters."
        )
        if not values.is_reliable:
            profile += " It is provisional."
    return tag("p", f"{order}{score}{profile}{drawn}", class_="dim wide-text")


def _entries(values: PageValues) -> list[tuple[str, str, str]]:
    entries = [("complete", "", "trial")] if values.scores else []
    if values.leaders:
        entries.append(("best", "diamond", values.leaders_text))
    if values.infeasible:
        entries.append(("infeasible", "square", "violates a constraint"))
    if any(score_of(row.trial) is None for row in values.drawn_on_cards):
        entries.append(("failed", "cross", "failed, or without a score"))
    if values.has_profiles:
        entries += [("profile", "bar", "best expected score"), ("band-key", "bar", "± 1 deviation")]
    if any(axis.default is not None for axis in values.report.axes):
        entries.append(("default", "up", "default of the file"))
    return entries


def _card(values: PageValues, place: int) -> Markup:
    axis = values.report.axes[place]
    effect = values.effect_of(place)
    drawing = (
        _options(values, place, effect) if axis.kind is AxisKind.OPTIONS else _numbers(values, place, effect)
    )
    heading = tag("h3", escape(axis.label, 60), title=axis.name)
    notes = [note for note in (_share(values, effect), _activity(values, place)) if note]
    return tag(
        "article",
        heading,
        tag("p", " · ".join(notes), class_="small") if notes else "",
        drawing,
        class_="card",
    )


def _share(values: PageValues, effect: ParameterEffect | None) -> str:
    if effect is None:
        return ""
    if not effect.is_known:
        return "share unknown"
    return f"share {in_percent(effect.share.mean)}" + ("" if values.is_reliable else ", provisional")


def _activity(values: PageValues, place: int) -> str:
    """When the parameter is active, and how many trials have it; empty: all have it."""
    n_active, n = len(values.positions_at(place)), values.n_points
    if n_active == n:
        return ""
    condition = values.report.axes[place].condition
    return f"in {n_active:,} of {counted(n, 'trial')}" + (f", if {condition}" if condition else "")


def _describe(values: PageValues, place: int, effect: ParameterEffect | None) -> str:
    axis = values.report.axes[place]
    parts = [f"Scores over {title_of(axis)}."]
    best = values.report.positions.get(values.best, ()) if values.best is not None else ()
    if best and (position := best[place]) is not None:
        parts.append(f"The best trial has {value_at(axis, position)}.")
    if effect is not None and effect.profile:
        sign = values.report.objective.sign
        peak = min(effect.profile, key=lambda point: sign * point.score)
        parts.append(
            f"The model expects the best score, {number(peak.score)}, at {value_at(axis, peak.position)}."
        )
    return " ".join(parts)


def _frame(values: PageValues, place: int, effect: ParameterEffect | None, height: int) -> Frame:
    is_numeric = values.report.axes[place].kind is not AxisKind.OPTIONS
    return Frame(
        f"card-{place}",
        f"Scores over {title_of(values.report.axes[place])}",
        _describe(values, place, effect),
        height=height,
        left=48 if is_numeric else 12,
        bottom=24,
        kind="" if values.is_reliable else "faded",
    )


def _numbers(values: PageValues, place: int, effect: ParameterEffect | None) -> Markup:
    axis = values.report.axes[place]
    height = (_HEIGHT if values.scores else 2 * _FLOOR) - _FLOOR
    marks = [
        trial_mark(values, trial, _beside(axis, trial, position), height, height + _FLOOR - 5, titled=False)
        for trial, position in _placed(values, place)
    ]
    profile = _known_profile(effect)
    drawn = lines(height, *_profile_paths(profile, values.scale, height)) if profile else ""
    return figure(
        _frame(values, place, effect, height + _FLOOR),
        rows_grid(ticks(values.scale, 4), height) if values.scores else "",
        columns_grid(axis_ticks(axis), height + _FLOOR, lines=False),
        base_line(height + _FLOOR),
        _default(axis, height + _FLOOR),
        drawn,
        *marks,
    )


def _beside(axis: Axis, trial: Trial, position: float) -> float:
    """The place of a mark: its position, or beside it where the marks of few whole numbers would cover each other."""
    position = min(1.0, max(0.0, position))
    n_gaps = axis.high - axis.low
    if axis.kind is not AxisKind.WHOLE or axis.is_log or not 1 <= n_gaps <= _FEW_GAPS:
        return position
    return position + min(0.12, 0.4 / n_gaps) * (spread_of(trial.number) - position)


def spread_of(number: int) -> float:
    """A number from 0 to 1: the golden ratio spreads consecutive trial numbers evenly, without a generator."""
    return number * 0.618034 % 1


def _default(axis: Axis, y: float) -> Markup:
    if not isinstance(axis.default, int | float) or isinstance(axis.default, bool):
        return Markup("")
    return mark(None, position_on(axis, float(axis.default)), y + 4, "default", shape="up")


def _known_profile(effect: ParameterEffect | None) -> list[ProfilePoint]:
    """The points of a profile with a finite score; none of a parameter that too few trials have."""
    if effect is None or not effect.is_known:
        return []
    return [point for point in effect.profile if math.isfinite(point.score)]


def _profile_paths(profile: list[ProfilePoint], scale: Scale, height: float) -> list[Markup]:
    upper = [(point.position, scale.beyond(point.score + point.deviation)) for point in profile]
    lower = [(point.position, scale.beyond(point.score - point.deviation)) for point in reversed(profile)]
    middle = [(point.position, scale.beyond(point.score)) for point in profile]
    return [
        tag("path", class_="band", d=path_through([*upper, *lower], height) + "z"),
        tag("path", class_="profile", d=path_through(middle, height)),
    ]


def _placed(values: PageValues, place: int) -> list[tuple[Trial, float]]:
    """The drawn trials that have the parameter, the best last, so that nothing covers it."""
    placed = [
        (row.trial, position)
        for row in values.drawn_on_cards
        if (position := _position(values, row.trial, place)) is not None
    ]
    return placed[::-1]


def _position(values: PageValues, trial: Trial, place: int) -> float | None:
    positions = values.report.positions.get(trial.number, ())
    position = positions[place] if place < len(positions) else None
    return position if position is not None and math.isfinite(position) else None


@dataclass(frozen=True, slots=True)
class _OptionRow:
    """One row of an option card: its label, and the indices of its options."""

    label: str
    indices: frozenset[int]


def _option_rows(values: PageValues, place: int) -> list[_OptionRow]:
    """The options in the order of the file; of many, those with the best trials, and one row for the others."""
    options = values.report.axes[place].options
    kept = set(range(len(options)))
    if len(options) > MOST_OPTIONS + 1:
        by_score = dict.fromkeys(map(round, values.positions_at(place)))
        kept = set(
            [*(index for index in by_score if index < len(options)), *sorted(kept - set(by_score))][
                :MOST_OPTIONS
            ]
        )
    rows = [_OptionRow(options[index], frozenset([index])) for index in sorted(kept)]
    others = frozenset(range(len(options))) - kept
    if others:
        rows.append(_OptionRow(f"{len(others)} others", others))
    return rows


def _options(values: PageValues, place: int, effect: ParameterEffect | None) -> Markup:
    """One row for each option, so that long labels stay readable; the score runs across."""
    axis = values.report.axes[place]
    rows = _option_rows(values, place)
    row_height = min(_OPTION_ROWS[1], max(_OPTION_ROWS[0], _HEIGHT / max(1, len(rows))))
    height = round(row_height * len(rows))
    row_of = {index: at for at, row in enumerate(rows) for index in row.indices}
    profile = {round(point.position): point for point in _known_profile(effect)}
    parts: list[str] = []
    counts = [0] * len(rows)
    for position in values.positions_at(place):
        if round(position) in row_of:
            counts[row_of[round(position)]] += 1
    for at, (row, n) in enumerate(zip(rows, counts, strict=True)):
        parts.append(_option_label(axis, row, n, at * row_height))
        point = profile.get(next(iter(row.indices))) if len(row.indices) == 1 else None
        if point is not None:
            parts.append(_option_profile(point, values.scale, _middle(at, row_height)))
    marks = [
        _option_mark(values, trial, _middle(row_of[round(position)], row_height), row_height)
        for trial, position in _placed(values, place)
        if round(position) in row_of
    ]
    return figure(
        _frame(values, place, effect, height),
        columns_grid(ticks(values.scale, 3), height) if values.scores else "",
        *parts,
        *marks,
    )


def _middle(at: int, row_height: float) -> float:
    """Where the marks of a row lie: the middle of the space below its label, in pixels."""
    return at * row_height + (row_height + 15) / 2


def _option_label(axis: Axis, row: _OptionRow, n: int, top: float) -> Markup:
    is_default = axis.default is not None and row.label == str(axis.default)
    label = join([escape(row.label, 34), " (default)" if is_default else ""])
    y = top + 13
    return join(
        [
            tag("line", class_="grid", x1=0, x2="100%", y1=top, y2=top),
            tag("text", label, x=0, y=y, class_="ink start"),
            tag("text", counted(n, "trial"), x="100%", y=y, class_="end"),
        ]
    )


def _option_profile(point: ProfilePoint, scale: Scale, y: float) -> Markup:
    low, high = scale.at(point.score - point.deviation), scale.at(point.score + point.deviation)
    x = percent(scale.at(point.score))
    return join(
        [
            tag(
                "rect",
                class_="band",
                x=percent(low),
                y=y - 7,
                width=percent(max(0.002, high - low)),
                height=14,
            ),
            tag("line", class_="profile", x1=x, x2=x, y1=y - 8, y2=y + 8),
        ]
    )


def _option_mark(values: PageValues, trial: Trial, y: float, row_height: float) -> Markup:
    score = score_of(trial)
    jitter = (row_height - 25) / 2 * (2 * spread_of(trial.number) - 1)
    if score is None:
        worst = 0.0 if values.report.objective.maximize else 1.0
        x = worst if values.scores else 0.05 + 0.9 * spread_of(trial.number)
        return mark(trial.number, x, y + jitter, "failed", shape="cross")
    x = values.scale.at(score)
    if trial.number in values.leaders:
        return mark(trial.number, x, y, "best", shape="diamond")
    if not values.scale.contains(score):
        return mark(
            trial.number, x, y + jitter, "out", shape="right" if score > values.scale.high else "left"
        )
    if trial.number in values.infeasible:
        return mark(trial.number, x, y + jitter, "infeasible", shape="square")
    return mark(trial.number, x, y + jitter, "pruned" if trial.state.shown == "pruned" else "")


def _rest(values: PageValues, order: list[int]) -> Markup:
    rest = order[MOST_CARDS:]
    if not rest:
        return Markup("")
    items = []
    for place in rest[:2000]:
        shown = (
            _share(values, values.effect_of(place))
            or f"in {counted(len(values.positions_at(place)), 'trial')}"
        )
        items.append(tag("li", escape(title_of(values.report.axes[place]), 80), f": {shown}"))
    text = f"{len(rest):,} further parameters have no card"
    return details(text, tag("ul", *items, class_="plain"))
