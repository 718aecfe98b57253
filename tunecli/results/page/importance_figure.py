"""Which parameters matter: each parameter's share of the variance of the score, as far as the model can be trusted."""

from __future__ import annotations

from tunecli.effects import RELIABLE_R2, ParameterEffect, Reliability
from tunecli.results.page.axes import Scale, Ticks
from tunecli.results.page.axes import percent as in_percent
from tunecli.results.page.markup import Markup, details, escape, join, table, tag
from tunecli.results.page.svg import Frame, columns_grid, figure, legend, percent
from tunecli.results.page.values import MOST_CARDS, PageValues, title_of
from tunecli.text import counted

_ROW = 36  # pixels


def importance_section(values: PageValues) -> Markup:
    """Bars where the model is reliable, faded bars where it is provisional, else the reason for their absence."""
    effects = values.report.effects
    if not values.report.axes or not values.scores:
        return Markup("")
    if effects.reliability is Reliability.UNKNOWN or not effects.parameters:
        return join(
            [
                tag(
                    "p",
                    tag("strong", "It is not known which parameters matter."),
                    " ",
                    _missing(values),
                    class_="notice",
                )
            ]
        )
    places = [place for place in values.order if values.effect_of(place) is not None]
    shown = places[:MOST_CARDS]
    is_faded = not values.is_reliable
    statement = _statement(values)
    more = ""
    if len(places) > len(shown):
        more = tag("p", f"The figure shows {len(shown)} of {len(places)} parameters.", class_="dim")
    return join(
        [
            tag("p", statement, class_="notice" if is_faded else "dim"),
            _figure(values, shown, is_faded=is_faded),
            more,
            _table(values, places[:MOST_CARDS]),
        ]
    )


def _missing(values: PageValues) -> str:
    effects = values.report.effects
    sentences = []
    if effects.reason:
        sentences.append(f"There is no model: {effects.reason}.")
    elif effects.r2 is not None:
        sentences.append(
            f"The model explains {in_percent(max(0.0, effects.r2))} of the variance of scores that it has not seen. "
            "Below 50 % its shares are misleading."
        )
    if n_missing := values.report.n_missing_unsaid:
        sentences.append(f"{counted(n_missing, 'more trial')}, spread over the whole space, can show it.")
    return " ".join(sentences)


def _statement(values: PageValues) -> Markup:
    effects = values.report.effects
    r2 = (
        ""
        if effects.r2 is None
        else f"The model explains {in_percent(max(0.0, effects.r2))} of the variance of scores that it has not seen."
    )
    if values.is_reliable:
        return join([r2])
    why = (
        "Below 85 % the shares can be wrong, so the figure does not rank the parameters."
        if effects.r2 is None or effects.r2 < RELIABLE_R2
        else "But its kernels or a random forest give another ranking, or the study has fewer than three trials for"
        " each parameter, so the shares have no order here."
    )
    return join([tag("strong", "Provisional."), f" {r2} {why}"])


def _figure(values: PageValues, places: list[int], *, is_faded: bool) -> Markup:
    height = _ROW * len(places)
    frame = Frame(
        "importance",
        "Share of each parameter in the variance of the score",
        " ".join(_sentence(values, place) for place in places[:20]),
        height=height,
        left=12,
        bottom=24,
        kind="faded" if is_faded else "",
    )
    across = _across(values, places)
    marks = [across.high * quarter / 4 for quarter in range(5)]
    unit = Ticks(tuple(map(across.at, marks)), tuple(f"{100 * mark:.3g} %" for mark in marks))
    entries = [
        ("share", "bar", "share over the whole space"),
        ("whisker", "bar", "its 90 % interval"),
        ("better", "diamond", "share in the better half of the space"),
    ]
    if any((effect := values.effect_of(place)) and effect.forest_share is not None for place in places):
        entries.append(("forest-share", "square", "share by a random forest"))
    rows = [_row(values, place, _ROW * index, across) for index, place in enumerate(places)]
    return figure(frame, columns_grid(unit, height), *rows, below=legend(entries))


def _across(values: PageValues, places: list[int]) -> Scale:
    """An axis from 0 to the least of 20, 40 and 100 % that holds every bar and interval."""
    known = [
        effect for place in places if (effect := values.effect_of(place)) is not None and effect.is_known
    ]
    ends = [
        max(one.share.mean, one.share.high, one.share_of_better.mean, one.forest_share or 0.0)
        for one in known
    ]
    greatest = max(ends, default=1.0)
    return Scale(0.0, next((end for end in (0.2, 0.4) if greatest <= end), 1.0))


def _row(values: PageValues, place: int, top: float, across: Scale) -> Markup:
    effect = values.effect_of(place)
    name = escape(title_of(values.report.axes[place]), 60)
    y = top + 25
    text = tag(
        "text",
        name,
        tag("tspan", f"  {_shown(effect)}", class_="number"),
        x=0,
        y=top + 15,
        class_="ink start",
    )
    if effect is None or not effect.is_known:
        return text
    share = effect.share
    ends = [percent(across.at(end)) for end in (share.low, share.high)]
    parts = [
        text,
        tag("rect", class_="share", x=0, y=y - 4, width=percent(across.at(share.mean)), height=8),
        tag("line", class_="whisker", x1=ends[0], x2=ends[1], y1=y, y2=y),
        _point("better", across.at(effect.share_of_better.mean), y, "M0-5L5 0 0 5-5 0z"),
    ]
    if effect.forest_share is not None:
        parts.append(_point("forest-share", across.at(effect.forest_share), y, "M-3.5-3.5H3.5V3.5H-3.5z"))
    return join(parts)


def _point(kind: str, x: float, y: float, outline: str) -> Markup:
    return tag("svg", tag("path", d=outline), class_=kind, x=percent(x), y=y)


def _shown(effect: ParameterEffect | None) -> str:
    if effect is None:
        return "unknown"
    if not effect.is_known:
        return f"unknown, in {counted(effect.n_active, 'trial')}"
    return in_percent(effect.share.mean)


def _sentence(values: PageValues, place: int) -> str:
    return f"{title_of(values.report.axes[place])}: {_shown(values.effect_of(place))}."


def _table(values: PageValues, places: list[int]) -> Markup:
    columns = ("parameter", "share", "90 % interval", "better half", "random forest", "in trials")
    rows = []
    for place in places:
        effect = values.effect_of(place)
        name = title_of(values.report.axes[place])
        if effect is None or not effect.is_known:
            rows.append((name, "unknown", "—", "—", "—", "0" if effect is None else f"{effect.n_active:,}"))
            continue
        share = effect.share
        rows.append(
            (
                name,
                in_percent(share.mean),
                f"{in_percent(share.low)} to {in_percent(share.high)}",
                in_percent(effect.share_of_better.mean),
                "—" if effect.forest_share is None else in_percent(effect.forest_share),
                f"{effect.n_active:,}",
            )
        )
    return details("The figure as a table", table("Shares of the variance of the score", columns, rows))
