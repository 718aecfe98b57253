"""Learning curves: the score of each epoch, and the losses of training and validation for the best trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tunecli.results.page.axes import Scale, number, padded, ticks, without_outliers
from tunecli.results.page.markup import Markup, details, join, tag
from tunecli.results.page.progress import whole_ticks
from tunecli.results.page.svg import (
    Frame,
    axis_name,
    columns_grid,
    figure,
    legend,
    lines,
    mark,
    path_through,
    rows_grid,
)
from tunecli.results.page.values import PageValues
from tunecli.results.report import MAX_CURVES, Curve

MOST_POINTS = 100
"""Points of one curve; of more epochs, the least and the greatest value of each part are drawn."""
_LEAST_POINTS = 30
_MOST_POINTS_IN_ALL = 16_000  # so that the page stays below 1.5 MB; the best curves keep `MOST_POINTS`
_N_BOLD = 10
_N_LOSSES = 5
_HEIGHT = 300
_SMALL = 130


def curves_section(values: PageValues) -> Markup:
    """All curves in one figure, the best in front; the losses of the best trials on demand; empty: no curve."""
    report = values.report
    numbers = _order(values)
    if not any(_points(report.curves[one].epochs, report.curves[one].scores) for one in numbers):
        return Markup("")
    return join([_figure(values, numbers[:MAX_CURVES]), _losses(values, numbers)])


def _order(values: PageValues) -> list[int]:
    """The trials with a curve: the best first, in the order of the table."""
    curves = values.report.curves
    return [row.trial.number for row in values.report.ranked if row.trial.number in curves]


def _figure(values: PageValues, numbers: list[int]) -> Markup:
    report = values.report
    bold = [row.number for row in report.leading if row.number in report.curves][:_N_BOLD]
    last = max((report.curves[one].epochs[-1] for one in numbers if report.curves[one].epochs), default=1)
    across = Scale(min(1.0, float(last)) if last > 1 else 0.5, max(1.5, float(last)))
    finals = [score for one in numbers for score in report.curves[one].scores]
    scale = without_outliers(finals, maximize=report.objective.maximize)
    n_points = min(MOST_POINTS, max(_LEAST_POINTS, _MOST_POINTS_IN_ALL // max(1, len(numbers))))
    paths, dots = [], []
    for one in reversed(numbers):
        curve = report.curves[one]
        points = decimated(_points(curve.epochs, curve.scores), MOST_POINTS if one in bold else n_points)
        if not points:
            continue
        kind = "best" if one in values.leaders else "bold" if one in bold else ""
        dot = "best" if one in values.leaders else "kept" if one in bold else ""
        placed = [(across.at(epoch), scale.beyond(score)) for epoch, score in points]
        if len(placed) == 1:
            dots.append(mark(one, placed[0][0], (1 - scale.at(points[0][1])) * _HEIGHT, dot))
            continue
        outline = path_through(placed, _HEIGHT)
        paths.append(tag("path", class_=f"t curve {kind}".strip(), data_t=str(one), d=outline))
        kept = _kept(curve)
        if one in bold and kept is not None:
            shape = "diamond" if one in values.leaders else ""
            title = f"trial {one}: {number(kept)}, epoch {curve.kept_epoch}"
            dots.append(
                mark(
                    one,
                    across.at(curve.kept_epoch),
                    (1 - scale.at(kept)) * _HEIGHT,
                    dot,
                    shape=shape,
                    title=title,
                )
            )
    others = set(numbers) - values.leaders
    entries = [("curve best", "bar", values.leaders_text)] if values.leaders & set(numbers) else []
    if others & set(bold):
        entries.append(("curve bold", "bar", f"one of the {len(bold)} best"))
    if others - set(bold):
        entries.append(("curve", "bar", "other trial"))
    entries.append(("kept", "", "epoch whose values count"))
    frame = Frame("curves", "Learning curves", _describe(values, numbers, bold), height=_HEIGHT, bottom=40)
    if len(values.leaders) > 1:
        frame = replace(frame, kind="many-best")
    return figure(
        frame,
        rows_grid(ticks(scale), _HEIGHT),
        columns_grid(whole_ticks(across, last), _HEIGHT, lines=False),
        lines(_HEIGHT, *paths),
        *dots,
        axis_name("epoch", _HEIGHT, y=36),
        caption=f"{report.objective.metric} by epoch.",
        below=join([legend(entries), _note(values, numbers, n_points)]),
    )


def _note(values: PageValues, numbers: list[int], n_points: int) -> Markup:
    n_all = len(values.ended)
    parts = []
    if len(numbers) < min(n_all, len(values.scores)):
        parts.append(f"The figure draws {len(numbers):,} of {n_all:,} trials.")
    if any(len(values.report.curves[one].epochs) > MOST_POINTS for one in numbers):
        parts.append(
            f"Of more than {MOST_POINTS} epochs, it draws the least and the greatest score of each part."
        )
    return tag("p", " ".join(parts), class_="small") if parts else Markup("")


def _describe(values: PageValues, numbers: list[int], bold: list[int]) -> str:
    sentences = [f"{len(numbers):,} curves of {values.report.objective.metric} by epoch."]
    for one in bold[:_N_LOSSES]:
        curve = values.report.curves[one]
        if (kept := _kept(curve)) is not None:
            sentences.append(
                f"Trial {one} reaches {number(kept)} at epoch {curve.kept_epoch} of {curve.epochs[-1]}."
            )
    return " ".join(sentences)


def _kept(curve: Curve) -> float | None:
    for epoch, score in zip(curve.epochs, curve.scores, strict=False):
        if epoch == curve.kept_epoch and math.isfinite(score):
            return score
    return None


def _points(epochs: Sequence[int], values: Sequence[float]) -> list[tuple[int, float]]:
    return [(epoch, value) for epoch, value in zip(epochs, values, strict=False) if math.isfinite(value)]


def decimated(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most ``most`` points: the first, the last, and the least and the greatest of equal parts between them.

    Args:
        points: by epoch, ascending.
        most: at least 4.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    n_parts = (most - 2) // 2
    kept = [points[0]]
    for part in range(n_parts):
        piece = inner[part * len(inner) // n_parts : (part + 1) * len(inner) // n_parts]
        ends = {min(piece, key=lambda point: point[1]), max(piece, key=lambda point: point[1])}
        kept.extend(sorted(ends))
    return [*kept, points[-1]]


def _losses(values: PageValues, numbers: list[int]) -> Markup:
    """Training and validation loss of the best trials, each in a figure of its own."""
    curves = values.report.curves
    with_losses = [
        one
        for one in numbers
        if _points(curves[one].epochs, curves[one].train_losses)
        or _points(curves[one].epochs, curves[one].valid_losses)
    ][:_N_LOSSES]
    if not with_losses:
        return Markup("")
    every = [loss for one in with_losses for loss in (*curves[one].train_losses, *curves[one].valid_losses)]
    scale = without_outliers(every, maximize=False) if every else padded(every)
    entries = [("train-loss", "dashed", "training loss"), ("valid-loss", "bar", "validation loss")]
    cards = [_loss_card(one, curves[one], scale) for one in with_losses]
    summary = f"Training and validation loss of the {len(with_losses)} best trials"
    return details(summary, legend(entries), tag("div", *cards, class_="cards"))


def _loss_card(one: int, curve: Curve, scale: Scale) -> Markup:
    last = curve.epochs[-1]
    across = Scale(1.0, max(2.0, float(last)))
    train, valid = (_points(curve.epochs, losses) for losses in (curve.train_losses, curve.valid_losses))
    ends = [
        f"{name} loss ends at {number(points[-1][1])}"
        for name, points in (("training", train), ("validation", valid))
        if points
    ]
    frame = Frame(
        f"losses-{one}",
        f"Losses of trial {one}",
        f"{'; '.join(ends).capitalize()}.",
        height=_SMALL,
        left=48,
        bottom=24,
    )
    drawing = figure(
        frame,
        rows_grid(ticks(scale, 3), _SMALL),
        columns_grid(whole_ticks(across, last), _SMALL, lines=False),
        lines(
            _SMALL,
            *(
                _line(points, kind, across, scale)
                for points, kind in ((train, "train-loss"), (valid, "valid-loss"))
            ),
        ),
    )
    return tag("article", tag("h3", f"trial {one}"), drawing, class_="card")


def _line(points: Iterable[tuple[int, float]], kind: str, across: Scale, scale: Scale) -> Markup:
    placed = [(across.at(epoch), scale.beyond(loss)) for epoch, loss in decimated(list(points), MOST_POINTS)]
    return tag("path", class_=kind, d=path_through(placed, _SMALL)) if placed else Markup("")
