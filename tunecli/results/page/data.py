"""The data block of the page: trials and curves as columns of typed arrays, which the page's script reads.

A JSON text in a `script` element that browsers never run. Each column is base64 of little-endian numbers, so 10,000
trials of 15 parameters take some 700 KB. The page is complete without it; the script needs it to filter and to draw.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.axes import position_between
from tunecli.results.failures import failure_line
from tunecli.results.page.axes import without_outliers
from tunecli.results.page.choice import (
    by_importance,
    name_text,
    path_of,
    run_argument,
    shown_axes,
    spread,
    value_of,
)
from tunecli.results.ranking import Ranked
from tunecli.results.report import Axis, AxisKind, Curve, Report
from tunecli.trial import Scalar, State

MAX_TRIALS = 10_000
MAX_AXES = 60
MAX_LINES = 24  # axes of the parallel coordinates
MAX_COLUMN_CHARACTERS = 800_000  # all columns in base64: about half of the 1.5 MB of a page
_FEW_AXES, _CARD_CHARACTERS = 15, 2_500  # each further axis has a card: the columns leave room for it
MAX_CURVE_CHARACTERS = 120_000
MAX_POINTS = 100  # of one curve
MAX_TEXTS = 250  # different causes of failures
INACTIVE = 65_535  # the position of a parameter that the trial does not have
_LAST_POSITION = 65_534
_STATES = tuple(State)
_FEASIBLE = {None: 0, False: 1, True: 2}


def data_block(report: Report) -> str:
    """The `script` element with the study's trials for the page's script.

    Args:
        report: any report. Of more trials than fit, the better half is kept and a spread over the others.

    Returns:
        HTML. Its JSON has no `<`, so no text of the user can end the element.
    """
    text = json.dumps(_data(report), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="data">{text}</script>'


def trials_in_data(report: Report) -> list[Ranked]:
    """The trials of the data block, in the order of the table."""
    n_axes = min(len(report.axes), MAX_AXES)
    characters = (2 * n_axes + 24 + 4 * len(report.objective.metrics)) * 4 / 3
    room = MAX_COLUMN_CHARACTERS - _CARD_CHARACTERS * max(0, n_axes - _FEW_AXES)
    return spread(report.ranked, min(MAX_TRIALS, int(room / characters)))


def _data(report: Report) -> dict[str, Any]:
    rows = trials_in_data(report)
    return {
        "study": name_text(report.facts.name),
        "metric": name_text(report.objective.metric),
        "maximize": report.objective.maximize,
        "total": len(report.ranked),
        "ranked": sum(row.rank is not None for row in report.ranked),
        "commands": _commands(report.facts.path),
        "states": [str(state.shown) for state in _STATES],
        "fields": _fields(rows, report),
        "axes": [_axis(axis, place, rows, report) for place, axis in shown_axes(report, MAX_AXES)],
        "lines": _lines(report),
        "scale": _score_ends(report),
        **_failures(rows),
        "curves": _curves(rows, report),
    }


def _lines(report: Report) -> list[int]:
    """The places, among the axes of the block, of those that the parallel coordinates draw, the first on the left."""
    place_of = {place: i for i, (place, _) in enumerate(shown_axes(report, MAX_AXES))}
    return [place_of[place] for place in by_importance(report)[:MAX_LINES]]


def _score_ends(report: Report) -> list[float]:
    scale = without_outliers(
        [end.score for row in report.ranked if (end := row.trial.outcome) and end.score is not None],
        maximize=report.objective.maximize,
    )
    return [scale.low, scale.high]


def _commands(path: str) -> list[list[str]]:
    """The commands for one trial: a label, and the texts before and after the trial's number."""
    run = run_argument(path)
    return [
        ["Show everything about it", f"tunecli results {run} --trial ", ""],
        ["Write it as a file for tunecli train", f"tunecli export {run} --trial ", " -o trial.yaml"],
        ["Run it again and compare", f"tunecli verify {run} --trial ", ""],
    ]


def _fields(rows: Sequence[Ranked], report: Report) -> list[list[str]]:
    """The names of the columns that are no parameters, each with its packed values."""
    ends = [row.trial.outcome for row in rows]
    first, *others = report.objective.metrics
    columns = [
        ("rank", _whole(row.rank or 0 for row in rows)),
        ("trial", _whole(row.trial.number for row in rows)),
        ("status", _whole(_STATES.index(row.trial.state) for row in rows)),
        ("front", _whole(row.front or 0 for row in rows) if report.objective.further_objectives else ""),
        (
            "feasible",
            _whole(_FEASIBLE[row.is_feasible] for row in rows) if report.objective.constraints else "",
        ),
        (first, _real(None if end is None else end.score for end in ends)),
        *((name, _real(None if end is None else end.metrics.get(name) for end in ends)) for name in others),
        ("epochs", _whole(0 if end is None else end.epochs for end in ends)),
        ("seconds", _real(None if end is None else end.seconds for end in ends)),
        ("seed", _whole(row.trial.seed for row in rows)),
    ]
    return [[name_text(name), packed] for name, packed in columns if packed]


def _axis(axis: Axis, place: int, rows: Sequence[Ranked], report: Report) -> dict[str, Any]:
    at: Sequence[float | None]
    at = [(report.positions.get(row.trial.number) or (None,) * (place + 1))[place] for row in rows]
    low, high = axis.low, axis.high
    scale = 1.0
    if axis.kind is not AxisKind.OPTIONS:
        low, high, at = _widened(axis, [value_of(row.trial, axis) for row in rows], at)
        scale = _LAST_POSITION
    packed = [INACTIVE if x is None else round(min(max(x * scale, 0), _LAST_POSITION)) for x in at]
    return {
        "name": name_text(axis.name),
        "path": name_text(path_of(axis)),
        "label": name_text(axis.label),
        "when": name_text(axis.condition),
        "kind": str(axis.kind),
        "low": low,
        "high": high,
        "log": axis.is_log,
        "options": [name_text(option) for option in axis.options],
        "x": _packed(np.asarray(packed, np.uint16)),
    }


def _widened(
    axis: Axis, values: Sequence[Scalar], at: Sequence[float | None]
) -> tuple[float, float, Sequence[float | None]]:
    """The ends of an axis and its positions, with ends that hold the values beyond those of the range too."""
    numbers = [
        value if isinstance(value, int | float) and math.isfinite(value) and x is not None else None
        for value, x in zip(values, at, strict=True)
    ]
    inside = [number for number in numbers if number is not None]
    low, high = min([axis.low, *inside]), max([axis.high, *inside])
    if (low, high) == (axis.low, axis.high) or (axis.is_log and low <= 0):
        return axis.low, axis.high, at
    return (
        low,
        high,
        [
            x if number is None else position_between(low, high, number, is_log=axis.is_log)
            for number, x in zip(numbers, at, strict=True)
        ],
    )


def _failures(rows: Sequence[Ranked]) -> dict[str, Any]:
    """The causes of failures, and for each trial the place of its cause plus 1; 0: it did not fail."""
    place_of: dict[str, int] = {}
    places = []
    for row in rows:
        failure = row.trial.outcome.failure if row.trial.outcome else None
        text = "" if failure is None else name_text(failure_line(failure))
        if text and text not in place_of and len(place_of) < MAX_TEXTS:
            place_of[text] = len(place_of) + 1
        places.append(place_of.get(text, 0))
    return {"failures": list(place_of), "failure": _whole(places)}


def _curves(rows: Sequence[Ranked], report: Report) -> dict[str, Any]:
    """By trial number, the points of its curves, of the best trials first, as far as they fit."""
    kept: dict[str, Any] = {}
    left = MAX_CURVE_CHARACTERS
    for number in (row.trial.number for row in rows):
        curve = report.curves.get(number)
        if curve is None or not curve.epochs:
            continue
        kept[str(number)] = packed = _curve(curve)
        left -= len(json.dumps(packed))
        if left < 0:
            del kept[str(number)]
            break
    return kept


def _curve(curve: Curve) -> dict[str, Any]:
    n = len(curve.epochs)
    n_points = min(n, MAX_POINTS)
    places = [round(i * (n - 1) / max(1, n_points - 1)) for i in range(n_points)]
    series = {"score": curve.scores, "train": curve.train_losses, "valid": curve.valid_losses}
    return {
        "epochs": _whole(curve.epochs[place] for place in places),
        "kept": curve.kept_epoch,
        **{
            name: _quantised([values[place] for place in places])
            for name, values in series.items()
            if len(values) == n
        },
    }


def _quantised(values: Sequence[float]) -> list[Any]:
    """The least and the greatest value, and each value between them as a position; `INACTIVE`: it is no number."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = high / 2 - low / 2  # halves, since the span of the largest floats overflows
    scaled = [
        (0 if span == 0 else round((value / 2 - low / 2) / span * _LAST_POSITION))
        if math.isfinite(value)
        else INACTIVE
        for value in values
    ]
    return [low, high, _packed(np.asarray(scaled, np.uint16))]


def _whole(values: Iterable[int]) -> str:
    """Whole numbers of at least 0 in the narrowest unsigned type that holds them."""
    listed = list(values)
    width = next(
        kind
        for kind in (np.uint8, np.uint16, np.uint32, np.uint64)
        if max(listed, default=0) <= np.iinfo(kind).max
    )
    return _packed(np.asarray(listed, width))


def _real(values: Iterable[float | None]) -> str:
    """Numbers with seven digits, or with all where seven would make most of them equal or infinite; NaN: none."""
    exact = np.asarray([math.nan if x is None else x for x in values], np.float64)
    finite = exact[np.isfinite(exact)]
    with np.errstate(over="ignore", under="ignore"):
        rounded = finite.astype(np.float32)
        is_enough = np.isfinite(rounded).all() and 2 * len(np.unique(rounded)) >= len(np.unique(finite))
        return _packed(exact.astype(np.float32) if is_enough else exact)


def _packed(values: NDArray[Any]) -> str:
    """The type's letter and width in bytes, a colon, and base64 of the little-endian numbers."""
    little = values.astype(values.dtype.newbyteorder("<"))
    return f"{values.dtype.kind}{values.dtype.itemsize}:{base64.b64encode(little.tobytes()).decode('ascii')}"
