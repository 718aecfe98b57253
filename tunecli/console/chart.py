"""Charts of characters: a line chart in braille dots. Pure: numbers in, lines out.

A braille character is a grid of 2 × 4 dots. Where the encoding has no braille, a line is drawn with one mark a cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tunecli.results.progress import share
from tunecli.results.view import Chart
from tunecli.text import shown_number

_ROWS = 12
_WIDEST = 100
_NARROWEST_PLOT = 10
_BLANK = "\u2800"  # braille without dots
_BLANKS = f" {_BLANK}"
# The bit of the dot in row 0 to 3 (from the top) and column 0 or 1 of a braille character.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_Cells = tuple[int, int]


def chart_lines(chart: Chart, width: int, *, has_braille: bool) -> list[str]:
    """The chart in lines of at most ``width`` columns: title, plot with both axes, and the marked point.

    Points that are not finite are gaps. A curve with one point is drawn as one dot.

    Args:
        chart: the curve.
        width: at least 40.
        has_braille: whether the output can show braille characters.
    """
    points = [(x, y) for x, y in zip(chart.xs, chart.ys, strict=True) if math.isfinite(y)]
    if not points:
        return [chart.title, "  no value to draw"]
    low, high = min(y for _, y in points), max(y for _, y in points)
    labels = [_label(high, low), _label((high / 2 + low / 2), high), _label(low, high)]
    n_label = max(map(len, labels))
    n_columns = max(_NARROWEST_PLOT, min(width, _WIDEST) - n_label - 3)
    grid = _plotted(chart, (low, high), n_columns, has_braille=has_braille)
    middle = _ROWS // 2
    shown = {0: labels[0], middle: labels[1], _ROWS - 1: labels[2]} if high > low else {middle: labels[0]}
    lines = [chart.title]
    lines += [
        f"{shown.get(row, ''):>{n_label}} │{''.join(cells)}".rstrip(_BLANKS) for row, cells in enumerate(grid)
    ]
    first, last = shown_number(chart.xs[0]), shown_number(chart.xs[-1])
    lines.append(f"{'':>{n_label}} └{'─' * n_columns}")
    gap = max(1, n_columns - len(first) - len(last))
    ends = (
        f"{first}{chart.x_label:^{gap}}{last}" if chart.xs[0] != chart.xs[-1] else f"{chart.x_label} {first}"
    )
    lines.append(f"{'':>{n_label}}  {ends}".rstrip())
    return [*lines, *([f"  {chart.mark}"] if chart.mark else [])]


def _label(value: float, other: float) -> str:
    """The value with enough digits to differ from ``other``, at most 8."""
    for n_digits in range(4, 9):
        if value == other or shown_number(value, n_digits) != shown_number(other, n_digits):
            return shown_number(value, n_digits)
    return shown_number(value, 8)


def _plotted(
    chart: Chart, ends: tuple[float, float], n_columns: int, *, has_braille: bool
) -> list[list[str]]:
    """The rows of the plot, from the top, each a list of characters."""
    per_row, per_column = (4, 2) if has_braille else (1, 1)
    n_down, n_across = _ROWS * per_row, n_columns * per_column
    dots: set[_Cells] = set()
    before: _Cells | None = None
    for x, y in zip(chart.xs, chart.ys, strict=True):
        if not math.isfinite(y):
            before = None
            continue
        across = round(share(x, chart.xs[0], chart.xs[-1]) * (n_across - 1))
        down = round((1.0 - share(y, *ends)) * (n_down - 1))
        dots.update(_line(before or (across, down), (across, down)))
        before = across, down
    blank = _BLANK if has_braille else " "
    grid = [[blank] * n_columns for _ in range(_ROWS)]
    for across, down in dots:
        row, column = down // per_row, across // per_column
        if has_braille:
            bit = _DOTS[down % per_row][across % per_column]
            grid[row][column] = chr(ord(grid[row][column]) | bit)
        else:
            grid[row][column] = "*"
    return grid


def _line(start: _Cells, end: _Cells) -> Iterable[_Cells]:
    """The dots of a straight line, both ends included."""

    def dots() -> Iterator[_Cells]:
        n = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(n + 1):
            yield (
                round(start[0] + (end[0] - start[0]) * step / n),
                round(start[1] + (end[1] - start[1]) * step / n),
            )

    return dots()
