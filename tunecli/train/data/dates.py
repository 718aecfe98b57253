"""Dates and times of a column: which form they have, and the numbers that a model gets for them.

A date that may have two meanings is never guessed. Loads only numpy.

Axes: N rows, U different texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

DateForm = Literal["ymd", "dmy", "mdy", "month_name", "compact", "unix_s", "unix_ms", "unix_us", "unix_ns"]
"""How a column writes its dates: the order of year, month and day; ``4 Mar 2021``; 20210304; or Unix time."""

EXAMPLES: dict[DateForm, str] = {
    "ymd": "2024-01-31",
    "dmy": "31/01/2024",
    "mdy": "01/31/2024",
    "month_name": "31 Jan 2024",
    "compact": "20240131",
    "unix_s": "1706659200",
    "unix_ms": "1706659200000",
    "unix_us": "1706659200000000",
    "unix_ns": "1706659200000000000",
}
"""One day in each form, for messages."""

DatePart = Literal["year", "month", "day", "weekday", "hour", "days"]
"""The inputs of a date. ``weekday`` is 0 on Monday; ``days`` counts the days since 1970, with fractions."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<name>(?:{'|'.join(_MONTHS)})[a-z]*)\.?"
_TIME = (
    r"(?:[T ] ?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AP]M))?(?: ?(?P<zone>Z|UTC|[-+]\d{2}:?\d{2}))?)?"
)
_DAY = r"(?P<day>\d{1,2})"


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern + _TIME, re.IGNORECASE | re.ASCII) for pattern in patterns)


_PATTERNS: dict[DateForm, tuple[re.Pattern[str], ...]] = {
    "ymd": _compiled(rf"(?P<year>\d{{4}})([-/.])(?P<month>\d{{1,2}})\2{_DAY}"),
    "dmy": _compiled(rf"{_DAY}([-/.])(?P<month>\d{{1,2}})\2(?P<year>\d{{4}})"),
    "mdy": _compiled(rf"(?P<month>\d{{1,2}})([-/.]){_DAY}\2(?P<year>\d{{4}})"),
    "month_name": _compiled(
        rf"{_DAY}(?:st|nd|rd|th)?[ -]{_MONTH},?[ -](?P<year>\d{{4}})",
        rf"{_MONTH} {_DAY}(?:st|nd|rd|th)?,? (?P<year>\d{{4}})",
    ),
    "compact": _compiled(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"),
}

_UNITS: dict[DateForm, float] = {"unix_s": 1.0, "unix_ms": 1e3, "unix_us": 1e6, "unix_ns": 1e9}
_FIRST_S, _LAST_S = 1e8, 4.2e9
"""Unix times from 1973 to 2103; so the size of a number shows its unit."""

_LIKELY_YEARS = range(1500, 2201)
_SECONDS_PER_DAY = 86_400.0
_MONDAY = 3  # the weekday of 1970-01-01 is Thursday


@dataclass(frozen=True, slots=True)
class DateColumn:
    """How a file's column of dates is read; the training file decides it for all files.

    Attributes:
        name: the column's name.
        form: how its dates are written.
        parts: the inputs that it becomes; empty if it is no input.
    """

    name: str
    form: DateForm
    parts: tuple[DatePart, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return tuple(f"{self.name}.{part}" for part in self.parts)


class Recognised(NamedTuple):
    """The form of a column of dates; None if it has none, and ``is_ambiguous`` if it has two."""

    form: DateForm | None
    is_ambiguous: bool = False


def recognise(values_N: NDArray[Any], *, is_wanted: bool) -> Recognised:
    """The form that all values of a column have.

    Args:
        values_N: (N,) texts, or None if missing; or float64, NaN if missing.
        is_wanted: the user says that these are dates. Otherwise numbers are never dates, and a text is one only if its
            year is likely.
    """
    if values_N.dtype != object:
        return Recognised(_form_of_numbers(values_N.astype(np.float64)) if is_wanted else None)
    texts = {value for value in values_N.tolist() if value is not None}
    if not texts:
        return Recognised(None)
    plain_U = _plain_seconds([*texts])
    if plain_U is not None and (is_wanted or _are_likely(plain_U)):
        return Recognised("ymd")
    candidates = [
        form for form in _PATTERNS if (is_wanted or form != "compact") and _fits(texts, form, is_wanted)
    ]
    if len(candidates) > 1:  # each text is a date with the day first, and with the month first
        return Recognised(None, is_ambiguous=True)
    return Recognised(candidates[0] if candidates else None)


def _fits(texts: set[str], form: DateForm, is_wanted: bool) -> bool:
    for text in texts:
        moment = _moment(text, form)
        if moment is None or not (is_wanted or moment.year in _LIKELY_YEARS):
            return False
    return True


def _form_of_numbers(values_N: NDArray[np.float64]) -> DateForm | None:
    present_N = values_N[~np.isnan(values_N)]
    if not len(present_N):
        return None
    low, high = float(present_N.min()), float(present_N.max())
    if low >= 10_000_101 and high <= 99_991_231 and _first_misfit(values_N, "compact") is None:
        return "compact"
    fitting = (form for form, unit in _UNITS.items() if _FIRST_S * unit <= low and high <= _LAST_S * unit)
    return next(fitting, None)


def _first_misfit(values_N: NDArray[Any], form: DateForm) -> int | None:
    return seconds_of(values_N, form)[1]


def seconds_of(values_N: NDArray[Any], form: DateForm) -> tuple[NDArray[np.float64], int | None]:
    """Read a column of dates.

    Args:
        values_N: (N,) texts or float64, as for `recognise`.
        form: how they are written.

    Returns:
        Seconds since 1970 (N,), in UTC where a text names its zone, and NaN if missing; and the first row that is no
        date of this form, or None.
    """
    if form in _UNITS:
        if values_N.dtype == object:
            misfit = next((row for row, value in enumerate(values_N.tolist()) if value is not None), None)
            return np.full(len(values_N), math.nan), misfit
        return values_N.astype(np.float64) / _UNITS[form], None
    values: Sequence[Any] = values_N.tolist()
    if form == "ymd":
        different = [*{value for value in values if value is not None}]
        plain_U = _plain_seconds(different)
        if plain_U is not None:
            known = {None: math.nan, **dict(zip(different, plain_U.tolist(), strict=True))}
            return np.array([known[value] for value in values], dtype=np.float64), None
    seconds: dict[Any, float] = {}
    misfits: set[Any] = set()
    for value in set(values):
        moment = None if _is_missing(value) else _moment(_as_text(value), form)
        seconds[value] = math.nan if moment is None else (moment - _EPOCH).total_seconds()
        if moment is None and not _is_missing(value):
            misfits.add(value)
    misfit = next((row for row, value in enumerate(values) if value in misfits), None) if misfits else None
    return np.array([seconds.get(value, math.nan) for value in values], dtype=np.float64), misfit


def parts_of(seconds_N: NDArray[np.float64]) -> dict[DatePart, NDArray[np.float64]]:
    """The parts (N,) of times in seconds since 1970; NaN where a time is missing."""
    is_missing_N = np.isnan(seconds_N)
    whole_N = np.floor(np.where(is_missing_N, 0.0, seconds_N)).astype("datetime64[s]")
    day_N = whole_N.astype("datetime64[D]")
    month_N, year_N = whole_N.astype("datetime64[M]"), whole_N.astype("datetime64[Y]")
    parts: dict[DatePart, NDArray[Any]] = {
        "year": year_N.astype(np.int64) + 1970,
        "month": (month_N - year_N).astype(np.int64) + 1,
        "day": (day_N - month_N).astype(np.int64) + 1,
        "weekday": (day_N.astype(np.int64) + _MONDAY) % 7,
        "hour": (whole_N - day_N).astype(np.int64) // 3600,
        "days": seconds_N / _SECONDS_PER_DAY,
    }
    return {
        part: np.where(is_missing_N, math.nan, values.astype(np.float64)) for part, values in parts.items()
    }


def varying(parts: dict[DatePart, NDArray[np.float64]]) -> Iterator[DatePart]:
    """The parts that have more than one value; ``days`` always, so that no date is without an input."""
    for part, values_N in parts.items():
        present_N = values_N[~np.isnan(values_N)]
        if part == "days" or (len(present_N) and present_N.min() != present_N.max()):
            yield part


_PLAIN_TIME = r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?"
_PLAIN = re.compile(rf"(?:(?!0000)[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_PLAIN_TIME}(?:\n|\Z))*+")


def _plain_seconds(texts: list[str]) -> NDArray[np.float64] | None:
    """Seconds since 1970 of dates in ISO 8601 without a zone, ten times as fast; None if the texts hold others."""
    if not texts or _PLAIN.fullmatch("\n".join(texts)) is None:
        return None
    try:
        micros_U = np.array(texts, dtype="datetime64[us]").astype(np.int64)
    except ValueError:  # 2021-02-30
        return None
    return micros_U / 1e6


def _are_likely(seconds_U: NDArray[np.float64]) -> bool:
    """Whether all years are likely."""
    year_U = np.floor(seconds_U).astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    return bool(year_U.min() in _LIKELY_YEARS and year_U.max() in _LIKELY_YEARS)


_EPOCH = datetime(1970, 1, 1)  # dates without a zone are taken as they are written


def _moment(text: str, form: DateForm) -> datetime | None:
    """The moment that a text names, in UTC if it names its zone; None if it is no date of this form."""
    match = next((found for pattern in _PATTERNS[form] if (found := pattern.fullmatch(text))), None)
    if match is None:
        return None
    named = match.groupdict()
    month = _MONTHS.index(named["name"][:3].lower()) + 1 if named.get("name") else int(named["month"])
    hour = int(named["hour"] or 0)
    if named["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if named["half"].lower() == "pm" else 0)
    microsecond = int((named["fraction"] or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(  # the zone is subtracted below
            int(named["year"]),
            month,
            int(named["day"]),
            hour,
            int(named["minute"] or 0),
            int(named["second"] or 0),
            microsecond,
        )
        return moment - _offset(named["zone"])
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone.upper() in ("Z", "UTC"):
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    timezone(offset)  # raises ValueError for a day or more
    return -offset if zone[0] == "-" else offset


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
