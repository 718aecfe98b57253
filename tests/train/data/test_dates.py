"""Dates that strftime writes are read back to the second, and an ambiguous date is never guessed."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.train.data.dates import DateForm, Recognised, parts_of, recognise, seconds_of, varying

FORMATS: dict[str, DateForm] = {
    "%Y-%m-%d": "ymd",
    "%Y/%m/%d %H:%M": "ymd",
    "%Y-%m-%dT%H:%M:%SZ": "ymd",
    "%Y-%m-%d %H:%M:%S.%f+00:00": "ymd",
    "%d.%m.%Y": "dmy",
    "%m/%d/%Y %I:%M %p": "mdy",
    "%d %b %Y": "month_name",
    "%B %d, %Y %H:%M:%S": "month_name",
}
MOMENTS = st.datetimes(datetime(1600, 1, 1), datetime(2199, 1, 1))


def objects(values: list[str | None]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@given(st.sampled_from(sorted(FORMATS)), st.lists(MOMENTS, min_size=1, max_size=5))
def test_a_written_date_is_read_back(written: str, moments: list[datetime]) -> None:
    moments = [*moments, datetime(2024, 5, 31)]  # a day that is no month
    texts = [moment.strftime(written) for moment in moments]
    assert recognise(objects(texts), is_wanted=False) == Recognised(FORMATS[written])
    seconds_N, misfit = seconds_of(objects([*texts, None]), FORMATS[written])
    assert misfit is None
    assert np.isnan(seconds_N[-1])
    reread = [datetime.strptime(text, written) for text in texts]
    expected = [calendar.timegm(moment.timetuple()) + moment.microsecond / 1e6 for moment in reread]
    np.testing.assert_allclose(seconds_N[:-1], expected, rtol=0, atol=1e-5)


@given(MOMENTS)
def test_parts_are_those_of_the_calendar(moment: datetime) -> None:
    seconds = (moment - datetime(1970, 1, 1)) / timedelta(seconds=1)
    parts = {part: values_N[0] for part, values_N in parts_of(np.array([seconds, np.nan])).items()}
    of_calendar = (moment.year, moment.month, moment.day, moment.weekday(), moment.hour)
    assert tuple(parts.values())[:5] == of_calendar
    assert parts["days"] == seconds / 86_400


def test_a_zone_is_subtracted() -> None:
    seconds_N, _ = seconds_of(objects(["1970-01-01 02:00+02:00", "1969-12-31T18:30-0530"]), "ymd")
    assert seconds_N.tolist() == [0.0, 0.0]


def test_days_and_months_that_look_alike_are_ambiguous() -> None:
    assert recognise(objects(["03/04/2021", "12/11/2021"]), is_wanted=True) == Recognised(
        None, is_ambiguous=True
    )
    assert recognise(objects(["03/04/2021", "13/04/2021"]), is_wanted=False).form == "dmy"
    assert recognise(objects(["03/04/2021", "13/04/2021", "04/13/2021"]), is_wanted=True) == Recognised(None)


@pytest.mark.parametrize(
    "text", ["2021-02-30", "2021-13-01", "0021-01-01", "20210101", "12:30", "1.2.3", "2021-01"]
)
def test_a_text_that_is_no_likely_date_is_not_taken_for_one(text: str) -> None:
    assert recognise(objects(["2021-01-01", text]), is_wanted=False) == Recognised(None)


@pytest.mark.parametrize(
    ("number", "form"),
    [
        (20240131.0, "compact"),
        (1.7e9, "unix_s"),
        (1.7e12, "unix_ms"),
        (1.7e15, "unix_us"),
        (1.7e18, "unix_ns"),
    ],
)
def test_numbers_are_dates_only_if_the_user_says_so(number: float, form: DateForm) -> None:
    values_N = np.array([number, np.nan])
    assert recognise(values_N, is_wanted=False) == Recognised(None)
    assert recognise(values_N, is_wanted=True) == Recognised(form)
    seconds_N, _ = seconds_of(values_N, form)
    expected = calendar.timegm((2024, 1, 31, 0, 0, 0)) if form == "compact" else 1.7e9
    assert seconds_N[0] == pytest.approx(expected)


def test_plain_dates_are_read_as_those_beside_a_zone() -> None:
    texts = ["1999-12-31", "2024-02-29 23:59", "2024-03-01T00:00:59.25"]
    alone_N, _ = seconds_of(objects([*texts, None]), "ymd")
    beside_N, _ = seconds_of(objects([*texts, None, "2024-03-01T00:00Z"]), "ymd")
    np.testing.assert_array_equal(alone_N, beside_N[:4])
    assert seconds_of(objects([*texts, "2023-02-29"]), "ymd")[1] == 3


def test_only_parts_that_vary_and_the_days_are_kept() -> None:
    seconds_N, _ = seconds_of(objects(["2024-03-01", "2024-03-08", None]), "ymd")
    assert [*varying(parts_of(seconds_N))] == ["day", "days"]
