"""Charts of characters: each point is drawn at its place, and no input breaks the drawing."""

import math

import pytest
from rich.cells import cell_len

from tunecli.console.chart import chart_lines
from tunecli.results.progress import sparkline
from tunecli.results.view import Chart


def chart_of(*ys, **more):
    return Chart(
        "loss", tuple(float(n) for n in range(1, len(ys) + 1)), tuple(map(float, ys)), "epoch", **more
    )


def plot_of(lines):
    """The rows of the plot without the labels, without braille blanks."""
    return [line.partition("│")[2].replace("\u2800", " ").rstrip() for line in lines if "│" in line]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right():
    lines = chart_lines(chart_of(*range(12)), 40, has_braille=False)
    rows = plot_of(lines)
    starts = [row.index("*") for row in rows]
    assert starts == sorted(starts, reverse=True)
    assert rows[-1].startswith("*")
    assert len(rows[0]) == max(map(len, rows))
    assert lines[1].split("│")[0].strip() == "11"
    assert lines[12].split("│")[0].strip() == "0"


def test_a_braille_dot_is_at_the_eighth_of_a_cell_that_its_value_belongs_to():
    top, *_, bottom = plot_of(chart_lines(chart_of(1, 0), 40, has_braille=True))
    assert top[0] == "⠑"  # two dots of the falling line: upper left, then lower right
    assert bottom[-1] == "⢄"  # its last dot is the lowest one on the right


def test_the_kept_epoch_is_named_below_the_chart():
    assert chart_lines(chart_of(1, 2, mark="kept: epoch 2, loss 2"), 60, has_braille=True)[-1].endswith(
        "kept: epoch 2, loss 2"
    )


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize(
    "ys",
    [
        (1,),
        (2, 2, 2),
        (math.nan, 1, math.nan, 3),
        (1e308, -1e308),
        (0, 1e-320),
        (math.inf, 1, 2),
        range(5000),
    ],
)
def test_every_curve_is_drawn_within_the_width(ys, width):
    for has_braille in (False, True):
        lines = chart_lines(chart_of(*ys), width, has_braille=has_braille)
        assert len(lines) == 15
        assert max(map(cell_len, lines)) <= width
        assert any(row for row in plot_of(lines))


def test_a_value_that_was_not_reported_is_a_gap():
    (row,) = [
        row for row in plot_of(chart_lines(chart_of(1, 1, math.nan, 1, 1), 43, has_braille=False)) if row
    ]
    n = len(row)
    assert row[0] == row[-1] == "*"
    assert row[n // 2] == " "


def test_a_curve_without_a_finite_value_says_so():
    assert chart_lines(chart_of(math.nan, math.inf), 80, has_braille=True) == ["loss", "  no value to draw"]


def test_a_sparkline_has_a_bar_for_each_value_and_at_most_the_given_number():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([3.0, 3.0], 20) == "▄▄"
    assert sparkline([], 20) == ""
    assert sparkline([math.nan, 1.0, 2.0], 20) == " ▁█"
    long = sparkline([*range(1000)], 8)
    assert (long[0], long[-1], len(long)) == ("▁", "█", 8)
    assert sparkline([5.0, 1.0], 1) in ("▄", "█", "▁")
