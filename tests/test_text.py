from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.text import counted, duration, sanitize, short_repr, shorten, shown_interval, shown_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, ünïcödé, 漢字 and 👩‍🔬", "plain, ünïcödé, 漢字 and 👩‍🔬"),
        ("two\r\nlines\tand  blanks ", "two lines and blanks"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\x00b\x7f\x9bc", "abc"),
        ("abc\u202edcba\u2066", "abcdcba"),
        ("a\u2028b\x85c", "a b c"),
        ("\ud800", "\ufffd"),
        ("a\u200bb\ufeffc\u2060d\u00ade", "abcde"),
        ("\u3164a\u115f\ufe0fb\U000e0041", "ab"),
    ],
)
def test_sanitize_makes_one_line_without_invisible_characters(text: str, expected: str) -> None:
    assert sanitize(text) == expected


@given(st.text(st.characters()))
def test_sanitize_removes_controls_and_line_ends_and_is_idempotent(text: str) -> None:
    line = sanitize(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)
    assert sanitize(line) == line
    line.encode()


@pytest.mark.parametrize(
    ("n", "text"), [(1, "1 trial"), (0, "0 trials"), (2, "2 trials"), (1200, "1,200 trials")]
)
def test_a_counted_noun_has_its_plural(n: int, text: str) -> None:
    assert counted(n, "trial") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (59.4, "59s"), (75, "1m15s"), (3600, "1h00m"), (90061, "25h01m")]
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.text(), st.integers(1, 30))
def test_a_shortened_text_has_at_most_n_characters(text: str, n: int) -> None:
    found = shorten(text, n)
    assert len(found) <= n
    assert found == text or len(text) > n


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", "'a\\nb'"),
        (0.5, "0.5"),
        (10**5000, "2^16609 or more"),
        (-(2**300), "-2^300 or more"),
        ([1, 2], "[1, 2]"),
    ],
    ids=["text", "float", "large", "negative", "list"],
)
def test_a_value_is_shown_by_its_repr(value: object, text: str) -> None:
    assert short_repr(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10**7, [[1] * 1000] * 1000, 10**50_000], ids=["text", "lists", "number"]
)
def test_a_large_value_is_shown_short(value: object) -> None:
    assert len(short_repr(value)) <= 60


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.98611, "0.9861"), (0.97, "0.97"), (3e-7, "3e-07"), (12345, "12345"), (2.0, "2")],
)
def test_a_number_has_four_significant_digits_and_a_whole_one_all(value: float, expected: str) -> None:
    assert shown_number(value) == expected


def test_an_uncertainty_has_fewer_digits() -> None:
    assert shown_number(0.004512, 2) == "0.0045"


def test_an_interval_is_shown_with_one_number_only_if_it_is_symmetric():
    assert shown_interval(0.98, 0.97, 0.99) == "0.980 ± 0.010"
    assert shown_interval(0.98, 0.9, 0.99) == "0.980 (0.900 to 0.990)"


def test_a_mean_has_as_many_decimals_as_its_uncertainty():
    assert shown_interval(60.0026, 58.7592, 61.2460) == "60.0 ± 1.2"
    assert shown_interval(-0.00352, -0.1043, 0.0973) == "0.00 ± 0.10"
