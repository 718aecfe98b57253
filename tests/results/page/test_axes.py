"""Axes: scales and ticks are finite and round for any numbers, and texts of numbers are short."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reports import number_axis, options_axis
from tunecli.results.page.axes import (
    Scale,
    axis_ticks,
    number,
    padded,
    percent,
    position_on,
    ticks,
    value_at,
    without_outliers,
)
from tunecli.results.report import AxisKind
from tunecli.text import with_uncertainty

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(ANY_FLOAT, max_size=30), st.booleans())
def test_any_scores_have_a_finite_scale_with_ticks_on_it(scores, maximize):
    for scale in (padded(scores), without_outliers(scores, maximize=maximize)):
        assert math.isfinite(scale.low) and math.isfinite(scale.high) and scale.low < scale.high
        made = ticks(scale)
        assert 1 <= len(made.positions) <= 22
        assert len(made.labels) == len(made.positions)
        assert all(0 <= position <= 1 for position in made.positions)
        assert list(made.positions) == sorted(made.positions)
        assert all(
            0 <= scale.at(score) <= 1 and -1 <= scale.beyond(score) <= 2 for score in scores if score == score
        )


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.booleans())
def test_the_best_score_is_on_the_scale(scores, maximize):
    best = max(scores) if maximize else min(scores)
    assert without_outliers(scores, maximize=maximize).contains(best)


def test_an_outlier_on_the_worse_side_is_beyond_the_scale():
    scores = [0.5 + place / 100 for place in range(20)]
    assert without_outliers([*scores, 1e6], maximize=False).high < 1
    assert without_outliers([*scores, -1e6], maximize=True).low > 0
    assert without_outliers(scores, maximize=False).contains(max(scores))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ("0.0", "0.2", "0.4", "0.6", "0.8", "1.0")),
        (0.93, 0.99, ("0.94", "0.96", "0.98")),
        (-10.0, 10.0, ("-10", "-5", "0", "5", "10")),
        (0.5, 0.5 + 1e-11, ("0.5", "+2e-12", "+4e-12", "+6e-12", "+8e-12", "+1e-11")),
        (0.0, 1e300, ("0", "2e299", "4e299", "6e299", "8e299", "1e300")),
    ],
)
def test_ticks_are_round_and_their_labels_are_short(low, high, labels):
    assert ticks(Scale(low, high)).labels == labels


def test_distinct_ticks_have_distinct_labels():
    for exponent in range(-12, 12):
        made = ticks(Scale(3.0, 3.0 + 10.0**exponent))
        assert len(set(made.labels)) == len(made.labels), made


def test_a_logarithmic_axis_has_powers_of_ten():
    made = axis_ticks(number_axis("lr", 1e-5, 0.1, is_log=True))
    assert made.labels == ("1e-5", "1e-4", "1e-3", "1e-2", "1e-1")
    assert made.positions == pytest.approx((0, 0.25, 0.5, 0.75, 1))


def test_powers_of_ten_near_one_are_plain_numbers():
    made = axis_ticks(number_axis("momentum", 0.01, 10.0, is_log=True))
    assert made.labels == ("0.01", "0.1", "1", "10")


def test_a_few_bad_scores_leave_room_for_the_good_ones():
    scores = [0.98 + place / 1000 for place in range(10)] + [0.97, 0.93, 0.90, 0.80, 0.75]
    scale = without_outliers(scores, maximize=True)
    assert 0.92 < scale.low < 0.97 and scale.high < 1
    assert sum(map(scale.contains, scores)) >= 0.75 * len(scores)


@given(st.lists(st.floats(-1e9, 1e9), min_size=4, max_size=40), st.booleans())
def test_three_quarters_of_the_scores_are_on_the_scale(scores, maximize):
    scale = without_outliers(scores, maximize=maximize)
    assert sum(map(scale.contains, scores)) >= 0.75 * len(scores)


def test_a_short_logarithmic_axis_has_round_values():
    assert axis_ticks(number_axis("width", 16, 256, is_log=True)).labels == ("20", "50", "100", "200")


def test_an_axis_of_whole_numbers_has_whole_ticks():
    axis = number_axis("layers", 1, 3, kind=AxisKind.WHOLE)
    assert axis_ticks(axis).labels == ("1", "2", "3")


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.booleans())
def test_the_ticks_of_any_range_lie_at_their_values(low, high, is_log):
    axis = number_axis("x", min(low, high), max(low, high), is_log=is_log)
    made = axis_ticks(axis)
    assert len(made.positions) == len(made.labels) >= 1
    assert all(0 <= position <= 1 for position in made.positions)


def test_a_position_and_its_value_agree():
    axis = number_axis("lr", 1e-4, 1.0, is_log=True)
    assert position_on(axis, 0.01) == pytest.approx(0.5)
    assert value_at(axis, 0.5) == "0.01"
    assert value_at(number_axis("dropout", 0.0, 0.5), 0.5) == "0.25"
    assert value_at(options_axis("act", "relu", "tanh"), 1.0) == "tanh"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98612, "0.9861"),
        (1e-5, "1e-5"),
        (3.0, "3"),
        (12000.0, "12,000"),
        (1234567.8, "1.235e6"),
        (-0.5, "-0.5"),
        (math.nan, "NaN"),
        (-math.inf, "-∞"),
        (0.0, "0"),
        (1e300, "1e300"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "half", "texts"),
    [
        (0.97812, 0.00321, ("0.9781", "0.0032")),
        (123.456, 12.3, ("123", "12")),
        (0.5, 0.0, ("0.5", "0")),
        (0.5, 0.1, ("0.50", "0.10")),
    ],
)
def test_an_uncertainty_has_two_digits_and_the_value_has_its_decimals(value, half, texts):
    assert with_uncertainty(value, half) == texts


def test_a_small_share_is_not_zero():
    assert [percent(share) for share in (0.0, 0.004, 0.33, 1.0)] == ["0 %", "< 1 %", "33 %", "100 %"]
