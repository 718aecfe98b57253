"""Failed trials: the kinds of failure, their causes, and where in the space failures are frequent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tunecli.results.page.axes import percent, value_at
from tunecli.results.page.markup import Markup, escape, join, table, tag
from tunecli.results.page.values import PageValues, title_of
from tunecli.results.report import AxisKind
from tunecli.text import counted
from tunecli.trial import State

_MOST_PARAMETERS = 6
_MOST_LINES = 20
_N_PARTS = 3
_LEAST_FAILED = 2  # fewer show no region


def failures_section(values: PageValues) -> Markup:
    """The failures by kind, their causes, and the parts of the space where most of them are; empty: no trial failed."""
    failed = [row.trial for row in values.ended if row.trial.state is State.FAILED]
    if not failed:
        return Markup("")
    kinds = Counter(
        str(trial.outcome.failure.kind) if trial.outcome and trial.outcome.failure else "unknown"
        for trial in failed
    )
    counts = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
    text = f"{counted(len(failed), 'trial')} of {len(values.ended):,} failed: {counts}."
    lines = values.report.failures[:_MOST_LINES]
    listed = tag("ul", *(tag("li", escape(line, 400)) for line in lines), class_="plain") if lines else ""
    n_more = len(values.report.failures) - len(lines)
    more = (
        tag("p", f"The list leaves out {counted(n_more, 'further kind')} of failure.", class_="dim")
        if n_more
        else ""
    )
    positions = values.report.positions
    points = [positions[trial.number] for trial in failed if trial.number in positions]
    return join([tag("p", text), listed, more, _where(values, points)])


def _where(values: PageValues, failed: list[tuple[float | None, ...]]) -> Markup:
    """The parameters along which the share of failed trials differs most between parts of the range."""
    if len(failed) < _LEAST_FAILED:
        return Markup("")
    rows = []
    for place in range(len(values.report.axes)):
        parts = _parts(values, place, failed)
        fractions = [n_failed / n for _, n_failed, n in parts if n]
        if len(fractions) > 1:
            rows.append((max(fractions) - min(fractions), place, parts))
    rows.sort(key=lambda row: (-row[0], row[1]))
    rows = [row for row in rows if row[0] > 0][:_MOST_PARAMETERS]
    if not rows:
        return Markup("")
    cells = []
    for _, place, parts in rows:
        label, n_failed, n = max(
            (part for part in parts if part[2]), key=lambda part: (part[1] / part[2], part[1])
        )
        others_failed, others = sum(part[1] for part in parts) - n_failed, sum(part[2] for part in parts) - n
        name = title_of(values.report.axes[place])
        cells.append((name, label, _share(n_failed, n), _share(others_failed, others)))
    columns = ("parameter", "most failures at", "failed there", "failed elsewhere")
    note = "The table compares parts of each range. With few failures, a difference can be due to chance."
    return join([tag("p", note, class_="dim"), table("Where trials fail", columns, cells, n_text_columns=2)])


def _share(n_failed: int, n: int) -> str:
    return f"{n_failed:,} of {n:,} ({percent(n_failed / n)})" if n else "—"


def _parts(
    values: PageValues, place: int, failed: list[tuple[float | None, ...]]
) -> list[tuple[str, int, int]]:
    """For each part of a parameter's range its name, and the number of failed and of all ended trials in it."""
    axis = values.report.axes[place]
    is_choice = axis.kind is AxisKind.OPTIONS
    part_of: Callable[[float], int] = round if is_choice else _third
    n_failed = Counter(part_of(position) for point in failed if (position := point[place]) is not None)
    n_ended = Counter(map(part_of, values.positions_at(place)))
    return [
        (value_at(axis, part) if is_choice else _range(values, place, part), n_failed[part], n_ended[part])
        for part in sorted(n_ended)
    ]


def _third(position: float) -> int:
    return min(_N_PARTS - 1, int(_N_PARTS * position))


def _range(values: PageValues, place: int, part: int) -> str:
    axis = values.report.axes[place]
    return f"{value_at(axis, part / _N_PARTS)} to {value_at(axis, (part + 1) / _N_PARTS)}"
