"""Is the best trial really the best? The candidates' fresh scores with intervals, beside their search scores."""

from __future__ import annotations

import math
from collections import Counter

from tunecli.results.confirmed import Candidate, Confirmed, Interval
from tunecli.results.page.axes import Scale, number, padded, ticks
from tunecli.results.page.choice import run_argument
from tunecli.results.page.markup import Markup, details, join, table, tag
from tunecli.results.page.svg import Frame, axis_name, columns_grid, figure, legend, mark, percent
from tunecli.results.page.values import PageValues
from tunecli.text import counted

_ROW = 34  # pixels


def confirmed_section(values: PageValues) -> Markup:
    """The forest plot of the last confirmation, and the confirmed score; without a confirmation, how to get one.

    Empty: the study has nothing to confirm, or the advice says already that it should be confirmed.
    """
    report = values.report
    confirmed = report.confirmed
    if confirmed is None:
        is_said = any(finding.command.startswith("tunecli confirm") for finding in report.findings)
        if report.objective.further_objectives or values.best is None or is_said:
            return Markup("")
        return tag(
            "p",
            "The search chose the best trial by one score of each. ",
            "Fresh runs of the best trials show how much of the best score was luck: ",
            tag("code", f"tunecli confirm {run_argument(report.facts.path)}"),
        )
    return join([_introduction(confirmed), _figure(values, confirmed), _quote(confirmed)])


def _introduction(confirmed: Confirmed) -> Markup:
    what = "on a split of its own" if confirmed.is_split else "with a fresh seed, on the same split"
    text = (
        f"tunecli chose {len(confirmed.candidates)} candidates after {confirmed.n_trials_then:,} trials, and trained "
        f"each {confirmed.n_repeats} more times, every run {what}."
    )
    notes = []
    if confirmed.is_seed_ignored:
        notes.append(
            "All runs of a candidate have the same score: the training ignores its seed, so the noise is unknown."
        )
    if confirmed.n_missing:
        notes.append(
            f"{counted(confirmed.n_missing, 'fresh run')} to do. The figure shows the runs that have ended."
        )
    return join([tag("p", text, class_="dim"), *(tag("p", note, class_="notice") for note in notes)])


def _sorted(values: PageValues, confirmed: Confirmed) -> list[Candidate]:
    sign = values.report.objective.sign
    return sorted(
        confirmed.candidates,
        key=lambda one: (not one.is_in_set, sign * one.fresh.mean if one.fresh else math.inf, one.number),
    )


def _figure(values: PageValues, confirmed: Confirmed) -> Markup:
    rows = _sorted(values, confirmed)
    numbers: list[float] = []
    for one in rows:
        numbers += [*one.scores, *([one.fresh.low, one.fresh.high] if one.fresh else [])]
        numbers += [one.search_score] if one.search_score is not None else []
    scale = padded(numbers)
    height = _ROW * len(rows)
    frame = Frame(
        "confirmed",
        "Fresh scores of the candidates",
        " ".join(_sentence(one, confirmed) for one in rows),
        height=height,
        left=92,
        bottom=40,
        kind="forest",
    )
    marks = legend(
        [
            ("mean", "", "mean of the fresh runs"),
            ("interval", "bar", "its 95 % interval"),
            ("interval beaten", "dashed", "not in the set: another trial is better"),
            ("fresh", "tick", "one fresh run; a longer tick is several equal runs"),
            ("chosen", "diamond", "score in the search"),
        ]
    )
    return figure(
        frame,
        columns_grid(ticks(scale), height),
        *(_row(one, confirmed, (place + 0.5) * _ROW, scale) for place, one in enumerate(rows)),
        axis_name(values.report.objective.metric, height, y=36),
        below=join([marks, _table(rows, confirmed)]),
    )


def _row(one: Candidate, confirmed: Confirmed, y: float, scale: Scale) -> Markup:
    sentence = _sentence(one, confirmed)
    note = "first trial" if one.is_first else ""
    parts: list[str] = [
        tag("text", f"trial {one.number}", x=-92, y=y + (-1 if note else 4), class_="ink start"),
        tag("text", note, x=-92, y=y + 12, class_="start") if note else "",
    ]
    equal = Counter(score for score in one.scores if math.isfinite(score))
    for score, n in sorted(equal.items()):
        reach, x = 4 + 2 * min(n, 5), percent(scale.at(score))
        parts.append(tag("line", class_="fresh", x1=x, x2=x, y1=y - reach, y2=y + reach))
    if one.fresh is not None:
        kind = "interval" if one.is_in_set else "interval beaten"
        ends = [percent(scale.at(end)) for end in (one.fresh.low, one.fresh.high)]
        parts.append(tag("line", class_=kind, x1=ends[0], x2=ends[1], y1=y, y2=y))
        parts.append(mark(one.number, scale.at(one.fresh.mean), y, "mean", title=sentence))
    if one.search_score is not None and math.isfinite(one.search_score):
        parts.append(
            mark(one.number, scale.at(one.search_score), y, "chosen", shape="diamond", title=sentence)
        )
    shown = str(one.fresh) if one.fresh is not None else f"{_n_succeeded(one)} of {len(one.scores)} succeeded"
    parts.append(tag("text", shown, x="100%", dx=150, y=y + 4, class_="ink end wide"))
    return join(parts)


def _n_succeeded(one: Candidate) -> int:
    return sum(map(math.isfinite, one.scores))


def _sentence(one: Candidate, confirmed: Confirmed) -> str:
    fresh = f"{one.fresh} fresh" if one.fresh is not None else "no mean of fresh runs"
    search = "" if one.search_score is None else f", score in the search {number(one.search_score)}"
    place = (
        ("in the set" if one.is_in_set else "not in the set") if confirmed.is_set_known else "not judged yet"
    )
    if confirmed.is_seed_ignored:
        place = "its runs are equal"
    return f"Trial {one.number}: {fresh}{search}; {place}."


def _table(rows: list[Candidate], confirmed: Confirmed) -> Markup:
    columns = ("trial", "in the set", "fresh mean, 95 %", "search score", "fresh runs", "seconds per run")
    cells = [
        (
            f"{one.number}{' (first)' if one.is_first else ''}",
            ("yes" if one.is_in_set else "no") if confirmed.is_set_known else "—",
            str(one.fresh) if one.fresh is not None else "—",
            "—" if one.search_score is None else number(one.search_score),
            ", ".join(number(score) if math.isfinite(score) else "failed" for score in one.scores),
            number(one.seconds, 3) if one.seconds > 0 else "—",
        )
        for one in rows
    ]
    return details(
        "The figure as a table", table("Candidates of the confirmation", columns, cells, n_text_columns=2)
    )


def _quote(confirmed: Confirmed) -> Markup:
    quote = confirmed.quote
    if quote is None:
        return Markup("")
    lines: list[tuple[str, str]] = []
    if quote.score is not None:
        lines.append(
            (
                "Confirmed score",
                f"{quote.score} ({len(quote.scores) - quote.n_failed} fresh runs after the choice, 95 %)",
            )
        )
    if quote.one_more is not None:
        lines.append(("One more training", _ends(quote.one_more)))
    if quote.validation is not None:
        n = f"{quote.n_valid:,} validation examples" if quote.n_valid else "the validation data"
        lines.append(("On new data", f"{_ends(quote.validation)} (95 %, from {n})"))
    elif quote.validation_reason:
        lines.append(("On new data", f"unknown: {quote.validation_reason}"))
    lines += [(f"Test {name}", str(interval)) for name, interval in quote.tested.items()]
    if quote.tested or quote.n_openings:
        lines.append(("Test data opened so far", counted(quote.n_openings, "time")))
    if quote.score is None:
        lines.insert(0, ("Confirmed score", "unknown"))
    items = [tag("div", tag("dt", name), tag("dd", text)) for name, text in lines]
    note = tag("p", quote.note, class_="notice") if quote.note else ""
    return join(
        [tag("h3", f"The confirmed trial: trial {quote.number}"), tag("dl", *items, class_="pairs"), note]
    )


def _ends(interval: Interval) -> str:
    low, high = interval.low, interval.high
    n_decimals = max(0, min(9, 2 - math.floor(math.log10(high - low)))) if 0 < high - low < 1e6 else 0
    return (
        f"{low:.{n_decimals}f} to {high:.{n_decimals}f}"
        if abs(low) + abs(high) < 1e6
        else f"{number(low)} to {number(high)}"
    )
